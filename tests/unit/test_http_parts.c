/* The exporter's parts without a network: verdicts, waits, the queue, gzip. */
#include "check.h"

#include <stdlib.h>

#include <zlib.h>

#include "send/backoff.h"
#include "send/gzip.h"
#include "send/queue.h"
#include "send/reply.h"

#define PROTO "application/x-protobuf"
#define JSON "application/json"

TEST(answers_mean_what_the_protocol_says)
{
	static const struct {
		const char *name;
		long status;
		const char *type, *body;
		enum verdict want;
		uint64_t rejected;
		const char *text;	/* must be in it */
	} cases[] = {
		{ "fine", 200, PROTO, "", VERDICT_DELIVERED, 0, "" },
		{ "fine, JSON", 200, JSON, "{}", VERDICT_DELIVERED, 0, "" },
		{ "a charset", 200, JSON "; charset=utf-8", "{}", VERDICT_DELIVERED, 0, "" },
		{ "accepted", 202, "", "", VERDICT_DELIVERED, 0, "" },
		{ "some refused", 200, PROTO, "\x0a\x06\x08\x03\x12\x02no", VERDICT_DELIVERED, 3,
		  "refused 3 of 10 spans: no" },
		{ "more refused than sent", 200, PROTO, "\x0a\x02\x08\x7f", VERDICT_DELIVERED, 10,
		  "refused 10 of 10" },
		{ "a warning", 200, JSON, "{\"partialSuccess\":{\"errorMessage\":\"hm\"}}",
		  VERDICT_DELIVERED, 0, "says: hm" },
		{ "a web page", 200, "text/html", "<html>", VERDICT_REFUSED, 0, "not as an OTLP" },
		{ "a web page in disguise", 200, PROTO, "<html>", VERDICT_REFUSED, 0, "not as an" },
		{ "moved", 302, "", "", VERDICT_REFUSED, 0, "answered 302" },
		{ "bad request", 400, JSON, "{\"code\":3,\"message\":\"why\"}", VERDICT_REFUSED, 0,
		  "answered 400: why" },
		{ "not allowed", 401, "text/plain", "log in\r\nfirst", VERDICT_REFUSED, 0,
		  "answered 401: log in" },
		{ "too large", 413, "", "", VERDICT_TOO_LARGE, 0, "answered 413" },
		{ "too many", 429, "", "", VERDICT_RETRY, 0, "answered 429" },
		{ "server error", 500, "", "", VERDICT_REFUSED, 0, "answered 500" },
		{ "bad gateway", 502, "", "", VERDICT_RETRY, 0, "answered 502" },
		{ "unavailable", 503, PROTO, "\x08\x0e\x12\x04" "busy", VERDICT_RETRY, 0,
		  "answered 503: busy" },
		{ "message cut", 503, PROTO, "\x08\x0e\x12\x7f" "busy", VERDICT_RETRY, 0,
		  "answered 503" },
		{ "gateway timeout", 504, "", "", VERDICT_RETRY, 0, "answered 504" },
		{ "other server error", 505, "", "", VERDICT_REFUSED, 0, "answered 505" },
	}, *c;
	static struct reply r;
	struct judgement j;

	for_each(c, cases) {
		memset(&r, 0, sizeof(r));
		r.is_answered = true;
		r.status = c->status;
		strcpy(r.type, c->type);
		r.body_len = strlen(c->body);
		strcpy(r.body, c->body);
		reply_judge(&j, &r, OTLP_PROTO, 10);
		check_eq(j.verdict, c->want, c->name);
		check_eq(j.rejected, c->rejected, c->name);
		check(strstr(j.text, c->text), c->name);
		check(*c->text || !*j.text, c->name);
	}
}

