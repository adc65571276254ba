/*
 * context: finds the trace context among the headers of one message, HTTP or Kafka alike.
 *
 * Formats in order of trust: W3C traceparent, B3, uber-trace-id, X-Amzn-Trace-Id, Datadog,
 * sw8, then the configured headers. The first valid one is the message's context; a later
 * valid one that names another trace is kept as the "other". A header that stands twice is
 * invalid in HTTP; in Kafka the last one counts, as its clients read it.
 */
#ifndef DECODE_CONTEXT_H
#define DECODE_CONTEXT_H

#include "decode/strings.h"
#include "decode/msg.h"
#include "decode/slice.h"

#define CONTEXT_CUSTOM_MAX 8	/* configured headers */
#define CONTEXT_STATE_MAX 32	/* tracestate headers of one message */

/* attribute that keeps a trace id which had to be hashed */
#define CONTEXT_ORIGINAL_ATTR "spanstitch.trace.original_id"

enum context_source { CONTEXT_HTTP, CONTEXT_KAFKA };

enum context_slot {
	SLOT_TRACEPARENT,
	SLOT_B3,
	SLOT_B3_TRACE,
	SLOT_B3_SPAN,
	SLOT_B3_SAMPLED,
	SLOT_B3_FLAGS,
	SLOT_UBER,
	SLOT_XRAY,
	SLOT_DATADOG_TRACE,
	SLOT_DATADOG_PARENT,
	SLOT_DATADOG_PRIORITY,
	SLOT_DATADOG_TAGS,
	SLOT_SW8,
	SLOT_CUSTOM,		/* the first of CONTEXT_CUSTOM_MAX */
	SLOT_MAX = SLOT_CUSTOM + CONTEXT_CUSTOM_MAX,
};

struct context_value {
	struct slice value;
	unsigned int count;	/* times that the header was seen */
};

/* Lives on the stack; borrows every name and value until context_end(). */
struct context_reader {
	enum context_source source;
	char *const *custom;
	unsigned int custom_count;
	struct context_value slots[SLOT_MAX];
	uint32_t seen;		/* one bit a slot */
	struct slice states[CONTEXT_STATE_MAX];
	unsigned int state_count;
};

/* @custom: names of configured headers; past CONTEXT_CUSTOM_MAX they are not looked at */
void context_begin(struct context_reader *r, enum context_source source, char *const *custom,
		   unsigned int custom_count);
void context_header(struct context_reader *r, struct slice name, struct slice value);

/*
 * Fills *ret, its strings from @strings; a hashed id's original goes to @attrs.
 * Returns the number of formats that were there but invalid.
 */
unsigned int context_end(const struct context_reader *r, struct strings *strings,
			 struct context *ret, struct attrs *attrs);

/* One traceparent alone, as from a process's environment: 0 or -EINVAL. */
int context_from_traceparent(const char *text, size_t len, struct context *ret);

#endif
