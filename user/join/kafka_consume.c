/*
 * kafka_consume: what was handed to a thread by one call is one consumer span, which ends
 * when the thread asks for more. One message: its producer is the parent. Several at once, a
 * batch: each one's producer is linked. Which of the two it is, is known late: when the thread
 * does something else, or somebody asks what it works for.
 *
 * In runtimes whose threads carry no work, the handle that was polled stands for the thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "join/kafka.h"

#define CONSUMING_MAX 65536	/* threads, or handles, with messages in hand */
#define OPEN_MAX 4096		/* messages that one thread was handed and that have no end yet */

/* How far a partition was read; a batch is processed when all of its have been committed. */
struct reach {
	XXH64_hash_t topic;
	int32_t partition;
	bool is_committed;
	int64_t offset;
};

struct consumed {			/* what is in processing: a message or a batch */
	struct consumed *prev, *next;
	struct consumed *client_prev, *client_next;
	struct node *node;		/* counted */
	struct client *client;		/* counted; NULL: no memory */
	struct consuming *thread;
	struct links *links;		/* counted: one a message; NULL: it is placed */
	struct context context;		/* of the first message */
	struct msg_labels labels;	/* of its record: who called the poll */
	uint64_t first_ns, last_ns;	/* hand-over of the first and last: what labels name */
	uint64_t polled_ns, queue;
	uint64_t committed_ns;		/* all of it is committed since; 0: not */
	unsigned int count;
	enum kafka_poll poll;
	bool is_placed;			/* complete, and its parent or links are settled */
	struct reach *reach, one;
	unsigned int reach_count;
};

struct consuming_key {
	uint64_t queue;			/* 0: the thread's */
	uint32_t tgid, tid;		/* tid 0: the queue's */
};

struct consuming {
	UT_hash_handle hh;
	struct consuming_key key;
	struct consumed *open;
	unsigned int count;
};

/* --- tables ----------------------------------------------------------------------------------- */

static void consumed_free(struct core *c, struct consumed *d)
{
	DL_DELETE(d->thread->open, d);
	d->thread->count--;
	if (d->client)
		DL_DELETE2(d->client->open, d, client_prev, client_next);
	client_put(d->client);
	node_put(c->as, d->node);
	links_put(c->as, d->links);
	free((char *)d->context.tracestate);
	if (d->reach != &d->one)
		free(d->reach);
	free(d);
}

static void consuming_free(struct core *c, struct consuming *t)
{
	while (t->open)
		consumed_free(c, t->open);
	HASH_DELETE(hh, c->consuming, t);
	free(t);
}

void consume_done(struct core *c)
{
	struct consuming *t, *tmp;

	HASH_ITER(hh, c->consuming, t, tmp)
		consuming_free(c, t);
}

static struct consuming_key key_of(struct core *c, const struct msg *m)
{
	if (m->kafka.queue && core_process_is_threadless(c, m->tgid))
		return (struct consuming_key){ .queue = m->kafka.queue, .tgid = m->tgid };
	return (struct consuming_key){ .tgid = m->tgid, .tid = m->tid };
}

static struct consuming *consuming_find(struct core *c, const struct consuming_key *key)
{
	struct consuming *t;

	HASH_FIND(hh, c->consuming, key, sizeof(*key), t);
	return t;
}

/* --- placing ---------------------------------------------------------------------------------- */

/* Its own span, for calls that returned several messages or as the configuration wants. */
static void add_poll_span(struct core *c, struct consumed *d, const struct msg *m)
{
	uint64_t start_ns = d->polled_ns && d->polled_ns < d->first_ns ? d->polled_ns : d->first_ns;
	struct span_facts own = { .ts_ns = start_ns, .object = d->queue, .number = d->first_ns };
	struct msg caller = { .tgid = d->thread->key.tgid, .labels = d->labels };
	struct node *n, *activity;

	n = kafka_node(c, m, SPAN_CLIENT, own);
	if (!n)
		return;
	kafka_set_operation(n->span, "poll", "receive",
			    attrs_get_str(&d->node->span->attrs, "messaging.destination.name"));
	if (d->count > 1)
		attrs_set_int(&n->span->attrs, "messaging.batch.message_count", d->count);
	client_describe(d->client, n->span);
	/* The messages' own label is no work that the poll was a part of. */
	if (caller.labels.thread.kind == LABEL_OF_KAFKA)
		caller.labels.thread.kind = LABEL_OF_NONE;
	activity = core_find_activity(c, n, &caller);
	if (activity)
		assembly_merge(c->as, activity, n);
	n->messages = links_get(d->links);
	node_end(c->as, n, d->last_ns);
	node_put(c->as, n);
}

