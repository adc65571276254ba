/* pipeline: see pipeline.h. */
#include "pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "collect/record.h"
#include "config.h"
#include "decode/decode.h"
#include "join/join.h"
#include "sample/sample.h"
#include "send/send.h"
#include "send/summary.h"
#include "util/log.h"
#include "wire.h"

/* A record takes 2 us to join, a span 15 us to hand on: the ring is read first. */
#define TICK_SPANS 1000		/* handed on between two looks at the ring: some 15 ms */
#define RECORD_SPANS 4		/* and after each record, once so many are held: */
#define HELD_SPANS 150000	/* about 150 MiB */
#define FLUSH_MS 15000		/* at the end, what waits for a back end may take this long */

struct pipeline {
	struct counters *counters;
	struct decode *decode;
	struct join *join;
	struct sample *sample;
	struct send *send;
	uint64_t now_ns;	/* time of the records that were handed on */
	bool is_replay;
};

/* Attributes that stand on every span of their trace: Jaeger matches all on one span. */
static const char *const spread[] = { "execution.id", "user.id", NULL };

static void on_message(void *ctx, const struct msg *m)
{
	struct pipeline *p = ctx;

	join_feed(p->join, m);
}

static int open_send(struct pipeline *p, const struct pipeline_opts *opts)
{
	struct send_opts so = {
		.otlp_url = opts->cli->otlp_url,
		.file_path = opts->cli->otlp_file,
		.has_json = opts->cli->json,
		.has_waterfall = !opts->cli->json,
		.is_patient = opts->is_replay,
		.counters = opts->counters,
	};
	struct fault why;
	int err = send_new(&p->send, &so, &why);

	if (err)
		log_error("%s", why.text);
	return err;
}

static int open_join(struct pipeline *p, const struct pipeline_opts *opts)
{
	struct join_opts jo = {
		.wall_offset_ns = (uint64_t)opts->info->wall_offset_ns,
		.linger_ns = JOIN_LINGER_NS,
		.host_name = opts->info->host,
		.spread = spread,
		.kafka = opts->config->kafka.join,
		.counters = opts->counters,
	};

	memcpy(jo.ids.key, opts->info->key, sizeof(jo.ids.key));
	return join_new(&p->join, &jo, sample_feed, p->sample);
}

int pipeline_new(struct pipeline **ret, const struct pipeline_opts *opts)
{
	struct sample_opts sample_opts = { .counters = opts->counters };
	struct decode_opts decode_opts = {
		.rules = &opts->config->rules,
		.counters = opts->counters,
	};
	struct pipeline *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->counters = opts->counters;
	p->is_replay = opts->is_replay;
	err = open_send(p, opts);
	if (!err)
		err = sample_new(&p->sample, &sample_opts, send_feed, p->send);
	if (!err)
		err = open_join(p, opts);
	if (!err)
		err = decode_new(&p->decode, &decode_opts, on_message, p);
	if (err) {
		pipeline_free(p);
		return err;
	}
	*ret = p;
	return 0;
}

/* Time goes on; hands at most @spans on. True: there are more. */
static bool advance(struct pipeline *p, uint64_t now_ns, size_t spans)
{
	if (now_ns > p->now_ns) {
		p->now_ns = now_ns;
		decode_tick(p->decode, now_ns);
		sample_tick(p->sample, now_ns);
	}
	return spans && join_tick_some(p->join, p->now_ns, spans);
}

static size_t spans_a_record(const struct pipeline *p)
{
	if (p->is_replay)
		return SIZE_MAX;	/* the same traces each time */
	return join_held(p->join) < HELD_SPANS ? 0 : RECORD_SPANS;
}

void pipeline_feed(void *pipeline, const struct wire_head *rec)
{
	struct pipeline *p = pipeline;

	if (rec->kind != WIRE_COUNTERS)
		advance(p, rec->ts_ns, spans_a_record(p));
	decode_feed(p->decode, rec);
}

static void log_notes(struct pipeline *p)
{
	struct fault note;

	while (send_take_note(p->send, &note))
		log_warn("%s", note.text);
}

bool pipeline_tick(struct pipeline *p, uint64_t now_ns)
{
	bool has_more = advance(p, now_ns, TICK_SPANS);

	send_tick(p->send);
	log_notes(p);
	return has_more;
}

void pipeline_finish(struct pipeline *p)
{
	join_flush(p->join, p->now_ns);
	send_flush(p->send, FLUSH_MS);
	log_notes(p);
}

void pipeline_print_counters(struct pipeline *p)
{
	summary_write(STDERR_FILENO, p->counters, send_waiting(p->send));
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	decode_free(p->decode);
	join_free(p->join);
	sample_free(p->sample);
	send_free(p->send);
	free(p);
}
