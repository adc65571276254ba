/*
 * limits: what join keeps at most. Past a limit the oldest leaves and is counted, or the newest
 * span is dropped and counted (SPANS_DROPPED_MEMORY).
 */
#ifndef JOIN_LIMITS_H
#define JOIN_LIMITS_H

#define JOIN_NODES_MAX 400000		/* spans held in all; about 400 MiB */
#define JOIN_DONE_MAX 32768		/* finished traces remembered for what comes late */
#define JOIN_EXCHANGES_MAX 65536	/* HTTP requests without an end */
#define JOIN_PRODUCING_MAX 262144	/* messages without an acknowledgement */
/*
 * Links held in all, beside the first of each span: about 170 MiB with what waits for their
 * producers (test_join_offset measures it).
 */
#define JOIN_LINKS_MAX 1000000
#define JOIN_BUSY_NS (600ULL * 1000000000ULL)	/* an open span without a sign of life ends */

#endif
