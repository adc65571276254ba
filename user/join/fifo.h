/*
 * fifo: a hash table of fixed-size keys that forgets its oldest entries when it is full.
 * What join keeps to match a later message with an earlier one lives in these.
 */
#ifndef JOIN_FIFO_H
#define JOIN_FIFO_H

#include <stddef.h>

#include <uthash.h>

#define FIFO_KEY_BYTES 48	/* longest key */

struct fifo_entry {		/* embed as the first member */
	UT_hash_handle hh;
	unsigned char key[FIFO_KEY_BYTES];
};

struct fifo {
	struct fifo_entry *table;
	size_t max;
	void (*drop)(void *ctx, struct fifo_entry *e);	/* frees what was evicted or is left */
	void *ctx;
	size_t evicted;		/* entries forgotten for want of room */
};

void fifo_init(struct fifo *f, size_t max, void (*drop)(void *, struct fifo_entry *), void *ctx);
void fifo_done(struct fifo *f);

/* @key is @len <= FIFO_KEY_BYTES bytes; all keys of one fifo have the same length. */
void *fifo_find(struct fifo *f, const void *key, size_t len);
void fifo_add(struct fifo *f, const void *key, size_t len, struct fifo_entry *e);
void fifo_remove(struct fifo *f, struct fifo_entry *e);	/* the caller frees @e */

#endif
