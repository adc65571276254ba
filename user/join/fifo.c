/* fifo: see fifo.h. uthash keeps entries in the order of insertion; the first is the oldest. */
#include "join/fifo.h"

#include <assert.h>
#include <string.h>

void fifo_init(struct fifo *f, size_t max, void (*drop)(void *, struct fifo_entry *), void *ctx)
{
	*f = (struct fifo){ .max = max, .drop = drop, .ctx = ctx };
}

static void fifo_drop_first(struct fifo *f)
{
	struct fifo_entry *e = f->table;

	HASH_DEL(f->table, e);
	f->drop(f->ctx, e);
}

void fifo_done(struct fifo *f)
{
	while (f->table)
		fifo_drop_first(f);
}

void *fifo_find(struct fifo *f, const void *key, size_t len)
{
	struct fifo_entry *e;

	HASH_FIND(hh, f->table, key, len, e);
	return e;
}

void fifo_add(struct fifo *f, const void *key, size_t len, struct fifo_entry *e)
{
	assert(len <= FIFO_KEY_BYTES);
	if (HASH_COUNT(f->table) >= f->max) {
		fifo_drop_first(f);
		f->evicted++;
	}
	memcpy(e->key, key, len);
	HASH_ADD(hh, f->table, key, len, e);
}

void fifo_remove(struct fifo *f, struct fifo_entry *e)
{
	HASH_DEL(f->table, e);
}
