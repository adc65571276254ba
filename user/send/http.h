/*
 * http: exports traces over OTLP/HTTP from a thread of its own, so that a slow back end never
 * holds up the tracing. Between the two is a queue with bounds; when it is full, the
 * oldest spans are dropped. What becomes of each span is counted exactly once.
 *
 * Every function here is for the agent's one thread.
 */
#ifndef SEND_HTTP_H
#define SEND_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "send/fault.h"

struct http;
struct request_opts;
struct settings;
struct trace;

#define HTTP_NOTE_EVERY_MS 30000	/* the same trouble is told no more often */

/* What has become of spans. Their sum, with http_waiting(), is what was fed and not counted. */
struct http_counts {
	uint64_t sent, queue_full, rejected, unreachable;
};

struct http_opts {
	const struct settings *settings;	/* borrowed until http_free() */
	bool is_patient;	/* http_feed() waits for room instead of dropping; for replays */
};

/* 0, or -errno with @why set. *ret is ended with http_free(). */
int http_new(struct http **ret, const struct http_opts *opts, struct fault *why);

/* Encodes and queues. @is_counted: the spans are lost elsewhere already, so not counted here. */
void http_feed(struct http *h, const struct trace *t, const struct request_opts *opts,
	       bool is_counted);

/* Sends what is there, for @limit_ms at most; what is left then is given up. */
void http_flush(struct http *h, uint64_t limit_ms);

struct http_counts http_take_counts(struct http *h);	/* since the last call */
uint64_t http_waiting(struct http *h);	/* spans that are not decided, of those to count */

/* A line for the user's log, such as a back end that went away; false: nothing new. */
bool http_take_note(struct http *h, struct fault *ret);

void http_free(struct http *h);		/* NULL is fine; what waits is dropped, uncounted */

#endif
