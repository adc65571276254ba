/*
 * fuzz_context: trace headers of foreign programs. What is found is a valid context: ids are
 * not zero, the state keeps to its limits; W3C's alone says the same as all of them together.
 * Input: one byte for HTTP or Kafka, then lines of "name: value".
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/context.h"
#include "decode/formats.h"

static char *const custom[] = { "trace-id", "x-run" };

static void check_id(const uint8_t *id, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (id[i])
			return;
	abort();
}

static void check_context(const struct context *c)
{
	if (!c->has_trace_id) {
		if (c->has_span_id || c->has_other || c->tracestate || c->format)
			abort();
		return;
	}
	check_id(c->trace_id, sizeof(c->trace_id));
	if (c->has_span_id)
		check_id(c->span_id, sizeof(c->span_id));
	if (c->has_other)
		check_id(c->other_trace_id, sizeof(c->other_trace_id));
	if (!c->format || c->flags > 3)
		abort();
	if (c->tracestate && (strlen(c->tracestate) > TRACESTATE_MAX || !*c->tracestate))
		abort();
}

static void check_alone(struct slice value, const struct context *all)
{
	struct context alone;

	if (context_from_traceparent(value.at, value.len, &alone))
		return;
	check_context(&alone);
	/* a valid one that stands once is always the one that is taken */
	if (strcmp(all->format, "traceparent") || memcmp(alone.trace_id, all->trace_id, 16) ||
	    memcmp(alone.span_id, all->span_id, 8) || alone.flags != all->flags)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct strings strings;
	struct slice text, line, name, parent = { 0 };
	struct context_reader r;
	struct attrs attrs = { 0 };
	struct context c;
	unsigned int parents = 0;
	char *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	text = slice_of(copy, size - 1);
	context_begin(&r, data[0] & 1 ? CONTEXT_KAFKA : CONTEXT_HTTP, custom, 2);
	while (slice_cut(&text, '\n', &line)) {
		slice_cut(&line, ':', &name);
		if (!line.at)
			continue;
		context_header(&r, name, line);
		if (!slice_is_nocase(name, "traceparent"))
			continue;
		parent = line;
		parents++;
	}
	strings_reset(&strings);
	context_end(&r, &strings, &c, &attrs);
	check_context(&c);
	if (parents == 1)
		check_alone(parent, &c);
	attrs_done(&attrs);
	free(copy);
	return 0;
}
