/* config: the file's keys, its errors, and the default that stands in for it. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"

static int parse(const char *text, struct config **ret, char *why)
{
	why[0] = '\0';
	return config_parse("test.yaml", slice_str(text), ret, why, CONFIG_WHY_MAX);
}

TEST(every_key_is_read)
{
	static const char text[] =
		"trace_headers: [trace-id, x-run]\n"
		"routes: ['/a/{b}', /]\n"
		"capture:\n"
		"  - {attribute: a, from: http.request.header, header: X-A, method: GET,\n"
		"     route: /a}\n"
		"  - {attribute: b, from: http.request.json, field: x.y}\n"
		"  - {attribute: c, from: http.response.json, field: z, identifies: link}\n"
		"  - {attribute: d, from: http.path, route: '/a/{b}', param: b,\n"
		"     identifies: parent}\n"
		"  - {attribute: e, from: kafka.header, header: h, topic: 't-*'}\n"
		"  - {attribute: f, from: kafka.key}\n";
	char why[CONFIG_WHY_MAX];
	struct config *c = NULL;
	const struct rule *r;

	check_eq(parse(text, &c, why), 0, "parse");
	check_eq(c->rules.trace_headers_count, 2, "headers");
	check_str(c->rules.trace_headers[1], "x-run", "header");
	check_eq(c->rules.routes_count, 2, "routes");
	check_str(c->rules.routes[0], "/a/{b}", "route");
	check_eq(c->rules.capture_count, 6, "capture");
	r = c->rules.capture;
	check_eq(r[0].from, FROM_HTTP_REQUEST_HEADER, "from 0");
	check_str(r[0].attribute, "a", "attribute");
	check_str(r[0].header, "X-A", "header");
	check_str(r[0].method, "GET", "method");
	check_str(r[0].route, "/a", "route");
	check_eq(r[0].identifies, IDENTIFY_NO, "identifies nothing");
	check_eq(r[1].from, FROM_HTTP_REQUEST_JSON, "from 1");
	check_str(r[1].field, "x.y", "field");
	check_str(r[1].method, NULL, "no method");
	check_eq(r[2].from, FROM_HTTP_RESPONSE_JSON, "from 2");
	check_eq(r[2].identifies, IDENTIFY_LINK, "link");
	check_eq(r[3].from, FROM_HTTP_PATH, "from 3");
	check_str(r[3].param, "b", "param");
	check_eq(r[3].identifies, IDENTIFY_PARENT, "parent");
	check_eq(r[4].from, FROM_KAFKA_HEADER, "from 4");
	check_str(r[4].topic, "t-*", "topic");
	check_eq(r[5].from, FROM_KAFKA_KEY, "from 5");
	config_free(c);
}

TEST(an_empty_file_has_no_rules)
{
	static const char *const texts[] = { "", "# nothing\n", "capture: []\n" };
	char why[CONFIG_WHY_MAX];
	const char *const *t;

	for_each(t, texts) {
		struct config *c = NULL;

		check_eq(parse(*t, &c, why), 0, *t);
		check_eq(c->rules.capture_count, 0, *t);
		config_free(c);
	}
}

static const struct kafka_case {
	const char *text;
	struct config_kafka want;
} kafka_cases[] = {
	{ "routes: [/a]\n", { KAFKA_MODE_AUTO, 20000, { false, false, POLL_SPANS_BATCH } } },
	{ "kafka: {}\n", { KAFKA_MODE_AUTO, 20000, { false, false, POLL_SPANS_BATCH } } },
	{ "kafka: {mode: light, light_above: 7, trace_mode: link, message_key: true,\n"
	  "        poll_spans: all}\n", { KAFKA_MODE_LIGHT, 7, { true, true, POLL_SPANS_ALL } } },
	{ "kafka: {mode: full, message_key: false, poll_spans: none, trace_mode: parent}\n",
	  { KAFKA_MODE_FULL, 20000, { false, false, POLL_SPANS_NONE } } },
	{ "kafka: {mode: auto, poll_spans: batch}\n",
	  { KAFKA_MODE_AUTO, 20000, { false, false, POLL_SPANS_BATCH } } },
};

TEST(kafka_keys_are_read_and_have_defaults)
{
	const struct kafka_case *k;
	char why[CONFIG_WHY_MAX];

	for_each(k, kafka_cases) {
		struct config *c = NULL;

		check_eq(parse(k->text, &c, why), 0, k->text);
		check_eq(c->kafka.mode, k->want.mode, k->text);
		check_eq(c->kafka.light_above, k->want.light_above, k->text);
		check_eq(c->kafka.join.link_only, k->want.join.link_only, k->text);
		check_eq(c->kafka.join.message_key, k->want.join.message_key, k->text);
		check_eq(c->kafka.join.poll_spans, k->want.join.poll_spans, k->text);
		config_free(c);
	}
}

TEST(a_mode_has_a_name)
{
	enum config_kafka_mode mode = KAFKA_MODE_AUTO;

	check_eq(config_kafka_mode(&mode, "light"), 0, "light");
	check_eq(mode, KAFKA_MODE_LIGHT, "light");
	check_eq(config_kafka_mode(&mode, "Light"), -EINVAL, "as it is written");
	check_eq(config_kafka_mode(&mode, ""), -EINVAL, "empty");
	check_eq(mode, KAFKA_MODE_LIGHT, "untouched");
}

#define RULE "capture:\n  - {attribute: a, from: "

static const struct error_case {
	const char *name, *text;
	const char *says[3];	/* parts of the error's line */
} error_cases[] = {
	{ "unknown key", "routes: [/a]\nrouts: [/b]\n", { "test.yaml", "line: 1", "routs" } },
	{ "unknown key of a rule", RULE "kafka.key,\n     headr: x}\n", { "line: 2", "headr" } },
	{ "unknown source", RULE "http.body}\n", { "line: 2", "http.body", "from" } },
	{ "a number for a source", RULE "1}\n", { "line: 2", "1" } },
	{ "unknown identifies", RULE "kafka.key, identifies: maybe}\n", { "maybe" } },
	{ "no attribute", "capture:\n  - {from: kafka.key}\n", { "attribute", "line: 2" } },
	{ "empty attribute", "capture:\n  - {attribute: '', from: kafka.key}\n", { "line: 2" } },
	{ "no source", "capture:\n  - {attribute: a}\n", { "from", "line: 2" } },
	{ "not YAML", "routes: [/a\n", { "test.yaml", "line: 1" } },
	{ "a list at the top", "- a\n", { "test.yaml", "MAPPING" } },
	{ "an alias", "routes: [&x /a, *x]\n", { "test.yaml", "line: 1" } },
	{ "a key twice", "routes: [/a]\nroutes: [/b]\n", { "routes", "already" } },
	{ "a secret header", RULE "http.request.header, header: AuthoriZation}\n",
	  { "entry 1 of capture (a)", "secrets", "remove" } },
	{ "a secret Kafka header", RULE "kafka.header, header: cookie}\n", { "secrets" } },
	{ "a secret trace header", "trace_headers: [trace-id, X-Api-Key]\n",
	  { "entry 2 of trace_headers (X-Api-Key)", "secrets" } },
	{ "a header rule without header", RULE "http.request.header}\n", { "needs header" } },
	{ "a JSON rule without field", RULE "http.request.json}\n", { "needs field" } },
	{ "a JSON rule with a header", RULE "http.request.json, field: x, header: y}\n",
	  { "needs field, and may have method and route" } },
	{ "a path rule without param", RULE "http.path, route: '/a/{b}'}\n",
	  { "needs route and param" } },
	{ "a param that the route has not", RULE "http.path, route: '/a/{b}', param: c}\n",
	  { "param" } },
	{ "a Kafka rule with a method", RULE "kafka.key, method: GET}\n", { "may have topic" } },
	{ "an empty path segment name", RULE "http.path, route: '/a/{}', param: b}\n",
	  { "no pattern" } },
	{ "braces around half a segment", "routes: ['/a/x{b}']\n",
	  { "entry 1 of routes (/a/x{b})", "no pattern" } },
	{ "a route that is no path", "routes: [a/b]\n", { "no pattern" } },
	{ "a field that ends in a dot", RULE "http.request.json, field: x.}\n", { "dotted" } },
	{ "unknown Kafka mode", "kafka: {mode: fast}\n", { "line: 1", "fast", "mode" } },
	{ "unknown Kafka key", "kafka: {modes: full}\n", { "line: 1", "modes" } },
	{ "a word for a boolean", "kafka: {message_key: maybe}\n", { "maybe", "message_key" } },
	{ "a negative rate", "kafka: {light_above: -1}\n", { "light_above" } },
	{ "a rate beyond 32 bits", "kafka: {light_above: 4294967296}\n", { "light_above" } },
	{ "unknown poll spans", "kafka: {poll_spans: some}\n", { "some" } },
	{ "too many trace headers", "trace_headers: [a, b, c, d, e, f, g, h, i]\n",
	  { "more than 8" } },
};

