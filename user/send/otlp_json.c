/* otlp_json: see otlp_json.h. */
#include "send/otlp_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#include "send/otlp.h"
#include "send/request.h"

#define HEX_MAX 64		/* longest id as hex, with its NUL */

/* cJSON has no sticky error: each door below turns a failure into this flag. */
struct json {
	bool is_failed;
};

static cJSON *put(struct json *j, cJSON *to, const char *key, cJSON *item)
{
	if (!item || (key ? !cJSON_AddItemToObjectCS(to, key, item) :
			    !cJSON_AddItemToArray(to, item))) {
		cJSON_Delete(item);
		j->is_failed = true;
		return NULL;
	}
	return item;
}

static cJSON *put_object(struct json *j, cJSON *to, const char *key)
{
	return put(j, to, key, cJSON_CreateObject());
}

static cJSON *put_list(struct json *j, cJSON *to, const char *key)
{
	return put(j, to, key, cJSON_CreateArray());
}

static void put_text(struct json *j, cJSON *to, const char *key, const char *value)
{
	put(j, to, key, cJSON_CreateString(value));
}

static void put_number(struct json *j, cJSON *to, const char *key, uint32_t value)
{
	put(j, to, key, cJSON_CreateNumber(value));
}

static void put_u64(struct json *j, cJSON *to, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_text(j, to, key, digits);
}

static void put_i64(struct json *j, cJSON *to, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	put_text(j, to, key, digits);
}

static void put_hex(struct json *j, cJSON *to, const char *key, ProtobufCBinaryData bytes)
{
	char hex[HEX_MAX] = "";
	size_t i;

	for (i = 0; i < bytes.len && 2 * i + 3 <= sizeof(hex); i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes.data[i]);
	put_text(j, to, key, hex);
}

/* JSON has no such numbers: protobuf's mapping writes them as words. */
static void put_double(struct json *j, cJSON *to, const char *key, double value)
{
	if (isnan(value))
		put_text(j, to, key, "NaN");
	else if (isinf(value))
		put_text(j, to, key, value > 0 ? "Infinity" : "-Infinity");
	else
		put(j, to, key, cJSON_CreateNumber(value));
}

static void put_value(struct json *j, cJSON *to,
		      const Opentelemetry__Proto__Common__V1__AnyValue *value)
{
	switch (value->value_case) {
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE:
		put_text(j, to, "stringValue", value->string_value);
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_BOOL_VALUE:
		put(j, to, "boolValue", cJSON_CreateBool(value->bool_value));
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_INT_VALUE:
		put_i64(j, to, "intValue", value->int_value);
		break;
	case OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_DOUBLE_VALUE:
		put_double(j, to, "doubleValue", value->double_value);
		break;
	default:	/* request.c makes no others */
		break;
	}
}

static void put_attrs(struct json *j, cJSON *to,
		      Opentelemetry__Proto__Common__V1__KeyValue *const *attrs, size_t count)
{
	cJSON *list = count ? put_list(j, to, "attributes") : NULL;
	size_t i;

	for (i = 0; list && i < count; i++) {
		cJSON *pair = put_object(j, list, NULL), *value;

		if (!pair)
			return;
		put_text(j, pair, "key", attrs[i]->key);
		value = put_object(j, pair, "value");
		if (value)
			put_value(j, value, attrs[i]->value);
	}
}

static void put_events(struct json *j, cJSON *to, const Opentelemetry__Proto__Trace__V1__Span *sp)
{
	cJSON *list = sp->n_events ? put_list(j, to, "events") : NULL;
	size_t i;

	for (i = 0; list && i < sp->n_events; i++) {
		cJSON *event = put_object(j, list, NULL);

		if (!event)
			return;
		put_u64(j, event, "timeUnixNano", sp->events[i]->time_unix_nano);
		put_text(j, event, "name", sp->events[i]->name);
		put_attrs(j, event, sp->events[i]->attributes, sp->events[i]->n_attributes);
	}
}

