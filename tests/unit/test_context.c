/* context: each format's valid and invalid forms, and the choice among several. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/context.h"

#define HEADERS_MAX 40

struct pair {
	const char *name, *value;
};

static char *const custom_names[] = { "trace-id", "X-Run" };

/* "trace span flags format" of the result; "-" for what is missing */
static char *render(const struct context *c, char *buf, size_t size)
{
	size_t i, n = 0;

	if (!c->has_trace_id)
		return strcpy(buf, "none");
	for (i = 0; i < 16; i++)
		n += snprintf(buf + n, size - n, "%02x", c->trace_id[i]);
	n += snprintf(buf + n, size - n, " ");
	if (!c->has_span_id)
		n += snprintf(buf + n, size - n, "-");
	for (i = 0; i < 8 && c->has_span_id; i++)
		n += snprintf(buf + n, size - n, "%02x", c->span_id[i]);
	snprintf(buf + n, size - n, " %d %s", c->flags, c->format);
	return buf;
}

static unsigned int extract(enum context_source source, const struct pair *headers,
			    struct strings *strings, struct context *ret, struct attrs *attrs)
{
	struct context_reader r;

	context_begin(&r, source, custom_names, ARRAY_COUNT(custom_names));
	for (; headers->name; headers++)
		context_header(&r, slice_str(headers->name), slice_str(headers->value));
	return context_end(&r, strings, ret, attrs);
}

#define T "0af7651916cd43dd8448eb211c80319c"
#define S "b7ad6b7169203331"
#define FOUND(flags, format) T " " S " " #flags " " format
#define W3C(flags) FOUND(flags, "traceparent")

