/*
 * traces: synthetic traces for tests of the stages behind join: numbered ones for load, and
 * one execution of the platform for the eye. Every value is derived from the trace's number,
 * so that a checker in another language can say what must come out.
 */
#ifndef TESTS_TRACES_H
#define TESTS_TRACES_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join/span.h"

#define TRACES_EPOCH_NS 1700000000000000000ull	/* when trace 0 starts */

static inline struct resource *traces_resource(const char *service, int pid)
{
	struct resource *r = calloc(1, sizeof(*r));

	r->refs = 1;
	r->service = strdup(service);
	attrs_set_str(&r->attrs, "service.name", service);
	attrs_set_int(&r->attrs, "process.pid", pid);
	return r;
}

static inline void traces_resource_free(struct resource *r)
{
	attrs_done(&r->attrs);
	free(r->service);
	free(r);
}

static inline struct span *traces_span(const char *name, enum span_kind kind, uint64_t start_ns,
				       uint64_t end_ns)
{
	struct span *sp = calloc(1, sizeof(*sp));

	sp->name = strdup(name);
	sp->kind = kind;
	sp->start_ns = start_ns;
	sp->end_ns = end_ns;
	sp->flags = 1;
	sp->scope = "http";
	sp->evidence = EVIDENCE_NONE;
	return sp;
}

static inline void traces_span_free(struct span *sp)
{
	size_t i;

	for (i = 0; i < sp->event_count; i++) {
		free(sp->events[i].name);
		attrs_done(&sp->events[i].attrs);
	}
	for (i = 0; i < sp->link_count; i++)
		attrs_done(&sp->links[i].attrs);
	free(sp->events);
	free(sp->links);
	free(sp->tracestate);
	free(sp->name);
	attrs_done(&sp->attrs);
	free(sp);
}

static inline void traces_put_number(uint8_t *to, size_t len, uint64_t number)
{
	while (len--) {
		to[len] = number;
		number >>= 8;
	}
}

static inline void traces_parent(struct span *sp, const struct span *parent, enum evidence e)
{
	sp->has_parent = true;
	memcpy(sp->parent_id, parent->span_id, sizeof(sp->parent_id));
	sp->parent_is_remote = parent->resource != sp->resource;
	sp->evidence = e;
}

static inline void traces_free(struct trace *t)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		traces_span_free(t->spans[i]);
	free(t->spans);
	free(t);
}

/*
 * Trace @number of @count spans: ids are the number (trace: number + 1; span: (number + 1)
 * << 32 | index + 1), a span's parent is index / 2, its service svc-<index % 3>, its scope by
 * turns http, kafka; it starts index ms after the trace and lasts count ms.
 */
static inline struct trace *traces_numbered(uint64_t number, size_t count,
					    struct resource *const resources[3])
{
	struct trace *t = calloc(1, sizeof(*t));
	size_t i;

	t->spans = calloc(count, sizeof(*t->spans));
	t->count = count;
	traces_put_number(t->trace_id, 16, number + 1);
	for (i = 0; i < count; i++) {
		uint64_t start = TRACES_EPOCH_NS + number * 1000000000 + i * 1000000;
		struct span *sp;
		char name[32];

		snprintf(name, sizeof(name), "op %zu", i);
		sp = traces_span(name, SPAN_INTERNAL + i % 5, start, start + count * 1000000);
		sp->resource = resources[i % 3];
		sp->scope = i % 2 ? "kafka" : "http";
		memcpy(sp->trace_id, t->trace_id, 16);
		traces_put_number(sp->span_id, 8, (number + 1) << 32 | (i + 1));
		if (i)
			traces_parent(sp, t->spans[i / 2], EVIDENCE_HEADER);
		attrs_set_int(&sp->attrs, "test.index", i);
		attrs_set_str(&sp->attrs, "execution.id", "ex \xe2\x9c\x93");
		t->spans[i] = sp;
	}
	return t;
}

#endif
