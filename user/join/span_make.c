/* span_make: see span_make.h. */
#include "join/span_make.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPAN_NAME_MAX 256	/* bytes; a longer name is cut */

struct span *span_new(struct resource *resource)
{
	struct span *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->resource = resource_get(resource);
	s->evidence = EVIDENCE_NONE;
	return s;
}

void span_free(struct span *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->link_count; i++)
		attrs_done(&s->links[i].attrs);
	for (i = 0; i < s->event_count; i++) {
		attrs_done(&s->events[i].attrs);
		free(s->events[i].name);
	}
	free(s->links);
	free(s->events);
	free(s->tracestate);
	free(s->name);
	attrs_done(&s->attrs);
	resource_put(s->resource);
	free(s);
}

int span_add_link(struct span *s, const uint8_t trace_id[16], const uint8_t span_id[8],
		  struct span_link **ret)
{
	size_t i;

	for (i = 0; i < s->link_count; i++)
		if (!memcmp(s->links[i].span_id, span_id, 8) &&
		    !memcmp(s->links[i].trace_id, trace_id, 16))
			return 0;
	return span_append_link(s, trace_id, span_id, ret);
}

/* Room grows by doubling: a full list's count is a power of two. */
static void *grow(void *list, size_t count, size_t size)
{
	if (count & (count - 1))
		return list;
	return realloc(list, (count ? 2 * count : 1) * size);
}

int span_append_link(struct span *s, const uint8_t trace_id[16], const uint8_t span_id[8],
		     struct span_link **ret)
{
	struct span_link *links = NULL;

	if (s->link_count < SPAN_LINKS_MAX)
		links = grow(s->links, s->link_count, sizeof(*links));
	if (!links) {
		s->dropped_links++;
		return s->link_count < SPAN_LINKS_MAX ? -ENOMEM : -E2BIG;
	}
	s->links = links;
	links += s->link_count++;
	memset(links, 0, sizeof(*links));
	memcpy(links->trace_id, trace_id, 16);
	memcpy(links->span_id, span_id, 8);
	if (ret)
		*ret = links;
	return 0;
}

int span_add_event(struct span *s, uint64_t ts_ns, const char *name, struct span_event **ret)
{
	struct span_event *events;

	if (s->event_count >= SPAN_EVENTS_MAX) {
		s->dropped_events++;
		return -E2BIG;
	}
	events = realloc(s->events, (s->event_count + 1) * sizeof(*events));
	if (!events)
		return -ENOMEM;
	s->events = events;
	events += s->event_count;
	memset(events, 0, sizeof(*events));
	events->ts_ns = ts_ns;
	events->name = strdup(name);
	if (!events->name)
		return -ENOMEM;
	s->event_count++;
	if (ret)
		*ret = events;
	return 0;
}

void span_set_name(struct span *s, const char *format, ...)
{
	char name[SPAN_NAME_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	free(s->name);
	s->name = strdup(name);
}

void span_set_error(struct span *s, const char *type)
{
	s->status = STATUS_ERROR;
	if (type)
		attrs_set_str(&s->attrs, "error.type", type);
}

struct resource *resource_new(const char *service)
{
	struct resource *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->refs = 1;
	if (resource_set_service(r, service)) {
		resource_put(r);
		return NULL;
	}
	return r;
}

struct resource *resource_get(struct resource *r)
{
	r->refs++;
	return r;
}

void resource_put(struct resource *r)
{
	if (!r || --r->refs)
		return;
	free(r->service);
	attrs_done(&r->attrs);
	free(r);
}

int resource_set_service(struct resource *r, const char *service)
{
	char *copy = strdup(service);

	if (!copy)
		return -ENOMEM;
	free(r->service);
	r->service = copy;
	return attrs_set_str(&r->attrs, "service.name", service);
}
