/*
 * decode: the stage that turns records (wire.h) into messages (msg.h).
 *
 * In: records by time; each is treated as hostile, and counted RECORDS_DECODED or, where
 * it does not fit, RECORDS_REJECTED (collect has counted it RECORDS_SEEN). Out: messages in
 * the order of their records, borrowed until @next returns. A message may carry an earlier
 * time than the one before it, where its end became known late only (a response whose end
 * was not captured). Keeps the open HTTP connections (stream.h names the limits); everything
 * else passes straight through. One thread.
 */
#ifndef DECODE_DECODE_H
#define DECODE_DECODE_H

#include <stdint.h>

#include "decode/msg.h"

struct decode;
struct rules;
struct counters;
struct wire_head;

struct decode_opts {
	const struct rules *rules;	/* borrowed for the stage's life; NULL: none */
	struct counters *counters;	/* borrowed for the stage's life */
};

typedef void (*decode_next_fn)(void *ctx, const struct msg *m);

/* On success *ret is the caller's, to be ended with decode_free(); untouched on failure. */
int decode_new(struct decode **ret, const struct decode_opts *opts, decode_next_fn next,
	       void *ctx);

/*
 * @rec: rec->len bytes, at least a struct wire_head, 8-byte aligned. 0, or -EINVAL: rejected.
 * A WIRE_COUNTERS record sets the kernel's rows of the counters, so that a replay shows them.
 */
int decode_feed(struct decode *d, const struct wire_head *rec);
void decode_tick(struct decode *d, uint64_t now_ns);	/* CLOCK_MONOTONIC, as the records' */
void decode_free(struct decode *d);	/* NULL is fine; open exchanges end silently */

#endif
