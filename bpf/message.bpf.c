/*
 * message: one librdkafka message -> one record: topic, client, key and header block.
 *
 * Layouts of librdkafka 1.0 to 2.15; what varies comes with the attach cookie (struct kafka_knobs).
 */
#include "kafka.bpf.h"

#define LIST_MAX 64		/* headers of a parsed list that are looked at */
#define LIST_NAME_MAX 256	/* bytes; a longer name or value leaves its header out */
#define LIST_VALUE_MAX 512
#define TOPIC_LIGHT 0x544b524c	/* "LRKT": a topic object that holds its name only */
#define LIGHT_NAME_OFF 24
#define TIMESTAMP_NONE 0

struct header_list {		/* rd_list_t in front of rd_kafka_headers_t */
	__s32 size, count;
	__u64 elements;
};

struct header {			/* rd_kafka_header_t; its name stands behind */
	__u64 serialized_size, value_size, name_size, value;
};

struct list_walk {
	__u8 *tail;		/* of the header block; room for LIST_ROOM */
	__u64 elements;
	__u32 used, whole;
	__u32 is_cut, pad;
};

#define FRONT_MAX (2 * WIRE_NAME_MAX + WIRE_KEY_MAX)	/* of the tail before the headers */
#define LIST_ROOM (WIRE_HEADERS_MAX + sizeof(struct wire_kafka_header) + LIST_NAME_MAX + \
		   LIST_VALUE_MAX)
_Static_assert(RING_2560 >= sizeof(struct wire_kafka) + FRONT_MAX + LIST_ROOM, "room for a list");
#define RAW_ROOM(room) ((room) - sizeof(struct wire_kafka) - FRONT_MAX)
_Static_assert(RAW_ROOM(RING_2560) >= WIRE_HEADERS_MAX, "room for a raw block");

static __u64 user_word(__u64 address)
{
	__u64 value = 0;

	if (address && bpf_probe_read_user(&value, sizeof(value), (const void *)address))
		count(FAIL_READ_FAULT);
	return value;
}

/* Address of the topic's name; 0: not known. */
static __u64 topic_name(__u64 topic, __u32 name_off)
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

/* Appends a C string of the program at @off of the tail; returns its length without the NUL. */
static __always_inline __u32 append_string(struct wire_kafka *r, __u32 off, __u64 address)
{
	__s64 n;

	if (!address || off > WIRE_NAME_MAX)
		return 0;
	n = bpf_probe_read_user_str((__u8 *)(r + 1) + off, WIRE_NAME_MAX, (const void *)address);
	if (n < 0)
		count(FAIL_READ_FAULT);
	return n > 1 ? (n - 1) & (WIRE_NAME_MAX - 1) : 0;
}

static __always_inline __u32 append_key(struct wire_kafka *r, __u32 off, const struct message *m)
{
	__u32 n = m->key_len < WIRE_KEY_MAX ? m->key_len : WIRE_KEY_MAX;

	if (!m->key || off > 2 * WIRE_NAME_MAX)
		return 0;
	barrier_var(n);
	if (n > WIRE_KEY_MAX)
		return 0;
	if (bpf_probe_read_user((__u8 *)(r + 1) + off, n, (const void *)m->key)) {
		count(FAIL_READ_FAULT);
		return 0;
	}
	return n;
}

/* Everything but the headers. Returns the bytes of the tail that are used. */
static __u32 fill_front(struct wire_kafka *r, const struct parts *p, enum wire_kind kind)
{
	const struct message *m = &p->m;
	__u32 name_off = p->cookie >> 32, off;

	head_fill(&r->head, kind, p->ts_ns, p->flags);
	r->labels = *p->labels;
	r->msg = p->address;
	r->client = p->rk;
	r->offset = kind == WIRE_KAFKA_CONSUME ? m->offset : OFFSET_INVALID;
	r->timestamp_ms = m->timestamp_type == TIMESTAMP_NONE ? -1 : m->timestamp_ms;
	r->enqueued_us = kind == WIRE_KAFKA_SEND ? m->producer.enqueued_us : 0;
	r->polled_ns = 0;
	r->queue = 0;
	r->high = OFFSET_INVALID;
	r->partition = m->partition;
	r->err = m->err;
	r->key_len = m->key_len;
	r->value_len = m->len;
	r->headers_len = 0;
	r->headers_captured = 0;
	r->flags = (m->key ? 0 : WIRE_KAFKA_NULL_KEY) | (m->payload ? 0 : WIRE_KAFKA_NULL_VALUE);

	off = r->topic_captured = append_string(r, 0, topic_name(m->topic, (__u32)p->cookie));
	r->client_captured = append_string(r, off, name_off && p->rk ? p->rk + name_off : 0);
	off += r->client_captured;
	r->key_captured = append_key(r, off, m);
	return off + r->key_captured;
}

