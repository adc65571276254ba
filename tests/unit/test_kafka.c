/* kafka: header blocks are walked within their bounds; records become messages. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "decode/decode.h"
#include "decode/kafka.h"
#include "decode/rules.h"
#include "msg_text.h"
#include "util/count.h"
#include "wire.h"

#define BYTES(text) text, sizeof(text) - 1
#define RAW WIRE_KAFKA_RAW_HEADERS
#define LIST WIRE_KAFKA_LIST_HEADERS
#define CUT WIRE_KAFKA_CUT_HEADERS

/* varints of small lengths are zigzag: 2 is "\x04", -1 is "\x01" */
static const struct block_case {
	const char *name, *block;
	size_t len;
	uint32_t flags;
	const char *want;	/* "name=value;" each, null as "name!" */
	int end;
} block_cases[] = {
	{ "empty", BYTES(""), RAW, "", 0 },
	{ "count of none", BYTES("\x00"), RAW, "", 0 },
	{ "one", BYTES("\x02\x02" "a" "\x04" "bc"), RAW, "a=bc;", 0 },
	{ "two, one null, one empty", BYTES("\x04\x02" "a" "\x01" "\x02" "b" "\x00"), RAW,
	  "a!b=;", 0 },
	{ "empty name", BYTES("\x02\x00\x02" "v"), RAW, "=v;", 0 },
	{ "two-byte length", BYTES("\x02\x88\x01"
	  "01234567890123456789012345678901234567890123456789012345678901234567\x02" "v"), RAW,
	  "01234567890123456789012345678901234567890123456789012345678901234567=v;", 0 },
	{ "count lies high", BYTES("\x04\x02" "a" "\x02" "b"), RAW, "a=b;", -EINVAL },
	{ "count lies low", BYTES("\x02\x02" "a" "\x02" "b" "\x02" "c" "\x02" "d"), RAW, "a=b;",
	  -EINVAL },
	{ "negative count", BYTES("\x01"), RAW, "", -EINVAL },
	{ "name longer than the block", BYTES("\x02\x20" "a"), RAW, "", -EINVAL },
	{ "null name", BYTES("\x02\x01\x02" "v"), RAW, "", -EINVAL },
	{ "value longer than the block", BYTES("\x02\x02" "a" "\x20" "v"), RAW, "", -EINVAL },
	{ "value length -2", BYTES("\x02\x02" "a" "\x03"), RAW, "", -EINVAL },
	{ "endless varint", BYTES("\xff\xff\xff\xff\xff\xff"), RAW, "", -EINVAL },
	{ "33-bit varint", BYTES("\xff\xff\xff\xff\x1f"), RAW, "", -EINVAL },
	{ "largest length", BYTES("\x02\xfe\xff\xff\xff\x0f" "a"), RAW, "", -EINVAL },
	{ "cut in a value", BYTES("\x04\x02" "a" "\x02" "b" "\x02" "c" "\x08" "d"), RAW | CUT,
	  "a=b;", 0 },
	{ "cut in the count", BYTES("\x80"), RAW | CUT, "", 0 },
	{ "list", BYTES("\x01\x00\x02\x00" "abc" "\x02\x00\xff\xff" "de" "\x01\x00\x00\x00" "f"),
	  LIST, "a=bc;de!f=;", 0 },
	{ "list ends in a head", BYTES("\x01\x00\x02"), LIST, "", -EINVAL },
	{ "list ends in a name", BYTES("\x05\x00\x00\x00" "abc"), LIST, "", -EINVAL },
	{ "list ends in a value", BYTES("\x01\x00\x05\x00" "abc"), LIST, "", -EINVAL },
	{ "list cut", BYTES("\x01\x00\x01\x00" "ab" "\x01\x00\x05\x00" "abc"), LIST | CUT, "a=b;",
	  0 },
	{ "neither form", BYTES("\x02\x02" "a" "\x04" "bc"), 0, "", 0 },
};

static int walk(struct slice block, uint32_t flags, char *ret_text)
{
	struct kafka_headers h;
	struct slice name, value;
	size_t n = 0;
	int err;

	ret_text[0] = '\0';
	err = kafka_headers_init(&h, block, flags);
	if (err)
		return err;
	for (err = kafka_headers_next(&h, &name, &value); err == 1;
	     err = kafka_headers_next(&h, &name, &value))
		n += sprintf(ret_text + n, value.at ? "%.*s=%.*s;" : "%.*s!", (int)name.len,
			     name.at, (int)value.len, value.at);
	return err;
}

TEST(header_blocks_are_walked_within_their_bounds)
{
	const struct block_case *c;
	char got[256];

	for_each(c, block_cases) {
		/* in memory of its own size, so that a sanitizer sees a step too far */
		char *copy = malloc(c->len ? c->len : 1);

		memcpy(copy, c->block, c->len);
		check_eq(walk(slice_of(copy, c->len), c->flags, got), c->end, c->name);
		check_str(got, c->want, c->name);
		free(copy);
	}
}