static const struct format_case {
	const char *name;
	enum context_source source;
	struct pair headers[6];
	const char *want;
	unsigned int invalid;
} format_cases[] = {
	{ "nothing", CONTEXT_HTTP, { { "host", "x" } }, "none", 0 },
	{ "w3c", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-01" } }, W3C(1), 0 },
	{ "w3c name in any case", CONTEXT_HTTP, { { "TraceParent", "00-" T "-" S "-00" } },
	  W3C(0), 0 },
	{ "w3c spaces around", CONTEXT_HTTP, { { "traceparent", "\t 00-" T "-" S "-01 \t" } },
	  W3C(1), 0 },
	{ "w3c unknown flag bits are dropped", CONTEXT_HTTP,
	  { { "traceparent", "00-" T "-" S "-ff" } }, W3C(3), 0 },
	{ "w3c random flag", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-02" } }, W3C(2), 0 },
	{ "w3c version 00 with more", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-01-x" } },
	  "none", 1 },
	{ "w3c version 00 with a dot", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-01." } },
	  "none", 1 },
	{ "w3c later version", CONTEXT_HTTP, { { "traceparent", "cc-" T "-" S "-01" } },
	  W3C(1), 0 },
	{ "w3c later version with more", CONTEXT_HTTP,
	  { { "traceparent", "cc-" T "-" S "-01-what-the-future" } }, W3C(1), 0 },
	{ "w3c later version with a dot", CONTEXT_HTTP,
	  { { "traceparent", "cc-" T "-" S "-01.what" } }, "none", 1 },
	{ "w3c version ff", CONTEXT_HTTP, { { "traceparent", "ff-" T "-" S "-01" } }, "none", 1 },
	{ "w3c version not hex", CONTEXT_HTTP, { { "traceparent", "0g-" T "-" S "-01" } },
	  "none", 1 },
	{ "w3c upper case", CONTEXT_HTTP,
	  { { "traceparent", "00-0AF7651916CD43DD8448EB211C80319C-" S "-01" } }, "none", 1 },
	{ "w3c upper case span", CONTEXT_HTTP,
	  { { "traceparent", "00-" T "-B7AD6B7169203331-01" } }, "none", 1 },
	{ "w3c upper case flags", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-0A" } },
	  "none", 1 },
	{ "w3c zero trace", CONTEXT_HTTP,
	  { { "traceparent", "00-00000000000000000000000000000000-" S "-01" } }, "none", 1 },
	{ "w3c zero span", CONTEXT_HTTP, { { "traceparent", "00-" T "-0000000000000000-01" } },
	  "none", 1 },
	{ "w3c short", CONTEXT_HTTP, { { "traceparent", "00-" T "-" S "-1" } }, "none", 1 },
	{ "w3c wrong dash", CONTEXT_HTTP, { { "traceparent", "00-" T "_" S "-01" } }, "none", 1 },
	{ "w3c empty", CONTEXT_HTTP, { { "traceparent", "" } }, "none", 1 },
	{ "w3c twice in http", CONTEXT_HTTP,
	  { { "traceparent", "00-" T "-" S "-01" }, { "traceparent", "00-" T "-" S "-01" } },
	  "none", 1 },
	{ "w3c twice in kafka: the last", CONTEXT_KAFKA,
	  { { "traceparent", "00-11111111111111111111111111111111-" S "-01" },
	    { "traceparent", "00-" T "-" S "-00" } }, W3C(0), 0 },
	{ "w3c misspelt name", CONTEXT_HTTP, { { "trace-parent", "00-" T "-" S "-01" } },
	  "none", 0 },

	{ "b3 single", CONTEXT_HTTP, { { "b3", T "-" S "-1" } }, FOUND(1, "b3"), 0 },
	{ "b3 single, debug and parent", CONTEXT_HTTP, { { "b3", T "-" S "-d-" S } },
	  FOUND(1, "b3"), 0 },
	{ "b3 single, deferred", CONTEXT_HTTP, { { "b3", T "-" S } }, FOUND(0, "b3"), 0 },
	{ "b3 single, 64 bits", CONTEXT_HTTP, { { "b3", "8448eb211c80319c-" S "-0" } },
	  "00000000000000008448eb211c80319c " S " 0 b3", 0 },
	{ "b3 decision only", CONTEXT_HTTP, { { "b3", "0" } }, "none", 0 },
	{ "b3 debug only", CONTEXT_HTTP, { { "b3", "d" } }, "none", 0 },
	{ "b3 trace only", CONTEXT_HTTP, { { "b3", T } }, "none", 1 },
	{ "b3 bad state", CONTEXT_HTTP, { { "b3", T "-" S "-2" } }, "none", 1 },
	{ "b3 bad parent", CONTEXT_HTTP, { { "b3", T "-" S "-1-12" } }, "none", 1 },
	{ "b3 too many parts", CONTEXT_HTTP, { { "b3", T "-" S "-1-" S "-" S } }, "none", 1 },
	{ "b3 trace of 20 digits", CONTEXT_HTTP, { { "b3", "11111111111111111111-" S } },
	  "none", 1 },
	{ "b3 multi", CONTEXT_HTTP,
	  { { "X-B3-TraceId", T }, { "X-B3-SpanId", S }, { "X-B3-Sampled", "true" } },
	  FOUND(1, "b3"), 0 },
	{ "b3 multi, debug", CONTEXT_HTTP,
	  { { "x-b3-traceid", T }, { "x-b3-spanid", S }, { "x-b3-flags", "1" } },
	  FOUND(1, "b3"), 0 },
	{ "b3 multi, decision only", CONTEXT_HTTP, { { "x-b3-sampled", "0" } }, "none", 0 },
	{ "b3 multi without span", CONTEXT_HTTP, { { "x-b3-traceid", T } }, "none", 1 },
	{ "b3 single wins over multi", CONTEXT_HTTP,
	  { { "x-b3-traceid", "11111111111111111111111111111111" }, { "x-b3-spanid", S },
	    { "b3", T "-" S "-1" } }, FOUND(1, "b3"), 0 },
	{ "b3 multi twice", CONTEXT_HTTP,
	  { { "x-b3-traceid", T }, { "x-b3-traceid", T }, { "x-b3-spanid", S } }, "none", 1 },

	{ "uber", CONTEXT_HTTP, { { "uber-trace-id", T ":" S ":0:1" } },
	  FOUND(1, "uber-trace-id"), 0 },
	{ "uber escaped", CONTEXT_HTTP, { { "uber-trace-id", T "%3A" S "%3a0%3A0" } },
	  FOUND(0, "uber-trace-id"), 0 },
	{ "uber debug", CONTEXT_HTTP, { { "uber-trace-id", T ":" S ":0:2" } },
	  FOUND(1, "uber-trace-id"), 0 },
	{ "uber without leading zeros", CONTEXT_HTTP, { { "uber-trace-id", "abc:5:0:0" } },
	  "00000000000000000000000000000abc 0000000000000005 0 uber-trace-id", 0 },
	{ "uber zero span", CONTEXT_HTTP, { { "uber-trace-id", T ":0:0:1" } }, "none", 1 },
	{ "uber three parts", CONTEXT_HTTP, { { "uber-trace-id", T ":" S ":0" } }, "none", 1 },
	{ "uber five parts", CONTEXT_HTTP, { { "uber-trace-id", T ":" S ":0:1:1" } }, "none", 1 },
	{ "uber 33 digits", CONTEXT_HTTP, { { "uber-trace-id", "1" T ":" S ":0:1" } }, "none", 1 },
	{ "uber bad flags", CONTEXT_HTTP, { { "uber-trace-id", T ":" S ":0:x" } }, "none", 1 },

	{ "x-ray", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id",
	      "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=" S ";Sampled=1" } },
	  FOUND(1, "x-amzn-trace-id"), 0 },
	{ "x-ray, any order, more keys", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id", "Sampled=0; Self=1-2-3; Lineage=a:1|b; Parent=" S
	      "; Root=1-0af76519-16cd43dd8448eb211c80319c" } }, FOUND(0, "x-amzn-trace-id"), 0 },
	{ "x-ray root only", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id", "Root=1-0af76519-16cd43dd8448eb211c80319c" } },
	  T " - 0 x-amzn-trace-id", 0 },
	{ "x-ray deferred", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id", "Root=1-0af76519-16cd43dd8448eb211c80319c;Sampled=?" } },
	  T " - 0 x-amzn-trace-id", 0 },
	{ "x-ray without root", CONTEXT_HTTP, { { "X-Amzn-Trace-Id", "Self=1-2" } }, "none", 1 },
	{ "x-ray version 2", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id", "Root=2-0af76519-16cd43dd8448eb211c80319c" } }, "none", 1 },
	{ "x-ray short parent", CONTEXT_HTTP,
	  { { "X-Amzn-Trace-Id", "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=12" } },
	  "none", 1 },

	/* 0x8448eb211c80319c and 0xb7ad6b7169203331 in decimal */
	{ "datadog", CONTEXT_HTTP,
	  { { "x-datadog-trace-id", "9532127138774266268" },
	    { "x-datadog-parent-id", "13235353014750950193" },
	    { "x-datadog-sampling-priority", "2" },
	    { "x-datadog-tags", "_dd.p.dm=-1,_dd.p.tid=0af7651916cd43dd" } },
	  FOUND(1, "datadog"), 0 },
	{ "datadog low half", CONTEXT_HTTP,
	  { { "x-datadog-trace-id", "9532127138774266268" }, { "x-datadog-parent-id", "0" },
	    { "x-datadog-sampling-priority", "-1" } },
	  "00000000000000008448eb211c80319c - 0 datadog", 0 },
	{ "datadog broken tid", CONTEXT_HTTP,
	  { { "x-datadog-trace-id", "1" }, { "x-datadog-tags", "_dd.p.tid=xyz" } },
	  "00000000000000000000000000000001 - 0 datadog", 0 },
	{ "datadog largest", CONTEXT_HTTP, { { "x-datadog-trace-id", "18446744073709551615" } },
	  "0000000000000000ffffffffffffffff - 0 datadog", 0 },
	{ "datadog too large", CONTEXT_HTTP, { { "x-datadog-trace-id", "18446744073709551616" } },
	  "none", 1 },
	{ "datadog zero", CONTEXT_HTTP, { { "x-datadog-trace-id", "0" } }, "none", 1 },
	{ "datadog hex", CONTEXT_HTTP, { { "x-datadog-trace-id", "ab" } }, "none", 1 },

	{ "sw8 seven fields", CONTEXT_HTTP, { { "sw8", "1-VFJBQ0U=-U0VH-3-cw==-aQ==-ZQ==" } },
	  "none", 1 },
	{ "sw8 not base64", CONTEXT_HTTP, { { "sw8", "1-VF!BQ0U=-U0VH-3-cw==-aQ==-ZQ==-YQ==" } },
	  "none", 1 },
	{ "sw8 bad flag", CONTEXT_HTTP, { { "sw8", "7-VFJBQ0U=-U0VH-3-cw==-aQ==-ZQ==-YQ==" } },
	  "none", 1 },

	{ "custom uuid", CONTEXT_KAFKA, { { "trace-id", "0af76519-16cd-43dd-8448-eb211c80319c" } },
	  T " - 0 custom", 0 },
	{ "custom uuid, upper case", CONTEXT_HTTP,
	  { { "Trace-Id", "0AF76519-16CD-43DD-8448-EB211C80319C" } }, T " - 0 custom", 0 },
	{ "custom 32 hex", CONTEXT_HTTP, { { "trace-id", T } }, T " - 0 custom", 0 },
	{ "custom 16 hex", CONTEXT_HTTP, { { "x-run", S } },
	  "0000000000000000" S " - 0 custom", 0 },
	{ "custom empty", CONTEXT_HTTP, { { "trace-id", " " } }, "none", 1 },
	{ "custom nil uuid", CONTEXT_HTTP,
	  { { "trace-id", "00000000-0000-0000-0000-000000000000" } }, "none", 1 },
	{ "custom twice in http", CONTEXT_HTTP, { { "trace-id", T }, { "trace-id", T } },
	  "none", 1 },
	{ "custom twice in kafka: the last", CONTEXT_KAFKA,
	  { { "trace-id", S }, { "trace-id", T } }, T " - 0 custom", 0 },

	{ "w3c before b3", CONTEXT_HTTP,
	  { { "b3", T "-1111111111111111-1" }, { "traceparent", "00-" T "-" S "-00" } },
	  W3C(0), 0 },
	{ "an invalid first format leaves it to the next", CONTEXT_HTTP,
	  { { "traceparent", "00-zz" }, { "b3", T "-" S "-1" } }, FOUND(1, "b3"), 1 },
};

