/*
 * kafka: a librdkafka message as the probes see it, and the doors of message.bpf.c and
 * kafka_client.bpf.c.
 */
#ifndef KAFKA_BPF_H
#define KAFKA_BPF_H

#include "core.bpf.h"

#define OFFSET_INVALID (-1001)	/* RD_KAFKA_OFFSET_INVALID */

struct message {		/* rd_kafka_msg_t, with the public rd_kafka_message_t in front */
	__s32 err, pad0;
	__u64 topic;
	__s32 partition, pad1;
	__u64 payload, len, key, key_len;
	__s64 offset;
	__u64 private_data, next, prev;
	__s32 flags, timestamp_type;
	__s64 timestamp_ms;
	__u64 headers;		/* parsed list, or NULL */
	__s32 status, broker_id;
	union {
		struct {
			__u64 timeout_us, enqueued_us, backoff_us, msgid, last_msgid;
			__s32 retries, pad3;
		} producer;
		struct {
			__s32 raw_len, pad2;
			__u64 raw;	/* header block as on the wire */
		} consumer;
	};
};
_Static_assert(offsetof(struct message, next) == 72, "rkm_link.tqe_next");
_Static_assert(offsetof(struct message, headers) == 104, "rkm_headers");
_Static_assert(offsetof(struct message, producer.retries) == 160, "rkm_u.producer.retries");

struct parts {			/* what a record of one message is made of */
	struct message m;
	const struct kafka_knobs *k;
	__u64 rk, address;	/* of the client, of the message */
	__u64 ts_ns;
	__u64 polled_ns, queue;	/* consumed: the call that hands it over */
	__u64 raw, raw_len;	/* consumer's block; 0: none */
	struct wire_labels *labels;
	__u32 flags;		/* WIRE_F_* */
	__u32 kafka_flags;	/* WIRE_KAFKA_* */
};

/*
 * Where the header block of a parsed list is written to. The counts lie in the record: what is
 * read from there the verifier does not follow from one step of a loop to the next.
 */
struct list_walk {
	__u8 *tail;
	__u16 *used;		/* bytes of the block written */
	__u32 *whole;		/* bytes that it would have; more than used: it is cut */
	__u64 elements;
};

/* --- message.bpf.c ------------------------------------------------------------------- */

/* false: it could not be read; counted as a record that was wanted and lost */
bool message_read(struct message *ret, __u64 address);
void message_emit(const struct parts *p, enum wire_kind kind);

/* 0 and counted where it cannot be read; of address 0 without a count */
__u64 user_word(__u64 address);
__u64 message_topic(__u64 topic, __u32 name_off);	/* address of its name; 0: not known */

/* --- kafka_client.bpf.c -------------------------------------------------------------- */

/* What is known of the probed file that an attach cookie names; NULL: not ours. */
const struct kafka_knobs *kafka_file(__u64 cookie);
void kafka_seen(__u64 cookie, __u64 messages);	/* produced, for the choice of the mode */

/* Sends what is known of a client now and then, and when more of it is known. */
void kafka_client_tell(const struct kafka_knobs *k, __u64 rk, __u64 ts_ns);

#endif
