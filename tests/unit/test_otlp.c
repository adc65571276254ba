/* otlp: spans become one request, the same in both forms, cut to what back ends take. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb-c.h"

#include "send/otlp.h"
#include "send/request.h"
#include "traces.h"

#define PIECES_MAX 64

struct pieces {
	struct otlp_piece list[PIECES_MAX];
	size_t count, spans;
};

static int keep(void *ctx, struct otlp_piece *piece)
{
	struct pieces *p = ctx;

	check(p->count < PIECES_MAX, "room for the pieces");
	p->list[p->count++] = *piece;
	p->spans += piece->spans;
	return 0;
}

static void pieces_done(struct pieces *p)
{
	while (p->count)
		free(p->list[--p->count].body);
}

static void resources_new(struct resource *r[3])
{
	r[0] = traces_resource("svc-0", 100);
	r[1] = traces_resource("svc-1", 101);
	r[2] = traces_resource("svc-2", 102);
}

static void resources_free(struct resource *r[3])
{
	traces_resource_free(r[0]);
	traces_resource_free(r[1]);
	traces_resource_free(r[2]);
}

#define PB_REQUEST Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest
#define PB(function) \
	opentelemetry__proto__collector__trace__v1__export_trace_service_request__##function

static PB_REQUEST *unpack(const char *body, size_t len)
{
	return PB(unpack)(NULL, len, (const uint8_t *)body);
}

/* Encodes as one JSON piece; the caller frees. */
static char *json_of(const struct trace *t, const struct request_opts *opts)
{
	struct pieces p = { 0 };

	check_eq(otlp_encode(t, OTLP_JSON, opts, keep, &p), 0, "encode");
	check_eq(p.count, 1, "pieces");
	return p.list[0].body;
}

TEST(json_is_what_the_protocol_says)
{
	static const char want[] =
	    "{\"resourceSpans\":[{\"resource\":{\"attributes\":["
	    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"api\"}},"
	    "{\"key\":\"process.pid\",\"value\":{\"intValue\":\"9007199254740993\"}}]},"
	    "\"scopeSpans\":[{\"scope\":{\"name\":\"spanstitch/http\",\"version\":\"" VERSION "\"},"
	    "\"spans\":[{\"traceId\":\"000000000000000000000000000000ab\","
	    "\"spanId\":\"00000000000000cd\",\"traceState\":\"a=b\","
	    "\"parentSpanId\":\"00000000000000ef\",\"flags\":769,\"name\":\"POST\",\"kind\":2,"
	    "\"startTimeUnixNano\":\"1700000000000000001\","
	    "\"endTimeUnixNano\":\"1700000000000000002\",\"attributes\":["
	    "{\"key\":\"s\",\"value\":{\"stringValue\":\"q\\\"\\n\"}},"
	    "{\"key\":\"i\",\"value\":{\"intValue\":\"-5\"}},"
	    "{\"key\":\"b\",\"value\":{\"boolValue\":true}},"
	    "{\"key\":\"d\",\"value\":{\"doubleValue\":0.25}},"
	    "{\"key\":\"n\",\"value\":{\"doubleValue\":\"NaN\"}}],"
	    "\"events\":[{\"timeUnixNano\":\"1700000000000000002\",\"name\":\"e\",\"attributes\":["
	    "{\"key\":\"k\",\"value\":{\"intValue\":\"1\"}}]}],"
	    "\"links\":[{\"traceId\":\"00000000000000000000000000000001\","
	    "\"spanId\":\"0000000000000002\"}],\"status\":{\"code\":2}}],"
	    "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.44.0\"}],"
	    "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.44.0\"}]}";
	struct span *sp = traces_span("POST", SPAN_SERVER, 1700000000000000001,
				      1700000000000000002);
	struct trace t = { .spans = &sp, .count = 1 };
	struct request_opts opts = { 0 };
	char *got;

	sp->resource = traces_resource("api", 0);
	attrs_set_int(&sp->resource->attrs, "process.pid", 9007199254740993);
	traces_put_number(sp->trace_id, 16, 0xab);
	traces_put_number(sp->span_id, 8, 0xcd);
	traces_put_number(sp->parent_id, 8, 0xef);
	sp->has_parent = sp->parent_is_remote = true;
	sp->tracestate = strdup("a=b");
	sp->status = STATUS_ERROR;
	attrs_set_str(&sp->attrs, "s", "q\"\n");
	attrs_set_int(&sp->attrs, "i", -5);
	attrs_set_bool(&sp->attrs, "b", true);
	attrs_set_double(&sp->attrs, "d", 0.25);
	attrs_set_double(&sp->attrs, "n", 0.0 / 0.0);
	sp->events = calloc(1, sizeof(*sp->events));
	sp->event_count = 1;
	sp->events[0].ts_ns = sp->end_ns;
	sp->events[0].name = strdup("e");
	attrs_set_int(&sp->events[0].attrs, "k", 1);
	sp->links = calloc(1, sizeof(*sp->links));
	sp->link_count = 1;
	traces_put_number(sp->links[0].trace_id, 16, 1);
	traces_put_number(sp->links[0].span_id, 8, 2);
	got = json_of(&t, &opts);
	check_str(got, want, "json");
	free(got);
	traces_resource_free(sp->resource);
	traces_span_free(sp);
}

