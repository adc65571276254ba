/*
 * truth: a librdkafka interceptor plugin that writes what really happened to each message, one
 * JSON line each, to the file that SPANSTITCH_TRUTH names. Loaded by plugin.library.paths; runs in
 * librdkafka 1.0 and later. It calls the very copy of librdkafka that loaded it, whatever that file
 * is called, so it is not linked to one.
 *
 * Roles of lines: client, send, ack, consume, commit, request, response. Times are CLOCK_MONOTONIC
 * in ns, taken before anything else is done; keys and headers are in hex. Each line is one write():
 * whatever kills the process, the lines that were written stay.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define FILE_VARIABLE "SPANSTITCH_TRUTH"
#define NAME "spanstitch-truth"
#define TEXT_MAX 256		/* of a client id or group */
#define HEX_MAX 4096		/* bytes of a key or header that are written; more: "cut" */
#define API_PRODUCE 0		/* the only requests that are written */

/* What 1.0 has. */
#define FUNCTIONS(X) \
	X(rd_kafka_conf_interceptor_add_on_new) \
	X(rd_kafka_interceptor_add_on_send) \
	X(rd_kafka_interceptor_add_on_acknowledgement) \
	X(rd_kafka_interceptor_add_on_consume) \
	X(rd_kafka_interceptor_add_on_commit) \
	X(rd_kafka_interceptor_add_on_request_sent) \
	X(rd_kafka_conf_get) \
	X(rd_kafka_name) \
	X(rd_kafka_type) \
	X(rd_kafka_topic_name) \
	X(rd_kafka_err2name) \
	X(rd_kafka_version_str) \
	X(rd_kafka_message_headers) \
	X(rd_kafka_message_status) \
	X(rd_kafka_message_timestamp) \
	X(rd_kafka_header_get_all)

/* What later ones have: NULL before. */
#define LATER_FUNCTIONS(X) \
	X(rd_kafka_interceptor_add_on_response_received)	/* 1.6 */

struct api {
#define X(f) __typeof__(f) *f;
	FUNCTIONS(X)
	LATER_FUNCTIONS(X)
#undef X
};

static const struct function {
	const char *name;
	size_t at;
	bool is_later;
} functions[] = {
#define X(f) { #f, offsetof(struct api, f), false },
	FUNCTIONS(X)
#undef X
#define X(f) { #f, offsetof(struct api, f), true },
	LATER_FUNCTIONS(X)
#undef X
};

/* One a client; never freed, for messages may come back after on_destroy. */
struct client {
	const struct api *api;
	char id[TEXT_MAX], group[TEXT_MAX];
};

struct line {
	FILE *f;
	char *text;
	size_t size;
};

/* The plugin's own entry, called by librdkafka by its name. */
rd_kafka_resp_err_t conf_init(rd_kafka_conf_t *conf, void **plug_opaquep, char *errstr,
			      size_t errstr_size);

static int truth_fd = -1;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void put_text(FILE *f, const char *name, const char *text)
{
	fprintf(f, ",\"%s\":\"", name);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
			fprintf(f, "\\u%04x", (unsigned char)*text);
		else
			fputc(*text, f);
	}
	fputc('"', f);
}

/* The value alone; null for a NULL pointer, which is not the same as no bytes. */
static void put_hex(FILE *f, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = bytes;
	size_t i;

	if (!bytes) {
		fputs("null", f);
		return;
	}
	if (n > HEX_MAX) {
		fprintf(f, "\"cut:%zu\"", n);
		return;
	}
	fputc('"', f);
	for (i = 0; i < n; i++) {
		fputc(digits[b[i] >> 4], f);
		fputc(digits[b[i] & 15], f);
	}
	fputc('"', f);
}

static int line_begin(struct line *l, const char *role, uint64_t t)
{
	*l = (struct line){ 0 };
	l->f = open_memstream(&l->text, &l->size);
	if (!l->f)
		return -ENOMEM;
	fprintf(l->f, "{\"role\":\"%s\",\"t\":%" PRIu64 ",\"pid\":%d,\"tid\":%ld", role, t,
		(int)getpid(), syscall(SYS_gettid));
	return 0;
}

/* A short write would be told by the reader: the line is no JSON. */
static void line_end(struct line *l)
{
	fputs("}\n", l->f);
	fclose(l->f);
	if (write(truth_fd, l->text, l->size) != (ssize_t)l->size)
		fprintf(stderr, "truth: a line was not written: %s\n", strerror(errno));
	free(l->text);
}

