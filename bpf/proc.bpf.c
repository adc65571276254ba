/*
 * proc: the life of processes: fork, exec, exit, and files mapped executable.
 *
 * For targets always; with knobs.watch_exec, exec, exit and map records of all processes, from
 * which the agent finds new targets.
 */
#include "compat.bpf.h"

#define NAME_ROOM (WIRE_NAME_MAX - 1)	/* the largest a name may be, without its NUL */

static bool is_watched(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return target_is_traced() || (knobs.watch_exec && tgid != knobs.self_tgid);
}

/* args: parent, child */
SEC("?raw_tp/sched_process_fork")
int fork_done(struct raw_ctx *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	int tgid = BPF_CORE_READ(child, tgid);
	struct wire_fork *r;

	if (BPF_CORE_READ(child, pid) != tgid || !target_is_traced())
		return 0;	/* a thread, or not ours */
	target_fork(bpf_get_current_pid_tgid() >> 32, tgid);
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	head_fill(&r->head, WIRE_FORK, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->child_start_ns = BPF_CORE_READ(child, start_time);
	r->child_tgid = tgid;
	r->pad = 0;
	ring_submit(r);
	return 0;
}

static struct kernfs_node *node_of_subsys(struct css_set *set, __u32 id)
{
	struct cgroup_subsys_state *css = NULL;

	bpf_core_read(&css, sizeof(css), (void *)&set->subsys[0] + id * sizeof(css));
	return BPF_CORE_READ(css, cgroup, kn);
}

/*
 * The process's cgroup: the unified one; where that is the root (hybrid set-ups, cgroup v1),
 * the memory controller's, then the pids controller's. NULL: all are roots.
 */
static struct kernfs_node *cgroup_node(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *kn = BPF_CORE_READ(set, dfl_cgrp, kn);

	if (kernfs_parent(kn))
		return kn;
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id)) {
		kn = node_of_subsys(set, bpf_core_enum_value(enum cgroup_subsys_id,
							     memory_cgrp_id));
		if (kernfs_parent(kn))
			return kn;
	}
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		kn = node_of_subsys(set, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
		if (kernfs_parent(kn))
			return kn;
	}
	return NULL;
}

/* Appends @name at @off of the tail; returns its length. A kernel string that cannot be read,
 * or NULL, is empty.
 */
static __always_inline __u32 append_name(struct wire_exec *r, __u32 off, const char *name)
{
	__s64 n;

	if (off > 2 * WIRE_NAME_MAX)
		return 0;	/* for the verifier: two names stand before this one at most */
	n = bpf_probe_read_kernel_str((__u8 *)(r + 1) + off, WIRE_NAME_MAX, name);
	return n > 1 ? (n - 1) & NAME_ROOM : 0;
}
_Static_assert(RING_1536 >= sizeof(struct wire_exec) + 3 * WIRE_NAME_MAX, "room for three names");

static void exec_fill(struct wire_exec *r, struct task_struct *task, const char *filename)
{
	struct kernfs_node *kn = cgroup_node(task);
	__u32 off;

	head_fill(&r->head, WIRE_EXEC, bpf_ktime_get_ns(), 0);
	r->cgroup_id = kn ? BPF_CORE_READ(kn, id) : 0;
	r->parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
	off = r->filename_captured = append_name(r, 0, filename);
	r->leaf_captured = 0;
	r->parent_captured = 0;
	r->pad[0] = r->pad[1] = r->pad[2] = 0;
	if (kn) {
		r->leaf_captured = append_name(r, off, BPF_CORE_READ(kn, name));
		off += r->leaf_captured;
		r->parent_captured = append_name(r, off, BPF_CORE_READ(kernfs_parent(kn), name));
		off += r->parent_captured;
	}
	r->head.len = sizeof(*r) + off;
}

/* args: task, its thread id before, binary */
SEC("?raw_tp/sched_process_exec")
int exec_done(struct raw_ctx *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct linux_binprm *binary = (void *)ctx->args[2];
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct wire_exec *r;

	if (!is_watched())
		return 0;
	target_exec(tgid);
	label_forget(tgid, (__u32)ctx->args[1]);
	label_forget(tgid, tgid);
	r = ring_reserve(RING_1536);
	if (!r)
		return 0;
	exec_fill(r, task, BPF_CORE_READ(binary, filename));
	ring_submit_urgent(r);
	return 0;
}

/* What wait(2) will say of the process. */
static __s32 exit_code(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

/*
 * Each thread passes here; the process is over when none is left alive. Two threads that end at
 * the same instant may both see that: then there are two records, which say the same.
 */
SEC("?raw_tp/sched_process_exit")
int exit_begin(struct raw_ctx *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tgid = id >> 32;
	bool watched = is_watched();
	struct wire_exit *r;

	label_forget(tgid, (__u32)id);
	stash_forget(tgid, (__u32)id);
	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;
	target_exit(tgid);
	if (!watched)
		return 0;
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	head_fill(&r->head, WIRE_EXIT, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->code = exit_code(task);
	r->pad = 0;
	ring_submit(r);
	return 0;
}

/*
 * Not a probe: the agent runs it over one process to learn when that started, as records have it.
 * /proc knows it by another clock and to 10 ms only.
 */
SEC("?iter/task")
int process_start(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u64 start_ns;

	if (!task)
		return 0;
	start_ns = BPF_CORE_READ(task, group_leader, start_time);
	bpf_seq_write(ctx->meta->seq, &start_ns, sizeof(start_ns));
	return 0;
}

SEC("?tp/syscalls/sys_exit_mmap")
int mmap_exit(struct sys_exit_ctx *ctx)
{
	const struct pt_regs *regs;
	struct wire_map *r;

	if (ctx->ret < 0 && ctx->ret > -4096)
		return 0;
	regs = syscall_regs();
	if (!(SYSCALL_ARG2(regs) & PROT_EXEC) || SYSCALL_ARG3(regs) & MAP_ANONYMOUS ||
	    (__s32)SYSCALL_ARG4(regs) < 0 || !is_watched())
		return 0;
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	head_fill(&r->head, WIRE_MAP, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	ring_submit_urgent(r);
	return 0;
}
