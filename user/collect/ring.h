/*
 * ring: reads the kernel's ring buffer and hands each record on, in place.
 *
 * Counts RECORDS_SEEN and RECORDS_REJECTED. The kernel half wakes the reader only when much waits,
 * so poll often: RING_POLL_MS is what the latency of a quiet system rests on.
 * Not thread-safe: one thread polls.
 */
#ifndef COLLECT_RING_H
#define COLLECT_RING_H

#include "collect/next.h"

#define RING_POLL_MS 20

struct counters;
struct ring;

/* @map_fd and @counters are borrowed until ring_free(). */
int ring_new(struct ring **ret, int map_fd, struct counters *counters, record_next_fn next,
	     void *ctx);

/*
 * Waits until much waits in the ring or @timeout_ms is over, then hands on what is there, some
 * thousands at most. Returns their number, or -errno (-EINTR).
 */
int ring_poll(struct ring *r, int timeout_ms);
int ring_drain(struct ring *r);		/* without waiting; 0: nothing is left */
void ring_free(struct ring *r);		/* NULL is fine */

#endif
