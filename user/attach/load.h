/*
 * load: the kernel half as one object: open, fix its knobs, load, attach, read its counters.
 *
 * Nothing is pinned: every program, map and link ends with load_free() or with the process.
 * Failures are logged here, once, with the remedy; callers only pass the code on.
 * Not thread-safe: one thread attaches and sets targets.
 */
#ifndef ATTACH_LOAD_H
#define ATTACH_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "knobs.h"

#define LOAD_RING_BYTES (16U << 20)	/* default size of the ring */
#define LOAD_WAKE_BYTES (1U << 20)	/* default of knobs.wake_bytes: a wake-up costs 5 us */
#define LOAD_KAFKA_POLLS_MAX 16		/* poll entries of one librdkafka */
#define LOAD_LINKS_MAX 4096		/* probed files and tracepoints at one time */

struct counters;
struct load;

struct load_opts {
	struct knobs knobs;
	uint32_t ring_bytes;	/* power of two, at least a page; 0: LOAD_RING_BYTES */
};

/*
 * Where one librdkafka file is probed: file offsets; 0: not there, not probed.
 * cookie: struct kafka_knobs as topic_off | (uint64_t)name_off << 32.
 */
struct load_kafka_sites {
	uint64_t send, ack_queue, consume;
	uint64_t polls[LOAD_KAFKA_POLLS_MAX];
	size_t poll_count;
	uint64_t cookie;
};

/* On success *ret is the caller's, to be ended with load_free(). Nothing is attached yet. */
int load_new(struct load **ret, const struct load_opts *opts);

/*
 * Attaches what every trace needs: process tracepoints and HTTP system calls. A tracepoint that
 * this kernel lacks is logged and left out; an error is returned only if none could be attached.
 */
int load_attach_base(struct load *l);

/* @path: best /proc/self/fd/N of the file that was examined; must be open during the call only */
int load_attach_kafka(struct load *l, const char *path, const struct load_kafka_sites *sites);

/*
 * Return probe of PyContext_CopyCurrent. The first call tries return probes on a child of ours
 * (canary.h): -EOPNOTSUPP where that does not survive.
 */
int load_attach_python(struct load *l, const char *path, uint64_t offset);

/* Files attached from now on belong to @owner (0 at first), whose probes load_detach() ends. */
void load_set_owner(struct load *l, uint32_t owner);
void load_detach(struct load *l, uint32_t owner);

/* Targets: processes whose records may cross the ring. A second set replaces the knobs. */
int load_target_set(struct load *l, uint32_t tgid, const struct target_knobs *knobs);
int load_target_get(struct load *l, uint32_t tgid, struct target_knobs *ret);	/* -ENOENT */
int load_target_remove(struct load *l, uint32_t tgid);				/* -ENOENT */

/*
 * Start of a living process, as wire_head.start_ns has it. /proc cannot tell: it has another clock
 * and 10 ms steps. -ESRCH: no such process.
 */
int load_process_start(struct load *l, uint32_t tgid, uint64_t *ret);

int load_ring_map_fd(const struct load *l);	/* borrowed: closed by load_free() */

/* Overwrites the KERNEL rows of @c with the sums over all CPUs; other rows are untouched. */
int load_read_counters(struct load *l, struct counters *c);

void load_free(struct load *l);		/* detaches all; NULL is fine */

#endif
