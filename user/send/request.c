/* request: see request.h. */
#include "send/request.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#include "join/span.h"
#include "send/group.h"
#include "util/utf8.h"

#define FLAG_HAS_IS_REMOTE 0x100u	/* SpanFlags of the protocol */
#define FLAG_IS_REMOTE 0x200u


/* The generated names are long: these are the same types. */
#define PB_REQUEST Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest
#define PB_RESOURCE_SPANS Opentelemetry__Proto__Trace__V1__ResourceSpans
#define PB_SCOPE_SPANS Opentelemetry__Proto__Trace__V1__ScopeSpans
#define PB_SPAN Opentelemetry__Proto__Trace__V1__Span
#define PB_EVENT Opentelemetry__Proto__Trace__V1__Span__Event
#define PB_LINK Opentelemetry__Proto__Trace__V1__Span__Link
#define PB_STATUS Opentelemetry__Proto__Trace__V1__Status
#define PB_RESOURCE Opentelemetry__Proto__Resource__V1__Resource
#define PB_SCOPE Opentelemetry__Proto__Common__V1__InstrumentationScope
#define PB_KEY_VALUE Opentelemetry__Proto__Common__V1__KeyValue
#define PB_ANY_VALUE Opentelemetry__Proto__Common__V1__AnyValue

/* What the helpers share. A failed allocation is remembered and asked for once, at the end. */
struct builder {
	struct arena *arena;
	const struct request_opts *opts;
	bool is_failed;
};

static void *take(struct builder *b, size_t count, size_t bytes)
{
	void *piece = arena_take(b->arena, count * bytes);

	if (!piece)
		b->is_failed = true;
	return piece;
}

/* An array of @count pointers to structs that lie in one piece; *ret_list is that piece. */
static void **take_list(struct builder *b, size_t count, size_t bytes, void *ret_list)
{
	void **pointers = take(b, count, sizeof(*pointers));
	char *list = take(b, count, bytes);
	size_t i;

	if (!pointers || !list)
		return NULL;
	for (i = 0; i < count; i++)
		pointers[i] = list + i * bytes;
	*(void **)ret_list = list;
	return pointers;
}

/* @s itself where it is valid UTF-8, else a copy that is: one bad byte costs a whole request. */
static char *text(struct builder *b, const char *s)
{
	const unsigned char *p = (const unsigned char *)(s ? s : "");
	size_t left = strlen((const char *)p);
	char *clean, *copy;
	int n;

	for (n = 1; left && n > 0; p += n, left -= n)
		n = utf8_sequence(p, left);
	if (!left && n > 0)
		return (char *)(s ? s : "");
	clean = utf8_clean(s, strlen(s));
	copy = clean ? take(b, strlen(clean) + 1, 1) : NULL;
	if (copy)
		strcpy(copy, clean);
	else
		b->is_failed = true;
	free(clean);
	return copy;
}

static ProtobufCBinaryData id(const void *bytes, size_t len)
{
	return (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)bytes };
}

static void build_value(struct builder *b, PB_ANY_VALUE *value, const struct attr *at)
{
	switch (at->type) {
	case ATTR_STR:
		value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
		value->string_value = text(b, at->str);
		break;
	case ATTR_INT:
		value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE;
		value->int_value = at->num;
		break;
	case ATTR_BOOL:
		value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE;
		value->bool_value = at->flag;
		break;
	case ATTR_DOUBLE:
		value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE;
		value->double_value = at->real;
		break;
	}
}

/* *ret is the list of @count key-values; untouched where there are none or no memory. */
static size_t build_attrs(struct builder *b, PB_KEY_VALUE ***ret, const struct attr *from,
			  size_t count)
{
	struct pair {
		PB_KEY_VALUE pair;
		PB_ANY_VALUE value;
	} *list;
	PB_KEY_VALUE **pointers;
	size_t i;

	if (!count)
		return 0;
	pointers = (PB_KEY_VALUE **)take_list(b, count, sizeof(*list), &list);
	if (!pointers)
		return 0;
	for (i = 0; i < count; i++) {
		opentelemetry__proto__common__v1__key_value__init(&list[i].pair);
		opentelemetry__proto__common__v1__any_value__init(&list[i].value);
		list[i].pair.key = text(b, from[i].key);
		list[i].pair.value = &list[i].value;
		build_value(b, &list[i].value, &from[i]);
	}
	*ret = pointers;
	return count;
}

