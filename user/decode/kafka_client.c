/* kafka_client: what librdkafka tells beside messages: clients, commits, rebalances, ... */
#include <errno.h>

#include "decode/kafka.h"
#include "decode/stage.h"

#define ERR_ASSIGN_PARTITIONS (-175)	/* rd_kafka_resp_err_t */

/* A part of the tail that may be missing; moves *tail on. */
static const char *optional_string(struct decode *d, struct slice *tail, size_t len)
{
	return len ? stage_string(d, tail, len) : NULL;
}

int kafka_feed_client(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_client *w = (const struct wire_kafka_client *)rec;
	struct slice tail = slice_of(w + 1, rec->len - sizeof(*w));
	struct msg m;

	if (tail.len < (size_t)w->name_len + w->cluster_len + w->group_len)
		return -EINVAL;
	stage_msg(d, &m, MSG_KAFKA_CLIENT, rec);
	m.client.client = w->client;
	m.client.group_handle = w->group_handle;
	m.client.client_id = optional_string(d, &tail, w->name_len);
	m.client.cluster_id = optional_string(d, &tail, w->cluster_len);
	m.client.group = optional_string(d, &tail, w->group_len);
	stage_send(d, &m);
	return 0;
}

/* The next position of a commit's tail; -EINVAL: it reaches beyond the record. */
static int position_take(struct slice *tail, struct wire_kafka_position *ret,
			 struct slice *ret_topic)
{
	const struct wire_kafka_position *p = (const void *)tail->at;
	size_t len;

	if (tail->len < sizeof(*p))
		return -EINVAL;
	len = stage_padded(sizeof(*p) + (size_t)p->topic_len);
	if (tail->len < len)
		return -EINVAL;
	*ret = *p;
	*ret_topic = slice_of(p + 1, p->topic_len);
	*tail = slice_from(*tail, len);
	return 0;
}

static void begin_commit(struct decode *d, struct msg *m, const struct wire_kafka_commit *w)
{
	stage_msg(d, m, MSG_KAFKA_COMMIT, &w->head);
	stage_labels(m, &w->head, &w->labels);
	m->commit = (struct msg_commit){
		.client = w->client,
		.phase = w->phase == PHASE_ASKED ? ASKED : ENDED,
		.err = w->err,
		.count = w->captured,
		.total = w->count,
		.partition = -1,
		.offset = -1,
	};
}

int kafka_feed_commit(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_commit *w = (const struct wire_kafka_commit *)rec;
	struct slice tail = slice_of(w + 1, rec->len - sizeof(*w)), left = tail, topic;
	struct wire_kafka_position p;
	struct msg m;
	uint32_t i;

	if (w->phase > PHASE_ENDED || w->captured > w->count)
		return -EINVAL;
	for (i = 0; i < w->captured; i++)
		if (position_take(&left, &p, &topic))
			return -EINVAL;
	if (!w->captured) {
		begin_commit(d, &m, w);
		stage_send(d, &m);
	}
	for (i = 0; i < w->captured; i++) {
		if (position_take(&tail, &p, &topic))
			break;
		begin_commit(d, &m, w);
		m.commit.index = i;
		m.commit.topic = optional_string(d, &topic, topic.len);
		m.commit.partition = p.partition;
		m.commit.offset = p.offset;
		m.commit.partition_err = p.err;
		stage_send(d, &m);
	}
	return 0;
}

int kafka_feed_rebalance(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_rebalance *w = (const struct wire_kafka_rebalance *)rec;
	struct msg m;

	stage_msg(d, &m, MSG_KAFKA_REBALANCE, rec);
	m.rebalance = (struct msg_rebalance){
		.group_handle = w->group_handle,
		.is_assign = w->err == ERR_ASSIGN_PARTITIONS,
		.partitions = w->count,
	};
	stage_send(d, &m);
	return 0;
}

int kafka_feed_txn(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_txn *w = (const struct wire_kafka_txn *)rec;
	static const enum txn_op ops[] = {
		[TXN_BEGIN] = TXN_OP_BEGIN, [TXN_COMMIT] = TXN_OP_COMMIT,
		[TXN_ABORT] = TXN_OP_ABORT,
	};
	struct msg m;

	if (w->op > TXN_ABORT || w->phase > PHASE_ENDED)
		return -EINVAL;
	stage_msg(d, &m, MSG_KAFKA_TXN, rec);
	m.txn = (struct msg_txn){
		.client = w->client,
		.op = ops[w->op],
		.phase = w->phase == PHASE_ASKED ? ASKED : ENDED,
		.err = w->err,
	};
	stage_send(d, &m);
	return 0;
}

int kafka_feed_refused(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_refused *w = (const struct wire_kafka_refused *)rec;
	struct slice tail = slice_of(w + 1, rec->len - sizeof(*w));
	struct msg m;

	if (tail.len < (size_t)w->topic_captured + w->client_captured)
		return -EINVAL;
	stage_msg(d, &m, MSG_KAFKA_REFUSED, rec);
	stage_labels(&m, rec, &w->labels);
	m.kafka = (struct msg_kafka){
		.client = w->client,
		.partition = -1,
		.offset = -1001,	/* RD_KAFKA_OFFSET_INVALID: not known */
		.timestamp_ms = -1,
		.high = -1001,
		.err = w->err,
	};
	m.kafka.topic = optional_string(d, &tail, w->topic_captured);
	m.kafka.client_id = optional_string(d, &tail, w->client_captured);
	stage_send(d, &m);
	return 0;
}
