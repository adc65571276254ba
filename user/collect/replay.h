/*
 * replay: reads a recording back and hands its records on, as the ring would.
 *
 * The file is foreign: nothing in it is trusted. Counts RECORDS_SEEN and RECORDS_REJECTED (a kind
 * that this version does not know is skipped). Reads one record at a time; holds no more.
 */
#ifndef COLLECT_REPLAY_H
#define COLLECT_REPLAY_H

#include <stddef.h>

#include "collect/next.h"

struct counters;
struct record_info;
struct replay;

/*
 * -EBADMSG: not a recording, or one that contradicts itself; -EPROTONOSUPPORT: of another version;
 * else what open(2) says. @counters is borrowed.
 */
int replay_new(struct replay **ret, const char *path, struct counters *counters,
	       record_next_fn next, void *ctx);

/* The same over @size bytes at @data, borrowed until replay_free(). */
int replay_new_memory(struct replay **ret, const void *data, size_t size,
		      struct counters *counters);

void replay_set_next(struct replay *r, record_next_fn next, void *ctx);
const struct record_info *replay_info(const struct replay *r);	/* borrowed until replay_free() */

/*
 * Hands the next record on: 1; at the end: 0. -ENODATA: the file ends within a record (its writer
 * was killed); -EBADMSG: a length that no record can have: what follows cannot be read.
 */
int replay_step(struct replay *r);
void replay_free(struct replay *r);	/* NULL is fine */

#endif
