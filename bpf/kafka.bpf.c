/*
 * kafka: librdkafka's interceptor call points, which every produced and consumed message passes
 * whether or not an interceptor is registered; and its poll functions' entries.
 */
#include "compat.bpf.h"
#include "kafka.bpf.h"

#define HANDLES_MAX 4096

struct handle_key {
	__u64 tgid, queue;
};

/* Runtimes that move their work between threads: what a handle gave last, to be ended by its
 * next poll on whichever thread.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, HANDLES_MAX);
	__type(key, struct handle_key);
	__type(value, struct wire_label);
} kafka_handles SEC(".maps");

static bool is_by_handle(void)
{
	const struct target_knobs *k = target_knobs_get();

	return k && k->by_handle;
}

/* rd_kafka_interceptors_on_send(rk, message): the producing thread */
SEC("?uprobe.multi")
int kafka_send(struct pt_regs *ctx)
{
	struct wire_labels labels;
	struct parts p = {
		.rk = CALL_ARG0(ctx),
		.address = CALL_ARG1(ctx),
		.labels = &labels,
	};

	p.k = kafka_file(bpf_get_attach_cookie(ctx));
	if (!p.k || !target_is_traced() || !message_read(&p.m, p.address))
		return 0;
	p.ts_ns = bpf_ktime_get_ns();
	p.flags = label_resolve(&labels, NULL);
	message_emit(&p, WIRE_KAFKA_SEND);
	return 0;
}

static void handle_consumed(const struct wire_label *label, __u64 queue)
{
	struct handle_key key = { bpf_get_current_pid_tgid() >> 32, queue };

	bpf_map_update_elem(&kafka_handles, &key, label, BPF_ANY);
}

/* rd_kafka_interceptors_on_consume(rk, message): the thread that is about to get it */
SEC("?uprobe.multi")
int kafka_consume(struct pt_regs *ctx)
{
	struct wire_label label = { .kind = LABEL_KAFKA };
	struct wire_labels labels;
	struct poll poll = { 0 };
	struct parts p = {
		.rk = CALL_ARG0(ctx),
		.address = CALL_ARG1(ctx),
		.labels = &labels,
	};
	bool by_handle;

	p.k = kafka_file(bpf_get_attach_cookie(ctx));
	if (!p.k || !target_is_traced() || !message_read(&p.m, p.address))
		return 0;
	p.ts_ns = bpf_ktime_get_ns();
	kafka_client_tell(p.k, p.rk, p.ts_ns);
	label.id = p.ts_ns;
	label.op = (__u32)bpf_get_current_pid_tgid();
	by_handle = is_by_handle();
	label_consumed(by_handle ? 0 : p.ts_ns, &poll);
	p.flags = label_resolve(&labels, by_handle ? NULL : &label);
	if (by_handle)
		handle_consumed(&label, poll.queue);
	p.polled_ns = poll.ts_ns;
	p.queue = poll.queue;
	if (poll.kind == KAFKA_POLL_BATCH)
		p.kafka_flags = WIRE_KAFKA_BATCH_POLL;
	else if (poll.kind == KAFKA_POLL_CALLBACK)
		p.kafka_flags = WIRE_KAFKA_CALLBACK_POLL;
	if (p.m.consumer.raw_len > 0) {
		p.raw = p.m.consumer.raw;
		p.raw_len = p.m.consumer.raw_len;
	}
	message_emit(&p, WIRE_KAFKA_CONSUME);
	return 0;
}

static void poll_emit(const struct wire_label *ended, const struct poll *poll)
{
	struct wire_kafka_poll *r = ring_reserve(RING_96);

	if (!r)
		return;
	head_fill(&r->head, WIRE_KAFKA_POLL, poll->ts_ns, 0);
	r->head.len = sizeof(*r);
	r->ended = *ended;
	r->queue = poll->queue;
	ring_submit(r);
}

static void poll_by_handle(const struct poll *poll)
{
	struct handle_key key = { bpf_get_current_pid_tgid() >> 32, poll->queue };
	struct wire_label *held = bpf_map_lookup_elem(&kafka_handles, &key), ended;

	if (!held)
		return;
	ended = *held;
	bpf_map_delete_elem(&kafka_handles, &key);
	poll_emit(&ended, poll);
}

/* Entry of a poll function: this thread has done with the message that it got before. */
SEC("?uprobe.multi")
int kafka_poll(struct pt_regs *ctx)
{
	struct poll poll = {
		.queue = CALL_ARG0(ctx), .kind = bpf_get_attach_cookie(ctx) >> 32,
	};
	struct wire_label ended;

	if (!target_is_traced())
		return 0;
	poll.ts_ns = bpf_ktime_get_ns();
	if (label_polled(&poll, &ended))
		poll_emit(&ended, &poll);
	if (is_by_handle())
		poll_by_handle(&poll);
	return 0;
}
