/* notes: see notes.h. */
#include "send/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "join/span.h"
#include "send/bar.h"

#define ELLIPSIS "..."		/* ASCII, so that every terminal has it */
#define ELLIPSIS_CELLS 3

/* Appends to @ret of NOTES_MAX bytes, after two spaces where something is there already. */
static void add(char *ret, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(char *ret, const char *format, ...)
{
	size_t len = strlen(ret);
	va_list args;

	if (len)
		len += snprintf(ret + len, NOTES_MAX - len, "  ");
	if (len >= NOTES_MAX)
		return;
	va_start(args, format);
	vsnprintf(ret + len, NOTES_MAX - len, format, args);
	va_end(args);
}

void notes_value(char *ret, size_t len, const struct attr *at)
{
	switch (at->type) {
	case ATTR_STR:
		snprintf(ret, len, "%s", at->str);
		break;
	case ATTR_INT:
		snprintf(ret, len, "%" PRId64, at->num);
		break;
	case ATTR_BOOL:
		snprintf(ret, len, "%s", at->flag ? "true" : "false");
		break;
	case ATTR_DOUBLE:
		snprintf(ret, len, "%g", at->real);
		break;
	}
}

static bool has_int(const struct span *sp, const char *key, int64_t *ret)
{
	const struct attr *at = attrs_get(&sp->attrs, key);

	if (!at || at->type != ATTR_INT)
		return false;
	*ret = at->num;
	return true;
}

static bool is_set(const struct span *sp, const char *key)
{
	const struct attr *at = attrs_get(&sp->attrs, key);

	return at && at->type == ATTR_BOOL && at->flag;
}

/* The path of an HTTP span, without its query; NULL: none. *ret_len is its length. */
static const char *path_of(const struct span *sp, size_t *ret_len)
{
	const char *path = attrs_get_str(&sp->attrs, "url.path");
	const char *url = attrs_get_str(&sp->attrs, "url.full"), *host;

	if (!path && url) {
		host = strstr(url, "://");
		path = host ? strchr(host + 3, '/') : NULL;
	}
	if (path)
		*ret_len = strcspn(path, "?#");
	return path;
}

static void note_http(char *ret, const struct span *sp)
{
	int64_t value;

	if (has_int(sp, "http.response.status_code", &value))
		add(ret, "%" PRId64, value);
	if (has_int(sp, "http.request.resend_count", &value))
		add(ret, "resend %" PRId64, value);
}

static void note_kafka(char *ret, const struct span *sp)
{
	const char *topic = attrs_get_str(&sp->attrs, "messaging.destination.name");
	const char *partition = attrs_get_str(&sp->attrs, "messaging.destination.partition.id");
	char duration[DURATION_MAX];
	int64_t value;

	if (topic && partition && has_int(sp, "messaging.kafka.offset", &value))
		add(ret, "%s[%s]@%" PRId64, topic, partition, value);
	else if (topic && partition)
		add(ret, "%s[%s]", topic, partition);
	if (has_int(sp, "messaging.batch.message_count", &value))
		add(ret, "%" PRId64 " messages", value);
	if (has_int(sp, "spanstitch.kafka.wait_ms", &value) && value > 0) {
		duration_text(duration, (uint64_t)value * 1000000);
		add(ret, "waited %s", duration);
	}
}

static void note_process(char *ret, const struct span *sp)
{
	const char *sig = attrs_get_str(&sp->attrs, "process.exit.signal");
	int64_t value;

	if (sig)
		add(ret, "killed by %s", sig);
	else if (has_int(sp, "process.exit.code", &value))
		add(ret, "exit %" PRId64, value);
}

/* error.type repeats the status, the exit code or the signal of most errors. */
static void note_error(char *ret, const struct span *sp)
{
	static const char *const said[] = { "http.response.status_code", "process.exit.code",
					    "process.exit.signal" };
	const char *type = attrs_get_str(&sp->attrs, "error.type");
	char value[64];
	size_t i;

	for (i = 0; type && i < sizeof(said) / sizeof(said[0]); i++) {
		const struct attr *at = attrs_get(&sp->attrs, said[i]);

		if (!at)
			continue;
		notes_value(value, sizeof(value), at);
		if (!strcmp(value, type))
			return;
	}
	if (type)
		add(ret, "%s", type);
	else if (sp->status == STATUS_ERROR && !*ret)
		add(ret, "error");
}

static void note_end(char *ret, const struct span *sp)
{
	if (is_set(sp, "spanstitch.unfinished"))
		add(ret, "unfinished");
	else if (is_set(sp, "spanstitch.end_not_seen"))
		add(ret, "end not seen");
}

/* "POST /pods" is a word and a path; so is "POST" of a span that has a path. */
static const char *split_name(const struct span *sp, size_t *ret_word, size_t *ret_path)
{
	const char *name = sp->name ? sp->name : "", *path = strstr(name, " /");

	*ret_word = strlen(name);
	if (!path)
		return strchr(name, '/') ? NULL : path_of(sp, ret_path);
	*ret_word = path - name;
	*ret_path = strlen(path + 1);
	return path + 1;
}

void notes_title(char ret[NOTES_MAX], const struct span *sp, size_t cells)
{
	const char *name = sp->name ? sp->name : "", *path, *part;
	size_t len = 0, word, left, room;

	path = split_name(sp, &word, &len);
	if (!path) {
		snprintf(ret, NOTES_MAX, "%s", name);
		return;
	}
	room = cells > word + 1 ? cells - word - 1 : 0;
	for (part = path, left = len; left > room; left = len - (part - path) + ELLIPSIS_CELLS) {
		const char *next = memchr(part + 1, '/', len - (part - path) - 1);

		if (!next)
			break;
		part = next;
	}
	snprintf(ret, NOTES_MAX, "%.*s %s%.*s", (int)word, name, part == path ? "" : ELLIPSIS,
		 (int)(len - (part - path)), part);
}

void notes_text(char ret[NOTES_MAX], const struct span *sp)
{
	static void (*const notes[])(char *ret, const struct span *sp) = {
		note_http, note_kafka, note_process, note_error, note_end,
	};
	size_t i;

	*ret = '\0';
	for (i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		notes[i](ret, sp);
}

const char *notes_evidence(const struct span *sp)
{
	switch (sp->evidence) {
	case EVIDENCE_KAFKA_OFFSET:
	case EVIDENCE_SOCKET_SEQUENCE:
	case EVIDENCE_CORRELATION:
		return sp->has_parent ? evidence_name(sp->evidence) : NULL;
	default:
		return NULL;
	}
}
