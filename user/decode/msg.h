/*
 * msg: what decode hands to join: one fact of one HTTP exchange, Kafka message or process,
 * in the order of time. Knows nothing of the wire format.
 *
 * Borrowed until the callback returns: whoever keeps a part copies it.
 */
#ifndef DECODE_MSG_H
#define DECODE_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "util/attrs.h"

enum msg_kind {
	MSG_HTTP_REQUEST,	/* head of a request is complete: the exchange opens */
	MSG_HTTP_ATTRS,		/* attributes of the exchange that a later part of it gave */
	MSG_HTTP_RESPONSE,	/* head of the final response */
	MSG_HTTP_END,		/* last byte of the response, or the connection's end */
	MSG_KAFKA_SEND,
	MSG_KAFKA_ACK,
	MSG_KAFKA_CONSUME,
	MSG_KAFKA_POLL,
	MSG_KAFKA_DELIVERED,	/* SEND and ACK in one, seen at the acknowledgement */
	MSG_KAFKA_CLIENT,	/* what is known of a client handle; may come again */
	MSG_KAFKA_COMMIT,	/* one partition of a commit; see msg_commit */
	MSG_KAFKA_REBALANCE,
	MSG_KAFKA_TXN,
	MSG_KAFKA_REFUSED,	/* produce failed at once: no message came to be */
	MSG_PROC_FORK,
	MSG_PROC_EXEC,
	MSG_PROC_EXIT,
	MSG_PROC_TARGET,	/* who a process is: service name, container, pod */
};

/* a trace context found in a message; any part may be missing */
struct context {
	bool has_trace_id, has_span_id;
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t flags;		/* W3C: 1 sampled, 2 random */
	const char *format;	/* static: "traceparent", "b3", ..., "custom" */
	const char *tracestate;	/* NULL: none */
	bool has_other;		/* a second valid context names another trace */
	uint8_t other_trace_id[16];
	uint8_t other_span_id[8];
};

enum label_kind { LABEL_OF_NONE, LABEL_OF_HTTP, LABEL_OF_KAFKA };

/* the inbound message that a holder works for */
struct msg_label {
	enum label_kind kind;
	uint64_t id;		/* HTTP: connection; Kafka: ts_ns of the consume message */
	uint32_t op;		/* HTTP: number of the inbound read; Kafka: its tid */
};

struct msg_labels {
	struct msg_label thread, task;
	bool has_task;		/* the thread runs inside a runtime task, labeled or not */
	bool loop_thread;	/* the thread runs an event loop: its own label means nothing */
};

/* what a captured attribute may do beside being shown */
enum identify { IDENTIFY_NO, IDENTIFY_LINK, IDENTIFY_PARENT };

struct msg_identity {		/* one attribute that identifies a trace; borrowed strings */
	const char *key, *value;
	enum identify how;
};

#define MSG_IDENTITIES_MAX 4	/* identifying attributes taken from one message */

struct msg_endpoint {
	uint8_t local_addr[16], peer_addr[16];	/* IPv6 or mapped IPv4 */
	uint16_t local_port, peer_port;
	bool is_tcp;
};

enum http_role { HTTP_SERVER, HTTP_CLIENT };
enum http_end {
	HTTP_END_COMPLETE,
	HTTP_END_CLOSED,	/* the connection ended before the response did */
	HTTP_END_RESET,		/* a call failed */
	HTTP_END_LOST,		/* records are missing: the end was not seen */
	HTTP_END_UPGRADE,	/* 101, or CONNECT with 2xx: no longer HTTP */
};

struct msg_http {
	uint64_t conn;		/* connection of this process: socket inode */
	uint32_t exchange;	/* number of the exchange on it, from 1 */
	enum http_role role;
	/* MSG_HTTP_REQUEST */
	uint32_t first_op;	/* number of the I/O operation in which the request began */
	struct msg_endpoint endpoint;
	bool has_seq;
	uint32_t tcp_seq;	/* of the request's first byte */
	const char *method;	/* as sent; known methods are upper case */
	const char *path;	/* without the query */
	const char *query;	/* redacted; NULL: none */
	const char *host;	/* Host header, NULL: none */
	const char *route;	/* configured pattern that the path fits; NULL: none */
	const char *user_agent;
	const char *version;	/* "1.1", "1.0" */
	struct context context;
	/* MSG_HTTP_RESPONSE */
	int status;
	/* MSG_HTTP_END */
	enum http_end end;
};