static __always_inline void submit(struct wire_kafka *r, __u32 front)
{
	if (r->flags & WIRE_KAFKA_CUT_HEADERS)
		count(FAIL_HEADERS_CUT);
	r->head.len = sizeof(*r) + front + r->headers_captured;
	ring_submit(r);
}

/* No headers, or the raw block of a consumed message. @room: a constant, for the verifier */
static __always_inline void write_raw(const struct parts *p, enum wire_kind kind,
				      const __u32 room)
{
	struct wire_kafka *r = ring_reserve(room);
	__u32 front, n;

	if (!r)
		return;
	front = fill_front(r, p, kind);
	n = p->raw_len < WIRE_HEADERS_MAX ? p->raw_len : WIRE_HEADERS_MAX;
	if (n) {
		r->headers_len = p->raw_len;
		r->flags |= WIRE_KAFKA_RAW_HEADERS;
		barrier_var(front);
		barrier_var(n);
		if (front > FRONT_MAX || n > RAW_ROOM(room))
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
}

/* One header to the tail, or left out if it does not fit: a later, smaller one may. */
static long list_step(__u32 i, struct list_walk *w)
{
	struct wire_kafka_header *out;
	__u64 address = user_word(w->elements + 8ULL * i);
	struct header h;
	__u32 off = w->used, name, value;

	if (!address || bpf_probe_read_user(&h, sizeof(h), (const void *)address)) {
		count(FAIL_READ_FAULT);
		return 1;
	}
	w->whole += sizeof(*out) + h.name_size + (h.value ? h.value_size : 0);
	name = h.name_size;
	value = h.value ? h.value_size : 0;
	barrier_var(off);
	barrier_var(name);
	barrier_var(value);
	if (h.name_size > LIST_NAME_MAX - 1 || h.value_size > LIST_VALUE_MAX - 1 ||
	    off + sizeof(*out) + name + value > WIRE_HEADERS_MAX) {
		w->is_cut = 1;
		return 0;
	}
	/* again, in the form that the verifier follows */
	if (off > WIRE_HEADERS_MAX || name > LIST_NAME_MAX || value > LIST_VALUE_MAX)
		return 1;
	out = (void *)w->tail + off;
	out->name_len = name;
	out->value_len = h.value ? value : WIRE_NULL_VALUE;
	off += sizeof(*out);
	if (bpf_probe_read_user(w->tail + off, name, (const void *)(address + sizeof(h))) ||
	    bpf_probe_read_user(w->tail + off + name, value, (const void *)h.value)) {
		count(FAIL_READ_FAULT);
		return 1;
	}
	w->used = off + name + value;
	return 0;
}

static void write_list(const struct parts *p, enum wire_kind kind)
{
	struct wire_kafka *r = ring_reserve(RING_2560);
	struct list_walk w = { 0 };
	struct header_list list = { 0 };
	__u32 front, n;

	if (!r)
		return;
	front = fill_front(r, p, kind);
	barrier_var(front);
	if (front > FRONT_MAX)
		front = FRONT_MAX;
	if (bpf_probe_read_user(&list, sizeof(list), (const void *)p->m.headers))
		count(FAIL_READ_FAULT);
	n = list.count < 0 ? 0 : list.count;
	w.is_cut = n > LIST_MAX;
	w.elements = list.elements;
	w.tail = (__u8 *)(r + 1) + front;
	bpf_loop(n < LIST_MAX ? n : LIST_MAX, list_step, &w, 0);
	r->headers_len = w.whole;
	r->headers_captured = w.used;
	r->flags |= WIRE_KAFKA_LIST_HEADERS | (w.is_cut ? WIRE_KAFKA_CUT_HEADERS : 0);
	submit(r, front);
}

__hidden void message_emit(const struct parts *p, enum wire_kind kind)
{
	if (!p->raw_len && p->m.headers)
		write_list(p, kind);
	else if (p->raw_len <= RAW_ROOM(RING_1536))
		write_raw(p, kind, RING_1536);
	else
		write_raw(p, kind, RING_2560);
}

__hidden bool message_read(struct message *ret, __u64 address)
{
	if (!bpf_probe_read_user(ret, sizeof(*ret), (const void *)address))
		return true;
	count(KERNEL_RECORDS);
	count(LOST_READ_FAULT);
	return false;
}