TEST(each_format_by_its_rules)
{
	static struct strings strings;
	const struct format_case *c;
	char got[128];

	for_each(c, format_cases) {
		struct attrs attrs = { 0 };
		struct context context;

		strings_reset(&strings);
		check_eq(extract(c->source, c->headers, &strings, &context, &attrs), c->invalid,
			 c->name);
		check_str(render(&context, got, sizeof(got)), c->want, c->name);
		check(!context.has_other, c->name);
		check_eq(attrs.count, 0, c->name);
		attrs_done(&attrs);
	}
}

static const struct other_case {
	const char *name;
	struct pair headers[4];
	bool has_other;
	uint8_t first_byte;	/* of the other trace id */
} other_cases[] = {
	{ "two traces", { { "traceparent", "00-" T "-" S "-01" },
			  { "b3", "11111111111111111111111111111111-" S } }, true, 0x11 },
	{ "the second of three is kept", { { "traceparent", "00-" T "-" S "-01" },
	  { "b3", "11111111111111111111111111111111-" S },
	  { "trace-id", "22222222222222222222222222222222" } }, true, 0x11 },
	{ "same trace, other span", { { "traceparent", "00-" T "-" S "-01" },
				      { "b3", T "-1111111111111111" } }, false, 0 },
	{ "the low half alone agrees", { { "traceparent", "00-" T "-" S "-01" },
					 { "x-datadog-trace-id", "9532127138774266268" } },
	  false, 0 },
	{ "custom against w3c", { { "traceparent", "00-" T "-" S "-01" },
				  { "trace-id", "22222222222222222222222222222222" } },
	  true, 0x22 },
	{ "invalid is no conflict", { { "traceparent", "00-" T "-" S "-01" }, { "b3", "zz" } },
	  false, 0 },
};