TEST(flags_say_where_the_parent_ran)
{
	static const struct {
		const char *name;
		uint8_t flags;
		bool is_remote;
		const char *want;
	} cases[] = {
		{ "local parent", 1, false, "\"flags\":257," },
		{ "remote parent", 1, true, "\"flags\":769," },
		{ "not sampled", 0, false, "\"flags\":256," },
		{ "random and sampled", 3, true, "\"flags\":771," },
	}, *c;

	for_each(c, cases) {
		struct span *sp = traces_span("x", SPAN_INTERNAL, 1, 2);
		struct trace t = { .spans = &sp, .count = 1 };
		struct request_opts opts = { 0 };
		char *got;

		sp->flags = c->flags;
		sp->parent_is_remote = c->is_remote;
		got = json_of(&t, &opts);
		check(strstr(got, c->want), c->name);
		check(!strstr(got, "parentSpanId"), "no parent, no empty id");
		free(got);
		traces_span_free(sp);
	}
}

TEST(back_ends_are_kept_safe_from_us)
{
	struct span *sp = traces_span("bad \xff name", SPAN_INTERNAL, 20, 10);
	struct trace t = { .spans = &sp, .count = 1 };
	struct request_opts opts = { 0 };
	char *got = json_of(&t, &opts);

	check(strstr(got, "bad \xef\xbf\xbd name"), "text is valid UTF-8");
	check(strstr(got, "\"endTimeUnixNano\":\"20\""), "no span ends before it starts");
	check(strstr(got, "{\"stringValue\":\"unknown_service\"}"), "a service has a name");
	free(got);
	traces_span_free(sp);
}

TEST(what_the_agent_was_told_never_wins)
{
	static const struct {
		const char *name, *found, *env_service, *env_attr, *want;
	} cases[] = {
		{ "found", "api", "agent", "told", "api" },
		{ "nameless, OTEL_SERVICE_NAME", NULL, "agent", "told", "agent" },
		{ "nameless, OTEL_RESOURCE_ATTRIBUTES", NULL, NULL, "told", "told" },
		{ "nothing at all", NULL, NULL, NULL, "unknown_service" },
	}, *c;

	for_each(c, cases) {
		struct span *sp = traces_span("x", SPAN_INTERNAL, 1, 2);
		struct trace t = { .spans = &sp, .count = 1 };
		struct resource r = { .service = (char *)c->found };
		struct attrs told = { 0 };
		struct request_opts opts = { .service = c->env_service, .resource = &told };
		char *got, want[96];

		sp->resource = &r;
		attrs_set_str(&r.attrs, "host.name", "found");
		attrs_set_str(&told, "host.name", "told");
		attrs_set_str(&told, "deployment.environment.name", "prod");
		if (c->env_attr)
			attrs_set_str(&told, "service.name", c->env_attr);
		got = json_of(&t, &opts);
		snprintf(want, sizeof(want), "\"service.name\",\"value\":{\"stringValue\":\"%s\"}",
			 c->want);
		check(strstr(got, want), c->name);
		check(!strstr(strstr(got, "\"service.name\"") + 1, "\"service.name\""), "once");
		check(strstr(got, "\"host.name\",\"value\":{\"stringValue\":\"found\"}"), c->name);
		check(!strstr(got, "{\"stringValue\":\"told\"}") || !c->found, c->name);
		check(strstr(got, "{\"stringValue\":\"prod\"}"), "added");
		free(got);
		attrs_done(&told);
		attrs_done(&r.attrs);
		traces_span_free(sp);
	}
}

