/* kafka: see kafka.h. */
#include "decode/kafka.h"

#include <errno.h>

#include "decode/context.h"
#include "decode/stage.h"

#define NO_OFFSET (-1001)	/* RD_KAFKA_OFFSET_INVALID: not known */

static struct slice tail_take(struct slice *tail, size_t len)
{
	struct slice part = slice_of(tail->at, len);

	*tail = slice_from(*tail, len);
	return part;
}

static void read_headers(struct decode *d, struct msg *m, struct slice block, uint32_t flags,
			 uint64_t mask)
{
	struct rule_set set = { d->rules, mask };
	struct context_reader reader;
	struct kafka_headers h;
	struct slice name, value;
	unsigned int invalid;
	int err;

	context_begin(&reader, CONTEXT_KAFKA, d->rules->trace_headers,
		      d->rules->trace_headers_count);
	err = kafka_headers_init(&h, block, flags);
	while (!err) {
		err = kafka_headers_next(&h, &name, &value);
		if (err <= 0)
			break;
		err = 0;
		if (!value.at)
			continue;
		context_header(&reader, name, value);
		capture_header(m, &set, FROM_KAFKA_HEADER, name, value);
	}
	if (err)
		counter_add(d->counters, KAFKA_HEADERS_INVALID, 1);
	invalid = context_end(&reader, &d->strings, &m->kafka.context, &m->attrs);
	counter_add(d->counters, CONTEXT_INVALID, invalid);
}

/* A key that was cut is not captured: it might identify the wrong trace. */
static void capture_key(struct decode *d, struct msg *m, struct slice key, uint64_t mask)
{
	unsigned int i;

	if (m->kafka.key_captured != m->kafka.key_len || !m->kafka.key)
		return;
	for (i = 0; i < RULES_MAX && mask >> i; i++)
		if (mask >> i & 1 && d->rules->capture[i].from == FROM_KAFKA_KEY)
			capture(m, &d->rules->capture[i], key);
}

/* What the message itself gives: key and headers, by the rules of its topic. */
static void read_message(struct decode *d, struct msg *m, struct slice key, struct slice headers,
			 uint32_t flags)
{
	uint64_t mask = m->kafka.topic ? rules_for_topic(d->rules, m->kafka.topic) : 0;

	m->kafka.null_value = flags & WIRE_KAFKA_NULL_VALUE;
	if (!(flags & WIRE_KAFKA_NULL_KEY))
		m->kafka.key = key.at;
	capture_key(d, m, key, mask);
	read_headers(d, m, headers, flags, mask);
}

int kafka_feed_message(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka *k = (const struct wire_kafka *)rec;
	struct slice tail = slice_of(k + 1, rec->len - sizeof(*k)), key;
	struct msg m;

	if (tail.len < (size_t)k->topic_captured + k->client_captured + k->key_captured +
			       k->headers_captured || k->key_captured > k->key_len)
		return -EINVAL;
	stage_msg(d, &m, rec->kind == WIRE_KAFKA_SEND ? MSG_KAFKA_SEND : MSG_KAFKA_CONSUME, rec);
	stage_labels(&m, rec, &k->labels);
	m.kafka = (struct msg_kafka){
		.msg = k->msg,
		.client = k->client,
		.key_captured = k->key_captured,
		.key_len = k->key_len,
		.value_len = k->value_len,
		.partition = k->partition,
		.offset = k->offset,
		.timestamp_ms = k->timestamp_ms,
		.err = k->err,
		.enqueued_ns = k->enqueued_us * 1000,
		.polled_ns = k->polled_ns,
		.queue = k->queue,
		.poll = k->flags & WIRE_KAFKA_BATCH_POLL ? POLL_BATCH :
			k->flags & WIRE_KAFKA_CALLBACK_POLL ? POLL_CALLBACK : POLL_ONE,
		.high = k->high,
	};
	m.kafka.topic = stage_string(d, &tail, k->topic_captured);
	m.kafka.client_id = stage_string(d, &tail, k->client_captured);
	key = tail_take(&tail, k->key_captured);
	read_message(d, &m, key, slice_of(tail.at, k->headers_captured), k->flags);
	stage_send(d, &m);
	return 0;
}

