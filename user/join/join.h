/*
 * join: messages of many processes become spans, and spans become traces.
 *
 * Messages must come in the order of their time. Spans of a trace are handed on together
 * when the trace has been quiet for opts->linger_ns; what ends later follows as a late
 * batch. Memory is bounded (the limits are named in the files); what falls out is counted.
 * Not thread-safe.
 */
#ifndef JOIN_JOIN_H
#define JOIN_JOIN_H

#include "decode/msg.h"
#include "join/ids.h"
#include "join/span.h"
#include "util/count.h"

#define JOIN_LINGER_NS (2ULL * 1000000000ULL)	/* default quiet time */

struct join;

/* which calls of a consumer are spans of their own, beside what they handed over */
enum poll_spans { POLL_SPANS_BATCH, POLL_SPANS_ALL, POLL_SPANS_NONE };

struct join_kafka_opts {		/* all zero: as the configuration's defaults */
	bool link_only;			/* a producer is linked, never the parent */
	bool message_key;		/* show the messages' keys */
	enum poll_spans poll_spans;
};

struct join_opts {
	struct ids ids;			/* the recording's key */
	uint64_t wall_offset_ns;	/* wall clock = monotonic + this */
	uint64_t linger_ns;
	const char *host_name;		/* borrowed for the life of join; NULL: not known */
	const char *const *spread;	/* attributes for every span of their trace; NULL-ended */
	struct join_kafka_opts kafka;
	struct counters *counters;	/* borrowed for the life of join */
};

/* On success *ret is the caller's, to be ended with join_free(); untouched on failure. */
int join_new(struct join **ret, const struct join_opts *opts, trace_next_fn next, void *ctx);
void join_feed(struct join *j, const struct msg *m);	/* copies what it keeps of @m */
void join_tick(struct join *j, uint64_t now_ns);	/* monotonic; hands quiet traces on */
/*
 * The same in portions, for a caller with something more urgent: returns once @spans have gone;
 * true: there is more. What is held meanwhile is in join_held().
 */
bool join_tick_some(struct join *j, uint64_t now_ns, size_t spans);
size_t join_held(const struct join *j);
void join_flush(struct join *j, uint64_t now_ns);	/* hands everything on, open or not */
void join_free(struct join *j);				/* NULL is fine */

#endif
