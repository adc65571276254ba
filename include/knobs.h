/*
 * knobs: settings that the agent fixes before it loads the kernel half (rodata), so that
 * the verifier removes what is off.
 */
#ifndef KNOBS_H
#define KNOBS_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

struct knobs {
	__u32 self_tgid;	/* the agent: never traced */
	__u32 trace_all;	/* every process is a target, not only those in the targets map */
	__u32 watch_exec;	/* report exec and exit of every process, for discovery */
	__u32 follow;		/* children of a target become targets */
	__u32 wake_bytes;	/* wake the agent when this much waits in the ring */
	__u32 pad;
};

/* value of the targets map: what is known of a traced process */
struct target_knobs {
	__u64 py_tss_slot;	/* offset from fs base to the thread state's slot; 0: use py_tls */
	__s64 py_tls;		/* offset from fs base where the thread state pointer stands */
	__u64 py_context_off;	/* PyThreadState -> context */
	__u64 py_context_type;	/* address of PyContext_Type in the process; 0: not Python */
	__u64 since_us;		/* CLOCK_MONOTONIC: when it became a target */
	__u32 by_handle;	/* its threads mean nothing: a poll ends what its handle gave */
	__u32 pad;
};

/*
 * One probed librdkafka file: where its private fields stand, and its mode. The attach cookie
 * is the number of the file, and of a poll function also enum kafka_poll_kind << 32.
 */
struct kafka_knobs {
	__u32 topic_off;	/* rd_kafka_topic_s -> rkt_topic: 80 before 1.5, 88 since */
	__u32 name_off;		/* rd_kafka_s -> rk_name; 0: unknown, as for the next ones */
	__u32 cluster_off;	/* rd_kafka_s -> rk_clusterid */
	__u32 group_off;	/* rd_kafka_s -> rk_cgrp, whose first field is the group's id */
	__s32 toppar_off;	/* consumed message -> pointer to its rd_kafka_toppar_t */
	__u32 high_off;		/* rd_kafka_toppar_t -> high watermark */
	__u32 is_light;		/* acknowledgements carry the whole message */
	__u32 pad;
	__u64 full_since_us;	/* messages enqueued before it do too: on_send did not see them */
};

enum kafka_poll_kind { KAFKA_POLL_ONE, KAFKA_POLL_BATCH, KAFKA_POLL_CALLBACK };

/* of those that a call preserves, which one holds something at a site within a function */
enum kafka_register {
	KAFKA_NO_REGISTER,
	KAFKA_RBX, KAFKA_RBP, KAFKA_R12, KAFKA_R13, KAFKA_R14, KAFKA_R15,
};

#define KAFKA_FILES_MAX 1024	/* probed librdkafka files at one time */

#endif
