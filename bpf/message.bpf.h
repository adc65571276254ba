/*
 * message: the parts that records of a message are written from, inlined into each writer, since
 * the verifier wants every limit as a constant.
 */
#ifndef MESSAGE_BPF_H
#define MESSAGE_BPF_H

#include "kafka.bpf.h"

#define LIST_MAX 64		/* headers of a parsed list that are looked at */
#define LIST_NAME_MAX 256	/* bytes; a longer name or value leaves its header out */
#define LIST_VALUE_MAX 512
#define SMALL_NAME_MAX 32	/* the same for small records */
#define SMALL_VALUE_MAX 64
#define TRACEPARENT_NAME 11	/* bytes: "traceparent", and its value in version 00 */
#define TRACEPARENT_VALUE 55
#define TRACEPARENT_BYTES (sizeof(struct wire_kafka_header) + TRACEPARENT_NAME + TRACEPARENT_VALUE)
#define TRACEPARENTS 1		/* that find room in a full record */

/* the most that a walk may touch: the last header may overrun the limit while it is checked */
#define LIST_ROOM (WIRE_HEADERS_MAX + sizeof(struct wire_kafka_header) + LIST_NAME_MAX + \
		   LIST_VALUE_MAX)

struct header_list {		/* rd_list_t in front of rd_kafka_headers_t */
	__s32 size, count;
	__u64 elements;
};

struct header {			/* rd_kafka_header_t; its name stands behind */
	__u64 serialized_size, value_size, name_size, value;
};

static __always_inline __u32 message_flags(const struct message *m)
{
	return (m->key ? 0 : WIRE_KAFKA_NULL_KEY) | (m->payload ? 0 : WIRE_KAFKA_NULL_VALUE);
}

/* A C string of the program; @max: a power of two. Returns its length without the NUL. */
static __always_inline __u32 append_string(__u8 *to, __u64 address, const __u32 max)
{
	__s64 n;

	if (!address)
		return 0;
	n = bpf_probe_read_user_str(to, max, (const void *)address);
	if (n < 0)
		count(FAIL_READ_FAULT);
	return n > 1 ? (n - 1) & (max - 1) : 0;
}

static __always_inline __u32 append_key(__u8 *to, const struct message *m)
{
	__u32 n = m->key_len < WIRE_KEY_MAX ? m->key_len : WIRE_KEY_MAX;

	if (!m->key)
		return 0;
	barrier_var(n);
	if (n > WIRE_KEY_MAX)
		return 0;
	if (bpf_probe_read_user(to, n, (const void *)m->key)) {
		count(FAIL_READ_FAULT);
		return 0;
	}
	return n;
}

/* One header to the tail, or left out if it does not fit: a later, smaller one may. */
static __always_inline long list_step(__u32 i, struct list_walk *w, const __u32 max,
				      const __u32 name_max, const __u32 value_max)
{
	struct wire_kafka_header *out;
	__u64 address = user_word(w->elements + 8ULL * i);
	struct header h;
	__u32 off = *w->used, name, value, limit;

	if (!address || bpf_probe_read_user(&h, sizeof(h), (const void *)address)) {
		count(FAIL_READ_FAULT);
		return 1;
	}
	*w->whole += sizeof(*out) + h.name_size + (h.value ? h.value_size : 0);
	name = h.name_size;
	value = h.value ? h.value_size : 0;
	barrier_var(off);
	barrier_var(name);
	barrier_var(value);
	/* what may be a traceparent by its size finds room behind all others */
	limit = h.name_size == TRACEPARENT_NAME && h.value_size == TRACEPARENT_VALUE ?
		max : max - TRACEPARENTS * TRACEPARENT_BYTES;
	if (h.name_size > name_max - 1 || h.value_size > value_max - 1 ||
	    off + sizeof(*out) + name + value > limit)
		return 0;
	/* again, in the form that the verifier follows */
	barrier_var(off);
	if (off > max || name > name_max || value > value_max)
		return 1;
	barrier_var(off);
	out = (void *)w->tail + off;
	out->name_len = name;
	out->value_len = h.value ? value : WIRE_NULL_VALUE;
	off += sizeof(*out);
	if (bpf_probe_read_user(w->tail + off, name, (const void *)(address + sizeof(h))) ||
	    bpf_probe_read_user(w->tail + off + name, value, (const void *)h.value)) {
		count(FAIL_READ_FAULT);
		return 1;
	}
	*w->used = off + name + value;
	return 0;
}

typedef long (*list_step_fn)(__u32 i, struct list_walk *w);

/* Returns whether something was left out. */
static __always_inline bool list_walk(struct list_walk *w, __u64 headers, list_step_fn step)
{
	struct header_list list = { 0 };
	__u32 n;

	if (bpf_probe_read_user(&list, sizeof(list), (const void *)headers))
		count(FAIL_READ_FAULT);
	n = list.count < 0 ? 0 : list.count;
	*w->used = 0;
	*w->whole = 0;
	w->elements = list.elements;
	bpf_loop(n < LIST_MAX ? n : LIST_MAX, step, w, 0);
	return n > LIST_MAX || *w->whole > *w->used;
}

#endif
