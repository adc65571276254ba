/*
 * watch: the kernel half under a test's control: loads it, obeys lines of standard input, and
 * writes what crosses the ring to a recording. No judgement: the test reads the recording.
 *
 *   watch FILE [--ring BYTES] [--wake BYTES] [--all] [--exec] [--follow]
 *   base | wakes MS | kafka PATH | python PATH OFFSET | remove TGID | get TGID | start TGID
 *   drain | counters
 *   target TGID [TSS_SLOT TLS CONTEXT_OFF CONTEXT_TYPE] | traced TGID [handle] | light 0|1
 *   traced: from this moment on, as the agent sets it; handle: its threads mean nothing
 * Each line is answered by one: "ok ..." or "error CODE".
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/load.h"
#include "attach/reason.h"
#include "collect/order.h"
#include "collect/record.h"
#include "collect/ring.h"
#include "util/count.h"
#include "util/log.h"

#define LINE_MAX_BYTES 1024

struct watch {
	struct load *load;
	struct ring *ring;
	struct order *order;
	struct record *record;
	struct counters counters;
	uint64_t written;
};

static void on_ordered(void *ctx, const struct wire_head *rec)
{
	struct watch *w = ctx;

	if (!record_feed(w->record, rec))
		w->written++;
}

static void on_record(void *ctx, const struct wire_head *rec)
{
	struct watch *w = ctx;

	order_feed(w->order, rec);
}

static int say(int err)
{
	if (err < 0)
		printf("error %d\n", err);
	else
		printf("ok %d\n", err);
	return err;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int target(struct watch *w, const char *args)
{
	struct target_knobs k = { 0 };
	uint32_t tgid;

	if (sscanf(args, "%" SCNu32 " %lli %lli %lli %lli", &tgid, (long long *)&k.py_tss_slot,
		   (long long *)&k.py_tls, (long long *)&k.py_context_off,
		   (long long *)&k.py_context_type) < 1)
		return say(-EINVAL);
	return say(load_target_set(w->load, tgid, &k));
}

static int traced(struct watch *w, const char *args)
{
	struct target_knobs k = { .since_us = (uint64_t)(now_ms() * 1e3) };

	k.by_handle = strstr(args, "handle") != NULL;
	return say(load_target_set(w->load, (uint32_t)atoi(args), &k));
}

/* Every probed librdkafka. */
static int light(struct watch *w, bool is_light)
{
	struct load_kafka_file f;
	uint32_t at = 0;
	int err = 0;

	while (!err && load_kafka_next(w->load, &at, &f))
		err = load_kafka_set_light(w->load, f.slot, is_light);
	return say(err);
}

static int get(struct watch *w, const char *args)
{
	struct target_knobs k;
	int err;

	err = load_target_get(w->load, (uint32_t)atoi(args), &k);
	if (err)
		return say(err);
	printf("ok %llu %lld %llu %llu\n", k.py_tss_slot, k.py_tls, k.py_context_off,
	       k.py_context_type);
	return 0;
}

static int start_of(struct watch *w, const char *args)
{
	uint64_t start_ns;
	int err;

	err = load_process_start(w->load, (uint32_t)atoi(args), &start_ns);
	if (err)
		return say(err);
	printf("ok %" PRIu64 "\n", start_ns);
	return 0;
}

static int kafka(struct watch *w, const char *path)
{
	struct load_kafka_sites sites = { 0 };
	struct librdkafka found = { 0 };
	struct reason why = { "" };
	struct elf *elf = NULL;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return say(-errno);
	err = elf_open(&elf, fd);
	if (!err)
		err = librdkafka_find(elf, &found, &why);
	if (err)
		fprintf(stderr, "watch: %s: %s\n", path, why.text);
	if (!err) {
		librdkafka_sites(&found, &sites);
		err = load_attach_kafka(w->load, path, &sites);
	}
	elf_close(elf);
	close(fd);
	return say(err);
}

static int python(struct watch *w, const char *args)
{
	char path[LINE_MAX_BYTES];
	unsigned long long offset;

	if (sscanf(args, "%s %lli", path, (long long *)&offset) != 2)
		return say(-EINVAL);
	return say(load_attach_python(w->load, path, offset));
}

static int drain(struct watch *w)
{
	while (ring_drain(w->ring) > 0)
		;
	order_flush(w->order);
	record_flush(w->record);
	return say((int)w->written);
}

