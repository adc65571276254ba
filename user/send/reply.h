/*
 * reply: what a back end answered, and what that means for the spans: OTLP/HTTP's rules.
 *
 * Only 429, 502, 503, 504 and a missing answer are worth another try. A success must be an
 * OTLP answer: a web page with status 200 took no span.
 */
#ifndef SEND_REPLY_H
#define SEND_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/otlp.h"

#define REPLY_BODY_MAX (64 * 1024)	/* bytes read; a longer body is refused, as OTLP says */
#define REPLY_HEAD_MAX (64 * 1024)
#define REPLY_TYPE_MAX 64
#define REPLY_RETRY_MAX_S 300		/* longest Retry-After that is obeyed */

struct reply {
	bool is_answered;	/* a status came, and the body to its end */
	bool is_too_long;	/* more than the limits above */
	bool is_garbled;	/* something came, but no HTTP */
	bool is_aborted;	/* we gave up, by post_stop() */
	long status;
	uint64_t retry_after_s;	/* 0: not said, or in the past */
	char type[REPLY_TYPE_MAX];	/* Content-Type */
	char error[OTLP_MESSAGE_MAX];	/* why no answer came */
	char body[REPLY_BODY_MAX];
	size_t body_len, head_len;
};

enum verdict {
	VERDICT_DELIVERED,
	VERDICT_RETRY,
	VERDICT_TOO_LARGE,	/* 413: less at once may do */
	VERDICT_REFUSED,
	VERDICT_MAX,
};

struct judgement {
	enum verdict verdict;
	uint64_t rejected;	/* of a delivered request; at most its spans */
	char text[OTLP_MESSAGE_MAX + 64];	/* what to tell the user; "": nothing */
};

/* @form and @spans are those of the request. */
void reply_judge(struct judgement *ret, const struct reply *r, enum otlp_form form, size_t spans);

#endif
