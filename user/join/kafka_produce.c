/*
 * kafka_produce: produced messages become producer spans that end at their acknowledgement.
 * In light mode a message is seen at its acknowledgement only, and is a whole span then.
 */
#include <stdlib.h>
#include <string.h>

#include "join/kafka.h"
#include "join/limits.h"

#define STATUS_PERSISTED 2	/* rd_kafka_msg_status_t; 1 possibly, 0 not */

struct producing_key {
	uint64_t msg;
	uint64_t tgid;
};

struct producing {
	UT_hash_handle hh;
	struct producing_key key;
	struct node *node;		/* counted */
	struct client *client;		/* counted; NULL: no memory */
	struct offset_message where;	/* complete once it is acknowledged */
	uint64_t enqueued_ns;		/* 0: not known */
};

static void producing_free(struct core *c, struct producing *p)
{
	HASH_DELETE(hh, c->producing, p);
	node_put(c->as, p->node);
	client_put(p->client);
	free(p);
}

static struct producing *producing_find(struct core *c, const struct msg *m)
{
	struct producing_key key = { m->kafka.msg, m->tgid };
	struct producing *p;

	HASH_FIND(hh, c->producing, &key, sizeof(key), p);
	return p;
}

/* Its acknowledgement was lost: the address is used again. */
static void producing_give_up(struct core *c, struct producing *p, uint64_t now_ns)
{
	if (!p)
		return;
	if (p->node->span)
		client_describe(p->client, p->node->span);
	node_end_unseen(c->as, p->node, now_ns);
	producing_free(c, p);
}

/* Makes room for one more: the oldest is the first of the table. */
static void producing_bound(struct core *c, uint64_t now_ns)
{
	if (HASH_COUNT(c->producing) < JOIN_PRODUCING_MAX)
		return;
	c->given_up++;
	producing_give_up(c, c->producing, now_ns);
}

/* A new span of @m that was enqueued at @start_ns, with its place in the trace. */
static struct node *sent_node(struct core *c, const struct msg *m, uint64_t start_ns)
{
	struct span_facts own = {
		.ts_ns = start_ns, .object = m->kafka.msg,
		.number = m->kafka.offset < 0 ? 0 : (uint64_t)m->kafka.offset,
	};
	struct node *n = kafka_node(c, m, SPAN_PRODUCER, own), *activity = NULL;

	if (!n)
		return NULL;
	kafka_set_operation(n->span, "send", "send", m->kafka.topic);
	kafka_set_message(c, n->span, &m->kafka);
	attrs_copy(&n->span->attrs, &m->attrs);
	if (m->kind == MSG_KAFKA_DELIVERED)
		n->root_reason = "light mode: the producing thread is not known";
	else
		activity = core_find_activity(c, n, m);
	identity_place_outgoing(c->identity, n, activity, &m->kafka.context);
	node_spread(c->as, n, &m->attrs);
	identity_note(n, m);
	identity_settle(c->identity, n);
	node_touch(c->as, n, m->ts_ns);
	return n;
}

void core_kafka_send(struct core *c, const struct msg *m)
{
	struct producing *p;
	struct client *cl;

	producing_give_up(c, producing_find(c, m), m->ts_ns);
	if (!m->kafka.topic)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	p->node = sent_node(c, m, m->ts_ns);
	if (!p->node) {
		free(p);
		return;
	}
	p->key = (struct producing_key){ m->kafka.msg, m->tgid };
	p->where = offset_message(&m->kafka);
	p->enqueued_ns = m->kafka.enqueued_ns;
	cl = client_find(c, m->tgid, m->kafka.client, m->kafka.client_id);
	if (cl) {
		p->client = client_get(cl);
		txn_note(c, cl, p->node);
	}
	producing_bound(c, m->ts_ns);
	HASH_ADD(hh, c->producing, key, sizeof(p->key), p);
}

/* --- acknowledged ----------------------------------------------------------------------------- */

static void set_times(struct attrs *a, const struct msg *m, uint64_t enqueued_ns)
{
	uint64_t sent_ns = m->kafka.sent_ns;

	if (!sent_ns || sent_ns > m->ts_ns)
		return;
	if (enqueued_ns && enqueued_ns <= sent_ns)
		attrs_set_int(a, "spanstitch.kafka.queue_us",
			      (int64_t)((sent_ns - enqueued_ns) / 1000));
	attrs_set_int(a, "spanstitch.kafka.broker_us", (int64_t)((m->ts_ns - sent_ns) / 1000));
}

/* that it is persisted is the rule */
static void set_status(struct attrs *a, int status)
{
	if (status >= 0 && status < STATUS_PERSISTED)
		attrs_set_str(a, "spanstitch.kafka.persisted", status ? "possibly" : "no");
}

