/* live: see live.h. */
#include "live.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/discover.h"
#include "attach/kafka_mode.h"
#include "attach/load.h"
#include "child.h"
#include "cli.h"
#include "collect/order.h"
#include "collect/record.h"
#include "collect/ring.h"
#include "pipeline.h"
#include "send/summary.h"
#include "util/count.h"
#include "util/log.h"
#include "wire.h"

#define COUNT_EVERY_NS 1000000000ULL	/* kernel counters are read so often */
#define LAST_LOOK_NS 300000000ULL	/* after the command's end: what is still in flight */

/* set by signals only */
static volatile sig_atomic_t stop_asked, counters_asked;

struct live {
	const struct cli *cli;
	struct counters counters;
	struct record_info info;
	struct load *load;
	struct discover *discover;
	struct kafka_mode kafka_mode;
	struct ring *ring;
	struct order *order;
	struct pipeline *pipeline;	/* trace */
	struct record *record;		/* record */
	struct child child;
	uint64_t started_ns, counted_ns;
	int record_err;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		counters_asked = 1;
	else if (stop_asked++)
		_exit(130);	/* asked twice: at once */
}

static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct sigaction sa = { .sa_handler = on_signal };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
}

/* --- the way of a record ---------------------------------------------------------------------- */

static void on_ordered(void *ctx, const struct wire_head *rec)
{
	struct live *l = ctx;

	if (l->pipeline)
		pipeline_feed(l->pipeline, rec);
	else if (!l->record_err)
		l->record_err = record_feed(l->record, rec);
}

static void on_announced(void *ctx, const struct wire_head *rec)
{
	struct live *l = ctx;

	counter_add(&l->counters, RECORDS_SEEN, 1);
	order_feed(l->order, rec);
}

/* Discovery acts at once; the stages wait until the record's place in the order is sure. */
static void on_record(void *ctx, const struct wire_head *rec)
{
	struct live *l = ctx;

	if (discover_feed(l->discover, rec))
		order_feed(l->order, rec);
}

/* --- begin ------------------------------------------------------------------------------------ */

static int open_kernel(struct live *l, const struct config *config)
{
	struct load_opts opts = {
		.knobs = {
			.self_tgid = (uint32_t)getpid(),
			.trace_all = l->cli->all,
			.watch_exec = l->cli->all || l->cli->exe_count,
			.follow = 1,
		},
	};
	int err = load_new(&l->load, &opts);

	if (err)
		return err;
	if (config->kafka.mode == KAFKA_MODE_LIGHT)
		load_kafka_start_light(l->load);
	l->kafka_mode.load = l->load;
	if (config->kafka.mode == KAFKA_MODE_AUTO)
		l->kafka_mode.light_above = config->kafka.light_above;
	return ring_new(&l->ring, load_ring_map_fd(l->load), &l->counters, on_record, l);
}

static int open_output(struct live *l, const struct config *config)
{
	struct pipeline_opts opts = {
		.cli = l->cli, .config = config, .info = &l->info, .counters = &l->counters,
	};
	int err;

	err = record_info_make(&l->info);
	if (err)
		return err;
	if (l->cli->command == COMMAND_TRACE)
		return pipeline_new(&l->pipeline, &opts);
	err = record_new(&l->record, l->cli->file, &l->info);
	if (err)
		log_error("-o %s: cannot be written: %s; give another file", l->cli->file,
			  strerror(-err));
	return err;
}

static int open_targets(struct live *l)
{
	pid_t pids[CLI_PIDS_MAX + 1];
	struct discover_opts opts = {
		.pids = pids,
		.pid_count = l->cli->pid_count,
		.exes = l->cli->exes,
		.exe_count = l->cli->exe_count,
		.all = l->cli->all,
		.load = l->load,
	};
	int err;

	memcpy(pids, l->cli->pids, l->cli->pid_count * sizeof(*pids));
	if (l->cli->child_argv) {
		err = child_start(&l->child, l->cli->child_argv);
		if (err) {
			log_error("%s: cannot be started: %s", l->cli->child_argv[0],
				  strerror(-err));
			return err;
		}
		pids[opts.pid_count++] = l->child.pid;
	}
	return discover_new(&l->discover, &opts, on_announced, l);
}

