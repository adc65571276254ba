/* kafka: see kafka.h. */
#include "decode/kafka.h"

#include <errno.h>

#include "decode/context.h"
#include "decode/stage.h"

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

int kafka_feed_message(struct decode *d, const struct wire_head *rec)
{
	const struct wire_kafka *k = (const struct wire_kafka *)rec;
	struct slice tail = slice_of(k + 1, rec->len - sizeof(*k)), key;
	uint64_t mask = 0;
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
		.null_value = k->flags & WIRE_KAFKA_NULL_VALUE,
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
	if (!(k->flags & WIRE_KAFKA_NULL_KEY))
		m.kafka.key = key.at;
	if (m.kafka.topic)
		mask = rules_for_topic(d->rules, m.kafka.topic);
	capture_key(d, &m, key, mask);
	read_headers(d, &m, slice_of(tail.at, k->headers_captured), k->flags, mask);
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
		.offset = -1001,	/* RD_KAFKA_OFFSET_INVALID: not known */
		.timestamp_ms = -1,
		.ended = stage_label(&p->ended),
		.queue = p->queue,
	};
	stage_send(d, &m);
	return 0;
}
