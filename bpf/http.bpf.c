/*
 * http: the system calls that move bytes of stream sockets.
 *
 * Receives are seen at their exit only: the buffer is full then, and nothing is remembered. Sends
 * are timed at entry, since the peer may answer before they return, and reported at exit, when
 * the accepted length is known and the buffer is still what was sent.
 */
#include "compat.bpf.h"

enum shape {		/* how the call describes its bytes */
	SHAPE_FLAT,	/* buffer, length */
	SHAPE_VECTOR,	/* iovecs, count */
	SHAPE_MESSAGE,	/* struct user_msghdr */
};

/* A failure worth telling: the call was not merely to be tried again. */
static bool is_failure(__s64 ret)
{
	return ret < 0 && ret > -ERESTART_FIRST && ret != -EAGAIN && ret != -EINTR;
}

static int describe(struct io *io, enum shape shape, __u64 arg1, __u64 arg2)
{
	struct user_msghdr msg;

	io->buf = arg1;
	io->iov_count = shape == SHAPE_VECTOR ? arg2 : 0;
	if (shape != SHAPE_MESSAGE)
		return 0;
	if (bpf_probe_read_user(&msg, sizeof(msg), (const void *)arg1)) {
		count(FAIL_READ_FAULT);
		return -EBADF;
	}
	io->buf = msg.iov;
	io->iov_count = msg.iov_count;
	return 0;
}

static int receive(__s64 ret, enum shape shape)
{
	const struct pt_regs *regs = syscall_regs();
	struct io io = { .dir = DIR_IN };

	if (conn_ref_get(&io.ref, SYSCALL_ARG0(regs)))
		return 0;
	if (ret <= 0 && !conn_get(io.ref.ino))
		return 0;
	if (ret <= 0 && shape == SHAPE_FLAT && !SYSCALL_ARG2(regs))
		return 0;	/* nothing was asked for: not the end */
	if (describe(&io, shape, SYSCALL_ARG1(regs), SYSCALL_ARG2(regs)))
		return 0;
	io.ts_ns = bpf_ktime_get_ns();
	if (ret > 0)
		io.bytes = ret;
	else if (ret == 0)
		io.flags = WIRE_IO_EOF;
	else
		io.flags = WIRE_IO_ERROR;
	io.err = ret < 0 ? -ret : 0;
	if (ret > 0 && conn_tcp_seq(&io.ref, DIR_IN, &io.tcp_seq)) {
		io.tcp_seq -= io.bytes;
		io.flags |= WIRE_IO_TCP_SEQ;
	}
	io_sniff(&io);
	io_emit(&io);
	return 0;
}

static bool is_wanted(__s64 ret)
{
	return (ret >= 0 || is_failure(ret)) && target_is_traced();
}

SEC("?tp/syscalls/sys_exit_read")
int read_exit(struct sys_exit_ctx *ctx)
{
	return is_wanted(ctx->ret) ? receive(ctx->ret, SHAPE_FLAT) : 0;
}

SEC("?tp/syscalls/sys_exit_readv")
int readv_exit(struct sys_exit_ctx *ctx)
{
	return is_wanted(ctx->ret) ? receive(ctx->ret, SHAPE_VECTOR) : 0;
}

