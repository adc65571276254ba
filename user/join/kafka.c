/*
 * kafka: produced messages become producer spans that end at their acknowledgement, consumed
 * ones consumer spans that end when the thread polls again. A consumer finds its producer by
 * (topic, partition, offset), checked against the message's key and size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>
#include <xxhash.h>

#include "join/core.h"
#include "join/kafka_error.h"
#include "join/limits.h"
#include "join/span_make.h"

#define OFFSETS_MAX 262144	/* messages remembered for consumers that come later */
#define NO_OFFSET (-1001)	/* RD_KAFKA_OFFSET_INVALID */

struct producing_key {
	uint64_t msg;
	uint64_t tgid;
};

struct producing {
	UT_hash_handle hh;
	struct producing_key key;
	struct node *node;		/* counted */
	char *topic;
	XXH128_hash_t match;		/* of the message's key and size */
};

struct consumed {			/* one message in processing */
	struct consumed *prev, *next;
	struct node *node;		/* counted */
	uint64_t id;			/* as labels name it */
};

struct consuming_key {
	uint32_t tgid, tid;
};

struct consuming {
	UT_hash_handle hh;
	struct consuming_key key;
	struct consumed *open;
};

/*
 * A message as both ends see it. Its key and size are a part: two clusters may have topics of
 * one name, and a topic that is made anew counts from 0 again.
 */
struct offset_key {
	XXH128_hash_t topic, match;
	int64_t offset, partition;
};

_Static_assert(sizeof(struct offset_key) <= FIFO_KEY_BYTES, "the key fits");

/* what one message is known by: its producer, or the consumers that wait for it */
struct waiting {
	struct waiting *next;
	struct node *node;		/* counted */
};

struct offset {
	struct fifo_entry entry;
	struct node *producer;		/* counted; NULL: not acknowledged yet */
	struct waiting *waiting;
	bool is_ambiguous;		/* two producers wrote it: abstain */
};

static void offset_drop(void *ctx, struct fifo_entry *e)
{
	struct core *c = ctx;
	struct offset *o = (struct offset *)e;
	struct waiting *w, *tmp;

	node_put(c->as, o->producer);
	LL_FOREACH_SAFE(o->waiting, w, tmp) {
		node_put(c->as, w->node);
		free(w);
	}
	free(o);
}

void core_kafka_init(struct core *c)
{
	fifo_init(&c->offsets, OFFSETS_MAX, offset_drop, c);
}

static void producing_free(struct core *c, struct producing *p)
{
	HASH_DELETE(hh, c->producing, p);
	node_put(c->as, p->node);
	free(p->topic);
	free(p);
}

static void consumed_free(struct core *c, struct consuming *t, struct consumed *d)
{
	DL_DELETE(t->open, d);
	node_put(c->as, d->node);
	free(d);
}

static void consuming_free(struct core *c, struct consuming *t)
{
	while (t->open)
		consumed_free(c, t, t->open);
	HASH_DELETE(hh, c->consuming, t);
	free(t);
}

void core_kafka_done(struct core *c)
{
	struct producing *p, *ptmp;
	struct consuming *t, *ttmp;

	HASH_ITER(hh, c->producing, p, ptmp)
		producing_free(c, p);
	HASH_ITER(hh, c->consuming, t, ttmp)
		consuming_free(c, t);
	fifo_done(&c->offsets);
}

/* --- spans ------------------------------------------------------------------------------------ */

static void set_messaging(struct span *s, const struct msg_kafka *k, const char *operation)
{
	struct attrs *a = &s->attrs;
	const char *hash = k->client_id ? strstr(k->client_id, "#") : NULL;

	span_set_name(s, "%s %s", operation, k->topic);
	s->scope = "kafka";
	attrs_set_str(a, "messaging.system", "kafka");
	attrs_set_str(a, "messaging.operation.name", operation);
	attrs_set_str(a, "messaging.operation.type", operation);
	attrs_set_str(a, "messaging.destination.name", k->topic);
	/* librdkafka names a handle "<client.id>#producer-1" */
	if (k->client_id && *k->client_id)
		attrs_set_strn(a, "messaging.client.id", k->client_id,
			       hash ? (size_t)(hash - k->client_id) : strlen(k->client_id));
	if (k->null_value)
		attrs_set_bool(a, "messaging.kafka.message.tombstone", true);
}

static void set_position(struct span *s, const struct msg_kafka *k)
{
	char text[16];

	if (k->partition >= 0) {
		snprintf(text, sizeof(text), "%d", k->partition);
		attrs_set_str(&s->attrs, "messaging.destination.partition.id", text);
	}
	if (k->offset >= 0)
		attrs_set_int(&s->attrs, "messaging.kafka.offset", k->offset);
}

