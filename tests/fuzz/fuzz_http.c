/*
 * fuzz_http: what is said of a connection does not depend on where it was split, and each
 * exchange has one request, at most one response, and exactly one end, whatever is missing.
 *
 * Input: four bytes that seed the splits and losses, then bytes of the connection; 0x01 turns
 * to the inbound direction, 0x02 to the outbound, 0x03 closes, 0x04 is the peer's end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode/rules.h"
#include "io_feed.h"
#include "msg_text.h"
#include "util/count.h"

#define PIECE_MAX 2048		/* bytes of one operation */
#define EXCHANGES_MAX 4096	/* told apart by the check */

enum how { WHOLE, SPLIT, LOSSY };

static char *trace_headers[] = { "trace-id" };
static char *routes[] = { "/a/{b}", "/execute" };
static struct rule captures[] = {
	{ .attribute = "user.id", .from = FROM_HTTP_REQUEST_JSON, .field = "user" },
	{ .attribute = "pod.uid", .from = FROM_HTTP_RESPONSE_JSON, .field = "metadata.uid" },
	{ .attribute = "b", .from = FROM_HTTP_PATH, .route = "/a/{b}", .param = "b",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "tenant", .from = FROM_HTTP_REQUEST_HEADER, .header = "tenant" },
};
static const struct rules rules = {
	trace_headers, 1, routes, 2, captures, sizeof(captures) / sizeof(*captures),
};

struct run {
	struct io_feed feed;
	struct counters counters;
	struct msg_text text;
	uint64_t ts;
	uint32_t random;
	enum how how;
	unsigned char state[EXCHANGES_MAX];	/* 0 none, 1 requested, 2 answered, 3 ended */
};

static void check_order(struct run *r, const struct msg *m)
{
	unsigned char *state;

	if (m->kind > MSG_HTTP_END || m->http.exchange >= EXCHANGES_MAX)
		return;
	state = &r->state[m->http.exchange];
	if (!m->http.exchange || (m->kind == MSG_HTTP_REQUEST) != (*state == 0))
		abort();
	if (m->kind == MSG_HTTP_REQUEST && (!m->http.method || !m->http.path))
		abort();
	if (*state == 3 && m->kind != MSG_HTTP_ATTRS)
		abort();	/* attributes may follow where a request's body outlives it */
	if (m->kind == MSG_HTTP_RESPONSE && *state != 1)
		abort();
	if (m->kind == MSG_HTTP_END)
		*state = 3;
	else if (m->kind != MSG_HTTP_ATTRS)
		*state = m->kind == MSG_HTTP_REQUEST ? 1 : 2;
}

static void next(void *ctx, const struct msg *m)
{
	struct run *r = ctx;

	check_order(r, m);
	msg_text_next(&r->text, m);
}

static uint32_t draw(struct run *r)
{
	r->random = r->random * 1664525 + 1013904223;
	return r->random >> 16;
}

static void check_ended(const struct run *r)
{
	size_t i;

	for (i = 0; i < EXCHANGES_MAX; i++)
		if (r->state[i] == 1 || r->state[i] == 2)
			abort();
}

static void feed_close(struct run *r)
{
	io_feed_close(&r->feed, ++r->ts);
	check_ended(r);
	memset(r->state, 0, sizeof(r->state));
	memset(r->feed.dirs, 0, sizeof(r->feed.dirs));
}

static void feed_piece(struct run *r, enum wire_dir dir, struct slice bytes)
{
	struct io_extra extra = { 0 };

	if (r->how == LOSSY && !(draw(r) % 4)) {
		extra.moved = draw(r) % (bytes.len + 1);
		bytes.len -= extra.moved;
	}
	if (r->how == LOSSY && !(draw(r) % 8)) {
		r->feed.dirs[dir].ops++;
		r->feed.dirs[dir].offset += bytes.len + extra.moved;
		return;
	}
	if (io_feed_op(&r->feed, ++r->ts, dir, bytes, &extra))
		abort();
}

static void feed_bytes(struct run *r, enum wire_dir dir, struct slice bytes)
{
	while (bytes.len) {
		size_t n = r->how == WHOLE ? PIECE_MAX : 1 + draw(r) % 24;

		if (n > bytes.len)
			n = bytes.len;
		feed_piece(r, dir, slice_of(bytes.at, n));
		bytes = slice_from(bytes, n);
	}
}

static void feed_all(struct run *r, const char *at, size_t len)
{
	struct io_extra eof = { .flags = WIRE_IO_EOF };
	enum wire_dir dir = DIR_IN;
	size_t i, start = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && (at[i] < 1 || at[i] > 4))
			continue;
		feed_bytes(r, dir, slice_of(at + start, i - start));
		start = i + 1;
		if (i == len)
			break;
		if (at[i] == 3)
			feed_close(r);
		else if (at[i] == 4)
			io_feed_op(&r->feed, ++r->ts, DIR_IN, slice_of(NULL, 0), &eof);
		else
			dir = at[i] == 1 ? DIR_IN : DIR_OUT;
	}
	feed_close(r);
}

static struct run *run_new(enum how how, const uint8_t *data, size_t size)
{
	struct run *r = calloc(1, sizeof(*r));
	struct decode_opts opts = { .rules = &rules, .counters = &r->counters };

	r->how = how;
	memcpy(&r->random, data, sizeof(r->random));
	r->feed.role = data[0] % 3;
	if (decode_new(&r->feed.d, &opts, next, r))
		abort();
	feed_all(r, (const char *)data + sizeof(r->random), size - sizeof(r->random));
	decode_free(r->feed.d);
	return r;
}

static void run_free(struct run *r)
{
	free(r->text.text);
	free(r);
}

static const char *said(const struct run *r)
{
	return r->text.text ? r->text.text : "";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *whole, *split, *lossy;

	if (size < sizeof(whole->random))
		return 0;
	whole = run_new(WHOLE, data, size);
	split = run_new(SPLIT, data, size);
	lossy = run_new(LOSSY, data, size);
	/* where a message is found again depends on where operations begin, and may */
	if (!whole->counters.value[HTTP_RESYNCS] && !split->counters.value[HTTP_RESYNCS] &&
	    strcmp(said(whole), said(split))) {
		fprintf(stderr, "whole:\n%ssplit:\n%s", said(whole), said(split));
		abort();
	}
	run_free(whole);
	run_free(split);
	run_free(lossy);
	return 0;
}