static void place_single(struct core *c, struct consumed *d)
{
	struct node *n = d->node;

	if (!c->kafka.link_only)
		identity_place_inbound(c->identity, n, &d->context, EVIDENCE_HEADER);
	else
		n->root_reason = "trace_mode link: its producer is linked";
	offset_place_single(c, d->links, n);
	node_spread(c->as, n, &d->links->list[0].attrs);
}

static void place_batch(struct consumed *d)
{
	struct node *n = d->node;

	n->messages = links_get(d->links);
	n->identity_count = 0;		/* each message has its own */
	n->root_reason = "a batch: the producers are linked";
	attrs_set_int(&n->span->attrs, "messaging.batch.message_count", d->count);
}

static bool wants_poll_span(const struct core *c, const struct consumed *d)
{
	/* a call with a callback lasts as long as the work that it hands over */
	if (d->poll == POLL_CALLBACK)
		return false;
	if (c->kafka.poll_spans == POLL_SPANS_BATCH)
		return d->count > 1;
	return c->kafka.poll_spans == POLL_SPANS_ALL;
}

static void place(struct core *c, struct consumed *d, const struct msg *m)
{
	if (d->count > 1)
		place_batch(d);
	else
		place_single(c, d);
	client_describe(d->client, d->node->span);
	if (wants_poll_span(c, d))
		add_poll_span(c, d, m);
	node_touch(c->as, d->node, d->last_ns);
}

/* It is complete: now it is known whether it is a message or a batch. */
static void consumed_place(struct core *c, struct consumed *d, const struct msg *m)
{
	if (d->is_placed)
		return;
	d->is_placed = true;
	if (d->node->span)		/* else it was handed on as unfinished meanwhile */
		place(c, d, m);
	links_put(c->as, d->links);
	d->links = NULL;
}

static void consumed_end(struct core *c, struct consumed *d, uint64_t ts_ns)
{
	struct msg m = {
		.ts_ns = ts_ns, .tgid = d->thread->key.tgid, .tid = d->thread->key.tid,
	};

	consumed_place(c, d, &m);
	if (d->node->span) {
		client_describe(d->client, d->node->span);
		identity_settle(c->identity, d->node);
		node_end(c->as, d->node, d->committed_ns ? d->committed_ns : ts_ns);
	}
	consumed_free(c, d);
}

static void consuming_end(struct core *c, struct consuming *t, uint64_t ts_ns)
{
	while (t->open)
		consumed_end(c, t->open, ts_ns);
	consuming_free(c, t);
}

/* --- what a thread works for ------------------------------------------------------------------ */

struct node *core_kafka_active(struct core *c, uint32_t tgid, const struct msg_label *l,
			       const char **ret_reason)
{
	struct consuming_key key = { .tgid = tgid, .tid = l->op };
	struct consuming *t = consuming_find(c, &key);
	struct consumed *d = t ? t->open : NULL;
	struct msg m = { .ts_ns = c->now_ns, .tgid = tgid, .tid = l->op };

	if (!d)
		return NULL;
	/* Handed over by several calls: nobody can say which message the thread works for. */
	if (d->next) {
		*ret_reason = "its thread has several messages in hand";
		return NULL;
	}
	if (l->id < d->first_ns || l->id > d->last_ns)
		return NULL;
	consumed_place(c, d, &m);
	d->committed_ns = 0;		/* committed or not, it is still worked for */
	return d->node;
}

struct node *consume_open_node(const struct client *cl)
{
	return cl->open ? cl->open->client_prev->node : NULL;
}

/* --- handed over ------------------------------------------------------------------------------ */

static struct consuming *consuming_get(struct core *c, const struct msg *m)
{
	struct consuming_key key = key_of(c, m);
	struct consuming *t = consuming_find(c, &key);

