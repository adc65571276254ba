/*
 * scene: what the tests of join share: messages in few words, and the spans that came of
 * them, copied, so that a test can ask for each by the tag that it gave its message.
 */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include <stdlib.h>

#include "check.h"
#include "decode/msg.h"
#include "join/join.h"

#define MS 1000000ULL
#define SCENE_START_NS (1000 * 1000 * MS)
#define SCENE_WALL_NS (1700000000ULL * 1000 * MS)	/* wall clock = monotonic + this */
#define SCENE_LINGER_NS (2000 * MS)
#define TAG "test.tag"

struct who {			/* a process, and the thread that acts */
	uint32_t tgid, tid;
	uint64_t start_ns;
};

struct seen {			/* a span that was handed on */
	struct span span;	/* its pointers are copies, or NULL */
	char *service;
	bool is_late;
	size_t batch;
};

struct scene {
	struct join *join;
	struct counters counters;
	uint64_t now;
	struct seen *seen;
	size_t count, room, batches;
};

/* --- collecting ------------------------------------------------------------------------------- */

static inline void scene_keep(struct scene *s, const struct span *from, bool is_late)
{
	struct seen *to;
	size_t i;

	if (s->count == s->room) {
		s->room = s->room ? s->room * 2 : 64;
		s->seen = realloc(s->seen, s->room * sizeof(*s->seen));
		assert_non_null(s->seen);
	}
	to = &s->seen[s->count++];
	memset(to, 0, sizeof(*to));
	to->span = *from;
	to->span.name = strdup(from->name);
	to->span.tracestate = from->tracestate ? strdup(from->tracestate) : NULL;
	to->span.resource = NULL;
	to->span.events = calloc(from->event_count + 1, sizeof(*from->events));
	for (i = 0; i < from->event_count; i++) {
		to->span.events[i] = (struct span_event){ .ts_ns = from->events[i].ts_ns };
		to->span.events[i].name = strdup(from->events[i].name);
		attrs_copy(&to->span.events[i].attrs, &from->events[i].attrs);
	}
	to->span.attrs = (struct attrs){ 0 };
	attrs_copy(&to->span.attrs, &from->attrs);
	to->span.links = calloc(from->link_count + 1, sizeof(*from->links));
	for (i = 0; i < from->link_count; i++) {
		memcpy(to->span.links[i].trace_id, from->links[i].trace_id, 16);
		memcpy(to->span.links[i].span_id, from->links[i].span_id, 8);
		attrs_copy(&to->span.links[i].attrs, &from->links[i].attrs);
	}
	to->service = strdup(from->resource->service);
	to->is_late = is_late;
	to->batch = s->batches;
}

static inline void scene_next(void *ctx, const struct trace *t)
{
	struct scene *s = ctx;
	size_t i;

	for (i = 0; i < t->count; i++) {
		assert_memory_equal(t->spans[i]->trace_id, t->trace_id, 16);
		assert_true(t->spans[i]->end_ns >= t->spans[i]->start_ns);
		scene_keep(s, t->spans[i], t->is_late);
	}
	s->batches++;
}

static inline void scene_init_with(struct scene *s, uint8_t key, struct join_kafka_opts kafka)
{
	static const char *const spread[] = { "execution.id", "user.id", NULL };
	struct join_opts opts = {
		.wall_offset_ns = SCENE_WALL_NS, .linger_ns = SCENE_LINGER_NS,
		.host_name = "host", .spread = spread, .counters = &s->counters,
		.kafka = kafka,
	};

	memset(s, 0, sizeof(*s));
	memset(opts.ids.key, key, sizeof(opts.ids.key));
	s->now = SCENE_START_NS;
	assert_int_equal(join_new(&s->join, &opts, scene_next, s), 0);
}

static inline void scene_init_key(struct scene *s, uint8_t key)
{
	scene_init_with(s, key, (struct join_kafka_opts){ 0 });
}

static inline void scene_init(struct scene *s)
{
	scene_init_key(s, 7);
}

/* Time passes, with the ticks that a real run has. */
static inline void scene_wait(struct scene *s, uint64_t ns)
{
	s->now += ns;
	join_tick(s->join, s->now);
}

static inline uint64_t scene_emitted(const struct scene *s)
{
	return s->count;
}

