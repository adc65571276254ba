/*
 * core: the one include of the kernel half: its shared values and the doors of each owner.
 * A map is touched in its owner's file only; everyone else goes through these functions.
 */
#ifndef CORE_BPF_H
#define CORE_BPF_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "wire.h"
#include "counters.h"
#include "knobs.h"
#include "sniff.h"

#undef offsetof			/* bpf_helpers.h has one that is no constant */
#define offsetof(type, member) __builtin_offsetof(type, member)
#define UNUSED __attribute__((unused))

extern const volatile struct knobs knobs;

/* --- ring.bpf.c: the ring and the counters ------------------------------------------- */

/* Room for a record, in bytes. The verifier wants constants, so there are a few to choose from. */
#define RING_96 96
#define RING_256 256
#define RING_512 512
#define RING_640 640
#define RING_768 768
#define RING_1536 1536
#define RING_2560 2560
#define RING_4352 4352
#define RING_5120 5120

void count(enum counter id);
void count_add(enum counter id, __u64 n);

/* One of the sizes above, as a constant; NULL: full, counted. Must be submitted or discarded. */
void *ring_reserve(__u32 room);
void ring_submit(void *record);
void ring_submit_urgent(void *record);	/* the agent must act: wakes it at once */
void ring_discard(void *record, enum counter cause);
void ring_abandon(void *record);	/* it comes again, in another form: not counted */

/* of the current process and thread; @flags: WIRE_F_* */
void head_fill(struct wire_head *h, enum wire_kind kind, __u64 ts_ns, __u32 flags);

/* --- target.bpf.c: which processes are traced ---------------------------------------- */

bool target_is_traced(void);				/* the current process */
const struct target_knobs *target_knobs_get(void);	/* NULL: nothing known of it */
void target_fork(__u32 parent_tgid, __u32 child_tgid);
void target_exec(__u32 tgid);
void target_exit(__u32 tgid);

/* --- label.bpf.c: who works for which inbound message -------------------------------- */

/*
 * Labels of the current thread and runtime task; with @inbound, both take it first.
 * Returns the WIRE_F_* flags of the thread.
 */
__u32 label_resolve(struct wire_labels *ret, const struct wire_label *inbound);

/* the poll that a thread is in, or was in last */
struct poll {
	__u64 ts_ns;		/* its entry; 0: not seen */
	__u64 queue;		/* its first argument: client or queue */
	__u32 kind;		/* enum kafka_poll_kind */
	__u32 pad;
};

/* This thread polls: it has done with the message in hand, *ret; false: it had none. */
bool label_polled(const struct poll *poll, struct wire_label *ret);
/* This thread now processes that Kafka message. *ret: the poll that gave it. */
void label_consumed(__u64 id, struct poll *ret);
void label_loop(void);			/* this thread waits for events: it works for nobody */
void label_accepted(__u64 ino);		/* this thread accepted that connection */
void label_copied(__u64 child);		/* the current task was copied */
void label_forget(__u32 tgid, __u32 tid);

/* --- conn.bpf.c: HTTP connections ---------------------------------------------------- */

struct conn_ref {		/* a stream socket, as found by its descriptor */
	__u64 ino;
	const struct sock *sk;
	__u32 family;
	__u32 pad;
};

struct conn {
	struct wire_sock sock;
	__u64 off[2];		/* by enum wire_dir: bytes seen */
	__u32 op[2];		/* operations seen */
	__u32 budget[2];	/* bytes of the current message that may still be captured */
	__u32 tgid;		/* who used it last: its close is the connection's */
	__u16 last_dir;
	__u16 is_ended;		/* end of file was reported */
};

int conn_ref_get(struct conn_ref *ret, __u32 fd);
struct conn *conn_get(__u64 ino);
struct conn *conn_open(const struct conn_ref *ref, enum wire_role role);
bool conn_close(__u32 fd, __u64 *ret_ino);	/* true: it was ours and is closed now */

/* true: *ret is the sequence number of the next byte to be sent, or to be read */
bool conn_tcp_seq(const struct conn_ref *ref, enum wire_dir dir, __u32 *ret);

/* --- io.bpf.c: one operation on a connection ----------------------------------------- */

struct io {			/* one operation on a connection */
	struct conn_ref ref;
	__u64 ts_ns;
	__u64 buf;		/* user address of bytes, or of struct iovec if iov_count */
	__u32 iov_count;
	__u32 bytes;
	__u32 tcp_seq;
	__s32 err;
	__u16 dir;
	__u16 flags;		/* WIRE_IO_* */
	__u32 sniff;		/* enum sniff */
};

void io_sniff(struct io *io);		/* sets io->sniff */
void io_emit(struct io *io);		/* accounts, labels, sends the record */

/* --- stash.bpf.c: calls in flight ---------------------------------------------------- */

void stash_put(const struct io *io);
int stash_take(struct io *ret);		/* -ENOENT */
void stash_forget(__u32 tgid, __u32 tid);

#endif
