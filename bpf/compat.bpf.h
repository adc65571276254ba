/* compat: each difference between kernels or machines as one wrapper, with the version. */
#ifndef COMPAT_BPF_H
#define COMPAT_BPF_H

#include "core.bpf.h"

/*
 * Arguments of the system call that this thread is in, as it passed them; valid until its exit
 * has returned. bpf_task_pt_regs(): 5.15. x86-64: only the first is overwritten, not among these.
 */
static __always_inline const struct pt_regs *syscall_regs(void)
{
	return (const void *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

#define SYSCALL_ARG0(regs) ((regs)->di)
#define SYSCALL_ARG1(regs) ((regs)->si)
#define SYSCALL_ARG2(regs) ((regs)->dx)
#define SYSCALL_ARG3(regs) ((regs)->r10)
#define SYSCALL_ARG4(regs) ((regs)->r8)

/* Arguments and result of a function that a uprobe stands on. */
#define CALL_ARG0(regs) ((regs)->di)
#define CALL_ARG1(regs) ((regs)->si)
#define CALL_ARG2(regs) ((regs)->dx)
#define CALL_ARG4(regs) ((regs)->r8)
#define CALL_STACK(regs) ((regs)->sp)	/* at the entry: the return address; then arguments */
#define CALL_RESULT(regs) ((regs)->ax)

/* NULL: the root. The field is kernfs_node.__parent since 6.15. */
static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *kn)
{
	struct kernfs_node___before_6_15 *old = (void *)kn;

	if (bpf_core_field_exists(kn->__parent))
		return BPF_CORE_READ(kn, __parent);
	return BPF_CORE_READ(old, parent);
}

#endif
