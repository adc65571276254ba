/*
 * wire: every record that crosses the ring from the kernel half to the agent, and the
 * same bytes in a recording. Little endian, 8-byte aligned, no hidden padding.
 *
 * A record is a struct wire_head, the rest of its kind's struct, then a data tail whose
 * parts stand in the order that the struct's comment gives. head.len counts all of it.
 * Kernel half: <= WIRE_RECORD_MAX bytes a record. User half: treat every record as hostile.
 */
#ifndef WIRE_H
#define WIRE_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define WIRE_VERSION 2		/* of the layouts below; in the header of each recording */
#define WIRE_RECORD_MAX 4096	/* bytes, head and tail */
#define WIRE_IO_DATA_MAX 2048	/* payload bytes that one I/O record carries at most */
#define WIRE_KEY_MAX 64		/* Kafka key bytes carried at most */
#define WIRE_HEADERS_MAX 2048	/* Kafka header-block bytes carried at most */
#define WIRE_NAME_MAX 256	/* topic, client, path, cgroup name: bytes carried at most */

enum wire_kind {
	WIRE_NONE,
	WIRE_IO,		/* bytes of an HTTP/1 connection: struct wire_io */
	WIRE_CLOSE,		/* a traced connection was closed: struct wire_close */
	WIRE_KAFKA_SEND,	/* message accepted by the producer: struct wire_kafka */
	WIRE_KAFKA_ACK,		/* messages acknowledged or failed: struct wire_kafka_ack */
	WIRE_KAFKA_CONSUME,	/* message handed to the application: struct wire_kafka */
	WIRE_KAFKA_POLL,	/* the thread polls again: struct wire_kafka_poll */
	WIRE_FORK,		/* struct wire_fork; head is the parent's */
	WIRE_EXEC,		/* struct wire_exec */
	WIRE_EXIT,		/* whole process: struct wire_exit */
	WIRE_MAP,		/* file mapped executable: struct wire_map */
	WIRE_TARGET,		/* made by the agent: who a process is: struct wire_target */
	WIRE_COUNTERS,		/* made by the agent: kernel counters: struct wire_counters */
	WIRE_KAFKA_DELIVERED,	/* SEND and ACK of messages in one: struct wire_kafka_delivered */
	WIRE_KAFKA_CLIENT,	/* what is known of a client handle: struct wire_kafka_client */
	WIRE_KAFKA_COMMIT,	/* offsets to commit, or the result: struct wire_kafka_commit */
	WIRE_KAFKA_REBALANCE,	/* partitions come or go: struct wire_kafka_rebalance */
	WIRE_KAFKA_TXN,		/* transaction begins or ends: struct wire_kafka_txn */
	WIRE_KAFKA_REFUSED,	/* produce failed before on_send: struct wire_kafka_refused */
	WIRE_KIND_MAX,
};

/* wire_head.flags */
#define WIRE_F_LOOP_THREAD 1	/* this thread has called epoll_wait since we watch it */

struct wire_head {
	__u32 len;		/* bytes of the whole record */
	__u16 kind;		/* enum wire_kind */
	__u16 flags;		/* WIRE_F_* */
	__u64 ts_ns;		/* CLOCK_MONOTONIC; sends: at entry of the call */
	__u32 tgid;		/* process, as the initial pid namespace numbers it */
	__u32 tid;
	__u64 start_ns;		/* start of the process; (tgid, start_ns) is unique */
};

enum wire_label_kind {
	LABEL_NONE,
	LABEL_HTTP,		/* id = socket inode, op = wire_io.op of the inbound read */
	LABEL_KAFKA,		/* id = ts_ns of the WIRE_KAFKA_CONSUME record, op = its tid */
};

/* "this holder works for that inbound message"; resolved late, by the agent */
struct wire_label {
	__u64 id;
	__u32 op;
	__u32 kind;		/* enum wire_label_kind */
};

/* every holder that BPF could resolve; never a choice among them */
struct wire_labels {
	struct wire_label thread;
	struct wire_label task;		/* runtime task; kind LABEL_NONE: no label on it */
	__u64 task_id;			/* runtime task key (PyContext pointer); 0: none read */
};

enum wire_role { ROLE_UNKNOWN, ROLE_SERVER, ROLE_CLIENT };
enum wire_dir { DIR_IN, DIR_OUT };

/* addresses are IPv6, or IPv4 mapped (::ffff:a.b.c.d); all zero where not TCP */
struct wire_sock {
	__u64 ino;		/* inode of the socket in sockfs: names the connection */
	__u8 local_addr[16];
	__u8 peer_addr[16];
	__u16 local_port;	/* host order */
	__u16 peer_port;
	__u16 family;		/* AF_INET, AF_INET6, AF_UNIX */
	__u16 role;		/* enum wire_role: who sends the requests */
};

/* wire_io.flags */
#define WIRE_IO_TCP_SEQ 1	/* tcp_seq is valid */
#define WIRE_IO_EOF 2		/* read returned 0: the peer is done sending */
#define WIRE_IO_ERROR 4		/* the call failed with err (not EAGAIN) */

