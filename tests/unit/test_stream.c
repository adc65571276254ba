/* stream: what messages carry of their operations, and that every limit holds and is counted. */
#include "check.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "decode/http1.h"
#include "decode/stream.h"
#include "io_feed.h"
#include "msg_text.h"
#include "util/count.h"

#define GET "GET /a HTTP/1.1\r\n\r\n"
#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define PIECE 2048

struct tally {			/* a decode_next_fn's context */
	unsigned int count[MSG_PROC_TARGET + 1];
	unsigned int lost;
	uint64_t first_lost;	/* connection whose end was told first */
	struct msg last[MSG_HTTP_END + 1];	/* strings in it are gone */
};

static void tally_next(void *ctx, const struct msg *m)
{
	struct tally *t = ctx;

	t->count[m->kind]++;
	if (m->kind > MSG_HTTP_END)
		return;
	t->last[m->kind] = *m;
	if (m->kind == MSG_HTTP_END && m->http.end == HTTP_END_LOST && !t->lost++)
		t->first_lost = m->http.conn;
}

struct setup {
	struct io_feed feed;
	struct counters counters;
	struct tally tally;
};

static void begin(struct setup *s)
{
	struct decode_opts opts = { .counters = &s->counters };

	memset(s, 0, sizeof(*s));
	s->feed.role = ROLE_SERVER;
	check_eq(decode_new(&s->feed.d, &opts, tally_next, &s->tally), 0, "new");
}

static void op(struct setup *s, uint64_t ts, enum wire_dir dir, const char *text)
{
	s->feed.tid = 100 + ts;
	check_eq(io_feed_op(&s->feed, ts, dir, slice_str(text), NULL), 0, "feed");
}

TEST(messages_carry_their_operations)
{
	const struct msg *m;
	struct setup s;

	begin(&s);
	op(&s, 1, DIR_IN, "GET /z HTTP/1.1\r\n\r\nGET");
	op(&s, 2, DIR_IN, " /a HTTP/1.1\r\n");
	op(&s, 3, DIR_IN, "\r\n");
	m = &s.tally.last[MSG_HTTP_REQUEST];
	check_eq(m->http.exchange, 2, "the second request");
	check_eq(m->ts_ns, 1, "begins in the first operation");
	check_eq(m->tid, 101, "of its thread");
	check_eq(m->http.first_op, 1, "and number");
	check_eq(m->labels.thread.op, 1, "and labels");
	check(m->http.has_seq, "has a sequence number");
	check_eq(m->http.tcp_seq, (uint32_t)(IO_FEED_SEQ + 19), "that of its first byte, wrapped");
	check_eq(m->http.conn, IO_FEED_INO, "connection");
	check_eq(m->http.endpoint.local_port, 80, "local port");
	check_eq(m->http.endpoint.peer_port, 5000, "peer port");
	check(m->http.endpoint.is_tcp, "TCP");
	check_eq(m->start_ns, 5, "process");

	op(&s, 4, DIR_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n");
	op(&s, 5, DIR_OUT, "\r\na");
	op(&s, 6, DIR_OUT, "b");
	m = &s.tally.last[MSG_HTTP_RESPONSE];
	check_eq(m->ts_ns, 4, "response");
	check_eq(m->tid, 104, "response's thread");
	m = &s.tally.last[MSG_HTTP_END];
	check_eq(m->ts_ns, 6, "end");
	check_eq(m->tid, 106, "end's thread");
	check_eq(m->labels.thread.op, 6, "end's labels");
	decode_free(s.feed.d);
}

/* A watch: chunks of JSON, one after the other, for as long as the program runs. */
TEST(an_endless_response_takes_no_memory)
{
	static const char chunk[] = "14\r\n{\"type\":\"MODIFIED\"}\n\r\n";
	struct setup s;
	size_t before;
	int i;

	begin(&s);
	op(&s, 1, DIR_IN, GET);
	op(&s, 2, DIR_OUT, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	op(&s, 3, DIR_OUT, chunk);
	before = mallinfo2().uordblks;
	for (i = 0; i < 20000; i++)
		op(&s, 4 + i, DIR_OUT, chunk);
	/* a little for the allocator's own caches; a byte a chunk would be 20,000 */
	check(mallinfo2().uordblks < before + 4096, "memory in use");
	op(&s, 4 + i, DIR_OUT, "0\r\n\r\n");
	check_eq(s.tally.count[MSG_HTTP_END], 1, "one end");
	check_eq(s.tally.last[MSG_HTTP_END].http.end, HTTP_END_COMPLETE, "complete");
	check_eq(s.tally.last[MSG_HTTP_END].ts_ns, 4 + i, "at its last byte");
	decode_free(s.feed.d);
}

static void feed_filler(struct setup *s, size_t len)
{
	char piece[PIECE];
	size_t n;

	memset(piece, 'x', sizeof(piece));
	for (; len; len -= n) {
		n = len < sizeof(piece) ? len : sizeof(piece);
		check_eq(io_feed_op(&s->feed, 9, DIR_IN, slice_of(piece, n), NULL), 0, "filler");
	}
}

TEST(a_head_over_its_limit_is_taken_as_cut)
{
	static const char start[] = "GET /a HTTP/1.1\r\nX-Long: ";
	struct setup s;

	begin(&s);
	op(&s, 1, DIR_IN, start);
	feed_filler(&s, HTTP_HEAD_MAX - strlen(start) - 1);
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 0, "one byte below the limit");
	feed_filler(&s, 1);
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 1, "at the limit");
	feed_filler(&s, 10000);
	op(&s, 10, DIR_OUT, OK200);
	op(&s, 11, DIR_IN, GET);
	check_eq(s.tally.count[MSG_HTTP_END], 1, "it was answered");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 2, "and the next was found");
	check_eq(s.counters.value[HTTP_RESYNCS], 1, "resynchronized");
	decode_free(s.feed.d);
}

