/*
 * io: one operation on a stream socket -> what is kept of it: the connection's counts, the
 * labels of its holders, and a WIRE_IO record with as many bytes as its message may still give.
 */
#include "core.bpf.h"

#define GATHER_MAX 8			/* iovecs that are captured; the rest is only counted */
#define GATHER_SMALL 256

#define ROOM(size) ((size) - sizeof(struct wire_io))
_Static_assert(ROOM(RING_2560) >= WIRE_IO_DATA_MAX, "largest flat payload");
_Static_assert(ROOM(RING_768) >= 2 * GATHER_SMALL, "small gathered payload");
_Static_assert(ROOM(RING_4352) >= 2 * WIRE_IO_DATA_MAX, "largest gathered payload");

struct facts {			/* what the record says beside the operation itself */
	struct wire_labels labels;
	__u64 off;
	__u32 op;
	__u32 want;		/* bytes to capture */
	__u32 flags;		/* WIRE_F_* */
	__u32 pad;
};

struct gather {
	__u8 *tail;
	__u64 iov;
	__u32 iov_count;
	__u32 want;
	__u32 used;
	__u32 failed;
};

/* The user address and length of the operation's first bytes; skips one empty iovec. */
static int first_piece(const struct io *io, __u64 *ret_base, __u64 *ret_len)
{
	struct iovec iov;

	*ret_base = io->buf;
	*ret_len = io->bytes;
	if (!io->iov_count)
		return 0;
	if (bpf_probe_read_user(&iov, sizeof(iov), (const void *)io->buf))
		return -EBADF;
	if (!iov.len && io->iov_count > 1 &&
	    bpf_probe_read_user(&iov, sizeof(iov), (const void *)(io->buf + sizeof(iov))))
		return -EBADF;
	*ret_base = iov.base;
	*ret_len = iov.len;
	return 0;
}

__hidden void io_sniff(struct io *io)
{
	__u8 first[SNIFF_BYTES] = { 0 };
	__u64 base, len;
	__u32 n;

	io->sniff = SNIFF_NONE;
	if (!io->bytes || first_piece(io, &base, &len))
		return;
	n = len < io->bytes ? len : io->bytes;
	if (n > SNIFF_BYTES)
		n = SNIFF_BYTES;
	barrier_var(n);		/* clang folds the bound into a form that the verifier loses */
	if (n > SNIFF_BYTES || bpf_probe_read_user(first, n, (const void *)base))
		return;
	io->sniff = sniff_http(first);
}

/*
 * One iovec to the tail. The verifier does not see that used + n <= want, only that the offset
 * is below @max and n at most @max: so the tail must have room for twice that.
 */
static __always_inline long gather_step(__u32 i, struct gather *g, const __u32 max)
{
	struct iovec iov;
	__u32 off = g->used, n;

	if (i >= g->iov_count || off >= g->want)
		return 1;
	if (bpf_probe_read_user(&iov, sizeof(iov), (const void *)(g->iov + i * sizeof(iov)))) {
		g->failed = 1;
		return 1;
	}
	n = g->want - off;
	if (iov.len < n)
		n = iov.len;
	barrier_var(off);
	barrier_var(n);
	if (off >= max || n > max)
		return 1;
	if (bpf_probe_read_user(g->tail + off, n, (const void *)iov.base)) {
		g->failed = 1;
		return 1;
	}
	g->used += n;
	return 0;
}

static long gather_small(__u32 i, struct gather *g)
{
	return gather_step(i, g, GATHER_SMALL);
}

static long gather_large(__u32 i, struct gather *g)
{
	return gather_step(i, g, WIRE_IO_DATA_MAX);
}

static void fill(struct wire_io *r, const struct io *io, const struct conn *c,
		 const struct facts *f)
{
	head_fill(&r->head, WIRE_IO, io->ts_ns, f->flags);
	r->labels = f->labels;
	r->sock = c->sock;
	r->stream_off = f->off;
	r->op = f->op;
	r->tcp_seq = io->tcp_seq;
	r->bytes = io->bytes;
	r->err = io->err;
	r->dir = io->dir;
	r->flags = io->flags;
}

static __always_inline void finish(struct wire_io *r, __u32 captured, bool failed)
{
	if (failed)
		count(FAIL_READ_FAULT);
	r->captured = captured;
	r->head.len = sizeof(*r) + captured;
	ring_submit(r);
}

