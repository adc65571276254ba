/* otlp_json: see otlp_json.h. */
#include "send/otlp_json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#include "send/json_text.h"
#include "send/otlp.h"
#include "send/request.h"

/* The generated names are long: these are the same types. */
#define PB_ANY_VALUE Opentelemetry__Proto__Common__V1__AnyValue
#define PB_KEY_VALUE Opentelemetry__Proto__Common__V1__KeyValue
#define PB_SPAN Opentelemetry__Proto__Trace__V1__Span
#define PB_SCOPE_SPANS Opentelemetry__Proto__Trace__V1__ScopeSpans
#define PB_RESOURCE_SPANS Opentelemetry__Proto__Trace__V1__ResourceSpans

/* JSON has no such numbers: protobuf's mapping writes them as words. */
static void put_double(struct json_text *j, double value)
{
	if (isnan(value))
		json_text_string(j, "doubleValue", "NaN");
	else if (isinf(value))
		json_text_string(j, "doubleValue", value > 0 ? "Infinity" : "-Infinity");
	else
		json_text_double(j, "doubleValue", value);
}

static void put_value(struct json_text *j, const PB_ANY_VALUE *value)
{
	switch (value->value_case) {
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE:
		json_text_string(j, "stringValue", value->string_value);
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE:
		json_text_bool(j, "boolValue", value->bool_value);
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE:
		json_text_i64(j, "intValue", value->int_value);
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE:
		put_double(j, value->double_value);
		break;
	default:	/* request.c makes no others */
		break;
	}
}

static void put_attrs(struct json_text *j, PB_KEY_VALUE *const *attrs, size_t count)
{
	size_t i;

	if (!count)
		return;
	json_text_open(j, "attributes", '[');
	for (i = 0; i < count; i++) {
		json_text_open(j, NULL, '{');
		json_text_string(j, "key", attrs[i]->key);
		json_text_open(j, "value", '{');
		put_value(j, attrs[i]->value);
		json_text_close(j, '}');
		json_text_close(j, '}');
	}
	json_text_close(j, ']');
}

static void put_events(struct json_text *j, const PB_SPAN *sp)
{
	size_t i;

	if (!sp->n_events)
		return;
	json_text_open(j, "events", '[');
	for (i = 0; i < sp->n_events; i++) {
		json_text_open(j, NULL, '{');
		json_text_u64(j, "timeUnixNano", sp->events[i]->time_unix_nano);
		json_text_string(j, "name", sp->events[i]->name);
		put_attrs(j, sp->events[i]->attributes, sp->events[i]->n_attributes);
		json_text_close(j, '}');
	}
	json_text_close(j, ']');
}

static void put_id(struct json_text *j, const char *key, const ProtobufCBinaryData *id)
{
	json_text_hex(j, key, id->data, id->len);
}

static void put_links(struct json_text *j, const PB_SPAN *sp)
{
	size_t i;

	if (!sp->n_links)
		return;
	json_text_open(j, "links", '[');
	for (i = 0; i < sp->n_links; i++) {
		json_text_open(j, NULL, '{');
		put_id(j, "traceId", &sp->links[i]->trace_id);
		put_id(j, "spanId", &sp->links[i]->span_id);
		put_attrs(j, sp->links[i]->attributes, sp->links[i]->n_attributes);
		json_text_close(j, '}');
	}
	json_text_close(j, ']');
}

static void put_dropped(struct json_text *j, const PB_SPAN *sp)
{
	if (sp->dropped_events_count)
		json_text_number(j, "droppedEventsCount", sp->dropped_events_count);
	if (sp->dropped_links_count)
		json_text_number(j, "droppedLinksCount", sp->dropped_links_count);
}

static void put_span(struct json_text *j, const PB_SPAN *sp)
{
	json_text_open(j, NULL, '{');
	put_id(j, "traceId", &sp->trace_id);
	put_id(j, "spanId", &sp->span_id);
	if (*sp->trace_state)
		json_text_string(j, "traceState", sp->trace_state);
	if (sp->parent_span_id.len)
		put_id(j, "parentSpanId", &sp->parent_span_id);
	json_text_number(j, "flags", sp->flags);
	json_text_string(j, "name", sp->name);
	json_text_number(j, "kind", sp->kind);
	json_text_u64(j, "startTimeUnixNano", sp->start_time_unix_nano);
	json_text_u64(j, "endTimeUnixNano", sp->end_time_unix_nano);
	put_attrs(j, sp->attributes, sp->n_attributes);
	put_events(j, sp);
	put_links(j, sp);
	put_dropped(j, sp);
	if (sp->status) {
		json_text_open(j, "status", '{');
		json_text_number(j, "code", sp->status->code);
		json_text_close(j, '}');
	}
	json_text_close(j, '}');
}

static void put_scope(struct json_text *j, const PB_SCOPE_SPANS *from)
{
	size_t i;

	json_text_open(j, NULL, '{');
	json_text_open(j, "scope", '{');
	json_text_string(j, "name", from->scope->name);
	json_text_string(j, "version", from->scope->version);
	json_text_close(j, '}');
	json_text_open(j, "spans", '[');
	for (i = 0; i < from->n_spans; i++)
		put_span(j, from->spans[i]);
	json_text_close(j, ']');
	json_text_string(j, "schemaUrl", from->schema_url);
	json_text_close(j, '}');
}

static void put_resource(struct json_text *j, const PB_RESOURCE_SPANS *from)
{
	size_t i;

	json_text_open(j, NULL, '{');
	json_text_open(j, "resource", '{');
	put_attrs(j, from->resource->attributes, from->resource->n_attributes);
	json_text_close(j, '}');
	json_text_open(j, "scopeSpans", '[');
	for (i = 0; i < from->n_scope_spans; i++)
		put_scope(j, from->scope_spans[i]);
	json_text_close(j, ']');
	json_text_string(j, "schemaUrl", from->schema_url);
	json_text_close(j, '}');
}

int otlp_json_encode(char **ret, size_t *ret_len, const struct request *r)
{
	struct json_text j = { 0 };
	size_t i;

	json_text_open(&j, NULL, '{');
	json_text_open(&j, "resourceSpans", '[');
	for (i = 0; i < r->msg->n_resource_spans; i++)
		put_resource(&j, r->msg->resource_spans[i]);
	json_text_close(&j, ']');
	json_text_close(&j, '}');
	return json_text_take(&j, ret, ret_len);
}

int otlp_json_decode_answer(struct otlp_answer *ret, const void *body, size_t len)
{
	cJSON *root = cJSON_ParseWithLength(body, len);
	const cJSON *partial, *rejected, *message;

	if (!cJSON_IsObject(root)) {
		cJSON_Delete(root);
		return -EINVAL;
	}
	partial = cJSON_GetObjectItemCaseSensitive(root, "partialSuccess");
	rejected = cJSON_GetObjectItemCaseSensitive(partial, "rejectedSpans");
	message = cJSON_GetObjectItemCaseSensitive(partial, "errorMessage");
	*ret = (struct otlp_answer){ 0 };
	if (cJSON_IsString(rejected))
		ret->rejected = strtoll(rejected->valuestring, NULL, 10);
	else if (cJSON_IsNumber(rejected) && fabs(rejected->valuedouble) < 9e18)
		ret->rejected = (int64_t)rejected->valuedouble;
	if (cJSON_IsString(message))
		snprintf(ret->message, sizeof(ret->message), "%s", message->valuestring);
	cJSON_Delete(root);
	return 0;
}