SEC("?tp/syscalls/sys_exit_recvfrom")
int recvfrom_exit(struct sys_exit_ctx *ctx)
{
	/* bytes that are only peeked at come again */
	if (!is_wanted(ctx->ret) || SYSCALL_ARG3(syscall_regs()) & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	return receive(ctx->ret, SHAPE_FLAT);
}

SEC("?tp/syscalls/sys_exit_recvmsg")
int recvmsg_exit(struct sys_exit_ctx *ctx)
{
	if (!is_wanted(ctx->ret) || SYSCALL_ARG2(syscall_regs()) & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	return receive(ctx->ret, SHAPE_MESSAGE);
}

/* Remembers the call only if its connection is known, or is HTTP by its first bytes. */
static int send_begin(const struct sys_enter_ctx *ctx, enum shape shape)
{
	struct io io = { .dir = DIR_OUT };

	if (!target_is_traced() || conn_ref_get(&io.ref, ctx->args[0]))
		return 0;
	if (describe(&io, shape, ctx->args[1], ctx->args[2]))
		return 0;
	/* not the length yet, but enough for the first bytes */
	io.bytes = shape == SHAPE_FLAT && ctx->args[2] < SNIFF_BYTES ? ctx->args[2] : SNIFF_BYTES;
	io_sniff(&io);
	if (io.sniff == SNIFF_NONE && !conn_get(io.ref.ino))
		return 0;
	io.ts_ns = bpf_ktime_get_ns();
	if (conn_tcp_seq(&io.ref, DIR_OUT, &io.tcp_seq))
		io.flags = WIRE_IO_TCP_SEQ;
	stash_put(&io);
	return 0;
}

static int send_end(__s64 ret)
{
	struct io io;

	if (!target_is_traced() || stash_take(&io))
		return 0;
	if (ret == 0 || (ret < 0 && !is_failure(ret)))
		return 0;
	io.bytes = ret > 0 ? ret : 0;
	if (ret < 0) {
		io.err = -ret;
		io.flags = WIRE_IO_ERROR;
		io.sniff = SNIFF_NONE;	/* nothing was sent: no connection is opened for it */
	}
	io_emit(&io);
	return 0;
}

SEC("?tp/syscalls/sys_enter_write")
int write_enter(struct sys_enter_ctx *ctx)
{
	return send_begin(ctx, SHAPE_FLAT);
}

SEC("?tp/syscalls/sys_exit_write")
int write_exit(struct sys_exit_ctx *ctx)
{
	return send_end(ctx->ret);
}

SEC("?tp/syscalls/sys_enter_writev")
int writev_enter(struct sys_enter_ctx *ctx)
{
	return send_begin(ctx, SHAPE_VECTOR);
}

SEC("?tp/syscalls/sys_exit_writev")
int writev_exit(struct sys_exit_ctx *ctx)
{
	return send_end(ctx->ret);
}

SEC("?tp/syscalls/sys_enter_sendto")
int sendto_enter(struct sys_enter_ctx *ctx)
{
	return send_begin(ctx, SHAPE_FLAT);
}

SEC("?tp/syscalls/sys_exit_sendto")
int sendto_exit(struct sys_exit_ctx *ctx)
{
	return send_end(ctx->ret);
}

SEC("?tp/syscalls/sys_enter_sendmsg")
int sendmsg_enter(struct sys_enter_ctx *ctx)
{
	return send_begin(ctx, SHAPE_MESSAGE);
}

SEC("?tp/syscalls/sys_exit_sendmsg")
int sendmsg_exit(struct sys_exit_ctx *ctx)
{
	return send_end(ctx->ret);
}

/* Bytes of a file: part of a body, so they are counted, and never begin a message. */
SEC("?tp/syscalls/sys_exit_sendfile64")
int sendfile_exit(struct sys_exit_ctx *ctx)
{
	struct io io = { .dir = DIR_OUT, .sniff = SNIFF_NONE };

	if (ctx->ret <= 0 || !target_is_traced())
		return 0;
	if (conn_ref_get(&io.ref, SYSCALL_ARG0(syscall_regs())) || !conn_get(io.ref.ino))
		return 0;
	io.ts_ns = bpf_ktime_get_ns();
	io.bytes = ctx->ret;
	if (conn_tcp_seq(&io.ref, DIR_OUT, &io.tcp_seq)) {
		io.tcp_seq -= io.bytes;
		io.flags = WIRE_IO_TCP_SEQ;
	}
	io_emit(&io);
	return 0;
}

static int accepted(__s64 fd)
{
	struct conn_ref ref;

	if (fd >= 0 && target_is_traced() && !conn_ref_get(&ref, fd))
		label_accepted(ref.ino);
	return 0;
}

SEC("?tp/syscalls/sys_exit_accept")
int accept_exit(struct sys_exit_ctx *ctx)
{
	return accepted(ctx->ret);
}

SEC("?tp/syscalls/sys_exit_accept4")
int accept4_exit(struct sys_exit_ctx *ctx)
{
	return accepted(ctx->ret);
}

SEC("?tp/syscalls/sys_enter_close")
int close_enter(struct sys_enter_ctx *ctx)
{
	struct wire_close *r;
	__u64 ino;

	if (!target_is_traced() || !conn_close(ctx->args[0], &ino))
		return 0;
	r = ring_reserve(RING_96);
	if (!r)
		return 0;
	head_fill(&r->head, WIRE_CLOSE, bpf_ktime_get_ns(), 0);
	r->head.len = sizeof(*r);
	r->ino = ino;
	ring_submit(r);
	return 0;
}

/* epoll_wait: an event loop begins a new turn; poll and select do not say so (libc uses them). */
static int loop_turn(void)
{
	if (target_is_traced())
		label_loop();
	return 0;
}

SEC("?tp/syscalls/sys_enter_epoll_wait")
int epoll_wait_enter(void *ctx UNUSED)
{
	return loop_turn();
}

SEC("?tp/syscalls/sys_enter_epoll_pwait")
int epoll_pwait_enter(void *ctx UNUSED)
{
	return loop_turn();
}

SEC("?tp/syscalls/sys_enter_epoll_pwait2")
int epoll_pwait2_enter(void *ctx UNUSED)
{
	return loop_turn();
}
