/* arena: memory that is taken piece by piece and given back all at once. */
#ifndef SEND_ARENA_H
#define SEND_ARENA_H

#include <stddef.h>

#define ARENA_FIRST_BYTES (4 * 1024)	/* a trace of two spans; each further chunk is larger */
#define ARENA_CHUNK_BYTES (64 * 1024)	/* larger pieces get a chunk of their own */

struct arena_chunk;

struct arena {			/* zero-initialized is empty */
	struct arena_chunk *chunks;
};

void arena_done(struct arena *a);

/* Zeroed and aligned for any type; NULL: no memory. Valid until arena_done(). */
void *arena_take(struct arena *a, size_t bytes);

#endif