/* made = handed on + held + dropped: to be true at any moment after a tick */
static inline void scene_check_sum(const struct scene *s, const char *what)
{
	check_eq(s->counters.value[SPANS_MADE],
		 scene_emitted(s) + s->counters.value[SPANS_HELD] +
		 s->counters.value[SPANS_DROPPED_MEMORY], what);
}

static inline void scene_flush(struct scene *s)
{
	size_t i, k;

	scene_wait(s, 2 * SCENE_LINGER_NS);
	join_flush(s->join, s->now);
	scene_check_sum(s, "after a flush");
	check_eq(s->counters.value[SPANS_HELD], 0, "nothing is held after a flush");
	for (i = 0; i < s->count; i++)
		for (k = 0; k < i; k++)
			check(memcmp(s->seen[i].span.span_id, s->seen[k].span.span_id, 8),
			      "two spans share an id");
}

static inline void scene_done(struct scene *s)
{
	size_t i, k;

	join_free(s->join);
	for (i = 0; i < s->count; i++) {
		for (k = 0; k < s->seen[i].span.link_count; k++)
			attrs_done(&s->seen[i].span.links[k].attrs);
		for (k = 0; k < s->seen[i].span.event_count; k++) {
			free(s->seen[i].span.events[k].name);
			attrs_done(&s->seen[i].span.events[k].attrs);
		}
		free(s->seen[i].span.events);
		free(s->seen[i].span.name);
		free(s->seen[i].span.tracestate);
		free(s->seen[i].span.links);
		attrs_done(&s->seen[i].span.attrs);
		free(s->seen[i].service);
	}
	free(s->seen);
}

/* --- messages --------------------------------------------------------------------------------- */

static inline struct msg message(enum msg_kind kind, const struct who *w)
{
	struct msg m = { .kind = kind, .tgid = w->tgid, .tid = w->tid, .start_ns = w->start_ns };

	return m;
}

/* Feeds @m one millisecond after the one before, and frees what it carries; returns its time. */
static inline uint64_t feed(struct scene *s, struct msg m)
{
	s->now += MS;
	m.ts_ns = s->now;
	join_feed(s->join, &m);
	attrs_done(&m.attrs);
	return m.ts_ns;
}

static inline struct msg with(struct msg m, const char *key, const char *value)
{
	attrs_set_str(&m.attrs, key, value);
	return m;
}

static inline struct msg tagged(struct msg m, const char *tag)
{
	return with(m, TAG, tag);
}

static inline struct msg identified(struct msg m, const char *execution, enum identify how)
{
	m.identities[m.identity_count++] = (struct msg_identity){ "execution.id", execution, how };
	return with(m, "execution.id", execution);
}

/* One connection is a "line": it has an inode at each end, and ports and sequence numbers. */
static inline uint64_t line_inode(enum http_role role, uint32_t line)
{
	return 2ULL * line + (role == HTTP_CLIENT);
}

