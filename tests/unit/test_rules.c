/* rules and url: paths fit patterns, values become attributes, secrets do not. */
#include "check.h"

#include <stdlib.h>

#include "decode/rules.h"
#include "decode/url.h"

static const struct route_case {
	const char *pattern, *path, *param, *value;	/* value NULL: does not fit */
} route_cases[] = {
	{ "/a", "/a", NULL, "" },
	{ "/a", "/a/", NULL, NULL },
	{ "/a", "/b", NULL, NULL },
	{ "/a", "/ab", NULL, NULL },
	{ "/a", "/a/b", NULL, NULL },
	{ "/a/b", "/a", NULL, NULL },
	{ "/", "/", NULL, "" },
	{ "/", "", NULL, NULL },
	{ "/a/{x}", "/a/1", "x", "1" },
	{ "/a/{x}", "/a/", "x", NULL },
	{ "/a/{x}", "/a/1/2", "x", NULL },
	{ "/a/{x}/c", "/a/1/c", "x", "1" },
	{ "/{x}/{y}", "/1/2", "y", "2" },
	{ "/{x}/{y}", "/1/2", "z", "" },
	{ "/A", "/a", NULL, NULL },
	{ "/a/{x}", "a/1", "x", NULL },
};

TEST(paths_fit_patterns_segment_by_segment)
{
	const struct route_case *c;

	for_each(c, route_cases) {
		struct slice value = slice_str("");
		bool fits = route_match(c->pattern, slice_str(c->path), c->param, &value);

		check_eq(fits, c->value != NULL, c->path);
		if (fits)
			check(slice_is(value, c->value), c->pattern);
	}
}

static char *routes[] = { "/a/{x}", "/a/b", "/{y}/c" };
static struct rule captures[] = {
	{ .attribute = "h", .from = FROM_HTTP_REQUEST_HEADER, .header = "X-H" },
	{ .attribute = "post", .from = FROM_HTTP_REQUEST_JSON, .field = "p", .method = "POST" },
	{ .attribute = "route", .from = FROM_HTTP_RESPONSE_JSON, .field = "r", .route = "/a/{x}" },
	{ .attribute = "topic", .from = FROM_KAFKA_HEADER, .header = "X-H", .topic = "t-*" },
	{ .attribute = "key", .from = FROM_KAFKA_KEY },
};
static const struct rules rules = {
	.routes = routes, .routes_count = ARRAY_COUNT(routes),
	.capture = captures, .capture_count = ARRAY_COUNT(captures),
};

TEST(the_first_route_that_fits_is_taken)
{
	check_str(rules_route(&rules, slice_str("/a/b")), "/a/{x}", "first");
	check_str(rules_route(&rules, slice_str("/b/c")), "/{y}/c", "third");
	check_str(rules_route(&rules, slice_str("/x")), NULL, "none");
}

TEST(rules_apply_by_method_route_and_topic)
{
	check_eq(rules_for_http(&rules, slice_str("GET"), slice_str("/z")), 1, "header only");
	check_eq(rules_for_http(&rules, slice_str("POST"), slice_str("/a/1")), 7, "all of HTTP");
	check_eq(rules_for_http(&rules, slice_str("post"), slice_str("/z")), 1, "methods' case");
	check_eq(rules_for_topic(&rules, "t-1"), 24, "both of Kafka");
	check_eq(rules_for_topic(&rules, "u"), 16, "key only");
}

TEST(headers_are_captured_in_any_case)
{
	struct rule_set set = { &rules, 1 | 8 };
	struct msg m = { 0 };

	capture_header(&m, &set, FROM_HTTP_REQUEST_HEADER, slice_str("x-h"), slice_str("v"));
	capture_header(&m, &set, FROM_HTTP_REQUEST_HEADER, slice_str("x-hh"), slice_str("w"));
	check_eq(m.attrs.count, 1, "one");
	check_str(attrs_get_str(&m.attrs, "h"), "v", "value");
	check_str(attrs_get_str(&m.attrs, "topic"), NULL, "not of the other source");
	attrs_done(&m.attrs);
}

TEST(the_first_rule_of_an_attribute_counts)
{
	static const struct rule shown = { .attribute = "a" };
	static const struct rule parent = { .attribute = "a", .identifies = IDENTIFY_PARENT };
	struct msg m = { 0 };

	capture(&m, &parent, slice_str("1"));
	capture(&m, &shown, slice_str("2"));
	check_str(attrs_get_str(&m.attrs, "a"), "1", "first");
	check_eq(m.identity_count, 1, "one identity");
	check_str(m.identities[0].key, "a", "key");
	check_str(m.identities[0].value, "1", "value");
	check_eq(m.identities[0].how, IDENTIFY_PARENT, "how");
	attrs_done(&m.attrs);
}

