/*
 * load: the kernel half as one object: open, fix its knobs, load, attach, read its counters.
 *
 * Nothing is pinned: every program, map and link ends with load_free() or with the process.
 * Failures are logged here, once, with the remedy; callers only pass the code on.
 * Not thread-safe: one thread attaches and sets targets.
 */
#ifndef ATTACH_LOAD_H
#define ATTACH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "knobs.h"

#define LOAD_RING_BYTES (32U << 20)	/* default size of the ring: some 60,000 messages */
#define LOAD_WAKE_BYTES (1U << 20)	/* default of knobs.wake_bytes: a wake-up costs 5 us */
#define LOAD_KAFKA_POLLS_MAX 16		/* poll entries of one librdkafka */
#define LOAD_KAFKA_CALLS_MAX 8		/* places of one other role */
#define LOAD_PATH_MAX 256	/* of a file that is named to people; the end of a longer one */
#define LOAD_LINKS_MAX 4096		/* probed files and tracepoints at one time */

struct counters;
struct load;

struct load_opts {
	struct knobs knobs;
	uint32_t ring_bytes;	/* power of two, at least a page; 0: LOAD_RING_BYTES */
};

/* Where one librdkafka file is probed: file offsets; 0: not there, not probed. */
struct load_kafka_sites {
	uint64_t send, ack_queue, consume;
	uint64_t ack_calls[LOAD_KAFKA_CALLS_MAX];	/* calls of on_acknowledgement for one */
	size_t ack_call_count;
	uint64_t polls[LOAD_KAFKA_POLLS_MAX];
	uint8_t poll_kinds[LOAD_KAFKA_POLLS_MAX];	/* enum kafka_poll_kind */
	size_t poll_count;
	uint64_t response;		/* interceptors_on_response_received */
	uint64_t committed;		/* interceptors_on_commit */
	uint64_t commits[LOAD_KAFKA_CALLS_MAX];	/* entries, (client, offsets, ...) */
	size_t commit_count;
	uint64_t commit_messages;	/* entry of rd_kafka_commit_message if it stands alone */
	uint64_t rebalances[LOAD_KAFKA_CALLS_MAX];	/* entries, (group, err, partitions, ...) */
	size_t rebalance_count;
	uint64_t txn_begin, txn_commit, txn_abort;
	uint64_t refused;		/* where produce finds its queue full; no entry */
	uint8_t refused_topic;		/* enum kafka_register: holds the rd_kafka_topic_t */
	uint16_t refused_client_off;	/* from it to the pointer to its client; 0: not known */
	bool no_return_probes;		/* a Go program */
	struct kafka_knobs knobs;	/* layout; the mode is load's */
};

/* On success *ret is the caller's, to be ended with load_free(). Nothing is attached yet. */
int load_new(struct load **ret, const struct load_opts *opts);

/*
 * Attaches what every trace needs: process tracepoints and HTTP system calls. A tracepoint that
 * this kernel lacks is logged and left out; an error is returned only if none could be attached.
 */
int load_attach_base(struct load *l);

/*
 * @path: best /proc/self/fd/N of the file that was examined; must be open during the call only.
 * Full mode, or light from the start if load_kafka_start_light() was called before.
 */
int load_attach_kafka(struct load *l, const char *path, const struct load_kafka_sites *sites);

/*
 * Probed librdkafka files: slots from 0; *at is the next one to look at, false at the end.
 * produced: messages acknowledged or failed since it was attached.
 */
struct load_kafka_file {
	uint32_t slot;
	char path[LOAD_PATH_MAX];	/* as this machine names it now; "": not known */
	bool is_light;
	uint64_t produced;
};
void load_kafka_start_light(struct load *l);
bool load_kafka_next(struct load *l, uint32_t *at, struct load_kafka_file *ret);
/* One hit a batch, or one a message. No message is lost or doubled by the change. */
int  load_kafka_set_light(struct load *l, uint32_t slot, bool is_light);

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