TEST(errors_name_file_place_and_remedy)
{
	const struct error_case *c;
	char why[CONFIG_WHY_MAX];
	size_t i;

	for_each(c, error_cases) {
		struct config *config = NULL;

		check_eq(parse(c->text, &config, why), -EINVAL, c->name);
		check(!config, c->name);
		check(strstr(why, "test.yaml"), c->name);
		check(strstr(why, "docs/configuration.md"), c->name);
		for (i = 0; i < ARRAY_COUNT(c->says) && c->says[i]; i++)
			if (!strstr(why, c->says[i]))
				fail_msg("%s: \"%s\" lacks \"%s\"", c->name, why, c->says[i]);
	}
}

/* the rules of the shipped file, told once more by hand */
static const struct rule shipped[] = {
	{ .attribute = "user.id", .from = FROM_HTTP_REQUEST_JSON, .field = "user" },
	{ .attribute = "code.language", .from = FROM_HTTP_REQUEST_JSON, .field = "language" },
	{ .attribute = "execution.id", .from = FROM_KAFKA_KEY, .topic = "executions",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "execution.id", .from = FROM_KAFKA_KEY, .topic = "pods",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "execution.id", .from = FROM_KAFKA_KEY, .topic = "pod-events",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "execution.id", .from = FROM_HTTP_PATH, .param = "id",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "execution.id", .from = FROM_HTTP_PATH, .param = "id",
	  .identifies = IDENTIFY_LINK },
	{ .attribute = "k8s.pod.uid", .from = FROM_HTTP_RESPONSE_JSON, .field = "metadata.uid" },
	{ .attribute = "k8s.pod.name", .from = FROM_HTTP_RESPONSE_JSON, .field = "metadata.name" },
};

