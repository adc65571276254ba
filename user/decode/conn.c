/* conn: see conn.h. The parsers' events arrive with c->now set to the operation under way. */
#include "decode/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/exchange.h"
#include "decode/json.h"
#include "decode/stage.h"

static bool is_requests(const struct direction *dir)
{
	return dir == &dir->conn->dirs[dir->conn->requests];
}

static struct direction *responses_of(struct conn *c)
{
	return &c->dirs[!c->requests];
}

/* --- exchanges ------------------------------------------------------------------------------ */

static void exchange_pop(struct conn *c)
{
	c->open_count--;
	memmove(c->open, c->open + 1, c->open_count * sizeof(*c->open));
}

static void end_oldest(struct conn *c, const struct operation *op, enum http_end how)
{
	exchange_end(c, &c->open[0], op, how);
	exchange_pop(c);
}

static void end_all(struct conn *c, const struct operation *op, enum http_end how)
{
	while (c->open_count)
		end_oldest(c, op, how);
	responses_of(c)->is_answer = false;
}

static void stop(struct conn *c)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		http1_stop(&c->dirs[i].parser);
		exchange_body_end(&c->dirs[i]);
	}
}

/* NULL: no room; the connection is given up */
static struct exchange *exchange_push(struct conn *c)
{
	unsigned int room = c->open_room ? c->open_room * 2 : 1;
	struct exchange *open;

	if (c->open_count == c->open_room) {
		open = c->open_count < STREAM_PIPELINE_MAX ?
			       realloc(c->open, room * sizeof(*open)) : NULL;
		if (!open) {
			counter_add(c->d->counters, HTTP_CONNS_EVICTED, 1);
			end_all(c, c->now, HTTP_END_LOST);
			stop(c);
			return NULL;
		}
		c->open = open;
		c->open_room = room;
	}
	open = &c->open[c->open_count++];
	*open = (struct exchange){ .number = ++c->exchanges };
	return open;
}

/* --- role ----------------------------------------------------------------------------------- */

static void set_sides(struct conn *c, enum wire_dir requests, bool is_sure)
{
	c->requests = requests;
	c->has_role = is_sure;
	c->dirs[requests].parser.side = is_sure ? HTTP_REQUESTS : HTTP_ANY;
	c->dirs[!requests].parser.side = is_sure ? HTTP_RESPONSES : HTTP_ANY;
}

static void on_conflict(void *ctx)
{
	struct conn *c = ((struct direction *)ctx)->conn;

	counter_add(c->d->counters, HTTP_CONFLICTS, 1);
	end_all(c, c->now, HTTP_END_LOST);
	stop(c);
}

/* What a head is, against what its direction carries: the first head decides. */
static bool fits_role(struct direction *dir, bool is_response)
{
	struct conn *c = dir->conn;

	if (!c->has_role) {
		enum wire_dir here = dir - c->dirs;

		set_sides(c, is_response ? !here : here, true);
	}
	return is_requests(dir) != is_response;
}

/* --- the parsers' events -------------------------------------------------------------------- */

static void resync_responses(struct conn *c)
{
	struct direction *dir = responses_of(c);
	enum http_state state = dir->parser.state;

	if (state != HTTP_LOST && state != HTTP_RESYNC)
		return;
	counter_add(c->d->counters, HTTP_RESYNCS, 1);
	http1_finish_lost(&dir->parser);
	/* responses that a gap has swallowed */
	end_all(c, &dir->last, HTTP_END_LOST);
}

static void on_start(void *ctx, uint64_t offset)
{
	struct direction *dir = ctx;
	struct conn *c = dir->conn;

	dir->start = *c->now;
	dir->start_seq = c->now->tcp_seq + (uint32_t)(offset - c->now->offset);
	if (c->has_role && is_requests(dir))
		resync_responses(c);
}

static enum http_body on_request(struct direction *dir, const struct http_head *head)
{
	struct exchange *x = exchange_push(dir->conn);

	if (!x)
		return HTTP_BODY_TUNNEL;
	exchange_request(dir, head, x);
	if (x->is_connect)
		return HTTP_BODY_NONE;	/* what follows is for the tunnel */
	if (!head->is_cut)
		exchange_body_begin(dir, x, FROM_HTTP_REQUEST_JSON);
	return HTTP_BODY_BY_HEADERS;
}

static enum http_body on_response(struct direction *dir, const struct http_head *head)
{
	struct conn *c = dir->conn;
	struct exchange *x = c->open_count ? &c->open[0] : NULL;
	bool is_upgrade = head->status == 101 ||
			  (x && x->is_connect && head->status / 100 == 2);

	dir->is_interim = head->status < 200 && !is_upgrade;
	dir->is_answer = x && !dir->is_interim;
	if (dir->is_interim)
		return HTTP_BODY_NONE;
	if (x) {
		x->is_answered = true;
		exchange_response(dir, head, x);
	}
	if (is_upgrade) {
		end_all(c, c->now, HTTP_END_UPGRADE);
		stop(c);
		return HTTP_BODY_TUNNEL;
	}
	if ((x && x->is_head) || head->status == 204 || head->status == 304)
		return HTTP_BODY_NONE;
	if (x && !head->is_cut)
		exchange_body_begin(dir, x, FROM_HTTP_RESPONSE_JSON);
	return HTTP_BODY_BY_HEADERS;
}

static enum http_body on_head(void *ctx, const struct http_head *head)
{
	struct direction *dir = ctx;

	if (!fits_role(dir, head->is_response)) {
		on_conflict(dir);
		return HTTP_BODY_TUNNEL;
	}
	return head->is_response ? on_response(dir, head) : on_request(dir, head);
}

static void on_body(void *ctx, struct slice bytes)
{
	exchange_body(ctx, bytes);
}