static void build_events(struct builder *b, PB_SPAN *to, const struct span *sp)
{
	PB_EVENT *list;
	size_t i;

	to->events = (PB_EVENT **)take_list(b, sp->event_count, sizeof(*list), &list);
	if (!to->events)
		return;
	to->n_events = sp->event_count;
	for (i = 0; i < sp->event_count; i++) {
		const struct span_event *from = &sp->events[i];

		opentelemetry__proto__trace__v1__span__event__init(&list[i]);
		list[i].time_unix_nano = from->ts_ns;
		list[i].name = text(b, from->name);
		list[i].n_attributes = build_attrs(b, &list[i].attributes, from->attrs.list,
						   from->attrs.count);
	}
}

static void build_links(struct builder *b, PB_SPAN *to, const struct span *sp)
{
	PB_LINK *list;
	size_t i;

	to->links = (PB_LINK **)take_list(b, sp->link_count, sizeof(*list), &list);
	if (!to->links)
		return;
	to->n_links = sp->link_count;
	for (i = 0; i < sp->link_count; i++) {
		const struct span_link *from = &sp->links[i];

		opentelemetry__proto__trace__v1__span__link__init(&list[i]);
		list[i].trace_id = id(from->trace_id, sizeof(from->trace_id));
		list[i].span_id = id(from->span_id, sizeof(from->span_id));
		list[i].n_attributes = build_attrs(b, &list[i].attributes, from->attrs.list,
						   from->attrs.count);
	}
}

static void build_status(struct builder *b, PB_SPAN *to, const struct span *sp)
{
	if (sp->status == STATUS_UNSET)
		return;
	to->status = take(b, 1, sizeof(*to->status));
	if (!to->status)
		return;
	opentelemetry__proto__trace__v1__status__init(to->status);
	to->status->code = (Opentelemetry__Proto__Trace__V1__Status__StatusCode)sp->status;
}

static void build_span(struct builder *b, PB_SPAN *to, const struct span *sp)
{
	opentelemetry__proto__trace__v1__span__init(to);
	to->trace_id = id(sp->trace_id, sizeof(sp->trace_id));
	to->span_id = id(sp->span_id, sizeof(sp->span_id));
	if (sp->has_parent)
		to->parent_span_id = id(sp->parent_id, sizeof(sp->parent_id));
	to->flags = sp->flags | FLAG_HAS_IS_REMOTE;
	if (sp->parent_is_remote)
		to->flags |= FLAG_IS_REMOTE;
	to->trace_state = text(b, sp->tracestate);
	to->name = text(b, sp->name);
	to->kind = (Opentelemetry__Proto__Trace__V1__Span__SpanKind)sp->kind;
	to->start_time_unix_nano = sp->start_ns;
	to->end_time_unix_nano = sp->end_ns > sp->start_ns ? sp->end_ns : sp->start_ns;
	to->n_attributes = build_attrs(b, &to->attributes, sp->attrs.list, sp->attrs.count);
	build_status(b, to, sp);
	to->dropped_events_count = sp->dropped_events;
	to->dropped_links_count = sp->dropped_links;
	if (b->opts->is_bare) {
		to->dropped_events_count += sp->event_count;
		to->dropped_links_count += sp->link_count;
		return;
	}
	build_events(b, to, sp);
	build_links(b, to, sp);
}

