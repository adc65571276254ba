/*
 * kafka: librdkafka's interceptor call points, which every produced, acknowledged and consumed
 * message passes whether or not an interceptor is registered; and its poll functions' entries.
 */
#include "compat.bpf.h"
#include "kafka.bpf.h"

#define BATCH_MAX 10000		/* messages of an acknowledged batch: librdkafka's default limit */

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

	if (!target_is_traced() || !message_read(&p.m, p.address))
		return 0;
	p.cookie = bpf_get_attach_cookie(ctx);
	p.ts_ns = bpf_ktime_get_ns();
	p.flags = label_resolve(&labels, NULL);
	message_emit(&p, WIRE_KAFKA_SEND);
	return 0;
}

/* rd_kafka_interceptors_on_consume(rk, message): the thread that is about to get it */
SEC("?uprobe.multi")
int kafka_consume(struct pt_regs *ctx)
{
	struct wire_label label = { .kind = LABEL_KAFKA };
	struct wire_labels labels;
	struct parts p = {
		.rk = CALL_ARG0(ctx),
		.address = CALL_ARG1(ctx),
		.labels = &labels,
	};

	if (!target_is_traced() || !message_read(&p.m, p.address))
		return 0;
	p.cookie = bpf_get_attach_cookie(ctx);
	p.ts_ns = bpf_ktime_get_ns();
	label.id = p.ts_ns;
	label.op = (__u32)bpf_get_current_pid_tgid();
	p.flags = label_resolve(&labels, &label);
	label_consumed(p.ts_ns);
	if (p.m.consumer.raw_len > 0) {
		p.raw = p.m.consumer.raw;
		p.raw_len = p.m.consumer.raw_len;
	}
	message_emit(&p, WIRE_KAFKA_CONSUME);
	return 0;
}

/* Entry of a poll function: this thread has done with the message that it got before. */
SEC("?uprobe.multi")
int kafka_poll(void *ctx UNUSED)
{
	struct wire_kafka_poll *r;
	struct wire_label ended;

	if (!target_is_traced() || !label_take_consumed(&ended))
		return 0;
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	head_fill(&r->head, WIRE_KAFKA_POLL, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->ended = ended;
	ring_submit(r);
	return 0;
}

struct ack_walk {
	__u64 message, rk, ts_ns;
	__s32 err;
	__u32 batch_count;
	__u32 is_stopped, pad;
};

static long ack_step(__u32 i UNUSED, struct ack_walk *w)
{
	struct wire_kafka_ack *r;
	struct message m;

	if (!w->message || !message_read(&m, w->message)) {
		w->is_stopped = 1;	/* no count here: the verifier would follow its values */
		return 1;
	}
	r = ring_reserve(RING_96);
	if (r) {
		struct wire_kafka_acked *one = (void *)(r + 1);

		head_fill(&r->head, WIRE_KAFKA_ACK, w->ts_ns, 0);
		r->head.len = sizeof(*r) + sizeof(*one);
		r->client = w->rk;
		r->sent_ns = 0;
		r->batch_count = w->batch_count;
		r->count = 1;
		one->msg = w->message;
		one->offset = m.offset;
		one->partition = m.partition;
		one->err = w->err ? w->err : m.err;
		one->retries = 0;
		one->status = m.status;
		ring_submit(r);
	}
	w->message = m.next;	/* of a lost one too: each is counted */
	return 0;
}

/* rd_kafka_interceptors_on_acknowledgement_queue(rk, queue, err): once a partition's batch */
SEC("?uprobe.multi")
int kafka_ack_queue(struct pt_regs *ctx)
{
	struct {
		__u64 first, last;
		__s32 count, pad;
	} queue;
	struct ack_walk w = { .rk = CALL_ARG0(ctx), .err = (__s32)CALL_ARG2(ctx) };
	__u32 n, done;

	if (!target_is_traced())
		return 0;
	if (bpf_probe_read_user(&queue, sizeof(queue), (const void *)CALL_ARG1(ctx))) {
		count(KERNEL_RECORDS);
		count(LOST_READ_FAULT);
		return 0;
	}
	n = queue.count < 0 ? 0 : queue.count;
	w.message = queue.first;
	w.batch_count = n;
	w.ts_ns = bpf_ktime_get_ns();
	done = bpf_loop(n < BATCH_MAX ? n : BATCH_MAX, ack_step, &w, 0);
	if (w.is_stopped)
		done--;
	if (done < n)
		count_add(FAIL_BATCH_CUT, n - done);
	return 0;
}
