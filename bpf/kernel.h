/*
 * kernel: the kernel's types as far as we touch them, and no further.
 *
 * The first half is read by CO-RE: libbpf moves each access to where the running kernel has the
 * field. The second half (registers, tracepoint contexts, iovec) has a fixed layout and is plain.
 */
#ifndef KERNEL_H
#define KERNEL_H

#define __VMLINUX_H__		/* wire.h and knobs.h: the types below are the kernel's */

#include <stdbool.h>
#include <stddef.h>

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

/* constants that bpf_helpers.h and its users expect of vmlinux.h */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum { BPF_ANY = 0 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define TCP_ESTABLISHED 1
#define TCP_CLOSE_WAIT 8
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define EAGAIN 11
#define EINTR 4
#define EBADF 9
#define ENOENT 2
#define ERESTART_FIRST 512	/* ERESTARTSYS and its kin: the call begins anew */
#define MSG_PEEK 2
#define MSG_ERRQUEUE 0x2000
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define SIGNAL_GROUP_EXIT 4

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *__parent;		/* since 6.15 */
};

struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];	/* really CGROUP_SUBSYS_COUNT */
	struct cgroup *dfl_cgrp;
};

enum cgroup_subsys_id { memory_cgrp_id = 1, pids_cgrp_id = 2 };	/* values by CO-RE */

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;			/* threads that have not begun to exit */
	int group_exit_code;
	unsigned int flags;
};

struct inode {
	__u16 i_mode;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct thread_struct {
	unsigned long fsbase;
};

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	__u64 start_time;		/* CLOCK_MONOTONIC */
	struct files_struct *files;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct thread_struct thread;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct linux_binprm {
	const char *filename;
};

struct in6_addr {
	__u8 bytes[16];
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;		/* a bit field before 5.6 */
};

struct tcp_sock {
	__u32 copied_seq;		/* next byte to hand to the program */
	__u32 write_seq;		/* next byte to be queued */
};

struct socket {
	short type;
	struct sock *sk;
};

#pragma clang attribute pop

#ifdef __TARGET_ARCH_x86
struct pt_regs {
	__u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	__u64 ip, cs, flags, sp, ss;
};
#else
#error "registers and system call arguments are written down for x86-64 only"
#endif

struct sys_enter_ctx {			/* perf tracepoint syscalls:sys_enter_x */
	__u64 common;
	__s64 nr;
	__u64 args[6];
};

struct sys_exit_ctx {
	__u64 common;
	__s64 nr;
	__s64 ret;
};

struct raw_ctx {			/* raw tracepoint: its arguments, widened */
	__u64 args[3];
};

struct iovec {
	__u64 base, len;
};

struct user_msghdr {			/* struct user_msghdr of the system call ABI */
	__u64 name;
	__u32 name_len, pad;
	__u64 iov, iov_count;
};

#endif
