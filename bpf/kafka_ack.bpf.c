/*
 * kafka_ack: acknowledged and failed messages, a partition's batch at a time.
 *
 * Full mode: on_send has told of the message, so its address, offset and result are enough. Light
 * mode, and messages that were enqueued before on_send was probed: the whole message.
 */
#include "compat.bpf.h"
#include "message.bpf.h"

#define BATCH_MAX 10000		/* messages of an acknowledged batch: librdkafka's default limit */
#define API_PRODUCE 0
#define SENT_MAX 4096		/* broker threads */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SENT_MAX);
	__type(key, __u64);			/* tgid, tid of a broker thread */
	__type(value, __u64);			/* when the request of its latest answer was sent */
} kafka_sent SEC(".maps");

struct batch {
	__u64 message;		/* the next one */
	__u64 rk, ts_ns, sent_ns;
	const struct kafka_knobs *k;
	__s32 err;		/* of the whole batch */
	__u32 count;		/* messages of the batch */
	__u32 done, is_stopped;
	__u64 topic;		/* address of its name */
};

/* --- full mode: one record, many results ---------------------------------------------- */

/* counts lie in the records: see struct list_walk */
struct ack_chunk {
	struct batch *b;
	struct wire_kafka_ack *r;
};

static __always_inline long ack_step(__u32 i, struct ack_chunk *c, const __u32 max)
{
	struct wire_kafka_acked *out;
	struct message m;

	barrier_var(i);
	if (i >= max)
		return 1;
	if (!c->b->message || !message_read(&m, c->b->message)) {
		c->b->is_stopped = 1;
		return 1;
	}
	out = (struct wire_kafka_acked *)(c->r + 1) + i;
	out->msg = c->b->message;
	out->offset = m.offset;
	out->partition = m.partition;
	out->err = c->b->err ? c->b->err : m.err;
	out->retries = m.producer.retries;
	out->status = m.status;
	c->b->message = m.next;
	c->r->count = i + 1;
	return 0;
}

#define ACKS_OF(room) (((room) - sizeof(struct wire_kafka_ack)) / sizeof(struct wire_kafka_acked))
#define ACKS_LARGE ((WIRE_RECORD_MAX - sizeof(struct wire_kafka_ack)) / \
		    sizeof(struct wire_kafka_acked))

static long ack_step_1(__u32 i, struct ack_chunk *c)
{
	return ack_step(i, c, ACKS_OF(RING_96));
}

static long ack_step_small(__u32 i, struct ack_chunk *c)
{
	return ack_step(i, c, ACKS_OF(RING_768));
}

static long ack_step_large(__u32 i, struct ack_chunk *c)
{
	return ack_step(i, c, ACKS_LARGE);
}

/* The messages of a record that finds no room are passed over: the record is counted as lost. */
static __always_inline long ack_chunk(struct batch *b, const __u32 room, const __u32 max,
				      list_step_fn step)
{
	struct wire_kafka_ack *r = ring_reserve(room);
	struct ack_chunk c = { b, r };
	__u32 n = b->count - b->done;

	if (!r)
		return 1;
	n = n < max ? n : max;
	r->count = 0;
	bpf_loop(n, (void *)step, &c, 0);
	if (!r->count) {
		ring_abandon(r);
		return 1;
	}
	head_fill(&r->head, WIRE_KAFKA_ACK, b->ts_ns, 0);
	r->head.len = sizeof(*r) + r->count * sizeof(struct wire_kafka_acked);
	r->client = b->rk;
	r->sent_ns = b->sent_ns;
	r->batch_count = b->count;
	b->done += r->count;
	ring_submit(r);
	return 0;
}

static long acks_step(__u32 i UNUSED, struct batch *b)
{
	__u32 n = b->count - b->done;

	if (b->done >= b->count || b->is_stopped)
		return 1;
	if (n <= ACKS_OF(RING_96))
		return ack_chunk(b, RING_96, ACKS_OF(RING_96), (void *)ack_step_1);
	if (n <= ACKS_OF(RING_768))
		return ack_chunk(b, RING_768, ACKS_OF(RING_768), (void *)ack_step_small);
	return ack_chunk(b, RING_4352, ACKS_LARGE, (void *)ack_step_large);
}

