/*
 * stream: the open HTTP connections of every process, and the feeds that move them on.
 *
 * A connection is one socket of one process. At most STREAM_CONNS_MAX are known, and
 * STREAM_BYTES_MAX of their memory held; past that the one that was quiet longest is
 * forgotten: its open exchanges end as lost (HTTP_CONNS_EVICTED).
 */
#ifndef DECODE_STREAM_H
#define DECODE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode/http1.h"
#include "decode/msg.h"
#include "wire.h"

#define STREAM_CONNS_MAX 16384
#define STREAM_BYTES_MAX (64UL << 20)	/* incomplete heads, JSON scanners, open exchanges */
#define STREAM_PIPELINE_MAX 64	/* open exchanges of one connection; past that: forgotten */

struct conn;
struct decode;
struct json;
struct stream;

/* what a message says of the operation that gave it */
struct operation {
	uint64_t ts_ns, offset;
	uint32_t tid, number, tcp_seq;
	bool has_seq;
	struct msg_labels labels;
};

/* a request that has no complete response yet */
struct exchange {
	uint32_t number;
	bool is_head, is_connect;
	bool is_answered;	/* the head of its response was seen */
	uint64_t rules;		/* capture rules that fit its request */
};

struct direction {
	struct conn *conn;
	struct http_parser parser;
	struct json *json;		/* looks at the body under way; NULL: nothing to find */
	struct operation start;		/* in which the message under way began */
	struct operation last;		/* the latest that moved bytes */
	uint32_t start_seq;		/* TCP sequence number of the message's first byte */
	uint32_t next_op;
	uint64_t next_offset;
	bool is_answer;		/* the response under way is that of the oldest exchange */
	bool is_interim;	/* 1xx */
	uint32_t body_exchange;	/* that the JSON scanner works for */
};

struct conn_key {
	uint64_t ino, start_ns;
	uint32_t tgid, pad;
};

struct proc_key {
	uint64_t start_ns;
	uint32_t tgid, pad;
};

int stream_new(struct stream **ret);
void stream_free(struct stream *s);	/* NULL is fine */

/* Each: 0, or -EINVAL for a record whose lengths do not fit. */
int stream_feed_io(struct decode *d, const struct wire_head *rec);
int stream_feed_close(struct decode *d, const struct wire_head *rec);
void stream_exit(struct decode *d, const struct wire_head *rec);	/* of a process */

#endif