static int live_open(struct live *l, const struct config *config)
{
	struct order_opts order_opts = { .counters = &l->counters };
	int err;

	err = open_output(l, config);
	if (!err)
		err = order_new(&l->order, &order_opts, on_ordered, l);
	if (!err)
		err = open_kernel(l, config);
	if (!err)
		err = open_targets(l);
	if (!err)
		err = load_attach_base(l->load);
	return err;
}

/* --- run -------------------------------------------------------------------------------------- */

static void print_counters(struct live *l)
{
	load_read_counters(l->load, &l->counters);
	if (l->pipeline)
		pipeline_print_counters(l->pipeline);
	else
		summary_write(STDERR_FILENO, &l->counters, 0);
}

/* True: there is more to do than to wait for records. */
static bool tick(struct live *l, uint64_t now)
{
	bool has_more = false;

	discover_tick(l->discover);
	kafka_mode_tick(&l->kafka_mode, now);
	order_tick(l->order, now);
	if (l->pipeline)
		has_more = pipeline_tick(l->pipeline, now - ORDER_WINDOW_NS);
	if (now - l->counted_ns >= COUNT_EVERY_NS) {
		load_read_counters(l->load, &l->counters);
		l->counted_ns = now;
	}
	if (counters_asked) {
		counters_asked = 0;
		print_counters(l);
	}
	return has_more;
}

static bool is_over(struct live *l, uint64_t now, uint64_t *ended_ns)
{
	if (stop_asked || l->record_err)
		return true;
	if (l->cli->duration_ns && now - l->started_ns >= l->cli->duration_ns)
		return true;
	if (l->cli->child_argv && child_has_ended(&l->child))
		*ended_ns = now;
	return *ended_ns && now - *ended_ns >= LAST_LOOK_NS;
}

static int live_loop(struct live *l)
{
	uint64_t ended_ns = 0, now;
	bool has_more = false;
	int n;

	l->started_ns = now_ns();
	log_info("tracing %zu processes; Ctrl-C ends", discover_count(l->discover));
	child_go(&l->child);
	for (now = l->started_ns; !is_over(l, now, &ended_ns); now = now_ns()) {
		n = ring_poll(l->ring, has_more ? 0 : RING_POLL_MS);
		if (n < 0 && n != -EINTR)
			return n;
		has_more = tick(l, now_ns());
	}
	return 0;
}

/* The counters of the kernel half go with the recording, so that a replay can show them. */
static int record_counters(struct live *l)
{
	_Alignas(8) uint8_t bytes[sizeof(struct wire_counters) + 8 * COUNTER_KERNEL_MAX] = { 0 };
	struct wire_counters *c = (struct wire_counters *)bytes;

	c->head.len = sizeof(bytes);
	c->head.kind = WIRE_COUNTERS;
	c->head.ts_ns = now_ns();
	c->count = COUNTER_KERNEL_MAX;
	memcpy(bytes + sizeof(*c), l->counters.value, 8 * COUNTER_KERNEL_MAX);
	return record_feed(l->record, &c->head);
}

static int live_finish(struct live *l)
{
	int err = 0;

	while (ring_drain(l->ring) > 0)
		;
	order_flush(l->order);
	load_read_counters(l->load, &l->counters);
	if (l->pipeline) {
		pipeline_finish(l->pipeline);
	} else {
		err = l->record_err ? l->record_err : record_counters(l);
		if (!err)
			err = record_flush(l->record);
		if (err)
			log_error("-o %s: %s; the recording ends there", l->cli->file,
				  strerror(-err));
	}
	print_counters(l);
	return err;
}

static void live_close(struct live *l)
{
	discover_free(l->discover);
	ring_free(l->ring);
	load_free(l->load);
	order_free(l->order);
	pipeline_free(l->pipeline);
	record_free(l->record);
}

int live_run(const struct cli *cli, const struct config *config)
{
	struct live *l = calloc(1, sizeof(*l));
	int err, code;

	if (!l)
		return 1;
	l->cli = cli;
	catch_signals();
	err = live_open(l, config);
	if (err) {
		live_close(l);
		free(l);
		return 2;
	}
	err = live_loop(l);
	if (!err)
		err = live_finish(l);
	code = err ? 1 : l->child.exit_code;
	live_close(l);
	free(l);
	return code;
}