/* @room: a constant, since it bounds the copy for the verifier */
static __always_inline void write_flat(const struct io *io, const struct conn *c,
				       const struct facts *f, const __u32 room)
{
	struct wire_io *r = ring_reserve(room);
	__u32 n = f->want;
	bool failed;

	if (!r)
		return;
	fill(r, io, c, f);
	barrier_var(n);
	if (n > ROOM(room))
		n = ROOM(room);
	failed = n && bpf_probe_read_user(r + 1, n, (const void *)io->buf);
	finish(r, failed ? 0 : n, failed);
}

static __always_inline void write_gathered(const struct io *io, const struct conn *c,
					   const struct facts *f, const __u32 room)
{
	struct wire_io *r = ring_reserve(room);
	struct gather g = {
		.iov = io->buf,
		.iov_count = io->iov_count,
		.want = f->want,
	};

	if (!r)
		return;
	fill(r, io, c, f);
	g.tail = (void *)(r + 1);
	bpf_loop(GATHER_MAX, room == RING_768 ? (void *)gather_small : (void *)gather_large, &g, 0);
	finish(r, g.used, g.failed);
}

static void write_record(struct io *io, const struct conn *c, const struct facts *f)
{
	__u64 base, len;

	if (io->iov_count && f->want && !first_piece(io, &base, &len) && len >= f->want) {
		io->buf = base;		/* one piece holds all that is wanted */
		io->iov_count = 0;
	}
	if (io->iov_count && f->want) {
		if (f->want <= GATHER_SMALL)
			write_gathered(io, c, f, RING_768);
		else
			write_gathered(io, c, f, RING_4352);
	} else if (f->want <= ROOM(RING_256)) {
		write_flat(io, c, f, RING_256);
	} else if (f->want <= ROOM(RING_768)) {
		write_flat(io, c, f, RING_768);
	} else if (f->want <= ROOM(RING_1536)) {
		write_flat(io, c, f, RING_1536);
	} else {
		write_flat(io, c, f, RING_2560);
	}
}

static enum wire_role role_of(const struct io *io)
{
	return (io->dir == DIR_IN) == (io->sniff == SNIFF_REQUEST) ? ROLE_SERVER : ROLE_CLIENT;
}

/*
 * Each message may give WIRE_IO_DATA_MAX bytes. A message begins where its first bytes say so, or,
 * when they are too few to say it (a server that reads ahead one byte), where the direction turns.
 */
static __u32 budget_take(struct conn *c, const struct io *io)
{
	__u32 dir = io->dir & 1, budget = c->budget[dir], want;
	bool is_turn = c->last_dir != io->dir || !c->op[dir];

	if (!io->bytes)
		return 0;
	if (io->sniff != SNIFF_NONE || (is_turn && io->bytes < SNIFF_BYTES))
		budget = WIRE_IO_DATA_MAX;
	want = io->bytes < budget ? io->bytes : budget;
	c->budget[dir] = budget - want;
	c->last_dir = io->dir;
	return want;
}

/* Takes an operation whose @io->sniff is set; unknown connections only if they begin as HTTP. */
__hidden void io_emit(struct io *io)
{
	struct facts f = { 0 };
	struct wire_label inbound = { .kind = LABEL_HTTP };
	__u32 dir = io->dir & 1;
	struct conn *c;

	c = conn_get(io->ref.ino);
	if (!c && io->sniff != SNIFF_NONE)
		c = conn_open(&io->ref, role_of(io));
	if (!c)
		return;
	if (io->flags & WIRE_IO_EOF) {
		if (c->is_ended)
			return;
		c->is_ended = 1;
	}
	f.want = io->buf ? budget_take(c, io) : 0;
	c->tgid = bpf_get_current_pid_tgid() >> 32;
	f.off = __sync_fetch_and_add(&c->off[dir], io->bytes);
	f.op = __sync_fetch_and_add(&c->op[dir], 1) + 1;

	inbound.id = io->ref.ino;
	inbound.op = f.op;
	if (io->dir == DIR_IN && io->bytes && c->sock.role == ROLE_SERVER)
		f.flags = label_resolve(&f.labels, &inbound);
	else
		f.flags = label_resolve(&f.labels, NULL);
	write_record(io, c, &f);
}