TEST(headers_of_one_message_are_bounded)
{
	char block[3 + (KAFKA_HEADERS_MAX + 1) * 3], got[KAFKA_HEADERS_MAX * 4 + 8];
	size_t n = 0, i;

	block[n++] = (char)0x82;	/* zigzag of 65 is 130 */
	block[n++] = 0x01;
	for (i = 0; i < KAFKA_HEADERS_MAX + 1; i++, n += 3)
		memcpy(block + n, "\x02" "k" "\x01", 3);
	check_eq(walk(slice_of(block, n), RAW, got), -E2BIG, "65 headers");
	check_eq(strlen(got), KAFKA_HEADERS_MAX * 2, "64 were read");
}

/* --- records -------------------------------------------------------------------------------- */

struct setup {
	struct decode *d;
	struct counters counters;
	struct msg_text text;
};

static void begin(struct setup *s)
{
	struct decode_opts opts = { .counters = &s->counters };

	memset(s, 0, sizeof(*s));
	check_eq(decode_new(&s->d, &opts, msg_text_next, &s->text), 0, "new");
}

static void end(struct setup *s)
{
	decode_free(s->d);
	free(s->text.text);
}

#define HEADERS "\x02\x16" "traceparent" "\x6e" \
	"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct wire_kafka whole = {
	.head = { .len = sizeof(whole) + 1 + 2 + 3 + 69, .kind = WIRE_KAFKA_CONSUME, .ts_ns = 5,
		  .tgid = 7, .tid = 8, .flags = WIRE_F_LOOP_THREAD },
	.labels = { .thread = { .id = 3, .op = 2, .kind = LABEL_HTTP }, .task_id = 9 },
	.offset = 42, .timestamp_ms = -1, .partition = 1, .key_len = 9, .value_len = 100,
	.topic_captured = 1, .client_captured = 2, .key_captured = 3, .headers_captured = 69,
	.flags = WIRE_KAFKA_RAW_HEADERS,
};

static const struct record_case {
	const char *name;
	int topic, client, key, headers, len;	/* added to those of the whole record */
	uint32_t key_len, flags;
	int err, invalid;
	const char *want;
} record_cases[] = {
	{ "whole", 0, 0, 0, 0, 0, 9, RAW, 0, 0,
	  "consume topic=t client=cc part=1 off=42 err=0 key=kkk/9 format=traceparent "
	  "trace=0af7651916cd43dd8448eb211c80319c\n" },
	{ "null key", 0, 0, 0, 0, 0, 9, RAW | WIRE_KAFKA_NULL_KEY, 0, 0,
	  "consume topic=t client=cc part=1 off=42 err=0 format=traceparent "
	  "trace=0af7651916cd43dd8448eb211c80319c\n" },
	{ "headers end too early", 0, 0, 0, -1, -1, 9, RAW, 0, 1,
	  "consume topic=t client=cc part=1 off=42 err=0 key=kkk/9\n" },
	{ "headers were cut", 0, 0, 0, -1, -1, 9, RAW | CUT, 0, 0,
	  "consume topic=t client=cc part=1 off=42 err=0 key=kkk/9\n" },
	{ "tail shorter than its parts", 0, 0, 0, 0, -1, 9, RAW, -EINVAL, 0, NULL },
	{ "topic reaches out", 2000, 0, 0, 0, 0, 9, RAW, -EINVAL, 0, NULL },
	{ "client reaches out", 0, 2000, 0, 0, 0, 9, RAW, -EINVAL, 0, NULL },
	{ "headers reach out", 0, 0, 0, 1, 0, 9, RAW, -EINVAL, 0, NULL },
	{ "more key than there is", 0, 0, 0, 0, 0, 2, RAW, -EINVAL, 0, NULL },
	{ "shorter than its struct", 0, 0, 0, 0, -77, 9, RAW, -EINVAL, 0, NULL },
};

TEST(records_become_messages_or_are_rejected)
{
	const struct record_case *c;

	for_each(c, record_cases) {
		struct wire_kafka *k = malloc(whole.head.len + c->len);
		struct wire_kafka head = whole;
		struct setup s;

		begin(&s);
		head.topic_captured += c->topic;
		head.client_captured += c->client;
		head.headers_captured += c->headers;
		head.head.len += c->len;
		head.key_len = c->key_len;
		head.flags = c->flags;
		memcpy(k, &head, sizeof(head) < head.head.len ? sizeof(head) : head.head.len);
		if (head.head.len > sizeof(head))
			memcpy(k + 1, "tcckkk" HEADERS, head.head.len - sizeof(head));
		check_eq(decode_feed(s.d, &k->head), c->err, c->name);
		check_str(s.text.text, c->want, c->name);
		check_eq(s.counters.value[RECORDS_DECODED], !c->err, c->name);
		check_eq(s.counters.value[RECORDS_REJECTED], !!c->err, c->name);
		check_eq(s.counters.value[KAFKA_HEADERS_INVALID], c->invalid, c->name);
		free(k);
		end(&s);
	}
}