TEST(the_default_serves_the_platform)
{
	struct config *c = NULL;
	size_t i;

	check_eq(config_load(NULL, &c), 0, "load");
	check_eq(c->rules.trace_headers_count, 1, "one header");
	check_str(c->rules.trace_headers[0], "trace-id", "header");
	check_eq(c->rules.capture_count, ARRAY_COUNT(shipped), "rules");
	check_eq(c->kafka.mode, KAFKA_MODE_AUTO, "mode");
	check_eq(c->kafka.light_above, 20000, "light_above");
	for (i = 0; i < ARRAY_COUNT(shipped); i++) {
		const struct rule *got = &c->rules.capture[i];

		check_str(got->attribute, shipped[i].attribute, "attribute");
		check_eq(got->from, shipped[i].from, shipped[i].attribute);
		check_eq(got->identifies, shipped[i].identifies, shipped[i].attribute);
		check_str(got->field, shipped[i].field, shipped[i].attribute);
		check_str(got->topic, shipped[i].topic, shipped[i].attribute);
		check_str(got->param, shipped[i].param, shipped[i].attribute);
	}
	check_str(rules_route(&c->rules, slice_str("/api/v1/namespaces/default/pods/x/log")),
		  "/api/v1/namespaces/{namespace}/pods/{name}/log", "route");
	check_str(rules_route(&c->rules, slice_str("/executions/x")), "/executions/{id}", "id");
	config_free(c);
}

TEST(the_default_is_the_shipped_file)
{
	char text[16384];
	size_t len;
	FILE *f = fopen("deploy/spanstitch.yaml", "r");

	if (!f)
		fail_msg("deploy/spanstitch.yaml: %s; run from the root", strerror(errno));
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	check_str(config_default, text, "user/config_default.c against the file");
}

TEST(files_that_cannot_be_read_are_errors)
{
	struct config *c = NULL;

	check_eq(config_load("/nonexistent/spanstitch.yaml", &c), -ENOENT, "missing");
	check_eq(config_load("/", &c), -EIO, "a directory");
	check(!c, "untouched");
}

RUN_TESTS(cmocka_unit_test(every_key_is_read),
	  cmocka_unit_test(kafka_keys_are_read_and_have_defaults),
	  cmocka_unit_test(a_mode_has_a_name),
	  cmocka_unit_test(an_empty_file_has_no_rules),
	  cmocka_unit_test(errors_name_file_place_and_remedy),
	  cmocka_unit_test(the_default_serves_the_platform),
	  cmocka_unit_test(the_default_is_the_shipped_file),
	  cmocka_unit_test(files_that_cannot_be_read_are_errors))
