/* queue: see queue.h. */
#include "send/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64

bool queue_has_room(const struct queue *q, const struct otlp_piece *piece)
{
	return !q->count || (q->spans + piece->spans <= q->spans_max &&
			     q->bytes + piece->len <= q->bytes_max);
}

static int grow(struct queue *q)
{
	size_t room = q->room ? q->room * 2 : ROOM_FIRST, i;
	struct queued *ring = calloc(room, sizeof(*ring));

	if (!ring)
		return -ENOMEM;
	for (i = 0; i < q->count; i++)
		ring[i] = q->ring[(q->first + i) % q->room];
	free(q->ring);
	q->ring = ring;
	q->room = room;
	q->first = 0;
	return 0;
}

int queue_put(struct queue *q, const struct queued *item)
{
	if (q->count == q->room && grow(q))
		return -ENOMEM;
	q->ring[(q->first + q->count++) % q->room] = *item;
	q->spans += item->piece.spans;
	q->bytes += item->piece.len;
	return 0;
}

bool queue_take(struct queue *q, struct queued *ret)
{
	if (!q->count)
		return false;
	*ret = q->ring[q->first];
	q->first = (q->first + 1) % q->room;
	q->count--;
	q->spans -= ret->piece.spans;
	q->bytes -= ret->piece.len;
	return true;
}

const struct queued *queue_first(const struct queue *q)
{
	return q->count ? &q->ring[q->first] : NULL;
}

void queue_done(struct queue *q)
{
	struct queued item;

	while (queue_take(q, &item))
		free(item.piece.body);
	free(q->ring);
	q->ring = NULL;
	q->room = 0;
}
