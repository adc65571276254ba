/* settings: the OTEL_* variables as the specification reads them. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "send/settings.h"

/* "NAME=value\n..." stands in for the environment of a test. */
static const char *environment;

static char *get(const char *name)
{
	static char value[512];
	const char *p = environment;
	size_t len = strlen(name), n;

	while (p && *p) {
		n = strcspn(p, "\n");
		if (!strncmp(p, name, len) && p[len] == '=') {
			snprintf(value, sizeof(value), "%.*s", (int)(n - len - 1), p + len + 1);
			return value;
		}
		p += n + (p[n] == '\n');
	}
	return NULL;
}

#define ANY "OTEL_EXPORTER_OTLP_ENDPOINT"
#define TRACES "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

TEST(the_endpoint_is_found)
{
	static const struct {
		const char *name, *option, *env, *want;
	} cases[] = {
		{ "nothing", NULL, "", NULL },
		{ "option", "http://h:4318", "", "http://h:4318/v1/traces" },
		{ "option with a slash", "http://h:4318/", "", "http://h:4318/v1/traces" },
		{ "option with the path", "http://h:4318/v1/traces", "",
		  "http://h:4318/v1/traces" },
		{ "and a slash", "http://h/v1/traces/", "", "http://h/v1/traces" },
		{ "prefix is kept", "https://h/otel", "", "https://h/otel/v1/traces" },
		{ "query is kept", "http://h/otel?k=v", "", "http://h/otel/v1/traces?k=v" },
		{ "IPv6", "http://[::1]:4318", "", "http://[::1]:4318/v1/traces" },
		{ "base", NULL, ANY "=http://a:1", "http://a:1/v1/traces" },
		{ "as it is", NULL, TRACES "=http://a:1/x", "http://a:1/x" },
		{ "as it is, no path", NULL, TRACES "=http://a:1", "http://a:1/" },
		{ "traces wins", NULL, ANY "=http://a:1\n" TRACES "=http://b:2/", "http://b:2/" },
		{ "empty is unset", NULL, ANY "=http://a:1\n" TRACES "=", "http://a:1/v1/traces" },
		{ "option wins", "http://c:3", ANY "=http://a:1\n" TRACES "=http://b:2/",
		  "http://c:3/v1/traces" },
	}, *c;

	for_each(c, cases) {
		struct settings s;
		struct fault why = { "" };

		environment = c->env;
		check_eq(settings_read(&s, c->option, get, &why), 0, c->name);
		check_str(s.url, c->want, c->name);
		check_str(why.text, "", c->name);
		check_eq(s.warning_count, 0, c->name);
		settings_done(&s);
	}
}

TEST(what_cannot_be_is_refused_with_a_reason)
{
	static const struct {
		const char *option, *env, *why;
	} cases[] = {
		{ "localhost:4318", "",
		  "--otlp: \"localhost:4318\" must begin with http:// or https://" },
		{ "file:///etc/passwd", "",
		  "--otlp: \"file:///etc/passwd\" must begin with http:// or https://" },
		{ NULL, TRACES "=gopher://h/", TRACES ": \"gopher://h/\" must begin with http://" },
		{ "http://", "", "--otlp: \"http://\" is no URL: " },
		{ "http://h:99999", "", "--otlp: \"http://h:99999\" is no URL: " },
		{ "http://h", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		  "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: only OTLP over HTTP is spoken: set it to "
		  "http/protobuf or http/json" },
	}, *c;

	for_each(c, cases) {
		struct settings s = { .queue_spans = 77 };
		struct fault why = { "" };

		environment = c->env;
		check_eq(settings_read(&s, c->option, get, &why), -EINVAL, c->why);
		check(!strncmp(why.text, c->why, strlen(c->why)), why.text);
		check_eq(s.queue_spans, 77, "untouched");
	}
}

TEST(grpc_is_no_error_where_nothing_is_sent)
{
	struct settings s;
	struct fault why = { "" };

	environment = "OTEL_EXPORTER_OTLP_PROTOCOL=grpc";
	check_eq(settings_read(&s, NULL, get, &why), 0, "no endpoint");
	settings_done(&s);
}