/* what the call may hand over: one message, several at once, or each to a callback in turn */
enum kafka_poll { POLL_ONE, POLL_BATCH, POLL_CALLBACK };

struct msg_kafka {
	uint64_t msg;		/* address of the message object */
	uint64_t client;	/* address of the client handle */
	const char *topic;
	const char *client_id;	/* rk_name, "rdkafka#producer-1" */
	const void *key;	/* captured part; NULL: null key */
	uint32_t key_captured, key_len;
	uint32_t value_len;
	bool null_value;
	int32_t partition;	/* -1: not known */
	int64_t offset;		/* -1001: not known */
	int64_t timestamp_ms;	/* -1: not known */
	int err;		/* rd_kafka_resp_err_t */
	int status;		/* ACK, DELIVERED: 0 not, 1 possibly, 2 persisted */
	unsigned int retries;	/* ACK, DELIVERED */
	uint64_t sent_ns;	/* ACK, DELIVERED: its request was sent; 0: not known */
	uint64_t enqueued_ns;	/* SEND, DELIVERED; 0: not known */
	uint64_t polled_ns;	/* CONSUME: entry of the call; 0: not known */
	uint64_t queue;		/* CONSUME, POLL: handle that the call was for; 0: not known */
	enum kafka_poll poll;	/* CONSUME */
	int64_t high;		/* CONSUME: high watermark; -1001: not known */
	struct context context;
	struct msg_label ended;	/* POLL: the processing that ends here */
};

struct msg_client {
	uint64_t client;	/* address of the handle: with process and name it is unique */
	uint64_t group_handle;
	const char *client_id;	/* as msg_kafka.client_id */
	const char *cluster_id;	/* NULL: not known */
	const char *group;	/* NULL: none, or not known */
};

enum phase { ASKED, ENDED };

/* Each commit comes as count messages one after the other, first to last; 0: one, no topic. */
struct msg_commit {
	uint64_t client;
	enum phase phase;
	int err;		/* ENDED: of the whole commit */
	unsigned int index, count;
	unsigned int total;	/* partitions in all, told or not; ASKED: 0 = what is stored */
	const char *topic;	/* NULL: not known */
	int32_t partition;
	int64_t offset;		/* next one to be read; negative: none */
	int partition_err;
};

struct msg_rebalance {
	uint64_t group_handle;
	bool is_assign;		/* else revoked */
	unsigned int partitions;
};

enum txn_op { TXN_OP_BEGIN, TXN_OP_COMMIT, TXN_OP_ABORT };

struct msg_txn {
	uint64_t client;
	enum txn_op op;
	enum phase phase;
	int err;		/* ENDED */
};

struct msg_process {
	/* FORK */
	uint32_t child_tgid;
	uint64_t child_start_ns;
	/* EXEC, TARGET: NULL or empty where not known */
	uint32_t parent_tgid;
	const char *exe;
	const char *pod_uid;		/* with dashes, lower case */
	const char *container_id;
	const char *service;		/* TARGET */
	const char *runtime;		/* TARGET: "python", ... or "" */
	struct context context;		/* TARGET: TRACEPARENT of its environment */
	/* EXIT */
	int exit_code, exit_signal;
};

struct msg {
	enum msg_kind kind;
	uint64_t ts_ns;			/* CLOCK_MONOTONIC */
	uint32_t tgid, tid;
	uint64_t start_ns;		/* of the process */
	struct msg_labels labels;	/* outgoing messages; inbound: who holds it */
	struct attrs attrs;		/* captured by the configured rules */
	struct msg_identity identities[MSG_IDENTITIES_MAX];
	unsigned int identity_count;
	union {
		struct msg_http http;
		struct msg_kafka kafka;		/* REFUSED: topic (or NULL), client, err */
		struct msg_client client;
		struct msg_commit commit;
		struct msg_rebalance rebalance;
		struct msg_txn txn;
		struct msg_process process;
	};
};

#endif