TEST(no_answer_is_tried_again_unless_it_is_hopeless)
{
	static struct reply r;
	struct judgement j;

	strcpy(r.error, "Connection refused");
	reply_judge(&j, &r, OTLP_PROTO, 10);
	check_eq(j.verdict, VERDICT_RETRY, "refused");
	check_str(j.text, "Connection refused", "reason");
	r.is_garbled = true;
	reply_judge(&j, &r, OTLP_PROTO, 10);
	check_eq(j.verdict, VERDICT_REFUSED, "no HTTP");
	r.is_garbled = false;
	r.is_too_long = true;
	reply_judge(&j, &r, OTLP_PROTO, 10);
	check_eq(j.verdict, VERDICT_REFUSED, "too long");
}

TEST(waits_grow_and_are_spread)
{
	static const uint64_t bases[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
	struct backoff low = { 0 }, high = { 0 }, asked = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_COUNT(bases); i++) {
		check_eq(backoff_wait_ms(&low, 0, 0), bases[i], "least");
		check_eq(backoff_wait_ms(&high, 0, bases[i] / 2 - 1), bases[i] * 3 / 2 - 1, "most");
	}
	check_eq(backoff_wait_ms(&asked, 7, 0), 7000, "as asked");
	check(backoff_wait_ms(&asked, 7, UINT32_MAX) < 7250, "little later");
	check_eq(backoff_wait_ms(&asked, UINT64_MAX, 0), 300000, "five minutes at most");
}

static struct queued item(size_t len, size_t spans, uint64_t at_ms)
{
	return (struct queued){ { malloc(len), len, spans }, false, at_ms };
}

TEST(the_queue_is_bounded_and_in_order)
{
	struct queue q = { .spans_max = 1000, .bytes_max = 1000 };
	struct queued got, put;
	struct otlp_piece large = { NULL, 5000, 1 };
	uint64_t i, next = 0;

	check(queue_has_room(&q, &large), "one alone always has room");
	check(!queue_take(&q, &got), "empty");
	/* wraps round and grows, in turn */
	for (i = 0; i < 300; i++) {
		put = item(3, 2, i);
		check_eq(queue_put(&q, &put), 0, "put");
		if (i % 3 == 2) {
			check(queue_take(&q, &got), "take");
			check_eq(got.at_ms, next++, "in order");
			free(got.piece.body);
		}
	}
	check_eq(q.count, 200, "left");
	check_eq(q.spans, 400, "spans");
	check_eq(q.bytes, 600, "bytes");
	check(queue_has_room(&q, &(struct otlp_piece){ NULL, 400, 600 }), "just fits");
	check(!queue_has_room(&q, &(struct otlp_piece){ NULL, 401, 1 }), "too many bytes");
	check(!queue_has_room(&q, &(struct otlp_piece){ NULL, 1, 601 }), "too many spans");
	check_eq(queue_first(&q)->at_ms, next, "the oldest");
	queue_done(&q);
	check_eq(q.spans + q.bytes + q.count, 0, "nothing left");
}

TEST(gzip_is_read_back)
{
	static char text[200000], back[sizeof(text)];
	z_stream z = { 0 };
	char *packed;
	size_t len, i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = "spanstitch"[i % 10] + i / 4096;
	check_eq(gzip_encode(&packed, &len, text, sizeof(text)), 0, "encode");
	check(len < sizeof(text) / 10, "smaller");
	check_eq((unsigned char)packed[0] << 8 | (unsigned char)packed[1], 0x1f8b, "gzip's mark");
	z.next_in = (Bytef *)packed;
	z.avail_in = len;
	z.next_out = (Bytef *)back;
	z.avail_out = sizeof(back);
	check_eq(inflateInit2(&z, 15 + 16), Z_OK, "init");
	check_eq(inflate(&z, Z_FINISH), Z_STREAM_END, "inflate");
	inflateEnd(&z);
	check(!memcmp(text, back, sizeof(text)), "the same");
	free(packed);
}

RUN_TESTS(cmocka_unit_test(answers_mean_what_the_protocol_says),
	  cmocka_unit_test(no_answer_is_tried_again_unless_it_is_hopeless),
	  cmocka_unit_test(waits_grow_and_are_spread),
	  cmocka_unit_test(the_queue_is_bounded_and_in_order), cmocka_unit_test(gzip_is_read_back))