	if (t)
		return t;
	if (HASH_COUNT(c->consuming) >= CONSUMING_MAX) {
		c->given_up++;
		consuming_end(c, c->consuming, m->ts_ns);
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->key = key;
	HASH_ADD(hh, c->consuming, key, sizeof(t->key), t);
	return t;
}

static int note_reach(struct consumed *d, const struct offset_message *om)
{
	struct reach *list, *r;
	unsigned int i;

	/* the last first: a batch comes partition by partition */
	for (i = d->reach_count; i > 0; i--) {
		r = &d->reach[i - 1];
		if (r->topic != om->topic.low64 || r->partition != om->partition)
			continue;
		if (om->offset > r->offset)
			r->offset = om->offset;
		return 0;
	}
	if (d->reach_count && !(d->reach_count & (d->reach_count - 1))) {
		list = realloc(d->reach == &d->one ? NULL : d->reach,
			       2 * d->reach_count * sizeof(*list));
		if (!list)
			return -ENOMEM;
		if (d->reach == &d->one)
			list[0] = d->one;
		d->reach = list;
	}
	d->reach[d->reach_count++] = (struct reach){
		.topic = om->topic.low64, .partition = (int32_t)om->partition,
		.offset = om->offset,
	};
	return 0;
}

static void note_message(struct core *c, struct consumed *d, const struct msg *m)
{
	struct offset_message om = offset_message(&m->kafka);
	const struct context *context = &m->kafka.context;
	struct link *link = links_add(c->as, d->links);

	d->count++;
	d->last_ns = m->ts_ns;
	if (note_reach(d, &om))
		c->given_up++;
	if (!link) {
		/* its producer may be known later, as those of the others */
		if (context->has_span_id || m->kafka.offset >= 0)
			links_count_dropped(c->as, d->links);
		return;
	}
	link->offset = m->kafka.offset;
	link->partition = m->kafka.partition;
	link->body_size = m->kafka.null_value ? -1 : (int64_t)m->kafka.value_len;
	attrs_copy(&link->attrs, &m->attrs);
	link->has_remote = context->has_trace_id && context->has_span_id;
	memcpy(link->trace_id, context->trace_id, sizeof(link->trace_id));
	memcpy(link->span_id, context->span_id, sizeof(link->span_id));
	if (m->kafka.offset >= 0)
		offset_consumed(c, d->links, d->client, &om, m->ts_ns);
}

/* Milliseconds between the message's timestamp and its hand-over to the application. */
static void set_wait(struct core *c, struct span *s, const struct msg *m)
{
	int64_t now_ms = (int64_t)((m->ts_ns + c->wall_offset_ns) / 1000000);

	if (m->kafka.timestamp_ms > 0 && m->kafka.timestamp_ms <= now_ms)
		attrs_set_int(&s->attrs, "spanstitch.kafka.wait_ms",
			      now_ms - m->kafka.timestamp_ms);
}

static void describe_first(struct core *c, struct consumed *d, const struct msg *m)
{
	struct span *s = d->node->span;
	int64_t lag = offset_lag(c, d->client, &m->kafka);

	kafka_set_operation(s, "process", "process", m->kafka.topic);
	kafka_set_partition(&s->attrs, m->kafka.partition);
	kafka_set_offset(&s->attrs, m->kafka.offset);
	kafka_set_message(c, s, &m->kafka);
	set_wait(c, s, m);
	if (lag >= 0)
		attrs_set_int(&s->attrs, "spanstitch.kafka.lag", lag);
	attrs_copy(&s->attrs, &m->attrs);
	identity_note(d->node, m);
	rebalance_settle(c, d->client, d->node);
}

static int consumed_init(struct core *c, struct consumed *d, const struct msg *m)
{
	struct span_facts own = {
		.ts_ns = m->ts_ns, .object = m->kafka.msg, .number = (uint64_t)m->kafka.offset,
	};

	d->links = links_new();
	if (!d->links)
		return -ENOMEM;
	d->node = kafka_node(c, m, SPAN_CONSUMER, own);
	if (!d->node)
		return -ENOMEM;
	d->node->is_consumer = true;
	d->reach = &d->one;
	d->first_ns = d->last_ns = m->ts_ns;
	d->polled_ns = m->kafka.polled_ns;
	d->queue = m->kafka.queue;
	d->poll = m->kafka.poll;
	d->labels = m->labels;
	d->context = m->kafka.context;
	if (d->context.tracestate)
		d->context.tracestate = strdup(d->context.tracestate);
	return 0;
}

static struct consumed *consumed_new(struct core *c, struct consuming *t, const struct msg *m)
{
	struct consumed *d = calloc(1, sizeof(*d));
	struct client *cl;

	if (!d)
		return NULL;
	if (consumed_init(c, d, m)) {
		links_put(c->as, d->links);
		free(d);
		return NULL;
	}
	if (t->count == OPEN_MAX) {
		c->given_up++;
		node_end_unseen(c->as, t->open->node, m->ts_ns);
		consumed_free(c, t->open);
	}
	d->thread = t;
	DL_APPEND(t->open, d);
	t->count++;
	cl = client_find(c, m->tgid, m->kafka.client, m->kafka.client_id);
	if (cl) {
		d->client = client_get(cl);
		DL_APPEND2(cl->open, d, client_prev, client_next);
	}
	describe_first(c, d, m);
	note_message(c, d, m);
	return d;
}

/* Several topics: the links name each one's. */
static void spread_topics(struct consumed *d, const char *first, const char *topic)
{
	struct links *l = d->links;
	size_t i;

	if (first)
		for (i = 0; i + 1 < l->count; i++)
			l->list[i].topic = strdup(first);
	if (l->count && l->count == d->count)
		l->list[l->count - 1].topic = strdup(topic);
	if (first)
		kafka_set_operation(d->node->span, "process", "process", NULL);
}

/* One more message of the call: what only the first has is no part of the whole. */
static void consumed_extend(struct core *c, struct consumed *d, const struct msg *m)
{
	struct span *s = d->node->span;
	const char *topic;
	size_t i;

	if (s && d->count == 1) {
		kafka_unset_message(s);
		for (i = 0; i < d->links->list[0].attrs.count; i++)
			attrs_remove(&s->attrs, d->links->list[0].attrs.list[i].key);
	}
	note_message(c, d, m);
	if (!s)
		return;
	if (d->reach_count > 1)
		attrs_remove(&s->attrs, "messaging.destination.partition.id");
	topic = attrs_get_str(&s->attrs, "messaging.destination.name");
	if (!topic || strcmp(topic, m->kafka.topic))
		spread_topics(d, topic, m->kafka.topic);
}

static struct consumed *same_call(struct consuming *t, const struct msg *m)
{
	struct consumed *last = t->open ? t->open->prev : NULL;