TEST(a_second_trace_is_kept_as_the_other)
{
	static struct strings strings;
	const struct other_case *c;

	for_each(c, other_cases) {
		struct attrs attrs = { 0 };
		struct context context;

		extract(CONTEXT_HTTP, c->headers, &strings, &context, &attrs);
		check_eq(context.has_other, c->has_other, c->name);
		check_eq(context.other_trace_id[0], c->first_byte, c->name);
		check_eq(context.trace_id[0], 0x0a, c->name);
		attrs_done(&attrs);
	}
}

static struct context one(const char *name, const char *value, struct attrs *attrs)
{
	static struct strings strings;
	struct pair headers[] = { { name, value }, { NULL, NULL } };
	struct context context;

	extract(CONTEXT_HTTP, headers, &strings, &context, attrs);
	return context;
}

TEST(any_other_text_is_hashed_and_kept)
{
	/* XXH3's 128 bits of the text, as xxhsum -H2 prints them */
	static const uint8_t want[16] = { 0x5b, 0xb5, 0xea, 0x71, 0x5c, 0xb7, 0xee, 0x68,
					  0x08, 0x29, 0x84, 0x9f, 0x39, 0x95, 0x32, 0x27 };
	struct attrs attrs = { 0 };
	struct context a = one("trace-id", "order-4711", &attrs);

	check(a.has_trace_id, "found");
	check(!memcmp(a.trace_id, want, sizeof(want)), "hash");
	check(!a.has_span_id, "no span");
	check_str(attrs_get_str(&attrs, CONTEXT_ORIGINAL_ATTR), "order-4711", "kept");
	attrs_done(&attrs);
}

