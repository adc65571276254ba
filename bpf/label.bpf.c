/*
 * label: owner of the labels: which inbound message a thread or a runtime task works for.
 *
 * A label names the inbound connection or message, never a request: the agent resolves it late.
 * Stale is worse than none: whatever ends or re-creates a holder clears or overwrites its label.
 */
#include "core.bpf.h"

#define THREADS_MAX 65536
#define TASKS_MAX 131072	/* least recently used: nobody tells us when a context is freed */

struct thread {
	struct wire_label label;
	__u64 consumed;		/* id of the Kafka message in processing; 0: none */
	__u64 accepted;		/* connection that no task has taken yet; 0: none */
	struct poll poll;	/* the Kafka poll that it is in, or was in last */
	__u32 is_loop;
	__u32 pad;
};

#define OP_LATEST 0		/* label of a task that serves a connection, not a request of it */

struct task_key {
	__u64 tgid;
	__u64 task;		/* address of the runtime's task object */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, THREADS_MAX);
	__type(key, __u64);			/* tgid, tid */
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TASKS_MAX);
	__type(key, struct task_key);
	__type(value, struct wire_label);
} tasks SEC(".maps");

static struct thread *thread_get(void)
{
	__u64 key = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&threads, &key);
}

static struct thread *thread_get_or_make(void)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct thread none = { 0 };
	struct thread *t;

	t = bpf_map_lookup_elem(&threads, &key);
	if (t)
		return t;
	if (bpf_map_update_elem(&threads, &key, &none, BPF_ANY))
		count(FAIL_LABEL_FULL);
	return bpf_map_lookup_elem(&threads, &key);
}

static bool read_user_word(__u64 *ret, __u64 address)
{
	if (!bpf_probe_read_user(ret, sizeof(*ret), (const void *)address))
		return true;
	count(FAIL_READ_FAULT);
	return false;
}

/* The Python context that this thread runs in: thread state by its thread-local slot, then its
 * field. Not by the interpreter's "current" state: that is unset while the GIL is released,
 * which is always so during a system call. 0: none, or not Python.
 */
static __u64 python_context(void)
{
	const struct target_knobs *k = target_knobs_get();
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 address, state, context, type;

	if (!k || !k->py_context_type)
		return 0;
	address = BPF_CORE_READ(task, thread.fsbase);
	address += k->py_tss_slot ? k->py_tss_slot : (__u64)k->py_tls;
	if (!read_user_word(&state, address) || !state)
		return 0;
	if (!read_user_word(&context, state + k->py_context_off) || !context)
		return 0;
	/* ob_type stands behind the reference count; anything else is not a context */
	if (!read_user_word(&type, context + 8))
		return 0;
	if (type != k->py_context_type) {
		count(FAIL_TASK_TYPE);
		return 0;
	}
	return context;
}

static void task_key_fill(struct task_key *key, __u64 task)
{
	key->tgid = bpf_get_current_pid_tgid() >> 32;
	key->task = task;
}

static void task_label_set(__u64 task, const struct wire_label *label)
{
	struct task_key key;

	task_key_fill(&key, task);
	if (bpf_map_update_elem(&tasks, &key, label, BPF_ANY))
		count(FAIL_LABEL_FULL);
}

static const struct wire_label *task_label_get(__u64 task)
{
	struct task_key key;

	task_key_fill(&key, task);
	return bpf_map_lookup_elem(&tasks, &key);
}

static void task_label_clear(__u64 task)
{
	struct task_key key;

	task_key_fill(&key, task);
	bpf_map_delete_elem(&tasks, &key);
}

/*
 * Servers that make their task when the connection comes, before any request, label it with the
 * connection. It works for what was read last; nothing read, or not HTTP: for nothing.
 */
static void task_label_read(struct wire_label *ret, __u64 task)
{
	const struct wire_label *label = task_label_get(task);
	struct conn *c;

	if (!label)
		return;
	*ret = *label;
	if (ret->kind != LABEL_HTTP || ret->op != OP_LATEST)
		return;
	c = conn_get(ret->id);
	if (c && c->sock.role == ROLE_SERVER)
		ret->op = c->op[DIR_IN];
	if (ret->op == OP_LATEST)
		__builtin_memset(ret, 0, sizeof(*ret));
}

__hidden __u32 label_resolve(struct wire_labels *ret, const struct wire_label *inbound)
{
	struct thread *t;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->task_id = python_context();
	t = inbound ? thread_get_or_make() : thread_get();
	if (inbound) {
		if (t)
			t->label = *inbound;
		if (ret->task_id)
			task_label_set(ret->task_id, inbound);
	}
	if (ret->task_id)
		task_label_read(&ret->task, ret->task_id);
	if (!t)
		return 0;
	ret->thread = t->label;
	return t->is_loop ? WIRE_F_LOOP_THREAD : 0;
}

/* The label of a message goes with it, from the thread and from the task. */
static void consumed_clear(struct thread *t, __u64 id)
{
	const struct wire_label *label;
	__u64 context;

	if (t->label.kind == LABEL_KAFKA)
		__builtin_memset(&t->label, 0, sizeof(t->label));
	context = python_context();
	if (!context)
		return;
	label = task_label_get(context);
	if (label && label->kind == LABEL_KAFKA && label->id == id)
		task_label_clear(context);
}

/* Kept beside the label: a loop that waits for events or serves HTTP meanwhile loses the label,
 * and yet the processing of its message ends at its next poll only.
 */
__hidden bool label_polled(const struct poll *poll, struct wire_label *ret)
{
	struct thread *t = thread_get_or_make();
	__u64 id;

	if (!t)
		return false;
	t->poll = *poll;
	id = t->consumed;
	if (!id)
		return false;
	t->consumed = 0;
	consumed_clear(t, id);
	ret->kind = LABEL_KAFKA;
	ret->id = id;
	ret->op = (__u32)bpf_get_current_pid_tgid();
	return true;
}

__hidden void label_consumed(__u64 id, struct poll *ret)
{
	struct thread *t = thread_get_or_make();

	if (!t)
		return;
	t->consumed = id;
	*ret = t->poll;
}

__hidden void label_loop(void)
{
	struct thread *t = thread_get_or_make();

	if (!t)
		return;
	t->is_loop = 1;
	t->accepted = 0;
	__builtin_memset(&t->label, 0, sizeof(t->label));
}

/* Of use only where tasks are known: the next one that is made here is for this connection. */
__hidden void label_accepted(__u64 ino)
{
	const struct target_knobs *k = target_knobs_get();
	struct thread *t;

	if (!k || !k->py_context_type)
		return;
	t = thread_get_or_make();
	if (t)
		t->accepted = ino;
}

/* The new context takes the label of the one it was copied from; none is taken too, since its
 * address may have been that of an older, labeled one.
 */
__hidden void label_copied(__u64 child)
{
	struct wire_label copy = { .kind = LABEL_HTTP, .op = OP_LATEST };
	const struct wire_label *label = NULL;
	struct thread *t = thread_get();
	__u64 parent;

	if (t && t->accepted) {
		copy.id = t->accepted;
		t->accepted = 0;
		task_label_set(child, &copy);
		return;
	}
	parent = python_context();
	if (parent)
		label = task_label_get(parent);
	if (!label) {
		task_label_clear(child);
		return;
	}
	copy = *label;
	task_label_set(child, &copy);
}

__hidden void label_forget(__u32 tgid, __u32 tid)
{
	__u64 key = (__u64)tgid << 32 | tid;

	bpf_map_delete_elem(&threads, &key);
}
