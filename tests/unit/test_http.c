/*
 * http: connections become exchanges. Each case is run with whole operations, split at every
 * byte, and byte by byte; messages and the times in them must say the same of the same bytes.
 */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/rules.h"
#include "decode/url.h"
#include "io_feed.h"
#include "msg_text.h"
#include "util/count.h"

#define STEPS_MAX 12
#define LATE 1000000	/* times of records that are no bytes */

static char *routes[] = { "/jobs/{id}", "/execute" };
static struct rule captures[] = {
	{ .attribute = "user.id", .from = FROM_HTTP_REQUEST_JSON, .field = "user", .method = "POST",
	  .route = "/execute" },
	{ .attribute = "job.id", .from = FROM_HTTP_PATH, .route = "/jobs/{id}", .param = "id",
	  .identifies = IDENTIFY_LINK },
	{ .attribute = "pod.uid", .from = FROM_HTTP_RESPONSE_JSON, .field = "metadata.uid",
	  .method = "POST", .route = "/pods" },
	{ .attribute = "tenant", .from = FROM_HTTP_REQUEST_HEADER, .header = "X-Tenant",
	  .identifies = IDENTIFY_PARENT },
};
static char *trace_headers[] = { "trace-id" };
static const struct rules rules = {
	.trace_headers = trace_headers, .trace_headers_count = 1,
	.routes = routes, .routes_count = 2,
	.capture = captures, .capture_count = ARRAY_COUNT(captures),
};

/* in: 'i' inbound bytes, 'o' outbound; 'e' inbound end, 'r' reset, 'c' close, 'x' exit */
struct http_step {
	char in;
	const char *text;
};

#define GET "GET /a HTTP/1.1\r\n\r\n"
#define REQ "request#1 as=server method=GET path=/a version=1.1\n"
#define REQ2 "request#2 as=server method=GET path=/a version=1.1\n"
#define OK200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define RES "response#1 status=200\n"
#define DONE "end#1 end=complete\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define NOTHING ""

