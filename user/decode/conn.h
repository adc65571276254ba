/*
 * conn: one HTTP connection: pairs requests and responses into exchanges, numbered from 1,
 * and sends their messages. Private to the stream.
 *
 * A response belongs to the oldest open request. Where the response's side has lost its
 * place, a request that begins shows that the earlier responses are over, since programs
 * do not pipeline; requests of a lost part stay unknown, and so do responses to them.
 */
#ifndef DECODE_CONN_H
#define DECODE_CONN_H

#include <uthash.h>

#include "decode/stream.h"

struct proc;

struct conn {
	UT_hash_handle hh;
	struct conn_key key;
	struct conn *prev, *next;		/* by last use, the oldest first */
	struct conn *proc_prev, *proc_next;	/* of the same process */
	struct proc *proc;
	struct decode *d;
	struct wire_sock sock;
	struct direction dirs[2];		/* by enum wire_dir */
	enum wire_dir requests;			/* the direction that requests go */
	bool has_role;				/* a message has proved it */
	const struct operation *now;		/* under way */
	uint32_t exchanges;			/* numbered so far */
	struct exchange *open;			/* the oldest first */
	unsigned int open_count, open_room;
	size_t bytes;				/* of memory, as the stream has counted it */
};

void conn_init(struct conn *c, struct decode *d, const struct wire_sock *sock);
void conn_done(struct conn *c);		/* silent */
size_t conn_bytes(const struct conn *c);

void conn_feed(struct conn *c, const struct wire_io *io);

/* The connection is over at @op: what is open ends as @how, unless its end was seen before. */
void conn_end(struct conn *c, const struct operation *op, enum http_end how);

#endif
