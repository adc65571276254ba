/* kafka: a librdkafka message as the probes see it, and the doors of message.bpf.c. */
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
			__u64 timeout_us, enqueued_us;
		} producer;
		struct {
			__s32 raw_len, pad2;
			__u64 raw;	/* header block as on the wire */
		} consumer;
	};
};
_Static_assert(offsetof(struct message, next) == 72, "rkm_link.tqe_next");
_Static_assert(offsetof(struct message, headers) == 104, "rkm_headers");
_Static_assert(sizeof(struct message) == 136, "as far as ts_enq");

struct parts {			/* what the tail of a wire_kafka record is made of */
	struct message m;
	__u64 rk, address;	/* of the client, of the message */
	__u64 cookie;
	__u64 ts_ns;
	__u64 raw, raw_len;	/* consumer's block; 0: none */
	struct wire_labels *labels;
	__u32 flags;		/* WIRE_F_* */
	__u32 pad;
};

/* false: it could not be read; counted as a record that was wanted and lost */
bool message_read(struct message *ret, __u64 address);
void message_emit(const struct parts *p, enum wire_kind kind);

#endif
