/* kafka: records beside single messages: acknowledged batches, clients, commits, and the rest. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/decode.h"
#include "decode/rules.h"
#include "msg_text.h"
#include "util/count.h"
#include "wire.h"

/* A record that is put together part by part. */
struct record {
	_Alignas(8) char bytes[2048];
	size_t len;
};

static void add(struct record *r, const void *part, size_t len)
{
	memcpy(r->bytes + r->len, part, len);
	r->len += len;
}

static void add_text(struct record *r, const char *text)
{
	add(r, text, strlen(text));
}

static void pad(struct record *r)
{
	r->len = (r->len + 7) / 8 * 8;
}

static struct record begin_record(const void *start, size_t len)
{
	struct record r = { .len = 0 };

	add(&r, start, len);
	return r;
}

static struct rule captures[] = {
	{ .attribute = "order.id", .from = FROM_KAFKA_KEY, .topic = "orders",
	  .identifies = IDENTIFY_PARENT },
};
static const struct rules rules = { .capture = captures, .capture_count = 1 };

/* Feeds @r, cut or lengthened to @len, in memory of its own size; the text is the caller's. */
static char *feed(const struct record *r, size_t len, enum wire_kind kind, int *ret_err)
{
	struct counters counters = { 0 };
	struct decode_opts opts = { .rules = &rules, .counters = &counters };
	struct msg_text text = { 0 };
	struct wire_head *rec = calloc(1, len);
	struct decode *d;

	memcpy(rec, r->bytes, len < r->len ? len : r->len);
	rec->len = len;
	rec->kind = kind;
	rec->ts_ns = 9000;
	check_eq(decode_new(&d, &opts, msg_text_next, &text), 0, "new");
	*ret_err = decode_feed(d, rec);
	check_eq(counters.value[RECORDS_DECODED], !*ret_err, "decoded");
	check_eq(counters.value[RECORDS_REJECTED], !!*ret_err, "rejected");
	decode_free(d);
	free(rec);
	return text.text;
}

static void check_text(const struct record *r, enum wire_kind kind, const char *want)
{
	char *text;
	int err;

	text = feed(r, r->len, kind, &err);
	check_eq(err, want ? 0 : -EINVAL, want ? want : "rejected");
	check_str(text, want, "text");
	free(text);
}

/* Shorter by any number of bytes, it gives nothing, not even a part. */
static void check_cuts(const struct record *r, enum wire_kind kind)
{
	size_t cut;
	char *text;
	int err;

	for (cut = 1; cut <= r->len - sizeof(struct wire_head); cut++) {
		text = feed(r, r->len - cut, kind, &err);
		check_eq(err, -EINVAL, "cut");
		check_str(text, NULL, "cut");
	}
}

/* --- acknowledged batches --------------------------------------------------------------------- */

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void add_entry(struct record *r, struct wire_kafka_entry e, const char *key,
		      const char *headers)
{
	e.key_captured = strlen(key);
	e.headers_captured = strlen(headers);
	add(r, &e, sizeof(e));
	add_text(r, key);
	add_text(r, headers);
	pad(r);
}

static struct record delivered(uint32_t count)
{
	struct wire_kafka_delivered head = {
		.client = 0xc1, .sent_ns = 8000, .batch_count = 7, .count = count,
		.topic_captured = 6, .client_captured = 2,
	};
	struct record r = begin_record(&head, sizeof(head));

	add_text(&r, "orderscc");
	pad(&r);
	add_entry(&r, (struct wire_kafka_entry){
		.msg = 1, .offset = 40, .timestamp_ms = -1, .enqueued_us = 5, .partition = 2,
		.key_len = 3, .value_len = 100, .headers_len = 69, .status = 2,
		.flags = WIRE_KAFKA_RAW_HEADERS,
	}, "abc", "\x02\x16" "traceparent" "\x6e" TRACEPARENT);
	add_entry(&r, (struct wire_kafka_entry){
		.msg = 2, .offset = -1001, .enqueued_us = 6, .partition = -1, .err = -192,
		.retries = 3, .status = 1, .flags = WIRE_KAFKA_NULL_KEY | WIRE_KAFKA_NULL_VALUE,
	}, "", "");
	return r;
}