/* A record of a connection of its own. */
static void op_of(struct setup *s, uint64_t ino, uint32_t number, const char *text)
{
	struct wire_io *io = calloc(1, sizeof(*io) + strlen(text));

	io->head = (struct wire_head){ .len = sizeof(*io) + strlen(text), .kind = WIRE_IO,
				       .ts_ns = ino, .tgid = 1 };
	io->sock.ino = ino;
	io->sock.role = ROLE_SERVER;
	io->op = number;
	io->stream_off = (number - 1) * strlen(text);
	io->captured = io->bytes = strlen(text);
	memcpy(io + 1, text, strlen(text));
	check_eq(decode_feed(s->feed.d, &io->head), 0, "feed");
	free(io);
}

TEST(connections_are_bounded)
{
	struct setup s;
	uint64_t i;

	begin(&s);
	for (i = 1; i <= STREAM_CONNS_MAX; i++)
		op_of(&s, i, 1, GET);
	check_eq(s.counters.value[HTTP_CONNS_EVICTED], 0, "full");
	op_of(&s, 1, 2, GET);
	op_of(&s, i, 1, GET);
	check_eq(s.counters.value[HTTP_CONNS_EVICTED], 1, "one too many");
	check_eq(s.tally.lost, 1, "one exchange ended as lost");
	check_eq(s.tally.first_lost, 2, "that was quiet longest");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], STREAM_CONNS_MAX + 2, "all were told");
	decode_free(s.feed.d);
}

TEST(memory_of_incomplete_heads_is_bounded)
{
	/* heads of 40 KiB are held in 64 KiB each */
	const uint64_t fits = STREAM_BYTES_MAX / HTTP_HEAD_MAX;
	char piece[PIECE + 1];
	struct setup s;
	uint64_t i, n;

	begin(&s);
	memset(piece, 'x', PIECE);
	piece[PIECE] = '\0';
	for (i = 0; i < fits + 1; i++) {
		check_eq(s.counters.value[HTTP_CONNS_EVICTED], 0, "not yet");
		op(&s, 1, DIR_IN, "GET /a HTTP/1.1\r\nX-Long: ");
		for (n = 0; n < 20; n++)
			op(&s, 1, DIR_IN, piece);
		/* the next process */
		memset(s.feed.dirs, 0, sizeof(s.feed.dirs));
		s.feed.tgid++;
	}
	check_eq(s.counters.value[HTTP_CONNS_EVICTED], 1, "one too many");
	decode_free(s.feed.d);
}

TEST(open_exchanges_of_a_connection_are_bounded)
{
	struct setup s;
	int i;

	begin(&s);
	for (i = 0; i < STREAM_PIPELINE_MAX; i++)
		op(&s, 1 + i, DIR_IN, GET);
	check_eq(s.tally.count[MSG_HTTP_END], 0, "full");
	op(&s, 1 + i, DIR_IN, GET);
	check_eq(s.tally.lost, STREAM_PIPELINE_MAX, "all ended as lost");
	check_eq(s.counters.value[HTTP_CONNS_EVICTED], 1, "given up");
	decode_free(s.feed.d);
}