static void build_scope(struct builder *b, PB_SCOPE_SPANS *to, const struct scope_group *sg)
{
	size_t name_bytes = sizeof(SCOPE_PREFIX) + strlen(sg->scope);
	char *name = take(b, name_bytes, 1);
	PB_SPAN *list;
	size_t i;

	opentelemetry__proto__trace__v1__scope_spans__init(to);
	to->schema_url = SCHEMA_URL;
	to->scope = take(b, 1, sizeof(*to->scope));
	to->spans = (PB_SPAN **)take_list(b, sg->count, sizeof(*list), &list);
	if (!name || !to->scope || !to->spans)
		return;
	snprintf(name, name_bytes, "%s%s", SCOPE_PREFIX, sg->scope);
	opentelemetry__proto__common__v1__instrumentation_scope__init(to->scope);
	to->scope->name = name;
	to->scope->version = VERSION;
	to->n_spans = sg->count;
	for (i = 0; i < sg->count; i++)
		build_span(b, &list[i], sg->spans[i]);
}

static const char *service_of(const struct resource *from, const struct request_opts *opts)
{
	const char *names[] = {
		from ? attrs_get_str(&from->attrs, "service.name") : NULL,
		from ? from->service : NULL,
		opts->service,
		opts->resource ? attrs_get_str(opts->resource, "service.name") : NULL,
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i] && *names[i])
			return names[i];
	return SERVICE_UNKNOWN;
}

/* service.name first; then what was found of the process; then what the agent was told. */
static void build_resource_attrs(struct builder *b, PB_RESOURCE *to, const struct resource *from)
{
	static const struct attrs none;
	const struct attrs *found = from ? &from->attrs : &none;
	const struct attrs *told = b->opts->resource ? b->opts->resource : &none;
	struct attr *list = take(b, 1 + found->count + told->count, sizeof(*list));
	size_t i, n = 0;

	if (!list)
		return;
	list[n++] = (struct attr){ .key = "service.name",
				   .str = (char *)service_of(from, b->opts) };
	for (i = 0; i < found->count; i++)
		if (strcmp(found->list[i].key, "service.name"))
			list[n++] = found->list[i];
	for (i = 0; i < told->count; i++)
		if (strcmp(told->list[i].key, "service.name") &&
		    !attrs_get(found, told->list[i].key))
			list[n++] = told->list[i];
	to->n_attributes = build_attrs(b, &to->attributes, list, n);
}

static void build_resource(struct builder *b, PB_RESOURCE_SPANS *to,
			   const struct resource_group *rg)
{
	PB_SCOPE_SPANS *list;
	size_t i;

	opentelemetry__proto__trace__v1__resource_spans__init(to);
	to->schema_url = SCHEMA_URL;
	to->resource = take(b, 1, sizeof(*to->resource));
	to->scope_spans = (PB_SCOPE_SPANS **)take_list(b, rg->count, sizeof(*list), &list);
	if (!to->resource || !to->scope_spans)
		return;
	opentelemetry__proto__resource__v1__resource__init(to->resource);
	build_resource_attrs(b, to->resource, rg->resource);
	to->n_scope_spans = rg->count;
	for (i = 0; i < rg->count; i++)
		build_scope(b, &list[i], &rg->scopes[i]);
}

static void build(struct builder *b, PB_REQUEST *to, const struct groups *g)
{
	PB_RESOURCE_SPANS *list;
	size_t i;

	opentelemetry__proto__collector__trace__v1__export_trace_service_request__init(to);
	to->resource_spans = (PB_RESOURCE_SPANS **)take_list(b, g->count, sizeof(*list), &list);
	if (!to->resource_spans)
		return;
	to->n_resource_spans = g->count;
	for (i = 0; i < g->count; i++)
		build_resource(b, &list[i], &g->resources[i]);
}

int request_init(struct request *r, struct span *const *spans, size_t count,
		 const struct request_opts *opts)
{
	struct builder b = { .arena = &r->arena, .opts = opts };
	struct groups g;
	int err;

	*r = (struct request){ 0 };
	err = groups_init(&g, spans, count);
	if (err)
		return err;
	r->msg = take(&b, 1, sizeof(*r->msg));
	if (r->msg)
		build(&b, r->msg, &g);
	groups_done(&g);
	if (b.is_failed) {
		request_done(r);
		return -ENOMEM;
	}
	return 0;
}

void request_done(struct request *r)
{
	arena_done(&r->arena);
	r->msg = NULL;
}