/*
 * librdkafka numbers the messages of a request from -1001 on where the broker gave no offset,
 * from -1 on where it refused: the later ones of a large request look like an offset.
 */
static bool has_offset(const struct msg *m)
{
	return !m->kafka.err && m->kafka.status == STATUS_PERSISTED && m->kafka.offset >= 0;
}

static void end_sent(struct core *c, struct node *n, const struct client *cl, const struct msg *m,
		     uint64_t enqueued_ns)
{
	struct attrs *a;

	if (!n->span)
		return;			/* handed on as unfinished meanwhile */
	a = &n->span->attrs;
	kafka_set_partition(a, m->kafka.partition);
	if (has_offset(m))
		kafka_set_offset(a, m->kafka.offset);
	client_describe(cl, n->span);
	if (m->kafka.err)
		kafka_set_failure(n->span, m->kafka.err);
	if (m->kafka.retries)
		attrs_set_int(a, "spanstitch.kafka.retries", m->kafka.retries);
	set_status(a, m->kafka.status);
	set_times(a, m, enqueued_ns);
	node_end(c->as, n, m->ts_ns);
}

void core_kafka_ack(struct core *c, const struct msg *m)
{
	struct producing *p = producing_find(c, m);

	if (!p)
		return;		/* sent before we looked */
	end_sent(c, p->node, p->client, m,
		 p->enqueued_ns ? p->enqueued_ns : p->node->start_ns);
	p->where.offset = m->kafka.offset;
	p->where.partition = m->kafka.partition;
	if (has_offset(m))
		offset_acknowledged(c, p->node, p->client, &p->where);
	producing_free(c, p);
}

static void deliver_whole(struct core *c, const struct msg *m)
{
	uint64_t enqueued_ns = m->kafka.enqueued_ns;
	struct client *cl = client_find(c, m->tgid, m->kafka.client, m->kafka.client_id);
	struct offset_message where = offset_message(&m->kafka);
	struct node *n;

	if (!enqueued_ns || enqueued_ns > m->ts_ns)
		enqueued_ns = m->ts_ns;
	n = sent_node(c, m, enqueued_ns);
	if (!n)
		return;
	if (cl)
		txn_note(c, cl, n);
	end_sent(c, n, cl, m, enqueued_ns);
	if (has_offset(m))
		offset_acknowledged(c, n, cl, &where);
	node_put(c->as, n);
}

/*
 * Light mode, or the message was sent in full mode and this is its acknowledgement: then
 * it was enqueued at that very time.
 */
void core_kafka_delivered(struct core *c, const struct msg *m)
{
	struct producing *p = producing_find(c, m);

	if (p && (!p->enqueued_ns || p->enqueued_ns == m->kafka.enqueued_ns)) {
		core_kafka_ack(c, m);
		return;
	}
	producing_give_up(c, p, m->ts_ns);
	if (m->kafka.topic)
		deliver_whole(c, m);
}

/* Produce failed at once: no topic and no message is known, only who tried. */
void core_kafka_refused(struct core *c, const struct msg *m)
{
	struct span_facts own = { .ts_ns = m->ts_ns, .object = m->kafka.client };
	struct node *n = kafka_node(c, m, SPAN_PRODUCER, own), *activity;

	if (!n)
		return;
	kafka_set_operation(n->span, "send", "send", m->kafka.topic);
	client_describe(client_find(c, m->tgid, m->kafka.client, m->kafka.client_id), n->span);
	activity = core_find_activity(c, n, m);
	if (activity)
		assembly_merge(c->as, activity, n);
	kafka_set_failure(n->span, m->kafka.err);
	node_end(c->as, n, m->ts_ns);
	node_put(c->as, n);
}

/* --- ends ------------------------------------------------------------------------------------- */

void produce_exit(struct core *c, const struct msg *m)
{
	struct producing *p, *tmp;

	HASH_ITER(hh, c->producing, p, tmp) {
		if (p->key.tgid != m->tgid)
			continue;
		if (p->node->span) {
			client_describe(p->client, p->node->span);
			span_set_error(p->node->span, "process_exit");
			node_end(c->as, p->node, m->ts_ns);
		}
		producing_free(c, p);
	}
}

void produce_flush(struct core *c)
{
	struct producing *p, *tmp;

	HASH_ITER(hh, c->producing, p, tmp)
		if (p->node->span)
			client_describe(p->client, p->node->span);
}

void produce_done(struct core *c)
{
	struct producing *p, *tmp;

	HASH_ITER(hh, c->producing, p, tmp)
		producing_free(c, p);
}
