/*
 * formats: the parser of each trace context format; pure functions on the headers that
 * a context_reader has collected. The rules are those of the formats' own specifications.
 */
#ifndef DECODE_FORMATS_H
#define DECODE_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/context.h"
#include "decode/slice.h"

#define FOUND_DECODED_MAX 192	/* bytes of a decoded sw8 trace id */

struct found {			/* zero-initialized by the caller */
	uint8_t trace_id[16];
	uint8_t span_id[8];
	bool has_span_id;
	uint8_t flags;
	struct slice original;	/* text of a hashed id; len 0: not hashed */
	char decoded[FOUND_DECODED_MAX];	/* where it stands, if the header encodes it */
};

/* Each: 0 found, -ENOENT nothing of it there, -EINVAL there but not valid. */
int format_traceparent(const struct context_reader *r, struct found *ret);
int format_b3(const struct context_reader *r, struct found *ret);
int format_uber(const struct context_reader *r, struct found *ret);
int format_xray(const struct context_reader *r, struct found *ret);
int format_datadog(const struct context_reader *r, struct found *ret);
int format_sw8(const struct context_reader *r, struct found *ret);
int format_custom(const struct context_reader *r, unsigned int index, struct found *ret);

/* 0 or -EINVAL */
int traceparent_parse(struct slice text, struct found *ret);

/*
 * The members of all tracestate headers as one text of at most TRACESTATE_MAX bytes, from
 * @strings; NULL: none, or not valid (then the whole state is dropped, as the standard says).
 */
#define TRACESTATE_MAX 512
char *tracestate_join(const struct slice *states, unsigned int count, struct strings *strings);

#endif
