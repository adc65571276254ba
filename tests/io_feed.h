/* io_feed: makes the I/O records of one connection, as the kernel half would. */
#ifndef TESTS_IO_FEED_H
#define TESTS_IO_FEED_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "decode/decode.h"
#include "decode/slice.h"
#include "wire.h"

#define IO_FEED_INO 77
#define IO_FEED_SEQ 0xfffffff0u	/* so that sequence numbers wrap */

struct io_feed {
	struct decode *d;
	uint16_t role;
	uint32_t tid;
	uint32_t tgid;		/* added to the first one */
	struct {
		uint32_t ops;
		uint64_t offset;
	} dirs[2];
};

struct io_extra {		/* zero: nothing of it */
	uint32_t moved;		/* bytes that the call moved beyond those given */
	uint16_t flags;
	int32_t err;
};

/* The record is in memory of its own size, so that a sanitizer sees a read past it. */
static inline int io_feed_op(struct io_feed *f, uint64_t ts_ns, enum wire_dir dir,
			     struct slice bytes, const struct io_extra *extra)
{
	size_t len = bytes.len;
	struct wire_io *io = calloc(1, sizeof(*io) + len);
	int err;

	io->head = (struct wire_head){
		.len = sizeof(*io) + len, .kind = WIRE_IO, .ts_ns = ts_ns, .tgid = 10 + f->tgid,
		.tid = f->tid, .start_ns = 5,
	};
	io->labels.thread = (struct wire_label){ .id = 1, .op = ts_ns, .kind = LABEL_HTTP };
	io->sock = (struct wire_sock){
		.ino = IO_FEED_INO, .family = AF_INET, .role = f->role, .local_port = 80,
		.peer_port = 5000,
	};
	io->op = ++f->dirs[dir].ops;
	io->stream_off = f->dirs[dir].offset;
	io->tcp_seq = IO_FEED_SEQ + (uint32_t)io->stream_off;
	io->captured = len;
	io->bytes = len + (extra ? extra->moved : 0);
	io->dir = dir;
	io->flags = WIRE_IO_TCP_SEQ | (extra ? extra->flags : 0);
	io->err = extra ? extra->err : 0;
	f->dirs[dir].offset += io->bytes;
	if (len)
		memcpy(io + 1, bytes.at, len);
	err = decode_feed(f->d, &io->head);
	free(io);
	return err;
}

static inline void io_feed_close(struct io_feed *f, uint64_t ts_ns)
{
	struct wire_close c = {
		.head = { .len = sizeof(c), .kind = WIRE_CLOSE, .ts_ns = ts_ns,
			  .tgid = 10 + f->tgid, .tid = f->tid, .start_ns = 5 },
		.ino = IO_FEED_INO,
	};

	decode_feed(f->d, &c.head);
}

static inline void io_feed_exit(struct io_feed *f, uint64_t ts_ns)
{
	struct wire_exit e = {
		.head = { .len = sizeof(e), .kind = WIRE_EXIT, .ts_ns = ts_ns, .tgid = 10 + f->tgid,
			  .tid = f->tid, .start_ns = 5 },
	};

	decode_feed(f->d, &e.head);
}

#endif
