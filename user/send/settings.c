/* settings: see settings.h. */
#include "send/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#define TRACES_PATH "/v1/traces"
#define GRPC_PORT "4317"
#define VARIABLE_MAX 64		/* bytes of the longest variable's name */

/* What the helpers share; a failed allocation is remembered and told once, at the end. */
struct reader {
	struct settings *s;
	settings_getenv_fn get;
	struct fault *why;
	char name[VARIABLE_MAX];	/* of the variable that was read last */
	bool is_failed;
};

#define warn(r, ...)                                                                               \
	do {                                                                                       \
		if ((r)->s->warning_count < SETTINGS_WARNINGS_MAX)                                 \
			fault_set(&(r)->s->warnings[(r)->s->warning_count++], __VA_ARGS__);        \
	} while (0)

static char *copy(struct reader *r, const char *s)
{
	char *to = strdup(s);

	if (!to)
		r->is_failed = true;
	return to;
}

/* A variable's value, NULL where it is unset or empty; r->name is its name. */
static const char *variable(struct reader *r, const char *name)
{
	const char *value = r->get(name);

	snprintf(r->name, sizeof(r->name), "%s", name);
	return value && *value ? value : NULL;
}

/* OTEL_EXPORTER_OTLP_TRACES_<name>, else OTEL_EXPORTER_OTLP_<name>. */
static const char *otlp_variable(struct reader *r, const char *name)
{
	char full[VARIABLE_MAX];
	const char *value;

	snprintf(full, sizeof(full), "OTEL_EXPORTER_OTLP_TRACES_%s", name);
	value = variable(r, full);
	if (value)
		return value;
	snprintf(full, sizeof(full), "OTEL_EXPORTER_OTLP_%s", name);
	return variable(r, full);
}

static void read_number(struct reader *r, const char *value, uint32_t low, uint32_t *ret)
{
	unsigned long long n;
	char *end;

	if (!value)
		return;
	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno || *end || !isdigit((unsigned char)*value) || n > UINT32_MAX || n < low)
		warn(r, "%s=%s is no number from %u up: %u is taken", r->name, value, low, *ret);
	else
		*ret = n;
}

static void read_gzip(struct reader *r)
{
	const char *value = otlp_variable(r, "COMPRESSION");

	if (!value || !strcasecmp(value, "gzip"))
		return;
	if (!strcasecmp(value, "none"))
		r->s->is_gzip = false;
	else
		warn(r, "%s=%s is neither gzip nor none: gzip is taken", r->name, value);
}