TEST(a_batch_is_a_message_an_entry)
{
	struct record r = delivered(2);

	check_text(&r, WIRE_KAFKA_DELIVERED,
		   "delivered topic=orders client=cc part=2 off=40 err=0 key=abc/3 size=100 "
		   "status=2 retries=0 sent=8000 enqueued=5000 format=traceparent "
		   "trace=0af7651916cd43dd8448eb211c80319c order.id=abc parent=abc\n"
		   "delivered topic=orders client=cc part=-1 off=-1001 err=-192 size=0 "
		   "status=1 retries=3 sent=8000 enqueued=6000\n");
	check_cuts(&r, WIRE_KAFKA_DELIVERED);
}

TEST(batches_that_lie_are_rejected)
{
	struct record r = delivered(3);
	struct wire_kafka_delivered *head = (struct wire_kafka_delivered *)r.bytes;
	struct wire_kafka_entry *first;

	check_text(&r, WIRE_KAFKA_DELIVERED, NULL);	/* more entries than there are */
	r = delivered(UINT32_MAX);
	check_text(&r, WIRE_KAFKA_DELIVERED, NULL);
	r = delivered(2);
	head->topic_captured = 60000;
	check_text(&r, WIRE_KAFKA_DELIVERED, NULL);
	r = delivered(2);
	first = (struct wire_kafka_entry *)(r.bytes + sizeof(*head) + 8);
	first->headers_captured = 60000;
	check_text(&r, WIRE_KAFKA_DELIVERED, NULL);
	first->headers_captured = 69;
	first->key_len = 2;				/* more of the key than there is */
	check_text(&r, WIRE_KAFKA_DELIVERED, NULL);
}

/* --- clients ---------------------------------------------------------------------------------- */

TEST(a_client_has_what_is_known_of_it)
{
	struct wire_kafka_client head = {
		.client = 0xc1, .group_handle = 0x99, .name_len = 2, .cluster_len = 3,
		.group_len = 1,
	};
	struct record r = begin_record(&head, sizeof(head));

	add_text(&r, "ccidsg");
	check_text(&r, WIRE_KAFKA_CLIENT, "client handle=c1/99 client=cc cluster=ids group=g\n");
	check_cuts(&r, WIRE_KAFKA_CLIENT);
	head.cluster_len = head.group_len = 0;
	r = begin_record(&head, sizeof(head));
	add_text(&r, "cc");
	check_text(&r, WIRE_KAFKA_CLIENT, "client handle=c1/99 client=cc\n");
}

/* --- commits ---------------------------------------------------------------------------------- */

static struct record commit(uint32_t phase, uint32_t count, uint32_t captured)
{
	struct wire_kafka_commit head = {
		.client = 0xc1, .err = -185, .phase = phase, .count = count, .captured = captured,
	};

	return begin_record(&head, sizeof(head));
}

static void add_position(struct record *r, struct wire_kafka_position p, const char *topic)
{
	p.topic_len = strlen(topic);
	add(r, &p, sizeof(p));
	add_text(r, topic);
	pad(r);
}

TEST(a_commit_is_a_message_a_partition)
{
	struct record r = commit(PHASE_ENDED, 3, 2);

	add_position(&r, (struct wire_kafka_position){ .offset = 43, .partition = 1 }, "orders");
	add_position(&r, (struct wire_kafka_position){ .offset = -1001, .partition = 2,
						       .err = 25 }, "payments");
	check_text(&r, WIRE_KAFKA_COMMIT,
		   "commit handle=c1 ended err=-185 0/2 of 3 part=1 off=43/0 topic=orders\n"
		   "commit handle=c1 ended err=-185 1/2 of 3 part=2 off=-1001/25 topic=payments\n");
	check_cuts(&r, WIRE_KAFKA_COMMIT);
	r = commit(PHASE_ENDED, 20, 0);
	check_text(&r, WIRE_KAFKA_COMMIT,
		   "commit handle=c1 ended err=-185 0/0 of 20 part=-1 off=-1/0\n");
	r = commit(PHASE_ASKED, 0, 0);
	check_text(&r, WIRE_KAFKA_COMMIT,
		   "commit handle=c1 asked err=-185 0/0 of 0 part=-1 off=-1/0\n");
}