static void put_client(FILE *f, rd_kafka_t *rk, const struct client *c)
{
	put_text(f, "client", c->api->rd_kafka_name(rk));
	put_text(f, "client_id", c->id);
	if (*c->group)
		put_text(f, "group", c->group);
}

static void put_headers(FILE *f, const struct client *c, const rd_kafka_message_t *m)
{
	const char *name, *comma = "";
	rd_kafka_headers_t *headers;
	const void *value;
	size_t i, n;

	fputs(",\"headers\":[", f);
	if (!c->api->rd_kafka_message_headers(m, &headers)) {
		for (i = 0; !c->api->rd_kafka_header_get_all(headers, i, &name, &value, &n); i++) {
			fprintf(f, "%s[", comma);
			put_hex(f, name, strlen(name));
			fputc(',', f);
			put_hex(f, value, n);
			fputc(']', f);
			comma = ",";
		}
	}
	fputc(']', f);
}

static void put_error(FILE *f, const struct client *c, rd_kafka_resp_err_t err)
{
	fprintf(f, ",\"err\":%d", err);
	put_text(f, "error", c->api->rd_kafka_err2name(err));
}

static void put_place(FILE *f, const struct client *c, const rd_kafka_message_t *m)
{
	fprintf(f, ",\"msg\":\"%p\"", (const void *)m);
	put_text(f, "topic", c->api->rd_kafka_topic_name(m->rkt));
	fprintf(f, ",\"partition\":%d,\"offset\":%" PRId64, m->partition, m->offset);
}

static void put_content(FILE *f, const struct client *c, const rd_kafka_message_t *m)
{
	fputs(",\"key\":", f);
	put_hex(f, m->key, m->key_len);
	if (m->payload)
		fprintf(f, ",\"size\":%zu", m->len);
	else
		fputs(",\"size\":null", f);
	put_headers(f, c, m);
}

/* --- interceptors ----------------------------------------------------------------------------- */