static void on_end(void *ctx, enum http_how how)
{
	struct direction *dir = ctx;
	bool is_answer = dir->is_answer;
	struct conn *c = dir->conn;

	exchange_body_end(dir);
	dir->is_answer = false;
	if (!is_answer || !c->open_count)
		return;
	if (how == HTTP_SEEN && dir->parser.state != HTTP_STOPPED)
		end_oldest(c, c->now, HTTP_END_COMPLETE);
	else	/* now is later than the message's last byte */
		end_oldest(c, &dir->last, how == HTTP_MISSING ? HTTP_END_LOST : HTTP_END_COMPLETE);
}

static const struct http_events events = {
	.start = on_start,
	.head = on_head,
	.body = on_body,
	.end = on_end,
	.conflict = on_conflict,
};

/* --- public --------------------------------------------------------------------------------- */

void conn_init(struct conn *c, struct decode *d, const struct wire_sock *sock)
{
	unsigned int i;

	c->d = d;
	c->sock = *sock;
	for (i = 0; i < 2; i++) {
		c->dirs[i].conn = c;
		c->dirs[i].next_op = 1;
		http1_init(&c->dirs[i].parser, &events, &c->dirs[i]);
	}
	set_sides(c, sock->role == ROLE_CLIENT ? DIR_OUT : DIR_IN, false);
}

void conn_done(struct conn *c)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		http1_done(&c->dirs[i].parser);
		exchange_body_end(&c->dirs[i]);
	}
	free(c->open);
}

size_t conn_bytes(const struct conn *c)
{
	return c->dirs[0].parser.head_room + c->dirs[1].parser.head_room +
	       json_bytes(c->dirs[0].json) + json_bytes(c->dirs[1].json) +
	       c->open_room * sizeof(*c->open);
}

void conn_end(struct conn *c, const struct operation *op, enum http_end how)
{
	struct http_parser *parser = &responses_of(c)->parser;

	c->now = op;
	/* A body that ends with the connection ends well, and so does one that lost its end. */
	if (how == HTTP_END_CLOSED || (how == HTTP_END_RESET && parser->state == HTTP_LOST))
		http1_close(parser);
	end_all(c, op, how);
	stop(c);
	c->now = NULL;
}

/* The peer sends no more. What it was asked, or was asking, can no longer be completed. */
static void end_direction(struct conn *c, struct direction *dir)
{
	if (is_requests(dir)) {
		http1_stop(&dir->parser);
		exchange_body_end(dir);
	} else {
		conn_end(c, c->now, HTTP_END_CLOSED);
	}
}

/* Errors that end a connection; others (EINTR, ENOMEM, EFAULT, ...) leave it as it was. */
static bool is_fatal(int err)
{
	return err == ECONNRESET || err == EPIPE || err == ETIMEDOUT || err == ENOTCONN ||
	       err == ECONNABORTED || err == ESHUTDOWN || err == EHOSTUNREACH ||
	       err == ENETUNREACH || err == ENETDOWN || err == ECONNREFUSED;
}

/* The socket's inode was used again, or the kernel half has begun to count anew. */
static void restart(struct conn *c, const struct wire_sock *sock)
{
	unsigned int i;

	counter_add(c->d->counters, IO_GAPS, 1);
	end_all(c, &responses_of(c)->last, HTTP_END_LOST);
	for (i = 0; i < 2; i++) {
		http1_done(&c->dirs[i].parser);
		exchange_body_end(&c->dirs[i]);
		c->dirs[i] = (struct direction){ 0 };
	}
	conn_init(c, c->d, sock);
}

/* false: the record comes again, or too late: what it holds was counted as missing */
static bool take_place(struct conn *c, struct direction *dir, const struct wire_io *io)
{
	if (io->op == 1 && !io->stream_off && dir->next_op > 1)
		restart(c, &io->sock);
	if (io->op < dir->next_op || io->stream_off < dir->next_offset)
		return false;
	if (io->op > dir->next_op || io->stream_off > dir->next_offset) {
		counter_add(c->d->counters, IO_GAPS, 1);
		http1_gap(&dir->parser, io->stream_off - dir->next_offset);
	}
	dir->next_op = io->op + 1;
	dir->next_offset = io->stream_off + io->bytes;
	dir->parser.offset = io->stream_off;
	return true;
}

static void feed_bytes(struct direction *dir, const struct wire_io *io)
{
	struct slice bytes = slice_of(io + 1, io->captured);
	enum http_state state = dir->parser.state;

	if ((state == HTTP_LOST || state == HTTP_RESYNC) &&
	    http1_is_start(dir->parser.side, bytes))
		counter_add(dir->conn->d->counters, HTTP_RESYNCS, 1);
	http1_feed(&dir->parser, bytes, io->bytes);
}

void conn_feed(struct conn *c, const struct wire_io *io)
{
	struct direction *dir = &c->dirs[io->dir];
	struct msg m = { 0 };
	struct operation op = {
		.ts_ns = io->head.ts_ns,
		.offset = io->stream_off,
		.tid = io->head.tid,
		.number = io->op,
		.tcp_seq = io->tcp_seq,
		.has_seq = io->flags & WIRE_IO_TCP_SEQ,
	};

	stage_labels(&m, &io->head, &io->labels);
	op.labels = m.labels;
	c->now = &op;
	if (take_place(c, dir, io)) {
		feed_bytes(dir, io);
		if (io->bytes)
			dir->last = op;
		if (io->flags & WIRE_IO_ERROR && is_fatal(io->err))
			conn_end(c, &op, HTTP_END_RESET);
		else if (io->flags & WIRE_IO_EOF && io->dir == DIR_IN)
			end_direction(c, dir);
	}
	c->now = NULL;
}
