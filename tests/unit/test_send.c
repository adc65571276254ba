/* sample, send, summary: every span is counted once, and the block of counters says so. */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "sample/sample.h"
#include "send/send.h"
#include "send/summary.h"
#include "traces.h"
#include "util/count.h"

static void forget_environment(void)
{
	unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
	unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
}

TEST(each_span_is_counted_once)
{
	static const struct {
		const char *name, *path, *url;
		uint64_t sent, write_failed, unreachable;
	} cases[] = {
		{ "no output at all", NULL, NULL, 30, 0, 0 },
		{ "a file", "/dev/null", NULL, 30, 0, 0 },
		{ "a full disk", "/dev/full", NULL, 0, 30, 0 },
		{ "nobody listens", NULL, "http://127.0.0.1:1", 0, 0, 30 },
		{ "a file, and nobody listens", "/dev/null", "http://127.0.0.1:1", 0, 0, 30 },
		{ "both fail", "/dev/full", "http://127.0.0.1:1", 0, 30, 0 },
	}, *c;
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };

	forget_environment();
	for_each(c, cases) {
		struct counters counters = { 0 };
		struct send_opts opts = { .file_path = c->path, .otlp_url = c->url,
					  .counters = &counters };
		struct sample_opts sample_opts = { .counters = &counters };
		struct sample *sample;
		struct send *s;
		struct fault why;
		uint64_t i;

		check_eq(send_new(&s, &opts, &why), 0, c->name);
		check_eq(sample_new(&sample, &sample_opts, send_feed, s), 0, c->name);
		for (i = 0; i < 3; i++) {
			struct trace *t = traces_numbered(i, 10, resources);

			sample_feed(sample, t);
			traces_free(t);
		}
		sample_tick(sample, 1);
		send_tick(s);
		check_eq(counters.value[SPANS_SENT] + counters.value[SPANS_DROPPED_WRITE] +
			     counters.value[SPANS_DROPPED_UNREACHABLE] + send_waiting(s),
			 30, c->name);
		send_flush(s, 100);
		check_eq(send_waiting(s), 0, c->name);
		check_eq(counters.value[SPANS_SENT], c->sent, c->name);
		check_eq(counters.value[SPANS_DROPPED_WRITE], c->write_failed, c->name);
		check_eq(counters.value[SPANS_DROPPED_UNREACHABLE], c->unreachable, c->name);
		check_eq(send_take_note(s, &why), c->write_failed || c->unreachable, c->name);
		/* a flush need not be the end */
		if (c->unreachable) {
			struct trace *t = traces_numbered(9, 7, resources);

			send_feed(s, t);
			send_flush(s, 0);
			check_eq(counters.value[SPANS_DROPPED_UNREACHABLE], 37, c->name);
			traces_free(t);
		}
		sample_free(sample);
		send_free(s);
	}
	traces_resource_free(r);
}

TEST(the_environment_alone_turns_the_export_on)
{
	struct counters counters = { 0 };
	struct send_opts opts = { .counters = &counters };
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };
	struct trace *t = traces_numbered(0, 5, resources);
	struct send *s;
	struct fault why;

	setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", 1);
	check_eq(send_new(&s, &opts, &why), 0, "new");
	send_feed(s, t);
	check_eq(counters.value[SPANS_SENT], 0, "not yet");
	check_eq(send_waiting(s), 5, "waiting");
	send_flush(s, 50);
	check_eq(counters.value[SPANS_DROPPED_UNREACHABLE], 5, "counted");
	send_free(s);
	forget_environment();
	traces_free(t);
	traces_resource_free(r);
}

TEST(the_block_says_what_was_lost)
{
	static const struct {
		const char *name;
		struct counters c;
		uint64_t waiting;
		const char *want[6];
	} cases[] = {
		{ "nothing happened", { { 0 } }, 0,
		  { "records.seen                              0",
		    "lost                                      0",
		    "dropped                                   0",
		    "records 0 = submitted 0 + lost 0: agrees",
		    "spans made 0 = sent 0 + held 0 + dropped 0: agrees" } },
		{ "losses by cause",
		  { { [KERNEL_RECORDS] = 100, [KERNEL_SUBMITTED] = 90, [LOST_RING_FULL] = 7,
		      [LOST_READ_FAULT] = 3, [RECORDS_SEEN] = 90, [SPANS_MADE] = 50,
		      [SPANS_SENT] = 30, [SPANS_HELD] = 2, [SPANS_DROPPED_REJECTED] = 11,
		      [SPANS_DROPPED_WRITE] = 3, [JOIN_HEADER] = 5 } },
		  4,
		  { "lost                                     10",
		    "kernel.lost.ring_full                     7",
		    "join.header                               5",
		    "spans.dropped.rejected                   11",
		    "records 100 = submitted 90 + lost 10: agrees",
		    "spans made 50 = sent 30 + held 2 + waiting 4 + dropped 14: agrees" } },
		{ "sums that do not agree",
		  { { [KERNEL_RECORDS] = 5, [KERNEL_SUBMITTED] = 4, [SPANS_MADE] = 1 } }, 0,
		  { "records 5 = submitted 4 + lost 0: DOES NOT AGREE",
		    "spans made 1 = sent 0 + held 0 + dropped 0: DOES NOT AGREE" } },
	}, *c;
	size_t i;

	for_each(c, cases) {
		char *text;

		check_eq(summary_text(&text, &c->c, c->waiting), 0, c->name);
		for (i = 0; i < ARRAY_COUNT(c->want) && c->want[i]; i++)
			if (!strstr(text, c->want[i]))
				fail_msg("%s: no \"%s\" in\n%s", c->name, c->want[i], text);
		check(!strstr(text, "spans.dropped.memory"), "rows of zero are left out");
		free(text);
	}
}

RUN_TESTS(cmocka_unit_test(each_span_is_counted_once),
	  cmocka_unit_test(the_environment_alone_turns_the_export_on),
	  cmocka_unit_test(the_block_says_what_was_lost))