TEST(sw8_ids_are_hashed_and_kept)
{
	struct attrs attrs = { 0 };
	/* "TRACE" in base64; and the same text in a configured header */
	struct context a = one("sw8", "1-VFJBQ0U=-U0VH-3-cw==-aQ==-ZQ==-YQ==", &attrs), b;

	check_str(a.format, "sw8", "format");
	check_eq(a.flags, 1, "sampled");
	check(!a.has_span_id, "no span");
	check_str(attrs_get_str(&attrs, CONTEXT_ORIGINAL_ATTR), "TRACE", "decoded");
	b = one("trace-id", "TRACE", &attrs);
	check(!memcmp(a.trace_id, b.trace_id, 16), "the hash is of the decoded text");
	attrs_done(&attrs);
}

#define LONG130 "k=0123456789012345678901234567890123456789012345678901234567890123456789012345" \
	"67890123456789012345678901234567890123456789012345"

static const struct state_case {
	const char *name;
	const char *states[3];
	const char *want;
} state_cases[] = {
	{ "one", { "a=1" }, "a=1" },
	{ "spaces around members", { " a=1 ,\tb=2 " }, "a=1,b=2" },
	{ "several headers, in order", { "a=1", "b=2", "c=3" }, "a=1,b=2,c=3" },
	{ "empty members", { "a=1,,b=2,", "" }, "a=1,b=2" },
	{ "empty", { "" }, NULL },
	{ "at sign, twice", { "foo@@bar=1" }, "foo@@bar=1" },
	{ "at sign first", { "@foo=1" }, NULL },
	{ "digit first", { "0a=1" }, "0a=1" },
	{ "upper case key", { "FOO=1" }, NULL },
	{ "space in the key", { "foo =1" }, NULL },
	{ "dot in the key", { "foo.bar=1" }, NULL },
	{ "empty value", { "foo=" }, NULL },
	{ "equals sign in the value", { "foo=a=b" }, NULL },
	{ "no equals sign", { "foo" }, NULL },
	{ "leading spaces belong to the value", { "foo=  1" }, "foo=  1" },
	{ "one bad member drops all", { "a=1,foo =2" }, NULL },
	{ "repeated key: the first", { "a=1,b=2,a=3" }, "a=1,b=2" },
	{ "32 members", { "a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1,a8=1,a9=1,b1=1,b2=1,b3=1,b4=1,b5=1,"
			  "b6=1,b7=1,b8=1,b9=1,c1=1,c2=1,c3=1,c4=1,c5=1,c6=1,c7=1,c8=1,c9=1,d1=1,"
			  "d2=1,d3=1,d4=1", "d5=1" },
	  "a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1,a8=1,a9=1,b1=1,b2=1,b3=1,b4=1,b5=1,"
	  "b6=1,b7=1,b8=1,b9=1,c1=1,c2=1,c3=1,c4=1,c5=1,c6=1,c7=1,c8=1,c9=1,d1=1,"
	  "d2=1,d3=1,d4=1,d5=1" },
	{ "33 members", { "a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1,a8=1,a9=1,b1=1,b2=1,b3=1,b4=1,b5=1,"
			  "b6=1,b7=1,b8=1,b9=1,c1=1,c2=1,c3=1,c4=1,c5=1,c6=1,c7=1,c8=1,c9=1,d1=1,"
			  "d2=1,d3=1,d4=1", "d5=1,d6=1" }, NULL },
	{ "when too long, long members go first",
	  { "a" LONG130 ",b" LONG130, "c" LONG130 ",d" LONG130 ",short=1" },
	  "a" LONG130 ",b" LONG130 ",c" LONG130 ",short=1" },
};