/* --- light mode: one record, many whole messages -------------------------------------- */

#define NAMES_MAX (2 * WIRE_NAME_MAX)
#define ENTRY_MAX (sizeof(struct wire_kafka_entry) + WIRE_KEY_MAX + WIRE_HEADERS_MAX)
/* an entry that begins no later ends within a record */
#define ENTRY_OFF_MAX (WIRE_RECORD_MAX - sizeof(struct wire_kafka_delivered) - ENTRY_MAX - 8)
_Static_assert(RING_5120 >= sizeof(struct wire_kafka_delivered) + ENTRY_OFF_MAX + ENTRY_MAX -
	       WIRE_HEADERS_MAX + LIST_ROOM, "room for the last entry");

struct delivery {
	struct batch *b;
	struct wire_kafka_delivered *r;		/* pad: bytes of the tail, until it is done */
};

static long entry_list_step(__u32 i, struct list_walk *w)
{
	return list_step(i, w, WIRE_HEADERS_MAX, LIST_NAME_MAX, LIST_VALUE_MAX);
}

static void entry_fill(struct wire_kafka_entry *e, const struct batch *b, const struct message *m)
{
	e->msg = b->message;
	e->offset = m->offset;
	e->timestamp_ms = m->timestamp_type ? m->timestamp_ms : -1;
	e->enqueued_us = m->producer.enqueued_us;
	e->partition = m->partition;
	e->err = b->err ? b->err : m->err;
	e->key_len = m->key_len;
	e->value_len = m->len;
	e->headers_len = 0;
	e->retries = m->producer.retries;
	e->status = m->status;
	e->headers_captured = 0;
	e->flags = message_flags(m);
}

static long delivery_step(__u32 i UNUSED, struct delivery *d)
{
	struct wire_kafka_entry *e;
	struct list_walk w;
	struct message m;
	__u32 off = d->r->pad, used;

	barrier_var(off);
	if (off > ENTRY_OFF_MAX)
		return 1;
	if (!d->b->message || !message_read(&m, d->b->message)) {
		d->b->is_stopped = 1;
		return 1;
	}
	e = (void *)(d->r + 1) + off;
	entry_fill(e, d->b, &m);
	used = e->key_captured = append_key((__u8 *)(e + 1), &m);
	if (m.headers) {
		barrier_var(used);
		if (used > WIRE_KEY_MAX)
			used = 0;
		w.tail = (__u8 *)(e + 1) + used;
		w.used = &e->headers_captured;
		w.whole = &e->headers_len;
		e->flags |= WIRE_KAFKA_LIST_HEADERS;
		if (list_walk(&w, m.headers, entry_list_step)) {
			count(FAIL_HEADERS_CUT);
			e->flags |= WIRE_KAFKA_CUT_HEADERS;
		}
		used += e->headers_captured;
	}
	d->r->pad = (off + sizeof(*e) + used + 7) & ~7U;
	d->r->count++;
	d->b->message = m.next;
	return 0;
}

static long deliveries_step(__u32 i UNUSED, struct batch *b)
{
	struct wire_kafka_delivered *r;
	struct delivery d;
	__u8 *tail;
	__u32 off;

	if (b->done >= b->count || b->is_stopped)
		return 1;
	r = ring_reserve(RING_5120);
	if (!r)
		return 1;
	d.b = b;
	d.r = r;
	tail = (__u8 *)(r + 1);
	off = r->topic_captured = append_string(tail, b->topic, WIRE_NAME_MAX);
	barrier_var(off);
	if (off >= WIRE_NAME_MAX)
		off = 0;
	r->client_captured = append_string(tail + off, b->k->name_off ? b->rk + b->k->name_off : 0,
					   WIRE_NAME_MAX);
	r->pad = (off + r->client_captured + 7) & ~7U;
	r->count = 0;
	bpf_loop(b->count - b->done, delivery_step, &d, 0);
	if (!r->count) {
		ring_abandon(r);
		return 1;
	}
	head_fill(&r->head, WIRE_KAFKA_DELIVERED, b->ts_ns, 0);
	r->head.len = sizeof(*r) + r->pad;
	r->client = b->rk;
	r->sent_ns = b->sent_ns;
	r->batch_count = b->count;
	r->pad = 0;
	b->done += r->count;
	ring_submit(r);
	return 0;
}