static void put_links(struct json *j, cJSON *to, const Opentelemetry__Proto__Trace__V1__Span *sp)
{
	cJSON *list = sp->n_links ? put_list(j, to, "links") : NULL;
	size_t i;

	for (i = 0; list && i < sp->n_links; i++) {
		cJSON *link = put_object(j, list, NULL);

		if (!link)
			return;
		put_hex(j, link, "traceId", sp->links[i]->trace_id);
		put_hex(j, link, "spanId", sp->links[i]->span_id);
		put_attrs(j, link, sp->links[i]->attributes, sp->links[i]->n_attributes);
	}
}

static void put_dropped(struct json *j, cJSON *to, const Opentelemetry__Proto__Trace__V1__Span *sp)
{
	if (sp->dropped_events_count)
		put_number(j, to, "droppedEventsCount", sp->dropped_events_count);
	if (sp->dropped_links_count)
		put_number(j, to, "droppedLinksCount", sp->dropped_links_count);
}

static void put_span(struct json *j, cJSON *to, const Opentelemetry__Proto__Trace__V1__Span *sp)
{
	cJSON *status;

	put_hex(j, to, "traceId", sp->trace_id);
	put_hex(j, to, "spanId", sp->span_id);
	if (*sp->trace_state)
		put_text(j, to, "traceState", sp->trace_state);
	if (sp->parent_span_id.len)
		put_hex(j, to, "parentSpanId", sp->parent_span_id);
	put_number(j, to, "flags", sp->flags);
	put_text(j, to, "name", sp->name);
	put_number(j, to, "kind", sp->kind);
	put_u64(j, to, "startTimeUnixNano", sp->start_time_unix_nano);
	put_u64(j, to, "endTimeUnixNano", sp->end_time_unix_nano);
	put_attrs(j, to, sp->attributes, sp->n_attributes);
	put_events(j, to, sp);
	put_links(j, to, sp);
	put_dropped(j, to, sp);
	status = sp->status ? put_object(j, to, "status") : NULL;
	if (status)
		put_number(j, status, "code", sp->status->code);
}

static void put_scope(struct json *j, cJSON *to,
		      const Opentelemetry__Proto__Trace__V1__ScopeSpans *from)
{
	cJSON *scope = put_object(j, to, "scope"), *spans = put_list(j, to, "spans");
	size_t i;

	if (scope) {
		put_text(j, scope, "name", from->scope->name);
		put_text(j, scope, "version", from->scope->version);
	}
	for (i = 0; spans && i < from->n_spans; i++) {
		cJSON *span = put_object(j, spans, NULL);

		if (span)
			put_span(j, span, from->spans[i]);
	}
	put_text(j, to, "schemaUrl", from->schema_url);
}

static void put_resource(struct json *j, cJSON *to,
			 const Opentelemetry__Proto__Trace__V1__ResourceSpans *from)
{
	cJSON *resource = put_object(j, to, "resource"), *list = put_list(j, to, "scopeSpans");
	size_t i;

	if (resource)
		put_attrs(j, resource, from->resource->attributes, from->resource->n_attributes);
	for (i = 0; list && i < from->n_scope_spans; i++) {
		cJSON *scope = put_object(j, list, NULL);

		if (scope)
			put_scope(j, scope, from->scope_spans[i]);
	}
	put_text(j, to, "schemaUrl", from->schema_url);
}

int otlp_json_encode(char **ret, size_t *ret_len, const struct request *r)
{
	struct json j = { 0 };
	cJSON *root = cJSON_CreateObject();
	cJSON *list = root ? put_list(&j, root, "resourceSpans") : NULL;
	char *line = NULL;
	size_t i;

	for (i = 0; list && i < r->msg->n_resource_spans; i++) {
		cJSON *resource = put_object(&j, list, NULL);

		if (resource)
			put_resource(&j, resource, r->msg->resource_spans[i]);
	}
	if (list && !j.is_failed)
		line = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (!line)
		return -ENOMEM;
	*ret = line;
	*ret_len = strlen(line);
	return 0;
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
