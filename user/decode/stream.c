/* stream: see stream.h. */
#include "decode/stream.h"

#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "decode/conn.h"
#include "decode/stage.h"

struct proc {			/* the connections of one process */
	UT_hash_handle hh;
	struct proc_key key;
	struct conn *conns;
};

struct stream {
	struct conn *table;
	struct conn *used;	/* by last use, the oldest first */
	struct proc *procs;
	size_t bytes;		/* sum of conn->bytes */
};

int stream_new(struct stream **ret)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

static struct proc *proc_find(struct stream *s, const struct wire_head *rec)
{
	struct proc_key key = { .start_ns = rec->start_ns, .tgid = rec->tgid };
	struct proc *p;

	HASH_FIND(hh, s->procs, &key, sizeof(key), p);
	return p;
}

static struct proc *proc_get(struct stream *s, const struct wire_head *rec)
{
	struct proc *p = proc_find(s, rec);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = (struct proc_key){ .start_ns = rec->start_ns, .tgid = rec->tgid };
	HASH_ADD(hh, s->procs, key, sizeof(p->key), p);
	return p;
}

static void conn_free(struct stream *s, struct conn *c)
{
	struct proc *p = c->proc;

	s->bytes -= c->bytes;
	HASH_DELETE(hh, s->table, c);
	DL_DELETE(s->used, c);
	DL_DELETE2(p->conns, c, proc_prev, proc_next);
	if (!p->conns) {
		HASH_DELETE(hh, s->procs, p);
		free(p);
	}
	conn_done(c);
	free(c);
}

static struct conn *conn_find(struct stream *s, const struct wire_head *rec, uint64_t ino)
{
	struct conn_key key = { .ino = ino, .start_ns = rec->start_ns, .tgid = rec->tgid };
	struct conn *c;

	HASH_FIND(hh, s->table, &key, sizeof(key), c);
	return c;
}

static struct conn *conn_new(struct decode *d, const struct wire_io *io)
{
	struct stream *s = d->stream;
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->proc = proc_get(s, &io->head);
	if (!c->proc) {
		free(c);
		return NULL;
	}
	c->key = (struct conn_key){
		.ino = io->sock.ino,
		.start_ns = io->head.start_ns,
		.tgid = io->head.tgid,
	};
	conn_init(c, d, &io->sock);
	HASH_ADD(hh, s->table, key, sizeof(c->key), c);
	DL_APPEND(s->used, c);
	DL_APPEND2(c->proc->conns, c, proc_prev, proc_next);
	return c;
}

static void evict(struct decode *d, uint64_t now_ns)
{
	struct stream *s = d->stream;
	struct operation op = { .ts_ns = now_ns };

	while (s->used && (HASH_COUNT(s->table) > STREAM_CONNS_MAX ||
			   s->bytes > STREAM_BYTES_MAX)) {
		counter_add(d->counters, HTTP_CONNS_EVICTED, 1);
		conn_end(s->used, &op, HTTP_END_LOST);
		conn_free(s, s->used);
	}
}

int stream_feed_io(struct decode *d, const struct wire_head *rec)
{
	const struct wire_io *io = (const struct wire_io *)rec;
	struct stream *s = d->stream;
	struct conn *c;

	if (io->captured > rec->len - sizeof(*io) || io->captured > io->bytes || io->dir > DIR_OUT)
		return -EINVAL;
	c = conn_find(s, rec, io->sock.ino);
	if (!c)
		c = conn_new(d, io);
	if (!c)
		return 0;	/* no memory: as if the connection had been evicted */
	DL_DELETE(s->used, c);
	DL_APPEND(s->used, c);
	conn_feed(c, io);
	s->bytes += conn_bytes(c) - c->bytes;
	c->bytes = conn_bytes(c);
	evict(d, rec->ts_ns);
	return 0;
}

int stream_feed_close(struct decode *d, const struct wire_head *rec)
{
	struct operation op = { .ts_ns = rec->ts_ns, .tid = rec->tid };
	struct conn *c = conn_find(d->stream, rec, ((const struct wire_close *)rec)->ino);

	if (c) {
		conn_end(c, &op, HTTP_END_CLOSED);
		conn_free(d->stream, c);
	}
	return 0;
}

void stream_exit(struct decode *d, const struct wire_head *rec)
{
	struct operation op = { .ts_ns = rec->ts_ns, .tid = rec->tid };
	struct proc *p = proc_find(d->stream, rec);
	struct conn *c, *next;

	for (c = p ? p->conns : NULL; c; c = next) {
		next = c->proc_next;
		conn_end(c, &op, HTTP_END_CLOSED);
		conn_free(d->stream, c);	/* p leaves with its last one */
	}
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	while (s->used)
		conn_free(s, s->used);
	free(s);
}