static const struct http_case {
	const char *name;
	enum wire_role role;
	struct http_step steps[STEPS_MAX];
	const char *want;
	int conflicts;
} cases[] = {
	{ "server", ROLE_SERVER, { { 'i', GET }, { 'o', OK200 } }, REQ RES DONE, 0 },
	{ "client", ROLE_CLIENT, { { 'o', GET }, { 'i', OK200 } },
	  "request#1 as=client method=GET path=/a version=1.1\n" RES DONE, 0 },
	{ "wrong role is corrected by a request", ROLE_CLIENT, { { 'i', GET }, { 'o', OK200 } },
	  REQ RES DONE, 0 },
	{ "wrong role is corrected by a response", ROLE_SERVER,
	  { { 'i', OK200 }, { 'o', GET }, { 'i', OK200 } },
	  "request#1 as=client method=GET path=/a version=1.1\n" RES DONE, 0 },
	{ "unknown role", ROLE_UNKNOWN, { { 'i', GET }, { 'o', OK200 } }, REQ RES DONE, 0 },
	{ "head in full", ROLE_SERVER,
	  { { 'i', "POST /b/c?d=e&token=s HTTP/1.0\r\nHOST: h:1\r\nuser-agent:\tme \r\n"
		   "X-Tenant: t\r\nContent-Length: 0\r\n\r\n" } },
	  "request#1 as=server method=POST path=/b/c query=d=e&token=REDACTED version=1.0 "
	  "host=h:1 agent=me tenant=t parent=t\n", 0 },
	{ "trace context", ROLE_SERVER,
	  { { 'i', "GET / HTTP/1.1\r\nTraceparent: "
		   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
		   "tracestate: a=1\r\nTrace-Id: 22222222222222222222222222222222\r\n\r\n" } },
	  "request#1 as=server method=GET path=/ version=1.1 format=traceparent "
	  "trace=0af7651916cd43dd8448eb211c80319c other=yes state=a=1\n", 0 },
	{ "absolute target", ROLE_SERVER,
	  { { 'i', "GET http://u:p@h:8/x?q HTTP/1.1\r\nHost: other\r\n\r\n" } },
	  "request#1 as=server method=GET path=/x query=q version=1.1 host=h:8\n", 0 },
	{ "asterisk target", ROLE_SERVER, { { 'i', "OPTIONS * HTTP/1.1\r\n\r\n" } },
	  "request#1 as=server method=OPTIONS path=* version=1.1\n", 0 },
	{ "unknown method", ROLE_SERVER, { { 'i', "FROB /x HTTP/1.1\r\n\r\n" } },
	  "request#1 as=server method=FROB path=/x version=1.1\n", 0 },
	{ "route and parameter", ROLE_SERVER, { { 'i', "GET /jobs/a%20b HTTP/1.1\r\n\r\n" } },
	  "request#1 as=server method=GET path=/jobs/a%20b version=1.1 route=/jobs/{id} "
	  "job.id=a b link=a b\n", 0 },
	{ "bare line feeds", ROLE_SERVER,
	  { { 'i', "GET /a HTTP/1.1\nHost: h\n\n" }, { 'o', "HTTP/1.1 204\n\n" } },
	  "request#1 as=server method=GET path=/a version=1.1 host=h\nresponse#1 status=204\n"
	  DONE, 0 },
	{ "empty lines before a message", ROLE_SERVER,
	  { { 'i', "\r\n\r\n" GET }, { 'o', "\r\n" OK200 } }, REQ RES DONE, 0 },
	{ "keep-alive", ROLE_SERVER,
	  { { 'i', GET }, { 'o', OK200 }, { 'i', GET }, { 'o', OK200 } },
	  REQ RES DONE REQ2 "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "pipelining", ROLE_SERVER, { { 'i', GET GET }, { 'o', OK200 OK200 } },
	  REQ REQ2 RES DONE "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "response before the request's end", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab" }, { 'o', OK200 },
	    { 'i', "cd" GET }, { 'o', OK200 } },
	  "request#1 as=server method=POST path=/a version=1.1\n" RES DONE REQ2
	  "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "a body that looks like a request", ROLE_SERVER,
	  { { 'i', "PUT /a HTTP/1.1\r\nContent-Length: 19\r\n\r\n" GET GET } },
	  "request#1 as=server method=PUT path=/a version=1.1\n" REQ2, 0 },

	{ "chunked both ways", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
		   "4\r\nabcd\r\n0\r\n\r\n" },
	    { 'o', "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"
		   "00A;x=\"y\"\r\n0123456789\r\n1 \r\nz\r\n0;a\r\nTrailer: b\r\nMore: c\r\n\r\n" },
	    { 'i', GET }, { 'o', OK200 } },
	  "request#1 as=server method=POST path=/a version=1.1\n" RES DONE REQ2
	  "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "chunked wins over a length", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "1\r\na\r\n0\r\n\r\n" GET } },
	  "request#1 as=server method=POST path=/a version=1.1\n" REQ2, 0 },
	{ "chunk size that is no number", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxy\r\n" },
	    { 'i', GET } },
	  REQ RES "end#1 end=lost\n", 1 },
	{ "chunk size beyond all bounds", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "fffffffffffffffff\r\n" } },
	  REQ RES "end#1 end=lost\n", 1 },
	{ "chunk longer than its size", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				 "1\r\nabc\r\n" } },
	  REQ RES "end#1 end=lost\n", 1 },
	{ "empty chunk size", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n" } },
	  REQ RES "end#1 end=lost\n", 1 },
	{ "two lengths", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab" GET } },
	  NOTHING, 1 },
	{ "a length that is no number", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 1x\r\n\r\nab" } }, NOTHING, 1 },
	{ "a negative length", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: -1\r\n\r\nab" } }, NOTHING, 1 },
	{ "a length beyond all bounds", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\nab" } },
	  NOTHING, 1 },
	{ "the same length twice", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\na" GET } },
	  "request#1 as=server method=POST path=/a version=1.1\n" REQ2, 0 },
	{ "space before the colon of a length", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nContent-Length : 1\r\n\r\na" } }, NOTHING, 1 },
	{ "folded coding", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\na" } }, NOTHING, 1 },
	{ "request in a coding without end", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\na" } }, NOTHING, 1 },
	{ "chunked twice", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n" } },
	  NOTHING, 1 },
	{ "a coding in HTTP/1.0", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" } }, NOTHING, 1 },
	{ "requests in both directions", ROLE_SERVER, { { 'i', GET }, { 'o', GET } },
	  REQ "end#1 end=lost\n", 1 },

	{ "interim responses", ROLE_SERVER,
	  { { 'i', "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n" },
	    { 'o', "HTTP/1.1 100 Continue\r\n\r\n" }, { 'i', "a" },
	    { 'o', "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK200 } },
	  "request#1 as=server method=POST path=/a version=1.1\n" RES DONE, 0 },
	{ "no body after HEAD", ROLE_SERVER,
	  { { 'i', "HEAD /a HTTP/1.1\r\n\r\n" GET },
	    { 'o', "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" OK200 } },
	  "request#1 as=server method=HEAD path=/a version=1.1\n" REQ2 RES DONE
	  "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "no body with 304", ROLE_SERVER,
	  { { 'i', GET GET }, { 'o', "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
				     OK200 } },
	  REQ REQ2 "response#1 status=304\n" DONE
	  "response#2 status=200\nend#2 end=complete\n", 0 },
	{ "upgrade", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" OK200 },
	    { 'i', GET }, { 'c', NULL } },
	  REQ "response#1 status=101\nend#1 end=upgrade\n", 0 },
	{ "tunnel", ROLE_CLIENT,
	  { { 'o', "CONNECT h:443 HTTP/1.1\r\n\r\n" },
	    { 'i', "HTTP/1.1 200 Connected\r\nContent-Length: 5\r\n\r\n" }, { 'o', GET } },
	  "request#1 as=client method=CONNECT path=h:443 version=1.1\n" RES
	  "end#1 end=upgrade\n", 0 },
	{ "refused tunnel", ROLE_CLIENT,
	  { { 'o', "CONNECT h:443 HTTP/1.1\r\n\r\n" },
	    { 'i', "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx" }, { 'o', GET } },
	  "request#1 as=client method=CONNECT path=h:443 version=1.1\nresponse#1 status=407\n"
	  DONE "request#2 as=client method=GET path=/a version=1.1\n", 0 },

	{ "body until close", ROLE_SERVER,
	  { { 'i', "GET /a HTTP/1.0\r\n\r\n" }, { 'o', "HTTP/1.0 200 OK\r\n\r\n" GET OK200 },
	    { 'c', NULL } },
	  "request#1 as=server method=GET path=/a version=1.0\n" RES DONE, 0 },
	{ "body until the peer's end", ROLE_CLIENT,
	  { { 'o', GET }, { 'i', "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc" },
	    { 'e', NULL }, { 'c', NULL } },
	  "request#1 as=client method=GET path=/a version=1.1\n" RES DONE, 0 },
	{ "response in another coding until close", ROLE_SERVER,
	  { { 'i', GET }, { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nx" },
	    { 'c', NULL } },
	  REQ "end#1 end=lost\n", 1 },
	{ "peer ends before it answers", ROLE_CLIENT, { { 'o', GET }, { 'e', NULL } },
	  "request#1 as=client method=GET path=/a version=1.1\nend#1 end=closed\n", 0 },
	{ "peer ends inside its answer", ROLE_CLIENT,
	  { { 'o', GET }, { 'i', "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc" },
	    { 'e', NULL } },
	  "request#1 as=client method=GET path=/a version=1.1\n" RES "end#1 end=closed\n", 0 },
	{ "half-closed client is still answered", ROLE_SERVER,
	  { { 'i', GET }, { 'e', NULL }, { 'o', OK200 } }, REQ RES DONE, 0 },
	{ "closed unanswered", ROLE_SERVER, { { 'i', GET }, { 'c', NULL } },
	  REQ "end#1 end=closed\n", 0 },
	{ "reset", ROLE_CLIENT, { { 'o', GET }, { 'r', NULL }, { 'c', NULL } },
	  "request#1 as=client method=GET path=/a version=1.1\nend#1 end=reset\n", 0 },
	{ "reset inside a body until close", ROLE_CLIENT,
	  { { 'o', GET }, { 'i', "HTTP/1.0 200 OK\r\n\r\nabc" }, { 'r', NULL } },
	  "request#1 as=client method=GET path=/a version=1.1\n" RES "end#1 end=reset\n", 0 },
	{ "process exits", ROLE_SERVER, { { 'i', GET }, { 'x', NULL } },
	  REQ "end#1 end=closed\nexit child=0 parent=0 code=0 signal=0\n", 0 },
	{ "the inode is used again", ROLE_SERVER,
	  { { 'i', GET }, { 'o', OK200 }, { 'c', NULL }, { 'i', GET }, { 'o', OK200 } },
	  REQ RES DONE REQ RES DONE, 0 },
	{ "an answer to nothing known", ROLE_SERVER,
	  { { 'o', OK200 }, { 'i', GET }, { 'o', OK200 } },
	  REQ RES DONE, 0 },
	{ "never HTTP", ROLE_SERVER, { { 'i', "\x16\x03\x01 binary \r\n\r\n" } }, NOTHING, 0 },
	{ "HTTP/2 preface", ROLE_SERVER, { { 'i', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" } },
	  NOTHING, 0 },

	{ "json of a request", ROLE_SERVER,
	  { { 'i', "POST /execute HTTP/1.1\r\nContent-Length: 31\r\n\r\n"
		   "{\"user\": \"al\\u00efce\", \"x\": [1]}" }, { 'o', OK200 } },
	  "request#1 as=server method=POST path=/execute version=1.1 route=/execute\n"
	  "attrs#1 user.id=al\xc3\xaf" "ce\n" RES DONE, 0 },
	{ "json of a chunked response", ROLE_CLIENT,
	  { { 'o', "POST /pods HTTP/1.1\r\nContent-Length: 0\r\n\r\n" },
	    { 'i', "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
		   "10\r\n{\"metadata\":{\"na\r\n1a\r\nme\":\"n\",\"uid\":\"u-1\"},\"a\":1\r\n"
		   "1\r\n}\r\n0\r\n\r\n" } },
	  "request#1 as=client method=POST path=/pods version=1.1\nresponse#1 status=201\n"
	  "attrs#1 pod.uid=u-1\n" DONE, 0 },
	{ "json for another method is left alone", ROLE_SERVER,
	  { { 'i', "PUT /execute HTTP/1.1\r\nContent-Length: 12\r\n\r\n{\"user\":\"a\"}" } },
	  "request#1 as=server method=PUT path=/execute version=1.1 route=/execute\n", 0 },
	{ "broken json", ROLE_SERVER,
	  { { 'i', "POST /execute HTTP/1.1\r\nContent-Length: 13\r\n\r\n{\"user\" \"a\"} " GET } },
	  "request#1 as=server method=POST path=/execute version=1.1 route=/execute\n" REQ2, 0 },
};

struct run {
	struct io_feed feed;
	struct counters counters;
	struct msg_text text;
	uint64_t offset;	/* bytes of both directions until now */
	uint64_t late;
};

static void run_begin(struct run *r, enum wire_role role)
{
	struct decode_opts opts = { .rules = &rules, .counters = &r->counters };

	memset(r, 0, sizeof(*r));
	r->feed.role = role;
	r->late = LATE;
	check_eq(decode_new(&r->feed.d, &opts, msg_text_next, &r->text), 0, "new");
}

static void run_end(struct run *r)
{
	decode_free(r->feed.d);
	free(r->text.text);
}

/* The bytes of one step in pieces: until the global @split, or of @piece bytes each. */
static void run_bytes(struct run *r, enum wire_dir dir, const char *text, uint64_t split,
		      size_t piece)
{
	size_t len = strlen(text), done = 0, n;

	while (done < len) {
		n = len - done;
		if (r->offset < split && split - r->offset < n)
			n = split - r->offset;
		if (piece && n > piece)
			n = piece;
		io_feed_op(&r->feed, r->offset + 1, dir, slice_of(text + done, n), NULL);
		done += n;
		r->offset += n;
	}
}

static void run_step(struct run *r, const struct http_step *s, uint64_t split, size_t piece)
{
	struct io_extra eof = { .flags = WIRE_IO_EOF };
	struct io_extra reset = { .flags = WIRE_IO_ERROR, .err = ECONNRESET };

	switch (s->in) {
	case 'i':
	case 'o':
		run_bytes(r, s->in == 'i' ? DIR_IN : DIR_OUT, s->text, split, piece);
		break;
	case 'e':
		io_feed_op(&r->feed, r->late++, DIR_IN, slice_of(NULL, 0), &eof);
		break;
	case 'r':
		io_feed_op(&r->feed, r->late++, DIR_IN, slice_of(NULL, 0), &reset);
		break;
	case 'c':
		io_feed_close(&r->feed, r->late++);
		memset(r->feed.dirs, 0, sizeof(r->feed.dirs));
		break;
	case 'x':
		io_feed_exit(&r->feed, r->late++);
		break;
	}
}

static void run_case(struct run *r, const struct http_case *c, uint64_t split, size_t piece)
{
	const struct http_step *s;

	for (s = c->steps; s < c->steps + STEPS_MAX && s->in; s++)
		run_step(r, s, split, piece);
}

TEST(connections_become_exchanges)
{
	const struct http_case *c;
	struct run r;

	for_each(c, cases) {
		run_begin(&r, c->role);
		run_case(&r, c, 0, 0);
		check_str(r.text.text ? r.text.text : "", c->want, c->name);
		check_eq(r.counters.value[HTTP_CONFLICTS], c->conflicts, c->name);
		check_eq(r.counters.value[RECORDS_REJECTED], 0, c->name);
		check_eq(r.counters.value[IO_GAPS], 0, c->name);
		check_eq(r.counters.value[HTTP_RESYNCS], 0, c->name);
		run_end(&r);
	}
}

/*
 * Byte by byte, a message's time is that of its byte (first or last). Where an operation has
 * more bytes, the time must be that operation's: the latest begun at or before that byte.
 */
static void map_times(const char *bytewise, const uint64_t *begun, size_t count,
		      struct msg_text *ret)
{
	char number[32];
	char *rest;

	while (bytewise && *bytewise) {
		uint64_t t = strtoull(bytewise, &rest, 10), best = t;
		size_t i, n = strcspn(rest, "\n") + 1;

		if (t < LATE)
			for (best = 0, i = 0; i < count; i++)
				if (begun[i] <= t && begun[i] > best)
					best = begun[i];
		msg_text_add(ret, number, sprintf(number, "%llu", (unsigned long long)best));
		msg_text_add(ret, rest, n);
		bytewise = rest + n;
	}
}

static size_t begun_times(const struct http_case *c, uint64_t split, uint64_t *ret)
{
	const struct http_step *s;
	uint64_t offset = 0;
	size_t count = 0;

	for (s = c->steps; s < c->steps + STEPS_MAX && s->in; s++) {
		if (!s->text)
			continue;
		ret[count++] = offset + 1;
		offset += strlen(s->text);
	}
	ret[count++] = split + 1;
	return count;
}

TEST(no_split_changes_what_is_said)
{
	uint64_t begun[STEPS_MAX + 1], split, total;
	const struct http_case *c;
	struct msg_text want;
	struct run bytewise, r;

	for_each(c, cases) {
		run_begin(&bytewise, c->role);
		bytewise.text.with_times = true;
		run_case(&bytewise, c, 0, 1);
		total = bytewise.offset;
		for (split = 0; split < total; split++) {
			memset(&want, 0, sizeof(want));
			map_times(bytewise.text.text, begun, begun_times(c, split, begun), &want);
			run_begin(&r, c->role);
			r.text.with_times = true;
			run_case(&r, c, split, 0);
			check_str(r.text.text, want.text, c->name);
			run_end(&r);
			free(want.text);
		}
		run_end(&bytewise);
	}
}

/* --- what was not captured ------------------------------------------------------------------ */

struct part {			/* one operation */
	char in;	/* as in http_step; 'g': so many inbound bytes are lost, 'G': outbound */
	const char *text;
	uint32_t moved;		/* bytes not captured after the text */
};

static const struct cut_case {
	const char *name;
	struct part parts[STEPS_MAX];
	const char *want;	/* with times: the first part has time 1 */
	int gaps, resyncs;
} cut_cases[] = {
	{ "bodies are counted", {
	  { 'i', "PUT /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc", 997 },
	  { 'o', "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 3000 }, { 'o', "", 2000 },
	  { 'i', GET, 0 } },
	  "1 request#1 as=server method=PUT path=/a version=1.1\n2 response#1 status=200\n"
	  "3 end#1 end=complete\n4 " REQ2, 0, 0 },
	{ "chunks are counted while their framing is seen", { { 'i', GET, 0 },
	  { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", 400 },
	  { 'o', "", 600 }, { 'o', "\r\n0\r\n\r\n", 0 }, { 'i', GET, 0 } },
	  "1 " REQ "2 " RES "4 " DONE "5 " REQ2, 0, 0 },
	{ "lost chunks end where the next request begins", { { 'i', GET, 0 },
	  { 'o', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", 2000 },
	  { 'o', "", 500 }, { 'i', GET, 0 }, { 'o', OK200, 0 } },
	  "1 " REQ "2 " RES "3 " DONE "4 " REQ2 "5 response#2 status=200\n5 end#2 end=complete\n",
	  0, 1 },
	{ "lost chunks end where the next response begins", { { 'i', GET GET, 0 },
	  { 'o', CHUNKED, 2000 }, { 'o', OK200, 0 } },
	  "1 " REQ "1 " REQ2 "2 " RES "2 " DONE "3 response#2 status=200\n3 end#2 end=complete\n",
	  0, 1 },
	{ "lost chunks end with the connection", { { 'i', GET, 0 },
	  { 'o', CHUNKED, 2000 }, { 'c', NULL, 0 } },
	  "1 " REQ "2 " RES "2 " DONE, 0, 0 },
	{ "lost chunks and then a reset: no error is guessed", { { 'i', GET, 0 },
	  { 'o', CHUNKED, 2000 }, { 'r', NULL, 0 } },
	  "1 " REQ "2 " RES "2 " DONE, 0, 0 },
	{ "request body whose chunks are lost", {
	  { 'i', "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 900 }, { 'o', OK200, 0 },
	  { 'i', GET, 0 }, { 'o', OK200, 0 } },
	  "1 request#1 as=server method=POST path=/a version=1.1\n2 " RES "2 " DONE "3 " REQ2
	  "4 response#2 status=200\n4 end#2 end=complete\n", 0, 1 },
	{ "lost chunks that look like a request", { { 'i', GET, 0 },
	  { 'o', CHUNKED, 2000 }, { 'o', GET, 0 }, { 'o', "", 10 }, { 'i', GET, 0 } },
	  "1 " REQ "2 " RES "4 " DONE "5 " REQ2, 0, 1 },
	{ "more than the body was not captured", {
	  { 'i', "PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n", 100 }, { 'o', OK200, 0 },
	  { 'i', GET, 0 } },
	  "1 request#1 as=server method=PUT path=/a version=1.1\n2 " RES "2 " DONE "3 " REQ2,
	  0, 1 },
	{ "json is not pieced together over a hole", {
	  { 'i', "POST /execute HTTP/1.1\r\nContent-Length: 40\r\n\r\n{\"x\":\"", 20 },
	  { 'i', "\",\"user\":\"n\"}", 0 } },
	  "1 request#1 as=server method=POST path=/execute version=1.1 route=/execute\n", 0, 0 },
	{ "a body until the peer's end ends with its last byte", { { 'o', GET, 0 },
	  { 'i', "HTTP/1.0 200 OK\r\n\r\nabc", 0 }, { 'i', "d", 5 }, { 'e', NULL, 0 } },
	  "1 request#1 as=client method=GET path=/a version=1.1\n2 " RES "3 " DONE, 0, 0 },
	{ "a head that is cut gives what is known", {
	  { 'i', "GET /a HTTP/1.1\r\nHost: h\r\nX-Tenant: t", 3000 }, { 'o', OK200, 0 },
	  { 'i', GET, 0 } },
	  "1 request#1 as=server method=GET path=/a version=1.1 host=h\n2 " RES "2 " DONE
	  "3 " REQ2, 0, 1 },
	{ "a target that is cut in its query", { { 'i', "GET /a?b=c&token=12", 3000 } },
	  "1 request#1 as=server method=GET path=/a query=b=c&token=REDACTED\n", 0, 0 },
	{ "a target that is cut in its path has no route", { { 'i', "GET /jobs/ab", 3000 } },
	  "1 request#1 as=server method=GET path=/jobs/ab\n", 0, 0 },
	{ "a method that is cut", { { 'i', "GE", 3000 }, { 'o', OK200, 0 }, { 'i', GET, 0 } },
	  "3 request#1 as=server method=GET path=/a version=1.1\n", 0, 1 },
	{ "a response's head that is cut", { { 'i', GET, 0 }, { 'o', "HTTP/1.1 200 OK\r\nA", 3000 },
	  { 'i', GET, 0 }, { 'o', OK200, 0 } },
	  "1 " REQ "2 " RES "2 " DONE "3 " REQ2 "4 response#2 status=200\n4 end#2 end=complete\n",
	  0, 1 },
	{ "nothing captured where a message begins", { { 'i', "", 300 }, { 'o', OK200, 0 },
	  { 'i', GET, 0 }, { 'o', OK200, 0 } }, "3 " REQ "4 " RES "4 " DONE, 0, 1 },

	{ "a gap inside a body is counted", {
	  { 'i', GET, 0 }, { 'o', "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n0123456789", 0 },
	  { 'G', NULL, 20 }, { 'o', "01234567890123456789", 0 }, { 'i', GET, 0 } },
	  "1 " REQ "2 " RES "3 " DONE "4 " REQ2, 1, 0 },
	{ "a gap that holds a response's end", {
	  { 'i', GET, 0 }, { 'o', CHUNKED, 0 },
	  { 'G', NULL, 20 }, { 'i', GET, 0 }, { 'o', OK200, 0 } },
	  "1 " REQ "2 " RES "3 " REQ2 "2 end#1 end=lost\n4 response#2 status=200\n"
	  "4 end#2 end=complete\n", 1, 1 },
	{ "a gap after lost chunks", { { 'i', GET, 0 }, { 'o', CHUNKED, 2000 },
	  { 'G', NULL, 20 }, { 'o', "", 5 }, { 'i', GET, 0 } },
	  "1 " REQ "2 " RES "3 end#1 end=lost\n4 " REQ2, 1, 1 },
	{ "a gap that holds a whole request", {
	  { 'i', GET, 0 }, { 'o', OK200, 0 }, { 'g', NULL, 30 }, { 'i', "junk", 0 },
	  { 'o', OK200, 0 },
	  { 'i', GET, 0 }, { 'o', OK200, 0 } },
	  "1 " REQ "2 " RES "2 " DONE "5 " REQ2 "6 response#2 status=200\n6 end#2 end=complete\n",
	  1, 1 },
	{ "the rest of a body that began before us spoils one request", {
	  { 'i', "rest of it ", 0 }, { 'i', GET, 0 }, { 'o', OK200, 0 }, { 'i', GET, 0 },
	  { 'o', OK200, 0 } },
	  "4 " REQ "5 " RES "5 " DONE, 0, 1 },
};

static void feed_parts(struct run *r, const struct part *p)
{
	uint64_t ts = 1;

	for (; p->in; p++) {
		enum wire_dir dir = p->in == 'o' || p->in == 'G' ? DIR_OUT : DIR_IN;
		struct io_extra extra = { .moved = p->moved };
		struct http_step step = { p->in, NULL };

		if (p->in == 'g' || p->in == 'G') {
			r->feed.dirs[dir].ops++;
			r->feed.dirs[dir].offset += p->moved;
		} else if (p->in == 'i' || p->in == 'o') {
			io_feed_op(&r->feed, ts++, dir, slice_str(p->text), &extra);
		} else {
			run_step(r, &step, 0, 0);
		}
	}
}

TEST(what_was_not_captured_is_never_guessed)
{
	const struct cut_case *c;
	struct run r;

	for_each(c, cut_cases) {
		run_begin(&r, ROLE_SERVER);
		r.text.with_times = true;
		feed_parts(&r, c->parts);
		check_str(r.text.text ? r.text.text : "", c->want, c->name);
		check_eq(r.counters.value[IO_GAPS], c->gaps, c->name);
		check_eq(r.counters.value[HTTP_RESYNCS], c->resyncs, c->name);
		check_eq(r.counters.value[HTTP_CONFLICTS], 0, c->name);
		run_end(&r);
	}
}

RUN_TESTS(cmocka_unit_test(connections_become_exchanges),
	  cmocka_unit_test(no_split_changes_what_is_said),
	  cmocka_unit_test(what_was_not_captured_is_never_guessed))
