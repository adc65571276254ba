/*
 * queue: encoded pieces on their way to the exporter's thread, first in, first out, within
 * bounds of spans and bytes. Not thread-safe: http holds its lock around each call.
 */
#ifndef SEND_QUEUE_H
#define SEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/otlp.h"

#define QUEUE_BYTES (32u * 1024 * 1024)	/* of encoded spans, before compression */
#define QUEUE_BATCH_PIECES OTLP_PIECE_SPANS	/* a piece has at least one span */

struct queued {
	struct otlp_piece piece;
	bool is_counted;	/* its spans are counted already: another output lost them */
	uint64_t at_ms;		/* when it came */
};

struct queue {			/* zero-initialized, with the limits set */
	size_t spans_max, bytes_max;
	size_t spans, bytes;	/* in it now */
	struct queued *ring;
	size_t first, count, room;
};

/* Whether @piece fits beside what is there; one piece alone always does. */
bool queue_has_room(const struct queue *q, const struct otlp_piece *piece);

int queue_put(struct queue *q, const struct queued *item);	/* takes it over; or -ENOMEM */
bool queue_take(struct queue *q, struct queued *ret);		/* the oldest; false: empty */
const struct queued *queue_first(const struct queue *q);	/* NULL: empty */
void queue_done(struct queue *q);				/* frees what is left */

#endif