TEST(commits_that_lie_are_rejected)
{
	struct wire_kafka_position long_topic = { .topic_len = UINT32_MAX };
	struct record r;

	r = commit(2, 0, 0);		/* no such phase */
	check_text(&r, WIRE_KAFKA_COMMIT, NULL);
	r = commit(PHASE_ENDED, 1, 2);	/* more in the tail than in all */
	add_position(&r, (struct wire_kafka_position){ .offset = 1 }, "a");
	add_position(&r, (struct wire_kafka_position){ .offset = 2 }, "b");
	check_text(&r, WIRE_KAFKA_COMMIT, NULL);
	r = commit(PHASE_ENDED, UINT32_MAX, UINT32_MAX);
	check_text(&r, WIRE_KAFKA_COMMIT, NULL);
	r = commit(PHASE_ENDED, 1, 1);
	add(&r, &long_topic, sizeof(long_topic));
	check_text(&r, WIRE_KAFKA_COMMIT, NULL);
}

/* --- rebalances, transactions, refusals ------------------------------------------------------- */

TEST(rebalances_and_transactions)
{
	struct wire_kafka_rebalance rebalance = { .group_handle = 0x99, .err = -175, .count = 4 };
	struct wire_kafka_txn txn = { .client = 0xc1, .op = TXN_ABORT, .phase = PHASE_ENDED,
				      .err = -185 };
	struct record r = begin_record(&rebalance, sizeof(rebalance));

	check_text(&r, WIRE_KAFKA_REBALANCE, "rebalance handle=99 assign 4\n");
	rebalance.err = -174;
	r = begin_record(&rebalance, sizeof(rebalance));
	check_text(&r, WIRE_KAFKA_REBALANCE, "rebalance handle=99 revoke 4\n");
	r = begin_record(&txn, sizeof(txn));
	check_text(&r, WIRE_KAFKA_TXN, "txn handle=c1 abort ended err=-185\n");
	txn.op = TXN_BEGIN;
	txn.phase = PHASE_ASKED;
	txn.err = 0;
	r = begin_record(&txn, sizeof(txn));
	check_text(&r, WIRE_KAFKA_TXN, "txn handle=c1 begin asked err=0\n");
	txn.op = TXN_ABORT + 1;
	r = begin_record(&txn, sizeof(txn));
	check_text(&r, WIRE_KAFKA_TXN, NULL);
	txn.op = TXN_COMMIT;
	txn.phase = PHASE_ENDED + 1;
	r = begin_record(&txn, sizeof(txn));
	check_text(&r, WIRE_KAFKA_TXN, NULL);
}

TEST(a_refusal_names_client_and_error)
{
	struct wire_kafka_refused head = { .client = 0xc1, .err = -184, .client_captured = 2 };
	struct record r = begin_record(&head, sizeof(head));

	add_text(&r, "cc");
	check_text(&r, WIRE_KAFKA_REFUSED, "refused client=cc part=-1 off=-1001 err=-184\n");
	check_cuts(&r, WIRE_KAFKA_REFUSED);
}

RUN_TESTS(cmocka_unit_test(a_batch_is_a_message_an_entry),
	  cmocka_unit_test(batches_that_lie_are_rejected),
	  cmocka_unit_test(a_client_has_what_is_known_of_it),
	  cmocka_unit_test(a_commit_is_a_message_a_partition),
	  cmocka_unit_test(commits_that_lie_are_rejected),
	  cmocka_unit_test(rebalances_and_transactions),
	  cmocka_unit_test(a_refusal_names_client_and_error))
