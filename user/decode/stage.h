/* stage: what the files of decode share of the stage's state; private to this folder. */
#ifndef DECODE_STAGE_H
#define DECODE_STAGE_H

#include "decode/strings.h"
#include "decode/decode.h"
#include "decode/rules.h"
#include "decode/slice.h"
#include "util/count.h"
#include "wire.h"

struct stream;

struct decode {
	const struct rules *rules;	/* never NULL */
	struct counters *counters;
	decode_next_fn next;
	void *ctx;
	struct stream *stream;
	struct strings strings;		/* strings of the message under way */
};

/* Starts a message with what every record says; its strings come from d->strings. */
void stage_msg(struct decode *d, struct msg *m, enum msg_kind kind, const struct wire_head *rec);

/* Hands @m on; then its attributes and strings are given back. */
void stage_send(struct decode *d, struct msg *m);

void stage_labels(struct msg *m, const struct wire_head *rec, const struct wire_labels *labels);
struct msg_label stage_label(const struct wire_label *label);

/* Parts of a tail that are followed by zeros up to 8 bytes take so many. */
static inline size_t stage_padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* The next @len bytes of the tail as a string of d->strings; moves *tail on. */
const char *stage_string(struct decode *d, struct slice *tail, size_t len);

#endif