/* --- probes --------------------------------------------------------------------------- */

/* Did on_send not see this message? The first of a batch is its oldest. */
static bool is_unsent(const struct batch *b, const struct message *first)
{
	const struct target_knobs *t = target_knobs_get();
	__u64 enqueued_us = first->producer.enqueued_us;

	return b->k->is_light || enqueued_us < b->k->full_since_us ||
	       (t && enqueued_us < t->since_us);
}

static void batch_emit(struct batch *b, __u64 cookie)
{
	struct message first;
	__u64 key = bpf_get_current_pid_tgid(), *sent;

	if (!b->message || !b->count)
		return;
	if (!message_read(&first, b->message)) {
		count_add(FAIL_BATCH_LOST, b->count);
		return;
	}
	b->ts_ns = bpf_ktime_get_ns();
	kafka_seen(cookie, b->count);
	kafka_client_tell(b->k, b->rk, b->ts_ns);
	/* errors of librdkafka's own are no answers */
	sent = b->err >= 0 && first.err >= 0 ? bpf_map_lookup_elem(&kafka_sent, &key) : NULL;
	if (sent && *sent >= first.producer.enqueued_us * 1000)
		b->sent_ns = *sent;
	if (b->count > BATCH_MAX) {
		count_add(FAIL_BATCH_CUT, b->count - BATCH_MAX);
		b->count = BATCH_MAX;
	}
	if (is_unsent(b, &first)) {
		b->topic = message_topic(first.topic, b->k->topic_off);
		bpf_loop(BATCH_MAX, deliveries_step, b, 0);
	} else {
		bpf_loop(BATCH_MAX, acks_step, b, 0);
	}
	if (b->done < b->count)
		count_add(FAIL_BATCH_LOST, b->count - b->done);
}

/* rd_kafka_interceptors_on_acknowledgement_queue(rk, queue, err): once a partition's batch */
SEC("?uprobe.multi")
int kafka_ack_queue(struct pt_regs *ctx)
{
	struct {
		__u64 first, last;
		__s32 count, pad;
	} queue;
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct batch b = { .rk = CALL_ARG0(ctx), .err = (__s32)CALL_ARG2(ctx) };

	b.k = kafka_file(cookie);
	if (!b.k || !target_is_traced())
		return 0;
	if (bpf_probe_read_user(&queue, sizeof(queue), (const void *)CALL_ARG1(ctx))) {
		count(KERNEL_RECORDS);
		count(LOST_READ_FAULT);
		return 0;
	}
	b.message = queue.first;
	b.count = queue.count < 0 ? 0 : queue.count;
	batch_emit(&b, cookie);
	return 0;
}

/*
 * The calls of rd_kafka_interceptors_on_acknowledgement(rk, message) that do not come from the
 * queue's function: produce has accepted a message and then failed.
 */
SEC("?uprobe.multi")
int kafka_ack_one(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx);
	struct batch b = {
		.rk = CALL_ARG0(ctx), .message = CALL_ARG1(ctx), .count = 1,
	};

	b.k = kafka_file(cookie);
	if (b.k && target_is_traced())
		batch_emit(&b, cookie);
	return 0;
}

/*
 * rd_kafka_interceptors_on_response_received(rk, socket, broker name, broker id, api key, api
 * version, correlation id, size, round-trip time, err): a broker thread, just before it handles
 * the answer. The round trip, in microseconds, is the third argument on the stack.
 */
SEC("?uprobe.multi")
int kafka_response(struct pt_regs *ctx)
{
	__u64 key = bpf_get_current_pid_tgid(), sent_ns;

	if ((__s16)CALL_ARG4(ctx) != API_PRODUCE || !target_is_traced())
		return 0;
	sent_ns = bpf_ktime_get_ns() - user_word(CALL_STACK(ctx) + 24) * 1000;
	bpf_map_update_elem(&kafka_sent, &key, &sent_ns, BPF_ANY);
	return 0;
}