static void set_failure(struct span *s, int err)
{
	char text[24];
	const char *name = kafka_error_name(err);

	if (!name) {
		snprintf(text, sizeof(text), "%d", err);
		name = text;
	}
	span_set_error(s, name);
}

static struct node *message_node(struct core *c, const struct msg *m, enum span_kind kind)
{
	struct span_facts facts = {
		.ts_ns = m->ts_ns, .start_ns = m->start_ns,
		.object = m->kafka.msg,
		.number = kind == SPAN_PRODUCER ? 0 : (uint64_t)m->kafka.offset,
		.tgid = m->tgid, .tid = m->tid, .kind = kind,
	};

	return node_new(c->as, &facts, core_resource(c, m));
}

/* --- offsets ---------------------------------------------------------------------------------- */

static XXH128_hash_t match_of(const struct msg_kafka *k)
{
	return XXH3_128bits_withSeed(k->key, k->key ? k->key_captured : 0,
				     ((uint64_t)k->key_len << 32) | k->value_len);
}

/* @k: where the message lies in @topic; @match: as match_of() says */
static struct offset *offset_get(struct core *c, const char *topic, const struct msg_kafka *k,
				 XXH128_hash_t match)
{
	struct offset_key key = {
		XXH3_128bits(topic, strlen(topic)), match, k->offset, k->partition,
	};
	struct offset *o = fifo_find(&c->offsets, &key, sizeof(key));

	if (o)
		return o;
	o = calloc(1, sizeof(*o));
	if (o)
		fifo_add(&c->offsets, &key, sizeof(key), &o->entry);
	return o;
}

static void join_message(struct core *c, struct node *producer, struct node *consumer)
{
	/* Read before it was written: of another cluster, or of a topic that is gone. */
	if (consumer->start_ns < producer->start_ns)
		return;
	assembly_merge(c->as, producer, consumer);
	node_add_candidate(consumer, EVIDENCE_KAFKA_OFFSET, producer);
}

static void offset_acknowledged(struct core *c, const struct producing *p,
				const struct msg_kafka *k)
{
	struct offset *o = offset_get(c, p->topic, k, p->match);
	struct waiting *w, *tmp;

	if (!o || o->is_ambiguous)
		return;
	if (o->producer) {
		o->is_ambiguous = true;		/* no two messages have one offset */
		counter_add(c->counters, JOIN_DISAGREE, 1);
		return;
	}
	o->producer = node_get(p->node);
	LL_FOREACH_SAFE(o->waiting, w, tmp) {
		join_message(c, p->node, w->node);
		node_put(c->as, w->node);
		free(w);
	}
	o->waiting = NULL;
}

static void offset_consumed(struct core *c, struct node *n, const struct msg_kafka *k)
{
	struct offset *o = offset_get(c, k->topic, k, match_of(k));
	struct waiting *w;

	if (!o || o->is_ambiguous)
		return;
	if (o->producer) {
		join_message(c, o->producer, n);
		return;
	}
	/* Read before its acknowledgement was seen: the broker answers both at once. */
	w = calloc(1, sizeof(*w));
	if (!w)
		return;
	w->node = node_get(n);
	LL_PREPEND(o->waiting, w);
}

/* --- producer --------------------------------------------------------------------------------- */

static struct producing *producing_find(struct core *c, const struct msg *m)
{
	struct producing_key key = { m->kafka.msg, m->tgid };
	struct producing *p;

	HASH_FIND(hh, c->producing, &key, sizeof(key), p);
	return p;
}

/* Makes room for one more: the oldest is the first of the table. */
static void producing_bound(struct core *c, uint64_t now_ns)
{
	if (HASH_COUNT(c->producing) < JOIN_PRODUCING_MAX)
		return;
	c->given_up++;
	node_end_unseen(c->as, c->producing->node, now_ns);
	producing_free(c, c->producing);
}

