/* arena: see arena.h. */
#include "send/arena.h"

#include <stdint.h>
#include <stdlib.h>

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, room;
	max_align_t data[];
};

void arena_done(struct arena *a)
{
	struct arena_chunk *c, *next;

	for (c = a->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	a->chunks = NULL;
}

static struct arena_chunk *arena_grow(struct arena *a, size_t bytes)
{
	size_t room = a->chunks ? 2 * a->chunks->room : ARENA_FIRST_BYTES;
	struct arena_chunk *c;

	if (room > ARENA_CHUNK_BYTES)
		room = ARENA_CHUNK_BYTES;
	if (room < bytes)
		room = bytes;
	c = calloc(1, sizeof(*c) + room);
	if (!c)
		return NULL;
	c->room = room;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

void *arena_take(struct arena *a, size_t bytes)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_chunk *c = a->chunks;
	void *piece;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + align - 1) / align * align;
	if (!c || c->room - c->used < bytes)
		c = arena_grow(a, bytes);
	if (!c)
		return NULL;
	piece = (char *)c->data + c->used;
	c->used += bytes;
	return piece;
}
