/*
 * send: the end of the pipeline: finished traces to every output that was asked for.
 *
 * Each span that is fed is counted exactly once: SPANS_SENT when every output has it, else
 * under the first SPANS_DROPPED_* cause that lost it. With http an answer takes a while:
 * until then the span is waiting (send_waiting()). One thread only; http has its own inside.
 */
#ifndef SEND_SEND_H
#define SEND_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "join/span.h"
#include "send/fault.h"

struct counters;
struct send;

struct send_opts {
	const char *otlp_url;	/* --otlp; NULL: as OTEL_EXPORTER_OTLP_*ENDPOINT say, or none */
	const char *file_path;	/* --otlp-file; NULL: none */
	bool has_json;		/* OTLP/JSON lines on standard output */
	bool has_waterfall;	/* waterfalls on standard output */
	bool is_patient;	/* wait for a slow back end instead of dropping: for a replay */
	struct counters *counters;	/* borrowed for the life of send */
};

/*
 * 0, or -errno with @why in words for the user. Reads the agent's OTEL_* variables. On
 * success *ret is the caller's, to be ended with send_free(); untouched on failure.
 */
int send_new(struct send **ret, const struct send_opts *opts, struct fault *why);

void send_feed(void *send, const struct trace *t);	/* a trace_next_fn; keeps nothing of @t */
void send_tick(struct send *s);		/* a few times a second: brings the counters up to date */

/*
 * At the end: delivers what waits, for at most @limit_ms; what then still waits is counted as
 * dropped, and spans.made = spans.sent + spans.held + all spans.dropped.* holds.
 */
void send_flush(struct send *s, uint64_t limit_ms);

uint64_t send_waiting(struct send *s);	/* spans in the export queue, neither sent nor dropped */

/* The next line for the user's log, such as a back end that went away; false: none. */
bool send_take_note(struct send *s, struct fault *ret);

void send_free(struct send *s);		/* NULL is fine; call send_flush() before */

#endif