/* Every span of the joined request: counts per resource and scope, sum of indexes. */
TEST(protobuf_says_the_same_as_json)
{
	struct resource *resources[3];
	struct request_opts opts = { 0 };
	struct pieces proto = { 0 }, json = { 0 };
	PB_REQUEST *msg;
	struct trace *t;
	cJSON *root, *rs;
	size_t i, j, k, seen = 0;

	resources_new(resources);
	t = traces_numbered(7, 31, resources);
	check_eq(otlp_encode(t, OTLP_PROTO, &opts, keep, &proto), 0, "proto");
	check_eq(otlp_encode(t, OTLP_JSON, &opts, keep, &json), 0, "json");
	msg = unpack(proto.list[0].body, proto.list[0].len);
	root = cJSON_Parse(json.list[0].body);
	rs = cJSON_GetObjectItem(root, "resourceSpans");
	check(msg, "unpack");
	check_eq(msg->n_resource_spans, 3, "resources");
	check_eq(cJSON_GetArraySize(rs), 3, "resources in JSON");
	for (i = 0; i < msg->n_resource_spans; i++) {
		cJSON *scopes = cJSON_GetObjectItem(cJSON_GetArrayItem(rs, i), "scopeSpans");

		check_eq(msg->resource_spans[i]->n_scope_spans, 2, "scopes");
		check_eq(cJSON_GetArraySize(scopes), 2, "scopes in JSON");
		for (j = 0; j < 2; j++) {
			Opentelemetry__Proto__Trace__V1__ScopeSpans *ss =
			    msg->resource_spans[i]->scope_spans[j];
			cJSON *spans = cJSON_GetObjectItem(cJSON_GetArrayItem(scopes, j), "spans");

			check_str(ss->scope->name, j ? "spanstitch/kafka" : "spanstitch/http", "");
			check_eq(cJSON_GetArraySize(spans), ss->n_spans, "spans in JSON");
			for (k = 0; k < ss->n_spans; k++, seen++) {
				cJSON *sp = cJSON_GetArrayItem(spans, k);
				int64_t index = ss->spans[k]->attributes[0]->value->int_value;

				check_eq(index % 3, i, "resource of the span");
				check_eq(index % 2, j, "scope of the span");
				check_str(cJSON_GetObjectItem(sp, "name")->valuestring,
					  ss->spans[k]->name, "name");
				check_eq(cJSON_GetObjectItem(sp, "kind")->valueint,
					 ss->spans[k]->kind, "kind");
				check_eq(ss->spans[k]->trace_id.len, 16, "trace id");
				check_eq(ss->spans[k]->span_id.data[7], index + 1, "span id");
				check_eq(ss->spans[k]->parent_span_id.len, index ? 8 : 0, "parent");
			}
		}
	}
	check_eq(seen, 31, "spans");
	cJSON_Delete(root);
	protobuf_c_message_free_unpacked(&msg->base, NULL);
	pieces_done(&proto);
	pieces_done(&json);
	traces_free(t);
	resources_free(resources);
}

TEST(encoding_twice_gives_the_same_bytes)
{
	struct resource *resources[3];
	struct request_opts opts = { 0 };
	struct trace *t;
	char *a, *b;

	resources_new(resources);
	t = traces_numbered(3, 200, resources);
	a = json_of(t, &opts);
	b = json_of(t, &opts);
	check_str(a, b, "json");
	free(a);
	free(b);
	traces_free(t);
	resources_free(resources);
}

TEST(pieces_are_short_enough_and_lose_nothing)
{
	static const struct {
		const char *name;
		size_t spans, attrs, events, min_pieces;
	} cases[] = {
		{ "one span", 1, 0, 0, 1 },
		{ "just one piece", OTLP_PIECE_SPANS, 0, 0, 1 },
		{ "one span more", OTLP_PIECE_SPANS + 1, 0, 0, 2 },
		{ "long spans", 100, 20, 0, 3 },
		{ "one span that is too long", 1, 100, 1200, 1 },
	}, *c;
	enum otlp_form form;

	for (form = 0; form < OTLP_FORM_MAX; form++)
		for_each(c, cases) {
			struct resource *resources[3];
			struct request_opts opts = { 0 };
			struct pieces p = { 0 };
			struct trace *t;
			char value[ATTR_VALUE_MAX + 1], key[24];
			size_t i, j;

			memset(value, 'x', ATTR_VALUE_MAX);
			value[ATTR_VALUE_MAX] = '\0';
			resources_new(resources);
			t = traces_numbered(1, c->spans, resources);
			for (i = 0; i < c->spans; i++)
				for (j = 0; j < c->attrs; j++) {
					snprintf(key, sizeof(key), "k%zu", j);
					attrs_set_str(&t->spans[i]->attrs, key, value);
				}
			if (c->events)
				t->spans[0]->events = calloc(c->events, sizeof(struct span_event));
			t->spans[0]->event_count = c->events;
			for (j = 0; j < c->events; j++)
				t->spans[0]->events[j].name = strdup(value);
			check_eq(otlp_encode(t, form, &opts, keep, &p), 0, c->name);
			check_eq(p.spans, c->spans, c->name);
			check(p.count >= c->min_pieces && p.count < 2 * c->min_pieces + 2, c->name);
			for (i = 0; i < p.count; i++) {
				check(p.list[i].len <= OTLP_PIECE_BYTES, c->name);
				check(p.list[i].spans <= OTLP_PIECE_SPANS, c->name);
			}
			if (c->events && form == OTLP_JSON)
				check(strstr(p.list[0].body, "\"droppedEventsCount\":1200"),
				      "the loss is told");
			pieces_done(&p);
			traces_free(t);
			resources_free(resources);
		}
}