static inline void set_line(struct msg_http *h, uint32_t line, uint32_t n)
{
	static const uint8_t local[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	uint16_t client_port = 10000 + line, server_port = 8000;

	h->conn = line_inode(h->role, line);
	h->exchange = h->first_op = n;
	memcpy(h->endpoint.local_addr, local, 16);
	memcpy(h->endpoint.peer_addr, local, 16);
	h->endpoint.local_port = h->role == HTTP_CLIENT ? client_port : server_port;
	h->endpoint.peer_port = h->role == HTTP_CLIENT ? server_port : client_port;
	h->endpoint.is_tcp = h->has_seq = true;
	h->tcp_seq = 4000000000U + 1000 * n;
}

/* The @n-th request on a line, at one of its ends. */
static inline struct msg request(const struct who *w, enum http_role role, uint32_t line,
				 uint32_t n, const char *method_and_path)
{
	static const char *const methods[] = { "GET", "POST", "DELETE" };
	struct msg m = message(MSG_HTTP_REQUEST, w);
	size_t i;

	m.http.role = role;
	for (i = 0; i < ARRAY_COUNT(methods); i++)
		if (!strncmp(method_and_path, methods[i], strlen(methods[i])))
			m.http.method = methods[i];
	assert_non_null(m.http.method);
	m.http.path = m.http.route = strchr(method_and_path, ' ') + 1;
	m.http.host = "localhost:8000";
	m.http.version = "1.1";
	set_line(&m.http, line, n);
	return m;
}

static inline struct msg later(enum msg_kind kind, const struct who *w, enum http_role role,
			       uint32_t line, uint32_t n)
{
	struct msg m = message(kind, w);

	m.http.role = role;
	m.http.conn = line_inode(role, line);
	m.http.exchange = n;
	return m;
}

static inline struct msg response(const struct who *w, enum http_role role, uint32_t line,
				  uint32_t n, int status)
{
	struct msg m = later(MSG_HTTP_RESPONSE, w, role, line, n);

	m.http.status = status;
	return m;
}

static inline struct msg end(const struct who *w, enum http_role role, uint32_t line, uint32_t n)
{
	return later(MSG_HTTP_END, w, role, line, n);
}

static inline void answer(struct scene *s, const struct who *w, enum http_role role,
			  uint32_t line, int status)
{
	feed(s, response(w, role, line, 1, status));
	feed(s, end(w, role, line, 1));
}

static inline struct msg kafka(enum msg_kind kind, const struct who *w, const char *topic,
			       const char *key)
{
	struct msg m = message(kind, w);

	m.kafka = (struct msg_kafka){
		.client = 0xc11e, .topic = topic, .client_id = "rdkafka#producer-1", .key = key,
		.partition = -1, .offset = -1001, .timestamp_ms = -1, .value_len = 100,
		.high = -1001,
	};
	if (key)
		m.kafka.key_captured = m.kafka.key_len = strlen(key);
	return m;
}

/* @object: address of the message object, which its acknowledgement repeats */
static inline struct msg sent(const struct who *w, uint64_t object, const char *topic,
			      const char *key)
{
	struct msg m = kafka(MSG_KAFKA_SEND, w, topic, key);

	m.kafka.msg = object;
	return m;
}

static inline struct msg acked(const struct who *w, uint64_t object, int32_t partition,
			       int64_t offset)
{
	struct msg m = kafka(MSG_KAFKA_ACK, w, NULL, NULL);

	m.kafka.status = 2;
	m.kafka.msg = object;
	m.kafka.partition = partition;
	m.kafka.offset = offset;
	return m;
}

/* The same, seen at the acknowledgement only: light mode. */
static inline struct msg delivered(const struct who *w, uint64_t object, const char *topic,
				   const char *key, int64_t offset)
{
	struct msg m = kafka(MSG_KAFKA_DELIVERED, w, topic, key);

	m.kafka.status = 2;
	m.kafka.msg = object;
	m.kafka.partition = 0;
	m.kafka.offset = offset;
	return m;
}

/* What is known of the handle that kafka() gives its messages; NULL: not known. */
static inline struct msg client(const struct who *w, const char *cluster, const char *group)
{
	struct msg m = message(MSG_KAFKA_CLIENT, w);

	m.client.client = 0xc11e;
	m.client.group_handle = 0x6e0;
	m.client.client_id = "rdkafka#producer-1";
	m.client.cluster_id = cluster;
	m.client.group = group;
	return m;
}

static inline struct msg consumed(const struct who *w, const char *topic, const char *key,
				  int32_t partition, int64_t offset)
{
	struct msg m = kafka(MSG_KAFKA_CONSUME, w, topic, key);

	m.kafka.partition = partition;
	m.kafka.offset = offset;
	m.kafka.msg = 0xface;
	return m;
}

static inline struct msg polled(const struct who *w)
{
	return kafka(MSG_KAFKA_POLL, w, NULL, NULL);
}

static inline struct msg_label http_label(uint32_t line, uint32_t op)
{
	return (struct msg_label){ LABEL_OF_HTTP, line_inode(HTTP_SERVER, line), op };
}

static inline struct msg_label kafka_label(uint64_t consumed_ns, const struct who *w)
{
	return (struct msg_label){ LABEL_OF_KAFKA, consumed_ns, w->tid };
}

static inline struct msg by_thread(struct msg m, struct msg_label label)
{
	m.labels.thread = label;
	return m;
}

/* In a task of an event loop, whose thread's label is of somebody else. */
static inline struct msg by_task(struct msg m, struct msg_label label, struct msg_label thread)
{
	m.labels = (struct msg_labels){
		.task = label, .thread = thread, .has_task = true, .loop_thread = true,
	};
	return m;
}

/* Trace and span ids that no hash makes: a mark, and the number at the end. */
static inline void trace_id_of(uint8_t ret[16], uint32_t number)
{
	memset(ret, 0xaa, 16);
	memcpy(ret + 12, &number, 4);
}

static inline struct context context_of(uint32_t trace, uint32_t span)
{
	struct context c = { .has_trace_id = true, .has_span_id = span != 0, .flags = 1 };

	trace_id_of(c.trace_id, trace);
	memset(c.span_id, 0xbb, 8);
	memcpy(c.span_id + 4, &span, 4);
	c.format = span ? "traceparent" : "custom";
	return c;
}

static inline struct msg carrying(struct msg m, struct context c)
{
	if (m.kind == MSG_HTTP_REQUEST)
		m.http.context = c;
	else if (m.kind == MSG_PROC_TARGET)
		m.process.context = c;
	else
		m.kafka.context = c;
	return m;
}

/* --- asking ----------------------------------------------------------------------------------- */

static inline size_t scene_count(const struct scene *s, const char *key, const char *value)
{
	size_t i, n = 0;

	for (i = 0; i < s->count; i++) {
		const char *got = attrs_get_str(&s->seen[i].span.attrs, key);

		n += got && !strcmp(got, value);
	}
	return n;
}

/* The one span with the tag. */
static inline const struct seen *span_of(const struct scene *s, const char *tag)
{
	size_t i;

	check_eq(scene_count(s, TAG, tag), 1, tag);
	for (i = 0; i < s->count; i++) {
		const char *got = attrs_get_str(&s->seen[i].span.attrs, TAG);

		if (got && !strcmp(got, tag))
			return &s->seen[i];
	}
	return NULL;
}

static inline bool is_same_trace(const struct seen *a, const struct seen *b)
{
	return !memcmp(a->span.trace_id, b->span.trace_id, 16);
}

static inline bool is_trace(const struct seen *a, uint32_t number)
{
	uint8_t id[16];

	trace_id_of(id, number);
	return !memcmp(a->span.trace_id, id, 16);
}

static inline bool has_link(const struct seen *from, const struct seen *to)
{
	size_t i;

	for (i = 0; i < from->span.link_count; i++)
		if (!memcmp(from->span.links[i].trace_id, to->span.trace_id, 16) &&
		    !memcmp(from->span.links[i].span_id, to->span.span_id, 8))
			return true;
	return false;
}

static inline void check_child(const struct seen *child, const struct seen *parent,
			       enum evidence evidence, const char *what)
{
	check(child->span.has_parent, what);
	check(is_same_trace(child, parent), what);
	check(!memcmp(child->span.parent_id, parent->span.span_id, 8), what);
	check_str(evidence_name(child->span.evidence), evidence_name(evidence), what);
	check_str(attrs_get_str(&child->span.attrs, "spanstitch.parent.evidence"),
		  evidence_name(evidence), what);
}

static inline void check_parent(const struct scene *s, const char *child, const char *parent,
				enum evidence evidence)
{
	check_child(span_of(s, child), span_of(s, parent), evidence, child);
}

static inline void check_root(const struct scene *s, const char *tag)
{
	const struct seen *root = span_of(s, tag);

	check(!root->span.has_parent, tag);
	check_eq(root->span.evidence, EVIDENCE_NONE, tag);
	check(attrs_get_str(&root->span.attrs, "spanstitch.parent.reason"), tag);
}

static inline const char *str_of(const struct seen *sn, const char *key)
{
	return attrs_get_str(&sn->span.attrs, key);
}

/* The one span of the name. */
static inline const struct seen *span_named(const struct scene *s, const char *name)
{
	const struct seen *found = NULL;
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->seen[i].span.name, name)) {
			check(!found, name);
			found = &s->seen[i];
		}
	check(found, name);
	return found;
}

static inline size_t scene_traces(const struct scene *s)
{
	size_t i, k, n = 0;

	for (i = 0; i < s->count; i++) {
		for (k = 0; k < i && !is_same_trace(&s->seen[i], &s->seen[k]); k++)
			;
		n += k == i;
	}
	return n;
}

static inline int64_t int_of(const struct seen *sn, const char *key)
{
	const struct attr *at = attrs_get(&sn->span.attrs, key);

	return at && at->type == ATTR_INT ? at->num : -1;
}

#endif