static void check_labels(void *ctx, const struct msg *m)
{
	check_eq(m->ts_ns, 5, "time");
	check_eq(m->tgid, 7, "tgid");
	check_eq(m->tid, 8, "tid");
	check_eq(m->labels.thread.kind, LABEL_OF_HTTP, "kind");
	check_eq(m->labels.thread.id, 3, "id");
	check_eq(m->labels.thread.op, 2, "op");
	check_eq(m->labels.task.kind, LABEL_OF_NONE, "no label on the task");
	check(m->labels.has_task, "but inside a task");
	check(m->labels.loop_thread, "event loop");
	*(int *)ctx += 1;
}

TEST(a_message_carries_the_labels_of_its_record)
{
	struct counters counters = { 0 };
	struct decode_opts opts = { .counters = &counters };
	char record[sizeof(whole) + 75] __attribute__((aligned(8)));
	struct decode *d;
	int count = 0;

	memcpy(record, &whole, sizeof(whole));
	memcpy(record + sizeof(whole), "tcckkk" HEADERS, 75);
	check_eq(decode_new(&d, &opts, check_labels, &count), 0, "new");
	check_eq(decode_feed(d, (struct wire_head *)record), 0, "feed");
	check_eq(count, 1, "one message");
	decode_free(d);
}

static char *trace_headers[] = { "run" };
static struct rule captures[] = {
	{ .attribute = "order.id", .from = FROM_KAFKA_KEY, .topic = "t*",
	  .identifies = IDENTIFY_PARENT },
	{ .attribute = "other", .from = FROM_KAFKA_KEY, .topic = "u" },
	{ .attribute = "parent", .from = FROM_KAFKA_HEADER, .header = "TraceParent" },
};
static const struct rules rules = {
	.trace_headers = trace_headers, .trace_headers_count = 1,
	.capture = captures, .capture_count = ARRAY_COUNT(captures),
};

static const struct rule_case {
	const char *name;
	uint32_t key_len, flags;
	const char *want;
} rule_cases[] = {
	{ "whole key", 3, RAW, " key=kkk/3 format=traceparent "
	  "trace=0af7651916cd43dd8448eb211c80319c order.id=kkk parent="
	  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 parent=kkk\n" },
	{ "a key that was cut identifies nothing", 4, RAW, " key=kkk/4 format=traceparent "
	  "trace=0af7651916cd43dd8448eb211c80319c parent="
	  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n" },
	{ "null key, no headers", 3, WIRE_KAFKA_NULL_KEY, "\n" },
};

TEST(rules_capture_keys_and_headers)
{
	static const char start[] = "consume topic=t client=cc part=1 off=42 err=0";
	const struct rule_case *c;
	char want[512];

	for_each(c, rule_cases) {
		char record[sizeof(whole) + 75] __attribute__((aligned(8)));
		struct wire_kafka head = whole;
		struct counters counters = { 0 };
		struct decode_opts opts = { .rules = &rules, .counters = &counters };
		struct msg_text text = { 0 };
		struct decode *d;

		head.key_len = c->key_len;
		head.flags = c->flags;
		memcpy(record, &head, sizeof(head));
		memcpy(record + sizeof(head), "tcckkk" HEADERS, 75);
		check_eq(decode_new(&d, &opts, msg_text_next, &text), 0, "new");
		check_eq(decode_feed(d, (struct wire_head *)record), 0, c->name);
		snprintf(want, sizeof(want), "%s%s", start, c->want);
		check_str(text.text, want, c->name);
		decode_free(d);
		free(text.text);
	}
}

TEST(acknowledgements_and_polls)
{
	struct {
		struct wire_kafka_ack ack;
		struct wire_kafka_acked one;
	} ack = {
		.ack = {
			.head = { .len = sizeof(ack), .kind = WIRE_KAFKA_ACK },
			.batch_count = 1, .count = 1,
		},
		.one = { .msg = 1, .offset = 5, .partition = 2, .err = -192, .status = 1 },
	};
	struct wire_kafka_poll poll = {
		.head = { .len = sizeof(poll), .kind = WIRE_KAFKA_POLL },
		.ended = { .id = 77, .op = 3, .kind = LABEL_KAFKA },
	};
	struct setup s;

	begin(&s);
	check_eq(decode_feed(s.d, &ack.ack.head), 0, "ack");
	check_eq(decode_feed(s.d, &poll.head), 0, "poll");
	check_str(s.text.text, "ack part=2 off=5 err=-192\npoll part=-1 off=-1001 err=0\n", "text");
	end(&s);
}

RUN_TESTS(cmocka_unit_test(header_blocks_are_walked_within_their_bounds),
	  cmocka_unit_test(headers_of_one_message_are_bounded),
	  cmocka_unit_test(records_become_messages_or_are_rejected),
	  cmocka_unit_test(a_message_carries_the_labels_of_its_record),
	  cmocka_unit_test(rules_capture_keys_and_headers),
	  cmocka_unit_test(acknowledgements_and_polls))
