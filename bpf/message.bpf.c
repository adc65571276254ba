/*
 * message: one librdkafka message -> one record: topic, client, key and header block; and an
 * acknowledged batch -> records of many whole messages (light mode).
 *
 * Layouts of librdkafka 1.0 to 2.15; what varies is in struct kafka_knobs.
 */
#include "message.bpf.h"

#define TOPIC_LIGHT 0x544b524c	/* "LRKT": a topic object that holds its name only */
#define LIGHT_NAME_OFF 24
#define TIMESTAMP_NONE 0

/* What most messages fit; those that do not are written again into a larger record. */
#define SMALL_TOPIC_MAX 64
#define SMALL_CLIENT_MAX 64
#define SMALL_HEADERS_MAX 144

__hidden __u64 user_word(__u64 address)
{
	__u64 value = 0;

	if (address && bpf_probe_read_user(&value, sizeof(value), (const void *)address))
		count(FAIL_READ_FAULT);
	return value;
}

__hidden __u64 message_topic(__u64 topic, __u32 name_off)
{
	__u64 string;

	if (!topic)
		return 0;
	if ((__u32)user_word(topic) == TOPIC_LIGHT)
		return user_word(topic + LIGHT_NAME_OFF);
	if (!name_off)
		return 0;
	string = user_word(topic + name_off);
	return string ? user_word(string + 8) : 0;
}

/* Everything of the fixed part; the lengths of the tail's parts are still 0. */
static void fill_head(struct wire_kafka *r, const struct parts *p, enum wire_kind kind)
{
	const struct message *m = &p->m;

	head_fill(&r->head, kind, p->ts_ns, p->flags);
	r->labels = *p->labels;
	r->msg = p->address;
	r->client = p->rk;
	r->offset = kind == WIRE_KAFKA_CONSUME ? m->offset : OFFSET_INVALID;
	r->timestamp_ms = m->timestamp_type == TIMESTAMP_NONE ? -1 : m->timestamp_ms;
	r->enqueued_us = kind == WIRE_KAFKA_SEND ? m->producer.enqueued_us : 0;
	r->polled_ns = p->polled_ns;
	r->queue = p->queue;
	r->high = OFFSET_INVALID;
	r->partition = m->partition;
	r->err = m->err;
	r->key_len = m->key_len;
	r->value_len = m->len;
	r->headers_len = 0;
	r->headers_captured = 0;
	r->flags = message_flags(m) | p->kafka_flags;
}

/* The high watermark of its partition, where the way to it is known. */
static void fill_high(struct wire_kafka *r, const struct parts *p)
{
	__u64 toppar;

	if (!p->k->high_off)
		return;
	toppar = user_word(p->address + p->k->toppar_off);
	if (toppar)
		r->high = user_word(toppar + p->k->high_off);
}

static __always_inline void submit(struct wire_kafka *r, __u32 front)
{
	if (r->flags & WIRE_KAFKA_CUT_HEADERS)
		count(FAIL_HEADERS_CUT);
	r->head.len = sizeof(*r) + front + r->headers_captured;
	ring_submit(r);
}

/* Topic, client and key. Returns the bytes of the tail that are used. */
static __always_inline __u32 fill_front(struct wire_kafka *r, const struct parts *p,
					const __u32 topic_max, const __u32 client_max)
{
	__u8 *tail = (__u8 *)(r + 1);
	__u32 off;

	off = r->topic_captured = append_string(tail, message_topic(p->m.topic, p->k->topic_off),
						topic_max);
	barrier_var(off);
	if (off >= topic_max)
		off = 0;
	r->client_captured = append_string(tail + off, p->k->name_off && p->rk ?
					   p->rk + p->k->name_off : 0, client_max);
	off += r->client_captured;
	barrier_var(off);
	if (off >= topic_max + client_max)
		off = 0;
	r->key_captured = append_key(tail + off, &p->m);
	return off + r->key_captured;
}

/* true: the record has it all, and is gone. The limits are constants, for the verifier. */
static __always_inline bool fits(const struct wire_kafka *r, const __u32 topic_max,
				 const __u32 client_max)
{
	return r->topic_captured < topic_max - 1 && r->client_captured < client_max - 1;
}