TEST(joined_pieces_are_one_request)
{
	struct resource *resources[3];
	struct request_opts opts = { 0 };
	struct pieces p = { 0 };
	PB_REQUEST *msg;
	size_t room = 0, i, len;
	enum otlp_form form;
	cJSON *root;
	char *body;

	resources_new(resources);
	for (form = 0; form < OTLP_FORM_MAX; form++) {
		for (i = 0, room = 0; i < 3; i++) {
			struct trace *t = traces_numbered(i, 3, resources);

			check_eq(otlp_encode(t, form, &opts, keep, &p), 0, "encode");
			room += p.list[i].len;
			traces_free(t);
		}
		body = calloc(1, room + 1);
		len = otlp_join(body, form, p.list, p.count);
		check(len <= room, "fits");
		if (form == OTLP_JSON) {
			root = cJSON_Parse(body);
			check_eq(strlen(body), len, "length");
			check_eq(cJSON_GetArraySize(cJSON_GetObjectItem(root, "resourceSpans")), 9,
				 "three resources of each");
			cJSON_Delete(root);
		} else {
			msg = unpack(body, len);
			check(msg, "unpack");
			check_eq(msg->n_resource_spans, 9, "three resources of each");
			protobuf_c_message_free_unpacked(&msg->base, NULL);
		}
		free(body);
		pieces_done(&p);
	}
	resources_free(resources);
}

#define BYTES(s) s, sizeof(s) - 1

TEST(answers_are_read_carefully)
{
	static const struct {
		const char *name;
		enum otlp_form form;
		const char *body;
		size_t len;
		int want;
		int64_t rejected;
		const char *message;
	} cases[] = {
		{ "empty protobuf", OTLP_PROTO, BYTES(""), 0, 0, "" },
		{ "3 rejected", OTLP_PROTO, BYTES("\x0a\x06\x08\x03\x12\x02no"), 0, 3, "no" },
		{ "negative count", OTLP_PROTO,
		  BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0, -1, "" },
		{ "cut", OTLP_PROTO, BYTES("\x0a\x06\x08"), -EINVAL, 0, "" },
		{ "a web page", OTLP_PROTO, BYTES("<html><body>hi</body></html>"), -EINVAL, 0, "" },
		{ "empty object", OTLP_JSON, BYTES("{}"), 0, 0, "" },
		{ "count as text", OTLP_JSON,
		  BYTES("{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"no\"}}"),
		  0, 3, "no" },
		{ "count as number", OTLP_JSON,
		  BYTES("{\"partialSuccess\":{\"rejectedSpans\":4}}"), 0, 4, "" },
		{ "too large a number", OTLP_JSON,
		  BYTES("{\"partialSuccess\":{\"rejectedSpans\":1e300}}"), 0, 0, "" },
		{ "no object", OTLP_JSON, BYTES("[1]"), -EINVAL, 0, "" },
		{ "a web page as JSON", OTLP_JSON, BYTES("<html>"), -EINVAL, 0, "" },
	}, *c;

	for_each(c, cases) {
		struct otlp_answer got = { .message = "" };

		check_eq(otlp_decode_answer(&got, c->form, c->body, c->len), c->want, c->name);
		check_eq(got.rejected, c->rejected, c->name);
		check_str(got.message, c->message, c->name);
	}
}

RUN_TESTS(cmocka_unit_test(json_is_what_the_protocol_says),
	  cmocka_unit_test(flags_say_where_the_parent_ran),
	  cmocka_unit_test(back_ends_are_kept_safe_from_us),
	  cmocka_unit_test(what_the_agent_was_told_never_wins),
	  cmocka_unit_test(protobuf_says_the_same_as_json),
	  cmocka_unit_test(encoding_twice_gives_the_same_bytes),
	  cmocka_unit_test(pieces_are_short_enough_and_lose_nothing),
	  cmocka_unit_test(joined_pieces_are_one_request),
	  cmocka_unit_test(answers_are_read_carefully))