TEST(tracestate_by_the_standard)
{
	static struct strings strings;
	const struct state_case *c;

	for_each(c, state_cases) {
		struct pair headers[5] = { { "traceparent", "00-" T "-" S "-01" } };
		struct attrs attrs = { 0 };
		struct context context;
		size_t i;

		for (i = 0; i < 3 && c->states[i]; i++)
			headers[i + 1] = (struct pair){ "tracestate", c->states[i] };
		strings_reset(&strings);
		check_eq(extract(CONTEXT_HTTP, headers, &strings, &context, &attrs), 0, c->name);
		check(context.has_trace_id, c->name);
		check_str(context.tracestate, c->want, c->name);
	}
}

TEST(kafkas_last_tracestate_counts)
{
	static struct strings strings;
	struct pair headers[] = { { "traceparent", "00-" T "-" S "-01" }, { "tracestate", "a=1" },
				  { "tracestate", "b=2" }, { NULL, NULL } };
	struct attrs attrs = { 0 };
	struct context context;

	extract(CONTEXT_KAFKA, headers, &strings, &context, &attrs);
	check_str(context.tracestate, "b=2", "state");
}

TEST(tracestate_needs_a_traceparent)
{
	static struct strings strings;
	struct pair headers[] = { { "tracestate", "a=1" }, { "b3", T "-" S }, { NULL, NULL } };
	struct attrs attrs = { 0 };
	struct context context;

	extract(CONTEXT_HTTP, headers, &strings, &context, &attrs);
	check_str(context.format, "b3", "format");
	check_str(context.tracestate, NULL, "no state");
}

TEST(traceparent_of_an_environment)
{
	struct context context;
	char got[128];

	check_eq(context_from_traceparent("00-" T "-" S "-01", 55, &context), 0, "valid");
	check_str(render(&context, got, sizeof(got)), W3C(1), "found");
	check_eq(context_from_traceparent("00-" T "-" S "-01", 54, &context), -EINVAL, "short");
	check_eq(context_from_traceparent("", 0, &context), -EINVAL, "empty");
}

RUN_TESTS(cmocka_unit_test(each_format_by_its_rules),
	  cmocka_unit_test(a_second_trace_is_kept_as_the_other),
	  cmocka_unit_test(any_other_text_is_hashed_and_kept),
	  cmocka_unit_test(sw8_ids_are_hashed_and_kept),
	  cmocka_unit_test(tracestate_by_the_standard),
	  cmocka_unit_test(kafkas_last_tracestate_counts),
	  cmocka_unit_test(tracestate_needs_a_traceparent),
	  cmocka_unit_test(traceparent_of_an_environment))
