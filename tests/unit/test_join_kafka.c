/* join of Kafka messages: offsets, groups, ambiguity, batches, what was lost. */
#include "scene.h"

#include <time.h>

static const struct who producer = { 100, 100, 1 }, other = { 101, 101, 1 };
static const struct who consumer = { 200, 200, 2 }, second = { 201, 201, 2 };

TEST(kafka_offset_is_the_parent_and_a_link)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	feed(&s, acked(&producer, 1, 3, 42));
	feed(&s, tagged(consumed(&consumer, "t", "k", 3, 42), "process"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check(has_link(span_of(&s, "process"), span_of(&s, "send")), "a link beside the parent");
	check(span_of(&s, "process")->span.parent_is_remote, "of another process");
	check_str(span_of(&s, "send")->span.name, "send t", "name");
	check_str(span_of(&s, "process")->span.name, "process t", "name");
	check_eq(span_of(&s, "send")->span.kind, SPAN_PRODUCER, "kind");
	check_eq(span_of(&s, "process")->span.kind, SPAN_CONSUMER, "kind");
	check_eq(int_of(span_of(&s, "send"), "messaging.kafka.offset"), 42, "of the ack");
	check_eq(int_of(span_of(&s, "process"), "messaging.kafka.offset"), 42, "offset");
	check_str(attrs_get_str(&span_of(&s, "send")->span.attrs,
				"messaging.destination.partition.id"), "3", "partition");
	check_eq(span_of(&s, "send")->span.end_ns - span_of(&s, "send")->span.start_ns, MS,
		 "from the send to its ack");
	check_eq(span_of(&s, "send")->span.start_ns, SCENE_START_NS + MS + SCENE_WALL_NS,
		 "wall clock");
	scene_done(&s);
}

TEST(kafka_read_before_its_ack)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	feed(&s, polled(&consumer));
	feed(&s, acked(&producer, 1, 0, 5));
	scene_flush(&s);
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	scene_done(&s);
}

TEST(kafka_two_groups_have_one_producer)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "early"));
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, tagged(consumed(&second, "t", "k", 0, 5), "late"));
	scene_flush(&s);
	check_parent(&s, "early", "send", EVIDENCE_KAFKA_OFFSET);
	check_parent(&s, "late", "send", EVIDENCE_KAFKA_OFFSET);
	check_eq(scene_traces(&s), 1, "one trace");
	scene_done(&s);
}

/* Two clusters of one topic name: which of the two wrote what was read, nobody can say. */
TEST(kafka_ambiguous_offset_has_no_parent)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "one"));
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, tagged(sent(&other, 1, "t", "k"), "two"));
	feed(&s, acked(&other, 1, 0, 5));
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	scene_flush(&s);
	check_root(&s, "process");
	check_eq(s.counters.value[JOIN_DISAGREE], 1, "counted");
	scene_done(&s);
}

TEST(kafka_two_clusters_are_told_apart_by_the_keys)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k1"), "one"));
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, tagged(sent(&other, 1, "t", "k2"), "two"));
	feed(&s, acked(&other, 1, 0, 5));
	feed(&s, tagged(consumed(&consumer, "t", "k2", 0, 5), "process"));
	scene_flush(&s);
	check_parent(&s, "process", "two", EVIDENCE_KAFKA_OFFSET);
	scene_done(&s);
}

TEST(kafka_another_key_or_size_is_another_message)
{
	static const struct mismatch {
		const char *name, *topic, *key;
		int32_t partition;
		int64_t offset;
		uint32_t value_len;
	} cases[] = {
		{ "key",       "t", "l",  0, 5, 100 },
		{ "no key",    "t", NULL, 0, 5, 100 },
		{ "size",      "t", "k",  0, 5, 101 },
		{ "topic",     "u", "k",  0, 5, 100 },
		{ "partition", "t", "k",  1, 5, 100 },
		{ "offset",    "t", "k",  0, 6, 100 },
	}, *c;

	for_each(c, cases) {
		struct scene s;
		struct msg m = consumed(&consumer, c->topic, c->key, c->partition, c->offset);

		scene_init(&s);
		feed(&s, sent(&producer, 1, "t", "k"));
		feed(&s, acked(&producer, 1, 0, 5));
		m.kafka.value_len = c->value_len;
		feed(&s, tagged(m, "process"));
		scene_flush(&s);
		check_root(&s, "process");
		check_eq(scene_traces(&s), 2, c->name);
		scene_done(&s);
	}
}

/* It was read before it can have been written: the message of another cluster. */
TEST(kafka_consumer_before_the_send_has_another_producer)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	feed(&s, polled(&consumer));
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	feed(&s, acked(&producer, 1, 0, 5));
	scene_flush(&s);
	check_root(&s, "process");
	check_eq(scene_traces(&s), 2, "apart");
	scene_done(&s);
}

TEST(kafka_failed_send_is_an_error_and_no_offset)
{
	struct msg m = acked(&producer, 1, 0, 5);
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	m.kafka.err = -192;
	feed(&s, m);
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	scene_flush(&s);
	check_eq(span_of(&s, "send")->span.status, STATUS_ERROR, "status");
	check_str(attrs_get_str(&span_of(&s, "send")->span.attrs, "error.type"), "MSG_TIMED_OUT",
		  "librdkafka's name");
	check_root(&s, "process");
	scene_done(&s);
}

