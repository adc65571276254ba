/*
 * core: what the parts of join share: one struct with the tables of each. Only join.c,
 * http.c, kafka*.c, process.c and label.c see it.
 */
#ifndef JOIN_CORE_H
#define JOIN_CORE_H

#include "decode/msg.h"
#include "join/assembly.h"
#include "join/fifo.h"
#include "join/identity.h"
#include "join/join.h"

struct exchange;
struct served;
struct client;
struct commit_result;
struct consuming;
struct producing;
struct rebalance;
struct process;

struct core {
	struct counters *counters;
	uint64_t wall_offset_ns;
	const char *host_name;		/* NULL: not known */
	struct assemblies *as;
	struct identity *identity;
	uint64_t now_ns;		/* of the message under way */
	uint64_t given_up;		/* exchanges and messages that left before their end */

	struct exchange *exchanges;	/* open HTTP exchanges, by (tgid, connection, number) */
	struct served *served;		/* connections with open server exchanges */
	struct fifo sequences;		/* HTTP requests that wait for their other end */

	struct join_kafka_opts kafka;
	struct fifo kafka_processes;	/* that may have something open, by tgid */
	struct fifo clients;		/* handles of librdkafka, by (tgid, address) */
	struct producing *producing;	/* messages sent and not acknowledged */
	struct consuming *consuming;	/* threads with messages in processing */
	struct fifo offsets;		/* acknowledged messages, and consumers that wait for one */
	struct fifo highs;		/* highest offset acknowledged in each partition */
	struct commit_result *commit_result;	/* that is coming in */
	struct rebalance *rebalances;	/* that wait for their consumer's next message */
	unsigned int rebalance_count;

	struct process *processes;	/* by tgid */
	struct fifo pods;		/* pod uid -> the request whose answer named it */
};

/* http.c */
void core_http_init(struct core *c);
void core_http_done(struct core *c);
void core_http_request(struct core *c, const struct msg *m);
void core_http_attrs(struct core *c, const struct msg *m);
void core_http_response(struct core *c, const struct msg *m);
void core_http_end(struct core *c, const struct msg *m);

/*
 * The open server exchange that a label means; NULL: it has ended, or *ret_reason (static) says
 * why there is none. Borrowed.
 */
struct node *core_http_active(struct core *c, uint32_t tgid, const struct msg_label *l,
			      const char **ret_reason);

/* kafka.c, and each kind of message in the kafka_*.c that knows it */
int core_kafka_init(struct core *c);
void core_kafka_done(struct core *c);
void core_kafka_flush(struct core *c);	/* what is still open says what is known of it */
void core_kafka_send(struct core *c, const struct msg *m);
void core_kafka_ack(struct core *c, const struct msg *m);
void core_kafka_delivered(struct core *c, const struct msg *m);
void core_kafka_refused(struct core *c, const struct msg *m);
void core_kafka_consume(struct core *c, const struct msg *m);
void core_kafka_poll(struct core *c, const struct msg *m);
void core_kafka_client(struct core *c, const struct msg *m);
void core_kafka_commit(struct core *c, const struct msg *m);
void core_kafka_rebalance(struct core *c, const struct msg *m);
void core_kafka_txn(struct core *c, const struct msg *m);
void core_kafka_exit(struct core *c, const struct msg *m);	/* the process is gone */
struct node *core_kafka_active(struct core *c, uint32_t tgid, const struct msg_label *l,
			       const char **ret_reason);

/* process.c */
void core_process_init(struct core *c);
void core_process_done(struct core *c);
void core_process_fork(struct core *c, const struct msg *m);
void core_process_exec(struct core *c, const struct msg *m);
void core_process_exit(struct core *c, const struct msg *m);
void core_process_target(struct core *c, const struct msg *m);
/* Its threads do not carry work from one call to the next: goroutines, an event loop's pool. */
bool core_process_is_threadless(struct core *c, uint32_t tgid);
/* Borrowed; NULL: no memory. */
struct resource *core_resource(struct core *c, const struct msg *m);	/* of its process */
void core_pod_named(struct core *c, struct node *request, const struct attrs *attrs);

/* label.c: the activity that an outgoing message works for; adds it as a candidate. */
struct node *core_find_activity(struct core *c, struct node *n, const struct msg *m);

#endif
