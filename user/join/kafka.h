/*
 * kafka: what the parts of join that know Kafka share: client handles, what is remembered of
 * messages by their offset, and how their spans are written. Private to join's kafka files.
 */
#ifndef JOIN_KAFKA_H
#define JOIN_KAFKA_H

#include <xxhash.h>

#include "join/core.h"
#include "join/links.h"
#include "join/span_make.h"

#define NO_OFFSET (-1001)	/* RD_KAFKA_OFFSET_INVALID */

/*
 * A client handle of a process. Its facts may come after its messages: what holds a client
 * reads them when its span ends. An address with another name is another client.
 */
struct client {
	struct fifo_entry entry;	/* key: struct client_key */
	int refs;
	uint64_t handle, group_handle;
	uint32_t tgid;
	char *name;			/* rk_name, "rdkafka#producer-1"; NULL: not known yet */
	char *cluster, *group;		/* NULL: not known */
	uint64_t cluster_hash;		/* 0: not known */
	struct commit *commits;		/* asked for, without a result yet; oldest first */
	unsigned int commit_count;
	struct txn *txn;		/* NULL: none begun */
	struct consumed *open;		/* what it handed over and is being processed */
};

/* Where a message lies, and what else both of its ends see of it. */
struct offset_message {
	XXH128_hash_t topic, match;	/* match: of its key and size */
	int64_t offset, partition;
	int64_t timestamp_ms;		/* -1: not known */
};

/* kafka.c calls these; what they make ends with the process, or with join. */
void client_init(struct core *c);
void offset_init(struct core *c);
int commit_init(struct core *c);
void commit_done(struct core *c);
void rebalance_done(struct core *c);
void produce_flush(struct core *c);
void produce_done(struct core *c);
void consume_flush(struct core *c);
void consume_done(struct core *c);

/* kafka.c; once for each process, before anything of it is kept */
void kafka_note_process(struct core *c, uint32_t tgid);

/* kafka_client.c; counted by whoever keeps it. @name NULL: whoever has the handle now. */
struct client *client_find(struct core *c, uint32_t tgid, uint64_t handle, const char *name);
struct client *client_by_group(struct core *c, uint32_t tgid, uint64_t group_handle);
struct client *client_get(struct client *cl);
void client_put(struct client *cl);
/* Says in @s what is known of @cl by now; only consumers are of a group. */
void client_describe(const struct client *cl, struct span *s);
void client_exit(struct core *c, uint32_t tgid);

/* kafka_span.c; @own: ts_ns, object and number, which tell it from other spans */
struct node *kafka_node(struct core *c, const struct msg *m, enum span_kind kind,
			struct span_facts own);
void kafka_set_operation(struct span *s, const char *operation, const char *type,
			 const char *topic);
void kafka_set_partition(struct attrs *a, int32_t partition);	/* unless not known */
void kafka_set_offset(struct attrs *a, int64_t offset);
void kafka_set_message(struct core *c, struct span *s, const struct msg_kafka *k);
void kafka_unset_message(struct span *s);	/* takes back what only one message has */
void kafka_set_failure(struct span *s, int err);
const char *kafka_error_text(int err, char room[16]);

/* kafka_offset.c: which producer wrote what a consumer read. */
struct offset_message offset_message(const struct msg_kafka *k);
void offset_acknowledged(struct core *c, struct node *producer, struct client *cl,
			 const struct offset_message *om);
/* Fills in the last link of @l, which reads @om at @read_ns, now or when it is known. */
void offset_consumed(struct core *c, struct links *l, struct client *cl,
		     const struct offset_message *om, uint64_t read_ns);
/* How many messages a consumer is behind; -1: not known. */
int64_t offset_lag(struct core *c, const struct client *cl, const struct msg_kafka *k);
/* @l's one message has a span @n of its own: whoever wrote it is its parent. */
void offset_place_single(struct core *c, struct links *l, struct node *n);

/* kafka_txn.c */
void txn_note(struct core *c, struct client *cl, struct node *n);	/* sent within it */
void txn_free(struct core *c, struct client *cl);
struct txn *txn_take_empty(struct client *cl);	/* begun, without a message; NULL: none such */

/* kafka_commit.c */
void commits_free(struct core *c, struct client *cl);	/* whose results nobody will see */

/* kafka_rebalance.c */
void rebalance_settle(struct core *c, const struct client *cl, struct node *n);
/* @cl is gone: its group object may be another client's by now. */
void rebalance_leave(struct core *c, struct client *cl);
void rebalance_exit(struct core *c, uint32_t tgid);

/* kafka_produce.c */
void produce_exit(struct core *c, const struct msg *m);

/* kafka_consume.c */
void consume_exit(struct core *c, const struct msg *m);
/* A commit is asked for, or has been made: what it covers is processed. */
void consume_committed(struct core *c, struct client *cl, const struct msg *m);
struct node *consume_open_node(const struct client *cl);	/* newest; NULL: none */

#endif