#define P "OTEL_EXPORTER_OTLP_"
#define T "OTEL_EXPORTER_OTLP_TRACES_"

TEST(values_are_read_and_bad_ones_are_ignored)
{
	static const struct {
		const char *env;
		enum otlp_form form;
		bool is_gzip;
		uint32_t timeout_ms, total_ms, delay_ms, queue, batch;
		const char *warning;
	} cases[] = {
		{ "", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512, NULL },
		{ P "PROTOCOL=http/json", OTLP_JSON, true, 10000, 300000, 1000, 65536, 512, NULL },
		{ P "PROTOCOL=http/json\n" T "PROTOCOL=HTTP/Protobuf", OTLP_PROTO, true, 10000,
		  300000, 1000, 65536, 512, NULL },
		{ P "PROTOCOL=smoke", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  P "PROTOCOL=smoke is not known" },
		{ P "COMPRESSION=none", OTLP_PROTO, false, 10000, 300000, 1000, 65536, 512, NULL },
		{ P "COMPRESSION=none\n" T "COMPRESSION=gzip", OTLP_PROTO, true, 10000, 300000,
		  1000, 65536, 512, NULL },
		{ P "COMPRESSION=zstd", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  P "COMPRESSION=zstd is neither gzip nor none" },
		{ P "TIMEOUT=2500", OTLP_PROTO, true, 2500, 300000, 1000, 65536, 512, NULL },
		{ P "TIMEOUT=2500\n" T "TIMEOUT=0", OTLP_PROTO, true, 0, 300000, 1000, 65536, 512,
		  NULL },
		{ P "TIMEOUT=-1", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  P "TIMEOUT=-1 is no number" },
		{ P "TIMEOUT=10s", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  P "TIMEOUT=10s is no number" },
		{ P "TIMEOUT=99999999999", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  P "TIMEOUT=99999999999 is no number" },
		{ "OTEL_BSP_SCHEDULE_DELAY=50\nOTEL_BSP_EXPORT_TIMEOUT=700\n"
		  "OTEL_BSP_MAX_QUEUE_SIZE=300\nOTEL_BSP_MAX_EXPORT_BATCH_SIZE=100",
		  OTLP_PROTO, true, 10000, 700, 50, 300, 100, NULL },
		{ "OTEL_BSP_MAX_QUEUE_SIZE=10", OTLP_PROTO, true, 10000, 300000, 1000, 10, 10,
		  NULL },
		{ "OTEL_BSP_MAX_QUEUE_SIZE=0", OTLP_PROTO, true, 10000, 300000, 1000, 65536, 512,
		  "OTEL_BSP_MAX_QUEUE_SIZE=0 is no number from 1 up: 65536 is taken" },
		{ "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=100000", OTLP_PROTO, true, 10000, 300000, 1000,
		  65536, 512, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=100000: back ends refuse" },
	}, *c;

	for_each(c, cases) {
		struct settings s;
		struct fault why = { "" };

		environment = c->env;
		check_eq(settings_read(&s, "http://h", get, &why), 0, c->env);
		check_eq(s.form, c->form, c->env);
		check_eq(s.is_gzip, c->is_gzip, c->env);
		check_eq(s.timeout_ms, c->timeout_ms, c->env);
		check_eq(s.total_ms, c->total_ms, c->env);
		check_eq(s.delay_ms, c->delay_ms, c->env);
		check_eq(s.queue_spans, c->queue, c->env);
		check_eq(s.batch_spans, c->batch, c->env);
		check_eq(s.warning_count, c->warning ? 1 : 0, c->env);
		if (c->warning)
			check(!strncmp(s.warnings[0].text, c->warning, strlen(c->warning)),
			      s.warnings[0].text);
		settings_done(&s);
	}
}

TEST(headers_are_decoded_and_cannot_smuggle)
{
	static const struct {
		const char *env, *want;		/* headers, each after a bar */
		int warnings;
	} cases[] = {
		{ P "HEADERS=api-key=abc", "|api-key: abc", 0 },
		{ P "HEADERS= a = 1 , b=2", "|a: 1|b: 2", 0 },
		{ P "HEADERS=authorization=Basic%20QQ==", "|authorization: Basic QQ==", 0 },
		{ P "HEADERS=a=1\n" T "HEADERS=b=2", "|b: 2", 0 },
		{ P "HEADERS=a=", "|a;", 0 },
		{ P "HEADERS=a=1,,b=2,", "|a: 1|b: 2", 0 },
		{ P "HEADERS=a=x%0d%0aEvil:%201", "", 1 },
		{ P "HEADERS=a=1%00", "", 1 },
		{ P "HEADERS=a=%zz", "", 1 },
		{ P "HEADERS=no-value", "", 1 },
		{ P "HEADERS=sp ace=1", "", 1 },
		{ P "HEADERS=Content-Length=1", "", 1 },
	}, *c;

	for_each(c, cases) {
		struct settings s;
		struct fault why = { "" };
		char got[256] = "";
		size_t i;

		environment = c->env;
		check_eq(settings_read(&s, "http://h", get, &why), 0, c->env);
		for (i = 0; i < s.header_count; i++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "|%s", s.headers[i]);
		check_str(got, c->want, c->env);
		check_eq(s.warning_count, c->warnings, c->env);
		settings_done(&s);
	}
}

TEST(a_secret_is_never_in_a_warning)
{
	struct settings s;
	struct fault why = { "" };

	environment = P "HEADERS=authorization=Bearer%zzs3cret";
	check_eq(settings_read(&s, "http://h", get, &why), 0, "read");
	check_eq(s.warning_count, 1, "warned");
	check(!strstr(s.warnings[0].text, "s3cret"), s.warnings[0].text);
	settings_done(&s);
}

TEST(resource_attributes_are_all_or_nothing)
{
	static const struct {
		const char *env, *key, *want;
		int count, warnings;
	} cases[] = {
		{ "OTEL_RESOURCE_ATTRIBUTES=a=1,b=two%20words", "b", "two words", 2, 0 },
		{ "OTEL_RESOURCE_ATTRIBUTES=a=1,b", "a", NULL, 0, 1 },
		{ "OTEL_RESOURCE_ATTRIBUTES=a=%e2%9c%93", "a", "\xe2\x9c\x93", 1, 0 },
		{ "OTEL_RESOURCE_ATTRIBUTES==1", "", NULL, 0, 1 },
	}, *c;

	for_each(c, cases) {
		struct settings s;
		struct fault why = { "" };

		environment = c->env;
		check_eq(settings_read(&s, NULL, get, &why), 0, c->env);
		check_str(attrs_get_str(&s.resource, c->key), c->want, c->env);
		check_eq(s.resource.count, c->count, c->env);
		check_eq(s.warning_count, c->warnings, c->env);
		settings_done(&s);
	}
}

TEST(files_and_names)
{
	struct settings s;
	struct fault why = { "" };

	environment = P "CERTIFICATE=/a\n" T "CERTIFICATE=/b\n" P "CLIENT_KEY=/k\n"
		      P "CLIENT_CERTIFICATE=/c\nOTEL_SERVICE_NAME=fallback";
	check_eq(settings_read(&s, "http://h:4317", get, &why), 0, "read");
	check_str(s.ca_file, "/b", "the variant wins");
	check_str(s.key_file, "/k", "key");
	check_str(s.cert_file, "/c", "certificate");
	check_str(s.service, "fallback", "service");
	check_eq(s.warning_count, 1, "the port of gRPC");
	settings_done(&s);
}

RUN_TESTS(cmocka_unit_test(the_endpoint_is_found),
	  cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
	  cmocka_unit_test(grpc_is_no_error_where_nothing_is_sent),
	  cmocka_unit_test(values_are_read_and_bad_ones_are_ignored),
	  cmocka_unit_test(headers_are_decoded_and_cannot_smuggle),
	  cmocka_unit_test(a_secret_is_never_in_a_warning),
	  cmocka_unit_test(resource_attributes_are_all_or_nothing),
	  cmocka_unit_test(files_and_names))
