/*
 * fuzz_reply: what a back end answers is foreign: one byte picks the status, one the type of
 * content, the rest is the body. However it is read, no more spans are refused than were sent.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "send/reply.h"

#define SPANS 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "", "application/x-protobuf", "application/json",
					     "text/plain", "text/html" };
	static const long statuses[] = { 200, 202, 302, 400, 413, 429, 500, 503 };
	static struct reply r;
	struct judgement j;

	if (size < 2 || size - 2 >= sizeof(r.body))
		return 0;
	memset(&r, 0, sizeof(r));
	r.is_answered = true;
	r.status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	strcpy(r.type, types[data[1] % (sizeof(types) / sizeof(types[0]))]);
	r.body_len = size - 2;
	memcpy(r.body, data + 2, r.body_len);
	reply_judge(&j, &r, OTLP_PROTO, SPANS);
	if (j.verdict >= VERDICT_MAX || j.rejected > SPANS ||
	    (j.rejected && j.verdict != VERDICT_DELIVERED) || !memchr(j.text, 0, sizeof(j.text)))
		abort();
	return 0;
}