/* tail: captured payload bytes, from the first byte of this operation */
struct wire_io {
	struct wire_head head;
	struct wire_labels labels;
	struct wire_sock sock;
	__u64 stream_off;	/* bytes seen on this direction before this operation */
	__u32 op;		/* number of this operation on its direction, from 1 */
	__u32 tcp_seq;		/* TCP sequence number of the first byte of this operation */
	__u32 bytes;		/* bytes that the call moved */
	__u32 captured;		/* of which in the tail */
	__s32 err;		/* positive errno, or 0 */
	__u16 dir;		/* enum wire_dir */
	__u16 flags;		/* WIRE_IO_* */
};

struct wire_close {
	struct wire_head head;
	__u64 ino;
};

/* wire_kafka.flags */
#define WIRE_KAFKA_RAW_HEADERS 1	/* header block as on the wire (varints, count first) */
#define WIRE_KAFKA_LIST_HEADERS 2	/* wire_kafka_header, name, value each */
#define WIRE_KAFKA_CUT_HEADERS 4	/* the block did not fit */
#define WIRE_KAFKA_NULL_KEY 8
#define WIRE_KAFKA_NULL_VALUE 16
#define WIRE_KAFKA_BATCH_POLL 32	/* consume: the call may hand over several at once */
#define WIRE_KAFKA_CALLBACK_POLL 64	/* consume: the call hands each to a callback in turn */

#define WIRE_NULL_VALUE 0xffff		/* wire_kafka_header.value_len of a null value */

struct wire_kafka_header {		/* packed in the tail, unaligned */
	__u16 name_len;
	__u16 value_len;
};

/* tail: topic, client name, key, header block */
struct wire_kafka {
	struct wire_head head;
	struct wire_labels labels;
	__u64 msg;		/* address of the message object: joins SEND and ACK */
	__u64 client;		/* address of the rd_kafka_t */
	__s64 offset;		/* consume; -1001 (RD_KAFKA_OFFSET_INVALID) when not known */
	__s64 timestamp_ms;	/* message timestamp, since the epoch; -1: none */
	__u64 enqueued_us;	/* producer: ts_enq, CLOCK_MONOTONIC; 0: not known */
	__u64 polled_ns;	/* consume: entry of the call that hands it over; 0: not known */
	__u64 queue;		/* consume: first argument of that call (client or queue); 0 */
	__s64 high;		/* consume: high watermark of the partition; -1001: not known */
	__s32 partition;	/* -1: not chosen yet */
	__s32 err;		/* rd_kafka_resp_err_t */
	__u32 key_len;		/* whole */
	__u32 value_len;	/* whole */
	__u32 headers_len;	/* whole, as far as known */
	__u16 topic_captured;	/* lengths of the parts of the tail, bytes, no NULs */
	__u16 client_captured;
	__u16 key_captured;
	__u16 headers_captured;
	__u32 flags;		/* WIRE_KAFKA_* */
};

struct wire_kafka_acked {	/* one message of WIRE_KAFKA_ACK */
	__u64 msg;
	__s64 offset;		/* -1001: not known */
	__s32 partition;
	__s32 err;		/* rd_kafka_resp_err_t */
	__u32 retries;
	__u32 status;		/* rd_kafka_msg_status_t: 0 not, 1 possibly, 2 persisted */
};

/* tail: count times struct wire_kafka_acked */
struct wire_kafka_ack {
	struct wire_head head;
	__u64 client;
	__u64 sent_ns;		/* when the request of these was sent; 0: not known */
	__u32 batch_count;	/* messages in this acknowledgement, in this record or not */
	__u32 count;		/* in this record */
};

/* One message of WIRE_KAFKA_DELIVERED; key and header block follow, and zeros up to 8 bytes. */
struct wire_kafka_entry {
	__u64 msg;
	__s64 offset;
	__s64 timestamp_ms;	/* -1: none */
	__u64 enqueued_us;	/* ts_enq, CLOCK_MONOTONIC */
	__s32 partition;
	__s32 err;
	__u32 key_len, value_len, headers_len;	/* whole */
	__u32 retries;
	__u16 status;
	__u16 key_captured;
	__u16 headers_captured;
	__u16 flags;		/* WIRE_KAFKA_* */
};

/* tail: topic, client name, zeros up to 8 bytes, then count entries */
struct wire_kafka_delivered {
	struct wire_head head;	/* ts_ns: the acknowledgement */
	__u64 client;
	__u64 sent_ns;		/* as above */
	__u32 batch_count;
	__u32 count;
	__u16 topic_captured, client_captured;
	__u32 pad;
};

/* Sent anew now and then, and when a part becomes known. Tail: name, cluster id, group id. */
struct wire_kafka_client {
	struct wire_head head;
	__u64 client;		/* address of the rd_kafka_t */
	__u64 group_handle;	/* of its consumer group object; 0: none */
	__u16 name_len, cluster_len, group_len;
	__u16 pad;
};