void core_kafka_send(struct core *c, const struct msg *m)
{
	struct producing *p = producing_find(c, m);
	struct node *activity;

	if (p) {
		/* Its acknowledgement was lost: the address is used again. */
		node_end_unseen(c->as, p->node, m->ts_ns);
		producing_free(c, p);
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->topic = strdup(m->kafka.topic);
	p->node = p->topic ? message_node(c, m, SPAN_PRODUCER) : NULL;
	if (!p->node) {
		free(p->topic);
		free(p);
		return;
	}
	p->key = (struct producing_key){ m->kafka.msg, m->tgid };
	p->match = match_of(&m->kafka);
	producing_bound(c, m->ts_ns);
	HASH_ADD(hh, c->producing, key, sizeof(p->key), p);

	set_messaging(p->node->span, &m->kafka, "send");
	attrs_copy(&p->node->span->attrs, &m->attrs);
	activity = core_find_activity(c, p->node, m);
	identity_place_outgoing(c->identity, p->node, activity, &m->kafka.context);
	node_spread(c->as, p->node, &m->attrs);
	identity_note(p->node, m);
	identity_settle(c->identity, p->node);
	node_touch(c->as, p->node, m->ts_ns);
}

void core_kafka_ack(struct core *c, const struct msg *m)
{
	struct producing *p = producing_find(c, m);

	if (!p)
		return;		/* sent before we looked */
	if (p->node->span) {
		set_position(p->node->span, &m->kafka);
		if (m->kafka.err)
			set_failure(p->node->span, m->kafka.err);
		node_end(c->as, p->node, m->ts_ns);
	}
	if (!m->kafka.err && m->kafka.offset >= 0)
		offset_acknowledged(c, p, &m->kafka);
	producing_free(c, p);
}

/* --- consumer --------------------------------------------------------------------------------- */

static struct consuming *consuming_find(struct core *c, uint32_t tgid, uint32_t tid)
{
	struct consuming_key key = { tgid, tid };
	struct consuming *t;

	HASH_FIND(hh, c->consuming, &key, sizeof(key), t);
	return t;
}

struct node *core_kafka_active(struct core *c, uint32_t tgid, const struct msg_label *l,
			       const char **ret_reason)
{
	struct consuming *t = consuming_find(c, tgid, l->op);

	/* Of a batch nobody can say which message the thread works for. */
	if (t && t->open && t->open->next) {
		*ret_reason = "its thread has several messages in hand";
		return NULL;
	}
	return t && t->open && t->open->id == l->id ? t->open->node : NULL;
}

static struct consuming *consuming_get(struct core *c, uint32_t tgid, uint32_t tid)
{
	struct consuming *t = consuming_find(c, tgid, tid);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->key = (struct consuming_key){ tgid, tid };
	HASH_ADD(hh, c->consuming, key, sizeof(t->key), t);
	return t;
}

/* Milliseconds between the message's timestamp and its hand-over to the application. */
static void set_wait(struct core *c, struct span *s, const struct msg *m)
{
	int64_t now_ms = (int64_t)((m->ts_ns + c->wall_offset_ns) / 1000000);

	if (m->kafka.timestamp_ms > 0 && m->kafka.timestamp_ms <= now_ms)
		attrs_set_int(&s->attrs, "spanstitch.kafka.wait_ms",
			      now_ms - m->kafka.timestamp_ms);
}

void core_kafka_consume(struct core *c, const struct msg *m)
{
	struct consuming *t = consuming_get(c, m->tgid, m->tid);
	struct consumed *d;

	if (!t)
		return;
	d = calloc(1, sizeof(*d));
	if (!d)
		return;
	d->node = message_node(c, m, SPAN_CONSUMER);
	if (!d->node) {
		free(d);
		return;
	}
	d->id = m->ts_ns;
	DL_APPEND(t->open, d);
	d->node->is_consumer = true;
	set_messaging(d->node->span, &m->kafka, "process");
	set_position(d->node->span, &m->kafka);
	set_wait(c, d->node->span, m);
	attrs_copy(&d->node->span->attrs, &m->attrs);
	identity_place_inbound(c->identity, d->node, &m->kafka.context, EVIDENCE_HEADER);
	offset_consumed(c, d->node, &m->kafka);
	node_spread(c->as, d->node, &m->attrs);
	identity_note(d->node, m);
	node_touch(c->as, d->node, m->ts_ns);
}

static void consuming_end(struct core *c, struct consuming *t, uint64_t ts_ns)
{
	struct consumed *d;

	DL_FOREACH(t->open, d) {
		if (!d->node->span)
			continue;
		identity_settle(c->identity, d->node);
		node_end(c->as, d->node, ts_ns);
	}
	consuming_free(c, t);
}

void core_kafka_poll(struct core *c, const struct msg *m)
{
	struct consuming *t = consuming_find(c, m->tgid, m->tid);

	if (t)
		consuming_end(c, t, m->ts_ns);
}

/* What a process had in hand when it ended: messages in processing, and never acknowledged. */
void core_kafka_exit(struct core *c, const struct msg *m)
{
	struct producing *p, *ptmp;
	struct consuming *t, *ttmp;

	HASH_ITER(hh, c->consuming, t, ttmp)
		if (t->key.tgid == m->tgid)
			consuming_end(c, t, m->ts_ns);
	HASH_ITER(hh, c->producing, p, ptmp) {
		if (p->key.tgid != m->tgid)
			continue;
		if (p->node->span) {
			span_set_error(p->node->span, "process_exit");
			node_end(c->as, p->node, m->ts_ns);
		}
		producing_free(c, p);
	}
}
