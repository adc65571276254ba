/*
 * sample: decides which traces are worth keeping. For now all of them are; what it drops
 * later is counted under spans.dropped.sampled.
 */
#ifndef SAMPLE_SAMPLE_H
#define SAMPLE_SAMPLE_H

#include <stdint.h>

#include "join/span.h"

struct counters;
struct sample;

struct sample_opts {
	struct counters *counters;	/* borrowed for the life of sample */
};

/* On success *ret is the caller's, to be ended with sample_free(); untouched on failure. */
int sample_new(struct sample **ret, const struct sample_opts *opts, trace_next_fn next, void *ctx);
void sample_feed(void *sample, const struct trace *t);	/* a trace_next_fn; keeps nothing of @t */
void sample_tick(struct sample *s, uint64_t now_ns);
void sample_free(struct sample *s);			/* NULL is fine */

#endif