TEST(identities_are_bounded_and_not_empty)
{
	struct rule rule = { .identifies = IDENTIFY_LINK };
	char names[MSG_IDENTITIES_MAX + 2][8];
	struct msg m = { 0 };
	int i;

	for (i = 0; i < MSG_IDENTITIES_MAX + 2; i++) {
		sprintf(names[i], "k%d", i);
		rule.attribute = names[i];
		capture(&m, &rule, slice_str(i ? "v" : ""));
	}
	check_eq(m.attrs.count, MSG_IDENTITIES_MAX + 2, "all are attributes");
	check_eq(m.identity_count, MSG_IDENTITIES_MAX, "bounded");
	check_str(m.identities[0].key, "k1", "the empty one identifies nothing");
	attrs_done(&m.attrs);
}

static const struct target_case {
	const char *target;
	bool is_connect;
	const char *path, *query, *authority;
} target_cases[] = {
	{ "/", false, "/", NULL, NULL },
	{ "/a?b=c", false, "/a", "b=c", NULL },
	{ "/a?", false, "/a", "", NULL },
	{ "/a?b?c#d", false, "/a", "b?c", NULL },
	{ "/a#b?c", false, "/a", NULL, NULL },
	{ "http://h/a?b", false, "/a", "b", "h" },
	{ "http://u:p@h:8/a", false, "/a", NULL, "h:8" },
	{ "http://u@p@h", false, "/", NULL, "h" },
	{ "http://h?b", false, "/", "b", "h" },
	{ "/a?u=http://x/y", false, "/a", "u=http://x/y", NULL },
	{ "*", false, "*", NULL, NULL },
	{ "h:443", true, "h:443", NULL, NULL },
};

static void check_part(struct slice got, const char *want, const char *name)
{
	if (!want)
		check(!got.at, name);
	else
		check(got.at && slice_is(got, want), name);
}

TEST(targets_are_taken_apart)
{
	const struct target_case *c;

	for_each(c, target_cases) {
		struct url u = url_split(slice_str(c->target), c->is_connect);

		check_part(u.path, c->path, c->target);
		check_part(u.query, c->query, c->target);
		check_part(u.authority, c->authority, c->target);
	}
}

static const struct query_case {
	const char *query, *want;
} query_cases[] = {
	{ "", "" },
	{ "a=b&c=d", "a=b&c=d" },
	{ "token=abc", "token=REDACTED" },
	{ "a=1&Access_Token=x&b=2", "a=1&Access_Token=REDACTED&b=2" },
	{ "X-Amz-Signature=s;sig=t", "X-Amz-Signature=REDACTED;sig=REDACTED" },
	{ "AWSAccessKeyId=x&X-Goog-Signature=y",
	  "AWSAccessKeyId=REDACTED&X-Goog-Signature=REDACTED" },
	{ "%74oken=abc", "%74oken=REDACTED" },
	{ "token=a=b", "token=REDACTED" },
	{ "token=", "token=" },
	{ "token", "token" },
	{ "tokens=x", "tokens=x" },
	{ "a=token=x", "a=token=x" },
	{ "&&a&", "&&a&" },
	{ "otp=1&otp=2", "otp=REDACTED&otp=REDACTED" },
	{ "%zz=1", "%zz=1" },
};

TEST(secret_values_leave_the_query)
{
	static struct strings strings;
	const struct query_case *c;

	for_each(c, query_cases) {
		strings_reset(&strings);
		check_str(url_redact_query(&strings, slice_str(c->query)), c->want, c->query);
	}
}

RUN_TESTS(cmocka_unit_test(paths_fit_patterns_segment_by_segment),
	  cmocka_unit_test(the_first_route_that_fits_is_taken),
	  cmocka_unit_test(rules_apply_by_method_route_and_topic),
	  cmocka_unit_test(headers_are_captured_in_any_case),
	  cmocka_unit_test(the_first_rule_of_an_attribute_counts),
	  cmocka_unit_test(identities_are_bounded_and_not_empty),
	  cmocka_unit_test(targets_are_taken_apart),
	  cmocka_unit_test(secret_values_leave_the_query))