int kafka_feed_ack(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_ack *a = (const struct wire_kafka_ack *)rec;
	const struct wire_kafka_acked *one = (const void *)(a + 1);
	struct msg m;
	uint32_t i;

	if ((rec->len - sizeof(*a)) / sizeof(*one) < a->count)
		return -EINVAL;
	for (i = 0; i < a->count; i++, one++) {
		stage_msg(d, &m, MSG_KAFKA_ACK, rec);
		m.kafka = (struct msg_kafka){
			.msg = one->msg,
			.client = a->client,
			.partition = one->partition,
			.offset = one->offset,
			.timestamp_ms = -1,
			.high = NO_OFFSET,
			.err = one->err,
			.status = (int)one->status,
			.retries = one->retries,
			.sent_ns = a->sent_ns,
		};
		stage_send(d, &m);
	}
	return 0;
}

int kafka_feed_poll(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_poll *p = (const struct wire_kafka_poll *)rec;
	struct msg m;

	stage_msg(d, &m, MSG_KAFKA_POLL, rec);
	m.kafka = (struct msg_kafka){
		.partition = -1,
		.offset = NO_OFFSET,
		.timestamp_ms = -1,
		.high = NO_OFFSET,
		.ended = stage_label(&p->ended),
		.queue = p->queue,
	};
	stage_send(d, &m);
	return 0;
}

/* --- messages that are seen at their acknowledgement only ------------------------------------- */

struct entry {
	struct wire_kafka_entry head;
	struct slice key, headers;
};

/* The next entry of the tail; -EINVAL: it reaches beyond the record. */
static int entry_take(struct slice *tail, struct entry *ret)
{
	const struct wire_kafka_entry *head = (const void *)tail->at;
	size_t len;

	if (tail->len < sizeof(*head))
		return -EINVAL;
	len = stage_padded(sizeof(*head) + head->key_captured + head->headers_captured);
	if (tail->len < len || head->key_captured > head->key_len)
		return -EINVAL;
	ret->head = *head;
	ret->key = slice_of(head + 1, head->key_captured);
	ret->headers = slice_of(ret->key.at + ret->key.len, head->headers_captured);
	*tail = slice_from(*tail, len);
	return 0;
}

static void send_delivered(struct decode *d, const struct wire_kafka_delivered *w,
			   const struct entry *e)
{
	struct slice names = slice_of(w + 1, (size_t)w->topic_captured + w->client_captured);
	struct msg m;

	stage_msg(d, &m, MSG_KAFKA_DELIVERED, &w->head);
	m.kafka = (struct msg_kafka){
		.msg = e->head.msg,
		.client = w->client,
		.key_captured = e->head.key_captured,
		.key_len = e->head.key_len,
		.value_len = e->head.value_len,
		.partition = e->head.partition,
		.offset = e->head.offset,
		.timestamp_ms = e->head.timestamp_ms,
		.err = e->head.err,
		.status = e->head.status,
		.retries = e->head.retries,
		.sent_ns = w->sent_ns,
		.enqueued_ns = e->head.enqueued_us * 1000,
		.high = NO_OFFSET,
	};
	m.kafka.topic = stage_string(d, &names, w->topic_captured);
	m.kafka.client_id = stage_string(d, &names, w->client_captured);
	read_message(d, &m, e->key, e->headers, e->head.flags);
	stage_send(d, &m);
}

/* All of its entries, or none: a record whose lengths lie is not believed in part. */
int kafka_feed_delivered(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka_delivered *w = (const struct wire_kafka_delivered *)rec;
	struct slice tail = slice_of(w + 1, rec->len - sizeof(*w)), left;
	size_t names = stage_padded((size_t)w->topic_captured + w->client_captured);
	struct entry e;
	uint32_t i;

	if (tail.len < names)
		return -EINVAL;
	tail = left = slice_from(tail, names);
	for (i = 0; i < w->count; i++)
		if (entry_take(&left, &e))
			return -EINVAL;
	for (i = 0; i < w->count && !entry_take(&tail, &e); i++)
		send_delivered(d, w, &e);
	return 0;
}