enum wire_phase { PHASE_ASKED, PHASE_ENDED };

/* One partition of WIRE_KAFKA_COMMIT; its topic follows, and zeros up to 8 bytes. */
struct wire_kafka_position {
	__s64 offset;		/* the next one to be read; negative: none */
	__s32 partition;
	__s32 err;
	__u32 topic_len;
	__u32 pad;
};

/* tail: captured times struct wire_kafka_position */
struct wire_kafka_commit {
	struct wire_head head;
	struct wire_labels labels;	/* PHASE_ASKED */
	__u64 client;
	__s32 err;		/* PHASE_ENDED: of the whole */
	__u32 phase;		/* enum wire_phase */
	__u32 count;		/* partitions in all; PHASE_ASKED: 0 = what is stored */
	__u32 captured;		/* in the tail */
};

struct wire_kafka_rebalance {
	struct wire_head head;
	__u64 group_handle;
	__s32 err;		/* -175: partitions are assigned, -174: revoked */
	__u32 count;		/* partitions */
};

enum wire_txn { TXN_BEGIN, TXN_COMMIT, TXN_ABORT };

struct wire_kafka_txn {
	struct wire_head head;
	__u64 client;
	__u32 op;		/* enum wire_txn */
	__u32 phase;		/* enum wire_phase; TXN_BEGIN: asked only */
	__s32 err;		/* PHASE_ENDED: 0 or rd_kafka_resp_err_t */
	__u32 pad;
};

/* tail: topic, client name */
struct wire_kafka_refused {
	struct wire_head head;
	struct wire_labels labels;
	__u64 client;
	__s32 err;
	__u16 topic_captured, client_captured;
};

struct wire_kafka_poll {
	struct wire_head head;
	struct wire_label ended;	/* the label that its thread (op) held until now */
	__u64 queue;			/* first argument of the call: client or queue */
};

struct wire_fork {
	struct wire_head head;
	__u64 child_start_ns;
	__u32 child_tgid;
	__u32 pad;
};

/* tail: file name, cgroup leaf name, name of its parent */
struct wire_exec {
	struct wire_head head;
	__u64 cgroup_id;
	__u32 parent_tgid;
	__u16 filename_captured;
	__u16 leaf_captured;
	__u16 parent_captured;
	__u16 pad[3];
};

struct wire_exit {
	struct wire_head head;
	__s32 code;		/* as wait(2): low 7 bits signal, next byte exit status */
	__u32 pad;
};

struct wire_map {
	struct wire_head head;
};

/* tail: service name, executable path, container id, pod uid, runtime (language), TRACEPARENT */
struct wire_target {
	struct wire_head head;
	__u32 parent_tgid;
	__u16 service_len;
	__u16 exe_len;
	__u16 container_len;
	__u16 pod_len;
	__u16 runtime_len;
	__u16 traceparent_len;	/* of its environment; 0: none */
};

/* tail: one __u64 a counter, in the order of counters.h */
struct wire_counters {
	struct wire_head head;
	__u32 count;
	__u32 pad;
};

#define WIRE_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), #type " has hidden padding or has moved")

WIRE_ASSERT_SIZE(wire_head, 32);
WIRE_ASSERT_SIZE(wire_label, 16);
WIRE_ASSERT_SIZE(wire_labels, 40);
WIRE_ASSERT_SIZE(wire_sock, 48);
WIRE_ASSERT_SIZE(wire_io, 32 + 40 + 48 + 32);
WIRE_ASSERT_SIZE(wire_close, 40);
WIRE_ASSERT_SIZE(wire_kafka_header, 4);
WIRE_ASSERT_SIZE(wire_kafka, 32 + 40 + 64 + 32);
WIRE_ASSERT_SIZE(wire_kafka_acked, 32);
WIRE_ASSERT_SIZE(wire_kafka_ack, 32 + 24);
WIRE_ASSERT_SIZE(wire_kafka_entry, 64);
WIRE_ASSERT_SIZE(wire_kafka_delivered, 32 + 32);
WIRE_ASSERT_SIZE(wire_kafka_client, 32 + 24);
WIRE_ASSERT_SIZE(wire_kafka_position, 24);
WIRE_ASSERT_SIZE(wire_kafka_commit, 32 + 40 + 24);
WIRE_ASSERT_SIZE(wire_kafka_rebalance, 48);
WIRE_ASSERT_SIZE(wire_kafka_txn, 32 + 24);
WIRE_ASSERT_SIZE(wire_kafka_refused, 32 + 40 + 16);
WIRE_ASSERT_SIZE(wire_kafka_poll, 56);
WIRE_ASSERT_SIZE(wire_fork, 48);
WIRE_ASSERT_SIZE(wire_exec, 56);
WIRE_ASSERT_SIZE(wire_exit, 40);
WIRE_ASSERT_SIZE(wire_map, 32);
WIRE_ASSERT_SIZE(wire_target, 48);
WIRE_ASSERT_SIZE(wire_counters, 40);

#endif
