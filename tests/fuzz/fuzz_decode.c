/*
 * fuzz_decode: records of any content, as a broken or hostile recording would have them. Each
 * is decoded or rejected, none of their bytes is read past its end, and every message's
 * strings are there. Input: for each record a length, a kind, and what follows.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/decode.h"
#include "decode/rules.h"
#include "msg_text.h"
#include "util/count.h"
#include "wire.h"

#define CHUNK 8		/* lengths are in units of this: records are aligned */

static char *trace_headers[] = { "trace-id" };
static struct rule captures[] = {
	{ .attribute = "key", .from = FROM_KAFKA_KEY, .identifies = IDENTIFY_PARENT },
	{ .attribute = "header", .from = FROM_KAFKA_HEADER, .header = "h", .topic = "t*" },
	{ .attribute = "user", .from = FROM_HTTP_REQUEST_JSON, .field = "user" },
};
static const struct rules rules = {
	.trace_headers = trace_headers, .trace_headers_count = 1,
	.capture = captures, .capture_count = 3,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counters counters = { 0 };
	struct decode_opts opts = { .rules = &rules, .counters = &counters };
	struct msg_text text = { 0 };
	struct decode *d;
	uint64_t fed = 0;

	if (decode_new(&d, &opts, msg_text_next, &text))
		abort();
	while (size >= 2) {
		size_t len = data[0] * CHUNK, kind = data[1] % (WIRE_KIND_MAX + 1), n;
		struct wire_head *rec;

		data += 2;
		size -= 2;
		if (len < sizeof(*rec))
			len = sizeof(*rec);
		n = len < size ? len : size;
		rec = calloc(1, len);
		memcpy(rec, data, n);
		rec->len = len;
		rec->kind = kind;
		/* few processes, so that records meet */
		rec->tgid %= 2;
		rec->start_ns = 0;
		decode_feed(d, rec);
		decode_tick(d, rec->ts_ns);
		fed++;
		free(rec);
		data += n;
		size -= n;
	}
	if (counters.value[RECORDS_DECODED] + counters.value[RECORDS_REJECTED] != fed)
		abort();
	decode_free(d);
	free(text.text);
	return 0;
}
