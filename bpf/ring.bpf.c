/*
 * ring: owner of the ring buffer and of the counters.
 *
 * Every record that a probe wants to send is counted once, and again as submitted or as lost
 * with its cause, so KERNEL_RECORDS = KERNEL_SUBMITTED + all LOST_* whenever no probe is running.
 */
#include "core.bpf.h"

#define WAKE_NS 5000000ULL	/* between two wake-ups */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 << 20);		/* user space may choose another size */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_KERNEL_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

__hidden void count_add(enum counter id, __u64 n)
{
	__u32 key = id;
	__u64 *value;

	value = bpf_map_lookup_elem(&counters, &key);
	if (value)
		/* atomic although per CPU: a uprobe's program may be preempted by another */
		__sync_fetch_and_add(value, n);
}

__hidden void count(enum counter id)
{
	count_add(id, 1);
}

/* The verifier must see the size as a constant: one call a size. */
static void *reserve(__u32 room)
{
	switch (room) {
	case RING_96:
		return bpf_ringbuf_reserve(&ring, RING_96, 0);
	case RING_256:
		return bpf_ringbuf_reserve(&ring, RING_256, 0);
	case RING_768:
		return bpf_ringbuf_reserve(&ring, RING_768, 0);
	case RING_512:
		return bpf_ringbuf_reserve(&ring, RING_512, 0);
	case RING_640:
		return bpf_ringbuf_reserve(&ring, RING_640, 0);
	case RING_1536:
		return bpf_ringbuf_reserve(&ring, RING_1536, 0);
	case RING_2560:
		return bpf_ringbuf_reserve(&ring, RING_2560, 0);
	case RING_4352:
		return bpf_ringbuf_reserve(&ring, RING_4352, 0);
	case RING_5120:
		return bpf_ringbuf_reserve(&ring, RING_5120, 0);
	}
	return NULL;
}

__hidden void *ring_reserve(__u32 room)
{
	void *record;

	count(KERNEL_RECORDS);
	record = reserve(room);
	if (!record)
		count(LOST_RING_FULL);
	return record;
}

static __u64 woke_ns;		/* when the agent was woken last */

/*
 * A wake-up costs more than a probe, since it interrupts this processor: an agent that is behind
 * is not woken for each record, and it looks by itself every 20 ms.
 */
static bool is_to_be_woken(const struct wire_head *h)
{
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) < knobs.wake_bytes ||
	    h->ts_ns - woke_ns < WAKE_NS)
		return false;
	woke_ns = h->ts_ns;
	return true;
}

__hidden void ring_submit(void *record)
{
	bpf_ringbuf_submit(record, is_to_be_woken(record) ? BPF_RB_FORCE_WAKEUP
							   : BPF_RB_NO_WAKEUP);
	count(KERNEL_SUBMITTED);
}

__hidden void ring_submit_urgent(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	count(KERNEL_SUBMITTED);
}

__hidden void ring_discard(void *record, enum counter cause)
{
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	count(cause);
}

__hidden void ring_abandon(void *record)
{
	bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
	count_add(KERNEL_RECORDS, -1ULL);
}

__hidden void head_fill(struct wire_head *h, enum wire_kind kind, __u64 ts_ns, __u32 flags)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 id = bpf_get_current_pid_tgid();

	h->kind = kind;
	h->flags = flags;
	h->ts_ns = ts_ns;
	h->tgid = id >> 32;
	h->tid = (__u32)id;
	h->start_ns = task->group_leader->start_time;
}
