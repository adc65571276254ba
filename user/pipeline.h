/*
 * pipeline: decode | join | sample | send, everything after the records: the same for a live
 * run and a replay. Time is the records' own (CLOCK_MONOTONIC of the recorded machine), so
 * that a replay makes the same traces.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

struct cli;
struct config;
struct counters;
struct pipeline;
struct record_info;
struct wire_head;

struct pipeline_opts {
	const struct cli *cli;			/* outputs */
	const struct config *config;		/* borrowed for the pipeline's life */
	const struct record_info *info;		/* borrowed for the pipeline's life */
	struct counters *counters;		/* borrowed for the pipeline's life */
	bool is_replay;
};

/* 0, or -errno: one line was logged. */
int pipeline_new(struct pipeline **ret, const struct pipeline_opts *opts);
void pipeline_feed(void *pipeline, const struct wire_head *rec);	/* a record_next_fn */
/*
 * No older record will come. Traces that are finished are handed on here, some at a time, so
 * that a busy ring is read first; true: call again soon. In a replay each record does that.
 */
bool pipeline_tick(struct pipeline *p, uint64_t now_ns);
void pipeline_finish(struct pipeline *p);	/* hands on all that is open; delivers it */
void pipeline_print_counters(struct pipeline *p);
void pipeline_free(struct pipeline *p);		/* NULL is fine */

#endif