	return last && m->kafka.poll == POLL_BATCH && !last->is_placed &&
	       last->polled_ns == m->kafka.polled_ns && last->queue == m->kafka.queue ?
	       last : NULL;
}

void core_kafka_consume(struct core *c, const struct msg *m)
{
	struct consuming *t = consuming_get(c, m);
	struct consumed *d;

	if (!t || !m->kafka.topic)
		return;
	d = same_call(t, m);
	if (d) {
		consumed_extend(c, d, m);
		return;
	}
	if (t->open)
		consumed_place(c, t->open->prev, m);
	/* Another call gave this one: at its entry the messages before had ended, told or not. */
	while (t->open && m->kafka.polled_ns > t->open->first_ns)
		consumed_end(c, t->open, m->kafka.polled_ns);
	/* The callback has returned from the message before. */
	while (m->kafka.poll == POLL_CALLBACK && t->open)
		consumed_end(c, t->open, m->ts_ns);
	d = consumed_new(c, t, m);
	if (d && m->kafka.poll != POLL_BATCH)
		consumed_place(c, d, m);
}

/* --- ends ------------------------------------------------------------------------------------- */

void core_kafka_poll(struct core *c, const struct msg *m)
{
	struct consuming_key holder = { .tgid = m->tgid, .tid = m->kafka.ended.op };
	struct consuming_key key = key_of(c, m);
	struct consuming *t = consuming_find(c, &key);

	/* the kernel half names whoever held the label, also before the runtime was known */
	if (!t && m->kafka.ended.kind == LABEL_OF_KAFKA)
		t = consuming_find(c, &holder);
	if (t)
		consuming_end(c, t, m->ts_ns);
}

static bool is_committed(struct consumed *d, const struct msg_commit *mc)
{
	XXH64_hash_t topic = XXH3_128bits(mc->topic, strlen(mc->topic)).low64;
	unsigned int i, left = 0;

	for (i = 0; i < d->reach_count; i++) {
		struct reach *r = &d->reach[i];

		if (r->topic == topic && r->partition == mc->partition && r->offset < mc->offset)
			r->is_committed = true;
		left += !r->is_committed;
	}
	return !left;
}

/*
 * Where a thread carries work, it may go on after the commit: its next poll decides. Elsewhere
 * also what nobody asked for, or without saying how far, ends what its result says.
 */
void consume_committed(struct core *c, struct client *cl, const struct msg *m)
{
	bool is_end = core_process_is_threadless(c, m->tgid);
	struct consumed *d, *tmp;

	if (!m->commit.topic || m->commit.offset < 0)
		return;
	if (m->commit.phase == ENDED && (!is_end || m->commit.err || m->commit.partition_err))
		return;
	DL_FOREACH_SAFE2(cl->open, d, tmp, client_next) {
		if (!is_committed(d, &m->commit))
			continue;
		if (is_end)
			consumed_end(c, d, m->ts_ns);
		else
			d->committed_ns = m->ts_ns;
	}
}

void consume_flush(struct core *c)
{
	struct consuming *t, *tmp;
	struct consumed *d;

	HASH_ITER(hh, c->consuming, t, tmp) {
		struct msg m = { .ts_ns = c->now_ns, .tgid = t->key.tgid, .tid = t->key.tid };

		DL_FOREACH(t->open, d) {
			consumed_place(c, d, &m);
			if (d->node->span)
				client_describe(d->client, d->node->span);
		}
	}
}

void consume_exit(struct core *c, const struct msg *m)
{
	struct consuming *t, *tmp;

	HASH_ITER(hh, c->consuming, t, tmp)
		if (t->key.tgid == m->tgid)
			consuming_end(c, t, m->ts_ns);
}