static __always_inline bool write_raw(const struct parts *p, enum wire_kind kind,
				      const __u32 room, const __u32 topic_max,
				      const __u32 client_max)
{
	const __u32 front_max = topic_max + client_max + WIRE_KEY_MAX;
	struct wire_kafka *r = ring_reserve(room);
	__u32 front, n;

	if (!r)
		return true;
	fill_head(r, p, kind);
	if (kind == WIRE_KAFKA_CONSUME)
		fill_high(r, p);
	front = fill_front(r, p, topic_max, client_max);
	if (room != RING_4352 && !fits(r, topic_max, client_max)) {
		ring_abandon(r);
		return false;
	}
	n = p->raw_len < WIRE_HEADERS_MAX ? p->raw_len : WIRE_HEADERS_MAX;
	if (n) {
		r->headers_len = p->raw_len;
		r->flags |= WIRE_KAFKA_RAW_HEADERS;
		barrier_var(front);
		barrier_var(n);
		if (front > front_max || n > room - sizeof(*r) - front_max)
			n = 0;
		else if (bpf_probe_read_user((__u8 *)(r + 1) + front, n, (const void *)p->raw)) {
			count(FAIL_READ_FAULT);
			n = 0;
		}
		r->headers_captured = n;
		if (n < p->raw_len)
			r->flags |= WIRE_KAFKA_CUT_HEADERS;
	}
	submit(r, front);
	return true;
}

static long small_step(__u32 i, struct list_walk *w)
{
	return list_step(i, w, SMALL_HEADERS_MAX, SMALL_NAME_MAX, SMALL_VALUE_MAX);
}

static long large_step(__u32 i, struct list_walk *w)
{
	return list_step(i, w, WIRE_HEADERS_MAX, LIST_NAME_MAX, LIST_VALUE_MAX);
}

static __always_inline bool write_list(const struct parts *p, enum wire_kind kind,
				       const __u32 room, const __u32 topic_max,
				       const __u32 client_max)
{
	const __u32 front_max = topic_max + client_max + WIRE_KEY_MAX;
	struct wire_kafka *r = ring_reserve(room);
	struct list_walk w;
	__u32 front;
	bool is_cut;

	if (!r)
		return true;
	fill_head(r, p, kind);
	front = fill_front(r, p, topic_max, client_max);
	barrier_var(front);
	if (front > front_max)
		front = 0;
	w.tail = (__u8 *)(r + 1) + front;
	w.used = &r->headers_captured;
	w.whole = &r->headers_len;
	is_cut = list_walk(&w, p->m.headers, room == RING_4352 ? large_step : small_step);
	if (room != RING_4352 && (is_cut || !fits(r, topic_max, client_max))) {
		ring_abandon(r);
		return false;
	}
	r->flags |= WIRE_KAFKA_LIST_HEADERS | (is_cut ? WIRE_KAFKA_CUT_HEADERS : 0);
	submit(r, front);
	return true;
}

#define SMALL_FRONT (SMALL_TOPIC_MAX + SMALL_CLIENT_MAX + WIRE_KEY_MAX)
_Static_assert(RING_640 >= sizeof(struct wire_kafka) + SMALL_FRONT + SMALL_HEADERS_MAX +
	       sizeof(struct wire_kafka_header) + SMALL_NAME_MAX + SMALL_VALUE_MAX, "small list");
_Static_assert(RING_4352 >= sizeof(struct wire_kafka) + 2 * WIRE_NAME_MAX + WIRE_KEY_MAX +
	       LIST_ROOM, "large list");
_Static_assert(RING_512 >= sizeof(struct wire_kafka) + SMALL_FRONT + SMALL_HEADERS_MAX, "raw");

__hidden void message_emit(const struct parts *p, enum wire_kind kind)
{
	if (!p->raw_len && p->m.headers) {
		if (!write_list(p, kind, RING_640, SMALL_TOPIC_MAX, SMALL_CLIENT_MAX))
			write_list(p, kind, RING_4352, WIRE_NAME_MAX, WIRE_NAME_MAX);
		return;
	}
	if (p->raw_len > SMALL_HEADERS_MAX ||
	    !write_raw(p, kind, RING_512, SMALL_TOPIC_MAX, SMALL_CLIENT_MAX))
		write_raw(p, kind, RING_4352, WIRE_NAME_MAX, WIRE_NAME_MAX);
}

__hidden bool message_read(struct message *ret, __u64 address)
{
	if (!bpf_probe_read_user(ret, sizeof(*ret), (const void *)address))
		return true;
	count(KERNEL_RECORDS);
	count(LOST_READ_FAULT);
	return false;
}