/* How often the ring wakes who waits for it, while nothing is read. */
static int wakes(struct watch *w, double ms)
{
	struct epoll_event wake = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(EPOLL_CLOEXEC), count = 0;
	double end = now_ms() + ms;

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, load_ring_map_fd(w->load), &wake))
		return say(-errno);
	while (now_ms() < end)
		count += epoll_wait(fd, &wake, 1, 1) > 0;
	close(fd);
	return say(count);
}

static int counters(struct watch *w)
{
	int id, err;

	err = load_read_counters(w->load, &w->counters);
	if (err)
		return say(err);
	printf("ok");
	for (id = 0; id < COUNTER_MAX; id++)
		if (w->counters.value[id])
			printf(" %s=%" PRIu64, counter_name(id), w->counters.value[id]);
	printf("\n");
	return 0;
}

static int obey(struct watch *w, const char *word, const char *args)
{
	if (!strcmp(word, "base"))
		return say(load_attach_base(w->load));
	if (!strcmp(word, "target"))
		return target(w, args);
	if (!strcmp(word, "traced"))
		return traced(w, args);
	if (!strcmp(word, "light"))
		return light(w, atoi(args) != 0);
	if (!strcmp(word, "get"))
		return get(w, args);
	if (!strcmp(word, "start"))
		return start_of(w, args);
	if (!strcmp(word, "remove"))
		return say(load_target_remove(w->load, (uint32_t)atoi(args)));
	if (!strcmp(word, "kafka"))
		return kafka(w, args);
	if (!strcmp(word, "python"))
		return python(w, args);
	if (!strcmp(word, "wakes"))
		return wakes(w, atof(args));
	if (!strcmp(word, "drain"))
		return drain(w);
	if (!strcmp(word, "counters"))
		return counters(w);
	return say(-ENOSYS);
}

static int options(struct load_opts *ret, int argc, char **argv)
{
	static const struct option known[] = {
		{ "ring", required_argument, NULL, 'r' },
		{ "wake", required_argument, NULL, 'w' },
		{ "all", no_argument, NULL, 'a' },
		{ "exec", no_argument, NULL, 'e' },
		{ "follow", no_argument, NULL, 'f' },
		{ 0 },
	};
	int c;

	ret->knobs.self_tgid = (uint32_t)getpid();
	ret->knobs.wake_bytes = UINT32_MAX;	/* nobody waits for the ring here */
	for (c = getopt_long(argc, argv, "", known, NULL); c != -1;
	     c = getopt_long(argc, argv, "", known, NULL)) {
		if (c == 'r')
			ret->ring_bytes = (uint32_t)atoi(optarg);
		if (c == 'w')
			ret->knobs.wake_bytes = (uint32_t)atoi(optarg);
		ret->knobs.trace_all |= c == 'a';
		ret->knobs.watch_exec |= c == 'e';
		ret->knobs.follow |= c == 'f';
		if (c == '?')
			return -EINVAL;
	}
	return optind < argc ? 0 : -EINVAL;
}

static int start(struct watch *w, const struct load_opts *opts, const char *path)
{
	struct order_opts order = { .counters = &w->counters, .window_ns = UINT64_MAX / 2 };
	struct record_info info;
	int err;

	err = load_new(&w->load, opts);
	if (!err)
		err = record_info_make(&info);
	if (!err)
		err = record_new(&w->record, path, &info);
	if (!err)
		err = order_new(&w->order, &order, on_ordered, w);
	if (!err)
		err = ring_new(&w->ring, load_ring_map_fd(w->load), &w->counters, on_record, w);
	return err;
}

int main(int argc, char **argv)
{
	struct load_opts opts = { 0 };
	struct watch w = { 0 };
	char line[LINE_MAX_BYTES], *args;
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	err = options(&opts, argc, argv);
	if (err) {
		fprintf(stderr, "watch: wrong use; its source says how\n");
		return 2;
	}
	log_set_level(getenv("WATCH_DEBUG") ? LOG_DEBUG : LOG_INFO);
	err = say(start(&w, &opts, argv[optind]));
	while (!err && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		args = line + strcspn(line, " ");
		if (*args)
			*args++ = '\0';
		obey(&w, line, args);
	}
	ring_free(w.ring);
	order_free(w.order);
	record_free(w.record);
	load_free(w.load);
	return err ? 1 : 0;
}