static rd_kafka_resp_err_t on_send(rd_kafka_t *rk, rd_kafka_message_t *m, void *opaque)
{
	const struct client *c = opaque;
	uint64_t t = now_ns();
	struct line l;

	if (line_begin(&l, "send", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	put_place(l.f, c, m);
	put_content(l.f, c, m);
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_ack(rd_kafka_t *rk, rd_kafka_message_t *m, void *opaque)
{
	const struct client *c = opaque;
	uint64_t t = now_ns();
	struct line l;

	if (line_begin(&l, "ack", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	put_place(l.f, c, m);
	put_error(l.f, c, m->err);
	fprintf(l.f, ",\"status\":%d", c->api->rd_kafka_message_status(m));
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_consume(rd_kafka_t *rk, rd_kafka_message_t *m, void *opaque)
{
	const struct client *c = opaque;
	rd_kafka_timestamp_type_t type;
	uint64_t t = now_ns();
	struct line l;

	if (line_begin(&l, "consume", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	put_place(l.f, c, m);
	put_error(l.f, c, m->err);
	fprintf(l.f, ",\"timestamp\":%" PRId64, c->api->rd_kafka_message_timestamp(m, &type));
	put_content(l.f, c, m);
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_commit(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *list,
				     rd_kafka_resp_err_t err, void *opaque)
{
	const struct client *c = opaque;
	uint64_t t = now_ns();
	struct line l;
	int i;

	if (line_begin(&l, "commit", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	put_error(l.f, c, err);
	fputs(",\"partitions\":[", l.f);
	for (i = 0; list && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];

		fputs(i ? ",{" : "{", l.f);
		fprintf(l.f, "\"partition\":%d,\"offset\":%" PRId64, p->partition, p->offset);
		put_text(l.f, "topic", p->topic);
		put_error(l.f, c, p->err);
		fputc('}', l.f);
	}
	fputc(']', l.f);
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* As librdkafka's parameters. */
static rd_kafka_resp_err_t on_request(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
				      int16_t key, int16_t version, int32_t corrid, size_t size,
				      void *opaque)
{
	const struct client *c = opaque;
	uint64_t t = now_ns();
	struct line l;

	(void)fd, (void)broker, (void)version, (void)size;
	if (key != API_PRODUCE || line_begin(&l, "request", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	fprintf(l.f, ",\"broker\":%d,\"corrid\":%d", id, corrid);
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* As librdkafka's parameters. */
static rd_kafka_resp_err_t on_response(rd_kafka_t *rk, int fd, const char *broker, int32_t id,
				       int16_t key, int16_t version, int32_t corrid, size_t size,
				       int64_t rtt, rd_kafka_resp_err_t err, void *opaque)
{
	const struct client *c = opaque;
	uint64_t t = now_ns();
	struct line l;

	(void)fd, (void)broker, (void)version, (void)size;
	if (key != API_PRODUCE || line_begin(&l, "response", t))
		return RD_KAFKA_RESP_ERR_NO_ERROR;
	put_client(l.f, rk, c);
	fprintf(l.f, ",\"broker\":%d,\"corrid\":%d,\"rtt_us\":%" PRId64, id, corrid, rtt);
	put_error(l.f, c, err);
	line_end(&l);
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- coming into being ------------------------------------------------------------------------ */

static void config_text(const struct api *api, const rd_kafka_conf_t *conf, const char *name,
			char ret[TEXT_MAX])
{
	size_t size = TEXT_MAX;

	if (api->rd_kafka_conf_get(conf, name, ret, &size) != RD_KAFKA_CONF_OK)
		*ret = '\0';
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque,
				  char *errstr, size_t errstr_size)
{
	const struct api *api = opaque;
	struct client *c = calloc(1, sizeof(*c));
	uint64_t t = now_ns();
	struct line l;

	if (!c || line_begin(&l, "client", t)) {
		snprintf(errstr, errstr_size, NAME ": no memory");
		return RD_KAFKA_RESP_ERR__FAIL;
	}
	c->api = api;
	config_text(api, conf, "client.id", c->id);
	config_text(api, conf, "group.id", c->group);
	put_client(l.f, rk, c);
	put_text(l.f, "version", api->rd_kafka_version_str());
	put_text(l.f, "type", api->rd_kafka_type(rk) == RD_KAFKA_PRODUCER ? "producer" :
		 "consumer");
	fprintf(l.f, ",\"wall_offset\":%" PRId64,
		(int64_t)(clock_ns(CLOCK_REALTIME) - now_ns()));
	line_end(&l);

	if (api->rd_kafka_interceptor_add_on_send(rk, NAME, on_send, c) ||
	    api->rd_kafka_interceptor_add_on_acknowledgement(rk, NAME, on_ack, c) ||
	    api->rd_kafka_interceptor_add_on_consume(rk, NAME, on_consume, c) ||
	    api->rd_kafka_interceptor_add_on_commit(rk, NAME, on_commit, c) ||
	    api->rd_kafka_interceptor_add_on_request_sent(rk, NAME, on_request, c) ||
	    (api->rd_kafka_interceptor_add_on_response_received &&
	     api->rd_kafka_interceptor_add_on_response_received(rk, NAME, on_response, c))) {
		snprintf(errstr, errstr_size, NAME ": an interceptor was refused");
		return RD_KAFKA_RESP_ERR__FAIL;
	}
	return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* In the object that holds @caller. Returns the name of what it lacks, or NULL. */
static const char *resolve(struct api *ret, void *caller)
{
	void *handle = RTLD_DEFAULT, *found;
	struct link_map *map;
	Dl_info info;
	size_t i;

	/* In glibc a link map is what dlopen() returns, of the main program too. */
	if (dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) && map)
		handle = map;
	for (i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		found = dlsym(handle, functions[i].name);
		if (!found && !functions[i].is_later)
			return functions[i].name;
		memcpy((char *)ret + functions[i].at, &found, sizeof(found));
	}
	return NULL;
}

rd_kafka_resp_err_t conf_init(rd_kafka_conf_t *conf, void **plug_opaquep, char *errstr,
			      size_t errstr_size)
{
	const char *path = getenv(FILE_VARIABLE), *lacking;
	struct api *api;

	(void)plug_opaquep;
	if (!path) {
		snprintf(errstr, errstr_size, NAME ": " FILE_VARIABLE " names no file");
		return RD_KAFKA_RESP_ERR__INVALID_ARG;
	}
	if (truth_fd < 0)
		truth_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (truth_fd < 0) {
		snprintf(errstr, errstr_size, NAME ": %s: %s", path, strerror(errno));
		return RD_KAFKA_RESP_ERR__FS;
	}
	api = calloc(1, sizeof(*api));	/* lives as long as its clients: for ever */
	if (!api)
		return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
	lacking = resolve(api, __builtin_return_address(0));
	if (lacking) {
		snprintf(errstr, errstr_size, NAME ": this librdkafka lacks %s", lacking);
		return RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED;
	}
	return api->rd_kafka_conf_interceptor_add_on_new(conf, NAME, on_new, api);
}
