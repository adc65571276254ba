/*
 * export_feed: feeds numbered traces (tests/traces.h) to send/ as join would, flushes, and
 * writes the counters as one JSON object. For tests/e2e/export, which plays the back end.
 */
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "execution.h"
#include "send/send.h"
#include "send/summary.h"
#include "util/count.h"
#include "util/log.h"

#define TICK_MS 20

struct args {
	unsigned long traces, spans, pace_ms, flush_ms, linger_ms;
	const char *counters;
	struct send_opts send;
	bool has_execution;
};

static void nap(unsigned long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static int parse(struct args *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "traces", required_argument, NULL, 'n' },
		{ "spans", required_argument, NULL, 's' },
		{ "pace", required_argument, NULL, 'p' },
		{ "flush", required_argument, NULL, 'f' },
		{ "linger", required_argument, NULL, 'l' },
		{ "counters", required_argument, NULL, 'c' },
		{ "otlp", required_argument, NULL, 'o' },
		{ "otlp-file", required_argument, NULL, 'F' },
		{ "json", no_argument, NULL, 'j' },
		{ "waterfall", no_argument, NULL, 'w' },
		{ "patient", no_argument, NULL, 'P' },
		{ "execution", no_argument, NULL, 'x' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'n': a->traces = strtoul(optarg, NULL, 10); break;
		case 's': a->spans = strtoul(optarg, NULL, 10); break;
		case 'p': a->pace_ms = strtoul(optarg, NULL, 10); break;
		case 'f': a->flush_ms = strtoul(optarg, NULL, 10); break;
		case 'l': a->linger_ms = strtoul(optarg, NULL, 10); break;
		case 'c': a->counters = optarg; break;
		case 'o': a->send.otlp_url = optarg; break;
		case 'F': a->send.file_path = optarg; break;
		case 'j': a->send.has_json = true; break;
		case 'w': a->send.has_waterfall = true; break;
		case 'P': a->send.is_patient = true; break;
		case 'x': a->has_execution = true; break;
		default: return 2;
		}
	}
	return 0;
}

static void tell_notes(struct send *s)
{
	struct fault note;

	while (send_take_note(s, &note))
		log_warn("%s", note.text);
}

static void feed_numbered(struct send *s, const struct args *a)
{
	struct resource *resources[3] = { traces_resource("svc-0", 100),
					  traces_resource("svc-1", 101),
					  traces_resource("svc-2", 102) };
	unsigned long i, waited;

	for (i = 0; i < a->traces; i++) {
		struct trace *t = traces_numbered(i, a->spans, resources);

		counter_add(a->send.counters, SPANS_MADE, t->count);
		send_feed(s, t);
		send_tick(s);
		tell_notes(s);
		traces_free(t);
		if (a->pace_ms)
			nap(a->pace_ms);
	}
	for (waited = 0; waited < a->linger_ms; waited += TICK_MS) {
		nap(TICK_MS);
		send_tick(s);
		tell_notes(s);
	}
	for (i = 0; i < 3; i++)
		traces_resource_free(resources[i]);
}

static void feed_execution(struct send *s, const struct args *a)
{
	struct execution *x = execution_new();

	counter_add(a->send.counters, SPANS_MADE, x->trace.count);
	send_feed(s, &x->trace);
	execution_free(x);
}

static void write_counters(const char *path, const struct counters *c, uint64_t waiting)
{
	FILE *to = fopen(path, "w");
	int id;

	if (!to)
		return;
	fprintf(to, "{\"waiting\": %" PRIu64, waiting);
	for (id = 0; id < COUNTER_MAX; id++)
		fprintf(to, ", \"%s\": %" PRIu64, counter_name(id), c->value[id]);
	fputs("}\n", to);
	fclose(to);
}

int main(int argc, char **argv)
{
	struct counters counters = { 0 };
	struct args a = { .spans = 10, .flush_ms = 5000, .send.counters = &counters };
	struct fault why = { "" };
	struct send *s;

	setlocale(LC_CTYPE, "");
	if (parse(&a, argc, argv))
		return 2;
	if (send_new(&s, &a.send, &why)) {
		log_error("%s", why.text);
		return 2;
	}
	feed_numbered(s, &a);
	if (a.has_execution)
		feed_execution(s, &a);
	send_flush(s, a.flush_ms);
	tell_notes(s);
	if (a.counters)
		write_counters(a.counters, &counters, send_waiting(s));
	summary_write(STDERR_FILENO, &counters, send_waiting(s));
	send_free(s);
	return 0;
}