TEST(kafka_lost_ack_does_not_hold_the_trace)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "a"), "lost"));
	feed(&s, tagged(sent(&producer, 1, "t", "b"), "next"));	/* the address is used again */
	feed(&s, acked(&producer, 1, 0, 9));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(s.count, 2, "both are handed on");
	check_eq(int_of(span_of(&s, "lost"), "messaging.kafka.offset"), -1, "not its offset");
	check(attrs_get(&span_of(&s, "lost")->span.attrs, "spanstitch.end_not_seen"), "it says so");
	check_eq(int_of(span_of(&s, "next"), "messaging.kafka.offset"), 9, "offset");
	scene_done(&s);
}

/* Of several messages in hand nobody can say which one the thread works for. */
TEST(kafka_batch_has_no_thread_label)
{
	struct scene s;
	uint64_t last;

	scene_init(&s);
	feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "a"));
	last = feed(&s, tagged(consumed(&consumer, "t", "b", 0, 6), "b"));
	feed(&s, by_thread(tagged(sent(&consumer, 1, "out", "x"), "out"),
			   kafka_label(last, &consumer)));
	feed(&s, polled(&consumer));
	last = feed(&s, tagged(consumed(&consumer, "t", "c", 0, 7), "c"));
	feed(&s, by_thread(tagged(sent(&consumer, 2, "out", "y"), "alone"),
			   kafka_label(last, &consumer)));
	scene_flush(&s);
	check_root(&s, "out");
	check_str(attrs_get_str(&span_of(&s, "out")->span.attrs, "spanstitch.parent.reason"),
		  "its thread has several messages in hand", "reason");
	check_parent(&s, "alone", "c", EVIDENCE_THREAD);
	scene_done(&s);
}

TEST(kafka_label_of_the_message_before_is_stale)
{
	struct scene s;
	uint64_t first;

	scene_init(&s);
	first = feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "a"));
	feed(&s, polled(&consumer));
	feed(&s, tagged(consumed(&consumer, "t", "b", 0, 6), "b"));
	feed(&s, by_thread(tagged(sent(&consumer, 1, "out", "x"), "out"),
			   kafka_label(first, &consumer)));
	scene_flush(&s);
	check_root(&s, "out");
	check_eq(s.counters.value[JOIN_STALE], 1, "counted");
	scene_done(&s);
}

/* One record time for two messages of a batch, and one offset in two partitions. */
TEST(kafka_two_of_one_moment_have_two_ids)
{
	struct msg a = tagged(consumed(&consumer, "t", "a", 0, 5), "a");
	struct msg b = tagged(consumed(&consumer, "t", "b", 1, 5), "b");
	struct scene s;

	scene_init(&s);
	feed(&s, a);
	s.now -= MS;
	b.kafka.msg = a.kafka.msg + 1;
	feed(&s, b);
	scene_flush(&s);	/* looks for ids that are shared */
	check_eq(s.count, 2, "both");
	scene_done(&s);
}

TEST(kafka_exit_ends_what_was_in_hand)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "a"));
	feed(&s, tagged(sent(&consumer, 1, "out", "x"), "x"));
	feed(&s, message(MSG_PROC_EXIT, &consumer));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(s.count, 2, "handed on");
	check_eq(span_of(&s, "x")->span.status, STATUS_ERROR, "never acknowledged");
	check_eq(s.counters.value[SPANS_UNFINISHED], 0, "both ended");
	scene_done(&s);
}

#define OUTSTANDING 100000	/* messages without an acknowledgement */
#define EXITS 5000
#define EXITS_MS_MAX 500	/* a look at each of the messages takes some 0.9 ms an exit */

/* Processes that never used Kafka come and go by the thousand where a shell script runs. */
TEST(an_exit_without_kafka_looks_at_no_message)
{
	struct who shell = { 10000, 10000, 3 };
	struct scene s;
	clock_t before;
	int i;

	scene_init(&s);
	for (i = 0; i < OUTSTANDING; i++)
		feed(&s, sent(&producer, 0x1000 + i, "t", "k"));
	before = clock();
	for (i = 0; i < EXITS; i++) {
		shell.tgid = shell.tid = 10000 + i;
		feed(&s, message(MSG_PROC_EXIT, &shell));
	}
	check((clock() - before) * 1000 / CLOCKS_PER_SEC < EXITS_MS_MAX, "time of the exits");
	feed(&s, message(MSG_PROC_EXIT, &producer));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(scene_count(&s, "error.type", "process_exit"), OUTSTANDING, "its own ends them");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(kafka_offset_is_the_parent_and_a_link),
	  cmocka_unit_test(kafka_read_before_its_ack),
	  cmocka_unit_test(kafka_two_groups_have_one_producer),
	  cmocka_unit_test(kafka_ambiguous_offset_has_no_parent),
	  cmocka_unit_test(kafka_two_clusters_are_told_apart_by_the_keys),
	  cmocka_unit_test(kafka_another_key_or_size_is_another_message),
	  cmocka_unit_test(kafka_consumer_before_the_send_has_another_producer),
	  cmocka_unit_test(kafka_failed_send_is_an_error_and_no_offset),
	  cmocka_unit_test(kafka_lost_ack_does_not_hold_the_trace),
	  cmocka_unit_test(kafka_batch_has_no_thread_label),
	  cmocka_unit_test(kafka_label_of_the_message_before_is_stale),
	  cmocka_unit_test(kafka_two_of_one_moment_have_two_ids),
	  cmocka_unit_test(kafka_exit_ends_what_was_in_hand),
	  cmocka_unit_test(an_exit_without_kafka_looks_at_no_message))
