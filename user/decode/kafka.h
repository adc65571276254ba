/* kafka: librdkafka's records -> Kafka messages, with the header block read. */
#ifndef DECODE_KAFKA_H
#define DECODE_KAFKA_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/slice.h"

struct decode;
struct wire_head;

#define KAFKA_HEADERS_MAX 64	/* headers read of one message; librdkafka sets no limit */

/*
 * Walks a header block: name and value of one header each time. The bytes are foreign:
 * every length is checked against what is left.
 */
struct kafka_headers {
	struct slice left;
	bool is_raw;		/* varints as on the wire; else the kernel half's list */
	bool is_cut;		/* the block ends early because it was not copied whole */
	uint32_t count;		/* headers still to come; raw only */
	uint32_t done;
};

/* @flags: WIRE_KAFKA_*; 0 or -EINVAL (the block lies from the start) */
int kafka_headers_init(struct kafka_headers *h, struct slice block, uint32_t flags);

/*
 * 1: *ret_name and *ret_value are set (value.at NULL: null); 0: no more; -EINVAL: the block
 * ends too early or lies; -E2BIG: more than KAFKA_HEADERS_MAX. After an error: no more.
 */
int kafka_headers_next(struct kafka_headers *h, struct slice *ret_name, struct slice *ret_value);

/* Feeds of the stage: 0, or -EINVAL for a record whose lengths do not fit. */
int kafka_feed_message(struct decode *d, const struct wire_head *rec);	/* SEND, CONSUME */
int kafka_feed_ack(struct decode *d, const struct wire_head *rec);
int kafka_feed_poll(struct decode *d, const struct wire_head *rec);
int kafka_feed_delivered(struct decode *d, const struct wire_head *rec);

/* kafka_client.c */
int kafka_feed_client(struct decode *d, const struct wire_head *rec);
int kafka_feed_commit(struct decode *d, const struct wire_head *rec);
int kafka_feed_rebalance(struct decode *d, const struct wire_head *rec);
int kafka_feed_txn(struct decode *d, const struct wire_head *rec);
int kafka_feed_refused(struct decode *d, const struct wire_head *rec);

#endif