static struct wire_io valid(const char *text)
{
	return (struct wire_io){
		.head = { .len = sizeof(struct wire_io) + strlen(text), .kind = WIRE_IO },
		.sock = { .ino = 1, .role = ROLE_SERVER },
		.op = 1, .bytes = strlen(text), .captured = strlen(text),
	};
}

static int feed_raw(struct setup *s, const struct wire_io *io, const char *text)
{
	char *copy = malloc(sizeof(*io) + strlen(text));
	int err;

	memcpy(copy, io, sizeof(*io));
	memcpy(copy + sizeof(*io), text, strlen(text));
	err = decode_feed(s->feed.d, (struct wire_head *)copy);
	free(copy);
	return err;
}

TEST(records_that_lie_are_rejected)
{
	struct setup s;
	struct wire_io io;

	begin(&s);
	io = valid(GET);
	io.captured++;
	io.bytes++;
	check_eq(feed_raw(&s, &io, GET), -EINVAL, "more captured than there is");
	io = valid(GET);
	io.bytes--;
	check_eq(feed_raw(&s, &io, GET), -EINVAL, "more captured than moved");
	io = valid(GET);
	io.dir = 2;
	check_eq(feed_raw(&s, &io, GET), -EINVAL, "no such direction");
	check_eq(s.counters.value[RECORDS_REJECTED], 3, "counted");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 0, "nothing told");
	check_eq(feed_raw(&s, &(struct wire_io){ 0 }, GET), -EINVAL, "no kind");
	io = valid(GET);
	check_eq(feed_raw(&s, &io, GET), 0, "the valid one");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 1, "told");
	decode_free(s.feed.d);
}

TEST(what_comes_twice_is_told_once)
{
	struct setup s;
	struct wire_io io = valid("GET ");

	begin(&s);
	check_eq(feed_raw(&s, &io, "GET "), 0, "first");
	io = valid("/a HTTP/1.1\r\n\r\n");
	io.op = 2;
	io.stream_off = 4;
	check_eq(feed_raw(&s, &io, "/a HTTP/1.1\r\n\r\n"), 0, "second");
	check_eq(feed_raw(&s, &io, "/a HTTP/1.1\r\n\r\n"), 0, "second again");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 1, "one request");
	io = valid("");
	io.op = 1;
	io.stream_off = 19;
	check_eq(feed_raw(&s, &io, ""), 0, "an old number without bytes");
	io = valid(GET);
	io.op = 3;
	io.stream_off = 19;
	check_eq(feed_raw(&s, &io, GET), 0, "third");
	check_eq(s.tally.count[MSG_HTTP_REQUEST], 2, "another request");
	check_eq(s.counters.value[IO_GAPS], 0, "no gap");
	decode_free(s.feed.d);
}

TEST(an_inode_used_again_without_a_close_begins_anew)
{
	struct setup s;

	begin(&s);
	op(&s, 1, DIR_IN, GET);
	op(&s, 2, DIR_OUT, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
	memset(s.feed.dirs, 0, sizeof(s.feed.dirs));
	op(&s, 3, DIR_IN, GET);
	check_eq(s.tally.lost, 1, "the old exchange is lost");
	check_eq(s.tally.last[MSG_HTTP_REQUEST].http.exchange, 2, "numbers go on");
	op(&s, 4, DIR_OUT, OK200);
	check_eq(s.tally.last[MSG_HTTP_END].http.end, HTTP_END_COMPLETE, "the new one ends");
	check_eq(s.counters.value[IO_GAPS], 1, "counted");
	decode_free(s.feed.d);
}

RUN_TESTS(cmocka_unit_test(messages_carry_their_operations),
	  cmocka_unit_test(an_endless_response_takes_no_memory),
	  cmocka_unit_test(a_head_over_its_limit_is_taken_as_cut),
	  cmocka_unit_test(connections_are_bounded),
	  cmocka_unit_test(memory_of_incomplete_heads_is_bounded),
	  cmocka_unit_test(open_exchanges_of_a_connection_are_bounded),
	  cmocka_unit_test(records_that_lie_are_rejected),
	  cmocka_unit_test(what_comes_twice_is_told_once),
	  cmocka_unit_test(an_inode_used_again_without_a_close_begins_anew))