static int read_form(struct reader *r)
{
	const char *value = otlp_variable(r, "PROTOCOL");

	if (!value || !strcasecmp(value, "http/protobuf"))
		return 0;
	if (!strcasecmp(value, "http/json")) {
		r->s->form = OTLP_JSON;
	} else if (!strcasecmp(value, "grpc")) {
		fault_set(r->why,
			  "%s=grpc: only OTLP over HTTP is spoken: set it to http/protobuf or "
			  "http/json, and the endpoint to the HTTP port (4318)",
			  r->name);
		return -EINVAL;
	} else {
		warn(r, "%s=%s is not known: http/protobuf is taken", r->name, value);
	}
	return 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place. Returns false for a broken escape or an escaped NUL. */
static bool percent_decode(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (hex_digit(s[1]) < 0 || hex_digit(s[2]) < 0)
			return false;
		*to = hex_digit(s[1]) << 4 | hex_digit(s[2]);
		if (!*to++)
			return false;
		s += 2;
	}
	*to = '\0';
	return true;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len && strchr(" \t", s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* @list is "key=value,key=value". False: one of it is broken, or @take refused it. */
static bool each_pair(struct reader *r, const char *list,
		      bool (*take)(struct reader *r, char *key, char *value))
{
	char *text = copy(r, list), *next = text, *item, *value;
	bool is_fine = true;

	while (next && is_fine) {
		item = trim(strsep(&next, ","));
		if (!*item)
			continue;
		value = strchr(item, '=');
		if (!value) {
			is_fine = false;
			break;
		}
		*value++ = '\0';
		value = trim(value);
		is_fine = percent_decode(value) && take(r, trim(item), value);
	}
	free(text);
	return is_fine;
}

/* Headers that describe the body are the exporter's own. */
static bool is_header_name(const char *name)
{
	const char *p;

	for (p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
			return false;
	return *name && strncasecmp(name, "content-", 8) && strcasecmp(name, "transfer-encoding");
}

static bool take_header(struct reader *r, char *key, char *value)
{
	struct settings *s = r->s;
	const char *p;

	for (p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;	/* a line break would start a header of its own */
	if (!is_header_name(key) || s->header_count == SETTINGS_HEADERS_MAX)
		return false;
	/* libcurl leaves out a header without a value unless it ends in a semicolon */
	if (asprintf(&s->headers[s->header_count], *value ? "%s: %s" : "%s;%s", key, value) < 0)
		r->is_failed = true;
	else
		s->header_count++;
	return true;
}

static bool take_attribute(struct reader *r, char *key, char *value)
{
	int err;

	if (!*key)
		return false;
	err = attrs_set_str(&r->s->resource, key, value);
	if (err == -ENOMEM)
		r->is_failed = true;
	return !err;
}

/* A value may be a secret: only the variable is named. */
static void read_headers(struct reader *r)
{
	const char *list = otlp_variable(r, "HEADERS");

	if (list && !each_pair(r, list, take_header))
		warn(r, "%s: not all of it is name=value,name=value: the rest is ignored", r->name);
}

/* The specification: one error discards the whole variable. */
static void read_resource(struct reader *r)
{
	const char *list = variable(r, "OTEL_RESOURCE_ATTRIBUTES");

	if (!list || each_pair(r, list, take_attribute))
		return;
	attrs_done(&r->s->resource);
	warn(r, "%s is not key=value,key=value: it is ignored", r->name);
}

/* Adds the signal's path to a base; one that has it already is left as it is. */
static CURLUcode append_path(CURLU *u)
{
	char *path, *full;
	size_t len;
	CURLUcode err = curl_url_get(u, CURLUPART_PATH, &path, 0);

	if (err)
		return err;
	len = strlen(path);
	while (len && path[len - 1] == '/')
		len--;
	if (len >= strlen(TRACES_PATH) &&
	    !strncmp(path + len - strlen(TRACES_PATH), TRACES_PATH, strlen(TRACES_PATH)))
		full = strndup(path, len);
	else if (asprintf(&full, "%.*s%s", (int)len, path, TRACES_PATH) < 0)
		full = NULL;
	curl_free(path);
	err = full ? curl_url_set(u, CURLUPART_PATH, full, 0) : CURLUE_OUT_OF_MEMORY;
	free(full);
	return err;
}

static void warn_of_port(struct reader *r, CURLU *u, const char *from)
{
	char *port;

	if (curl_url_get(u, CURLUPART_PORT, &port, 0))
		return;
	if (!strcmp(port, GRPC_PORT))
		warn(r, "%s names port %s, which is OTLP over gRPC by custom; over HTTP it is 4318",
		     from, port);
	curl_free(port);
}

static bool has_scheme(const char *url)
{
	return !strncasecmp(url, "http://", 7) || !strncasecmp(url, "https://", 8);
}

/* @from names where the URL is from. */
static int take_url(struct reader *r, const char *url, bool is_base, const char *from)
{
	CURLU *u;
	char *full = NULL;
	CURLUcode err;

	if (!has_scheme(url)) {
		fault_set(r->why, "%s: \"%s\" must begin with http:// or https://", from, url);
		return -EINVAL;
	}
	u = curl_url();
	if (!u)
		return -ENOMEM;
	err = curl_url_set(u, CURLUPART_URL, url, 0);
	if (!err && is_base)
		err = append_path(u);
	if (!err)
		err = curl_url_get(u, CURLUPART_URL, &full, 0);
	if (!err) {
		warn_of_port(r, u, from);
		r->s->url = copy(r, full);
	} else {
		fault_set(r->why, "%s: \"%s\" is no URL: %s", from, url, curl_url_strerror(err));
	}
	curl_free(full);
	curl_url_cleanup(u);
	return !err ? 0 : err == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

static int read_url(struct reader *r, const char *option)
{
	const char *value;

	if (option)
		return take_url(r, option, true, "--otlp");
	value = variable(r, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
	if (value)
		return take_url(r, value, false, r->name);
	value = variable(r, "OTEL_EXPORTER_OTLP_ENDPOINT");
	return value ? take_url(r, value, true, r->name) : 0;
}

static char *read_text(struct reader *r, const char *value)
{
	return value ? copy(r, value) : NULL;
}

static void read_batching(struct reader *r)
{
	struct settings *s = r->s;

	read_number(r, otlp_variable(r, "TIMEOUT"), 0, &s->timeout_ms);
	read_number(r, variable(r, "OTEL_BSP_SCHEDULE_DELAY"), 0, &s->delay_ms);
	read_number(r, variable(r, "OTEL_BSP_EXPORT_TIMEOUT"), 0, &s->total_ms);
	read_number(r, variable(r, "OTEL_BSP_MAX_QUEUE_SIZE"), 1, &s->queue_spans);
	read_number(r, variable(r, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), 1, &s->batch_spans);
	if (s->batch_spans > OTLP_PIECE_SPANS) {
		warn(r, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=%u: back ends refuse so much at once: %u "
		     "is taken", s->batch_spans, OTLP_PIECE_SPANS);
		s->batch_spans = OTLP_PIECE_SPANS;
	}
	if (s->batch_spans > s->queue_spans)
		s->batch_spans = s->queue_spans;
}

int settings_read(struct settings *ret, const char *url, settings_getenv_fn get, struct fault *why)
{
	struct settings s = {
		.is_gzip = true,
		.timeout_ms = SETTINGS_TIMEOUT_MS,
		.total_ms = SETTINGS_TOTAL_MS,
		.delay_ms = SETTINGS_DELAY_MS,
		.queue_spans = SETTINGS_QUEUE_SPANS,
		.batch_spans = OTLP_PIECE_SPANS,
	};
	struct reader r = { .s = &s, .get = get, .why = why };
	int err = read_url(&r, url);

	if (!err && s.url)
		err = read_form(&r);
	if (!err) {
		read_gzip(&r);
		read_headers(&r);
		read_resource(&r);
		read_batching(&r);
		s.service = read_text(&r, variable(&r, "OTEL_SERVICE_NAME"));
		s.ca_file = read_text(&r, otlp_variable(&r, "CERTIFICATE"));
		s.key_file = read_text(&r, otlp_variable(&r, "CLIENT_KEY"));
		s.cert_file = read_text(&r, otlp_variable(&r, "CLIENT_CERTIFICATE"));
	}
	if (!err && r.is_failed)
		err = -ENOMEM;
	if (err) {
		settings_done(&s);
		return err;
	}
	*ret = s;
	return 0;
}

void settings_done(struct settings *s)
{
	while (s->header_count)
		free(s->headers[--s->header_count]);
	free(s->url);
	free(s->ca_file);
	free(s->key_file);
	free(s->cert_file);
	free(s->service);
	attrs_done(&s->resource);
	*s = (struct settings){ 0 };
}
