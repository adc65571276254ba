/* join of what librdkafka tells beside messages: deliveries, clients, commits, transactions, ... */
#include "scene.h"

static const struct who producer = { 100, 100, 1 }, broker = { 100, 109, 1 };
static const struct who consumer = { 200, 200, 2 };

/* --- acknowledgements ------------------------------------------------------------------------- */

TEST(an_acknowledgement_gives_its_attributes)
{
	struct msg send = tagged(sent(&producer, 1, "t", "k"), "send");
	struct msg ack = acked(&producer, 1, 3, 42);
	const struct seen *sp;
	struct scene s;

	scene_init(&s);
	send.kafka.enqueued_ns = SCENE_START_NS + 500000;
	feed(&s, send);
	ack.kafka.retries = 2;
	ack.kafka.status = 1;
	ack.kafka.sent_ns = SCENE_START_NS + MS + 200000;
	feed(&s, ack);
	scene_flush(&s);
	sp = span_of(&s, "send");
	check_eq(int_of(sp, "messaging.message.body.size"), 100, "size");
	check_eq(int_of(sp, "spanstitch.kafka.retries"), 2, "retries");
	check_str(str_of(sp, "spanstitch.kafka.persisted"), "possibly", "status 1");
	check_eq(int_of(sp, "spanstitch.kafka.queue_us"), 700, "enqueued to sent");
	check_eq(int_of(sp, "spanstitch.kafka.broker_us"), 800, "sent to answered");
	check_str(str_of(sp, "messaging.client.id"), "rdkafka", "without the instance");
	check_str(str_of(sp, "messaging.kafka.message.key"), NULL, "only where asked for");
	scene_done(&s);
}

TEST(what_is_as_it_should_be_says_nothing)
{
	struct msg send = tagged(sent(&producer, 1, "t", "k"), "send");
	const struct seen *sp;
	struct scene s;

	scene_init(&s);
	send.kafka.null_value = true;
	send.kafka.value_len = 0;
	feed(&s, send);
	feed(&s, acked(&producer, 1, 3, 42));
	scene_flush(&s);
	sp = span_of(&s, "send");
	check(!attrs_get(&sp->span.attrs, "spanstitch.kafka.retries"), "no retry");
	check(!attrs_get(&sp->span.attrs, "spanstitch.kafka.persisted"), "persisted");
	check(!attrs_get(&sp->span.attrs, "spanstitch.kafka.queue_us"), "not known");
	check(!attrs_get(&sp->span.attrs, "messaging.message.body.size"), "no value, no size");
	check(attrs_get(&sp->span.attrs, "messaging.kafka.message.tombstone"), "tombstone");
	scene_done(&s);
}

TEST(keys_are_shown_where_asked_for)
{
	static const struct key_case {
		const char *name, *key;
		uint32_t captured, len;
		const char *want;
	} cases[] = {
		{ "text",      "k\xc3\xa9y", 4, 4, "k\xc3\xa9y" },
		{ "empty",     "", 0, 0, "" },
		{ "binary",    "\x01\xff\x10", 3, 3, "01ff10" },
		{ "a NUL",     "a\0b", 3, 3, "610062" },
		{ "cut",       "abc", 3, 4, NULL },
		{ "null",      NULL, 0, 0, NULL },
	}, *c;

	for_each(c, cases) {
		struct join_kafka_opts opts = { .message_key = true };
		struct msg m = tagged(sent(&producer, 1, "t", c->key), "send");
		struct scene s;

		scene_init_with(&s, 7, opts);
		m.kafka.key_captured = c->captured;
		m.kafka.key_len = c->len;
		feed(&s, m);
		scene_flush(&s);
		check_str(str_of(span_of(&s, "send"), "messaging.kafka.message.key"), c->want,
			  c->name);
		scene_done(&s);
	}
}

/* --- light mode ------------------------------------------------------------------------------- */

TEST(a_delivery_is_a_whole_span)
{
	struct msg m = tagged(delivered(&broker, 1, "t", "k", 42), "send");
	const struct seen *sp;
	struct scene s;

	scene_init(&s);
	s.now += 10 * MS;
	m.kafka.enqueued_ns = SCENE_START_NS + 3 * MS;
	feed(&s, m);
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 42), "process"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	sp = span_of(&s, "send");
	check_str(sp->span.name, "send t", "name");
	check_eq(sp->span.kind, SPAN_PRODUCER, "kind");
	check_eq(sp->span.start_ns, SCENE_START_NS + 3 * MS + SCENE_WALL_NS, "enqueued");
	check_eq(sp->span.end_ns, SCENE_START_NS + 11 * MS + SCENE_WALL_NS, "acknowledged");
	check_eq(int_of(sp, "messaging.kafka.offset"), 42, "offset");
	check_root(&s, "send");
	check_str(str_of(sp, "spanstitch.parent.reason"),
		  "light mode: the producing thread is not known", "reason");
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check_eq(s.count, 2, "nothing twice");
	scene_done(&s);
}

TEST(a_delivery_takes_the_span_id_of_its_header)
{
	struct context c = context_of(9, 8);
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(carrying(delivered(&broker, 1, "t", "k", 42), c), "send"));
	scene_flush(&s);
	check(is_trace(span_of(&s, "send"), 9), "trace");
	check(!memcmp(span_of(&s, "send")->span.span_id, c.span_id, 8), "span");
	scene_done(&s);
}

/* The mode changed between the send and its acknowledgement: one span, not two, not none. */
TEST(a_switch_of_modes_neither_loses_nor_doubles)
{
	struct msg send = tagged(sent(&producer, 1, "t", "k"), "send");
	struct msg same = delivered(&broker, 1, "t", "k", 42);
	struct msg reused = tagged(delivered(&broker, 2, "t", "l", 43), "reused");
	struct scene s;

	scene_init(&s);
	send.kafka.enqueued_ns = same.kafka.enqueued_ns = SCENE_START_NS;
	feed(&s, send);
	feed(&s, same);
	send = tagged(sent(&producer, 2, "t", "k"), "lost");
	send.kafka.enqueued_ns = SCENE_START_NS;
	feed(&s, send);
	reused.kafka.enqueued_ns = SCENE_START_NS + MS;
	feed(&s, reused);
	scene_flush(&s);
	check_eq(s.count, 3, "three messages");
	check_eq(int_of(span_of(&s, "send"), "messaging.kafka.offset"), 42, "acknowledged");
	check(!attrs_get(&span_of(&s, "send")->span.attrs, "spanstitch.end_not_seen"), "ended");
	check(attrs_get(&span_of(&s, "lost")->span.attrs, "spanstitch.end_not_seen"), "lost");
	check_eq(int_of(span_of(&s, "reused"), "messaging.kafka.offset"), 43, "address reused");
	scene_done(&s);
}

TEST(a_failed_delivery_is_an_error)
{
	struct msg m = tagged(delivered(&broker, 1, "t", "k", -1001), "send");
	struct scene s;

	scene_init(&s);
	m.kafka.err = -192;
	m.kafka.status = 0;
	m.kafka.partition = -1;
	feed(&s, m);
	scene_flush(&s);
	check_eq(span_of(&s, "send")->span.status, STATUS_ERROR, "status");
	check_str(str_of(span_of(&s, "send"), "error.type"), "MSG_TIMED_OUT", "error");
	check_str(str_of(span_of(&s, "send"), "spanstitch.kafka.persisted"), "no", "status 0");
	check_eq(int_of(span_of(&s, "send"), "messaging.kafka.offset"), -1, "no offset");
	scene_done(&s);
}

/* What librdkafka leaves in the messages of a large request that got no offset, or was refused. */
TEST(a_number_that_is_no_offset_is_not_told_nor_joined)
{
	struct msg send = tagged(sent(&producer, 1, "t", "k"), "unasked");
	struct msg ack = acked(&producer, 1, 0, 7);
	struct msg refused = tagged(delivered(&broker, 2, "t", "k", 8), "refused");
	struct msg late = tagged(delivered(&broker, 3, "t", "k", 9), "without acks");
	struct scene s;

	scene_init(&s);
	feed(&s, send);
	ack.kafka.status = 1;
	feed(&s, ack);
	refused.kafka.err = 19;
	refused.kafka.status = 0;
	feed(&s, refused);
	late.kafka.status = 1;
	feed(&s, late);
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 7), "reader"));
	scene_flush(&s);
	check_eq(int_of(span_of(&s, "unasked"), "messaging.kafka.offset"), -1, "full mode");
	check_eq(int_of(span_of(&s, "refused"), "messaging.kafka.offset"), -1, "an error");
	check_eq(int_of(span_of(&s, "without acks"), "messaging.kafka.offset"), -1, "light mode");
	check_eq(span_of(&s, "reader")->span.link_count, 0, "nobody wrote what is read there");
	scene_done(&s);
}

TEST(a_refusal_is_the_shortest_span)
{
	struct msg m = message(MSG_KAFKA_REFUSED, &consumer);
	const struct seen *sp;
	struct scene s;
	uint64_t first;

	scene_init(&s);
	first = feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "process"));
	m.kafka = (struct msg_kafka){
		.client = 0xc11e, .client_id = "app#producer-2", .err = -184, .partition = -1,
		.offset = -1001,
	};
	feed(&s, by_thread(m, kafka_label(first, &consumer)));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	sp = span_named(&s, "send");
	check_eq(sp->span.start_ns + 1, sp->span.end_ns, "the shortest length");
	check_eq(sp->span.kind, SPAN_PRODUCER, "kind");
	check_str(str_of(sp, "error.type"), "QUEUE_FULL", "error");
	check_str(str_of(sp, "messaging.client.id"), "app", "client");
	check_child(sp, span_of(&s, "process"), EVIDENCE_THREAD, "whose work it was");
	scene_done(&s);
}

/* --- clients ---------------------------------------------------------------------------------- */

TEST(facts_that_come_late_are_said_at_the_end)
{
	const struct seen *sp;
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "send"));
	feed(&s, client(&producer, "cluster", "no group of a producer"));
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, tagged(consumed(&consumer, "t", "k", 0, 5), "process"));
	feed(&s, client(&consumer, NULL, "g"));
	feed(&s, client(&consumer, "cluster", NULL));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	sp = span_of(&s, "send");
	check_str(str_of(sp, "messaging.kafka.cluster.id"), "cluster", "cluster");
	check_str(str_of(sp, "messaging.consumer.group.name"), NULL, "group");
	sp = span_of(&s, "process");
	check_str(str_of(sp, "messaging.kafka.cluster.id"), "cluster", "cluster");
	check_str(str_of(sp, "messaging.consumer.group.name"), "g", "group");
	scene_done(&s);
}

TEST(a_client_id_is_its_name_without_the_instance)
{
	static const struct name_case { const char *name, *want; } cases[] = {
		{ "rdkafka#consumer-1", "rdkafka" }, { "svc#blue#consumer-12", "svc#blue" },
		{ "#producer-1", "" }, { "plain", "plain" },
	}, *c;

	for_each(c, cases) {
		struct msg m = tagged(consumed(&consumer, "t", "k", 0, 5), "process");
		struct scene s;

		scene_init(&s);
		m.kafka.client_id = c->name;
		feed(&s, m);
		scene_flush(&s);
		check_str(str_of(span_of(&s, "process"), "messaging.client.id"), c->want, c->name);
		scene_done(&s);
	}
}

TEST(a_handle_with_another_name_is_another_client)
{
	struct msg m = tagged(consumed(&consumer, "t", "k", 0, 5), "process");
	struct scene s;

	scene_init(&s);
	feed(&s, client(&consumer, "cluster", "g"));
	m.kafka.client_id = "rdkafka#consumer-2";
	feed(&s, m);
	feed(&s, polled(&consumer));
	scene_flush(&s);
	check_str(str_of(span_of(&s, "process"), "messaging.consumer.group.name"), NULL, "group");
	scene_done(&s);
}

/* --- commits ---------------------------------------------------------------------------------- */

static struct msg commit(enum phase phase, unsigned int index, unsigned int count,
			 int32_t partition, int64_t offset)
{
	struct msg m = message(MSG_KAFKA_COMMIT, &consumer);

	m.commit = (struct msg_commit){
		.client = 0xc11e, .phase = phase, .index = index, .count = count, .total = count,
		.topic = count ? "t" : NULL, .partition = partition, .offset = offset,
	};
	return m;
}

TEST(a_commit_lasts_from_the_call_to_its_result)
{
	const struct seen *sp;
	struct scene s;
	uint64_t first;

	scene_init(&s);
	feed(&s, client(&consumer, "cluster", "g"));
	first = feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "process"));
	feed(&s, by_thread(commit(ASKED, 0, 1, 0, 6), kafka_label(first, &consumer)));
	feed(&s, commit(ENDED, 0, 1, 0, 6));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	sp = span_named(&s, "commit t");
	check_eq(sp->span.kind, SPAN_CLIENT, "kind");
	check_eq(sp->span.end_ns - sp->span.start_ns, MS, "length");
	check_str(str_of(sp, "messaging.operation.type"), "settle", "type");
	check_eq(int_of(sp, "messaging.kafka.offset"), 6, "offset");
	check_str(str_of(sp, "messaging.destination.partition.id"), "0", "partition");
	check_str(str_of(sp, "messaging.consumer.group.name"), "g", "group");
	check_eq(sp->span.event_count, 0, "no event");
	check_child(sp, span_of(&s, "process"), EVIDENCE_THREAD, "parent");
	scene_done(&s);
}

TEST(results_find_their_commits)
{
	size_t i, asked = 0, automatic = 0;
	struct scene s;

	scene_init(&s);
	feed(&s, commit(ASKED, 0, 1, 0, 6));
	feed(&s, commit(ASKED, 0, 0, -1, -1));	/* what is stored */
	feed(&s, commit(ENDED, 0, 1, 1, 99));	/* by librdkafka itself: as stored, by its order */
	feed(&s, commit(ENDED, 0, 1, 0, 6));
	feed(&s, commit(ENDED, 0, 1, 2, 50));
	scene_flush(&s);
	check_eq(s.count, 3, "three commits");
	for (i = 0; i < s.count; i++) {
		uint64_t length = s.seen[i].span.end_ns - s.seen[i].span.start_ns;

		asked += length > 1;
		automatic += length == 1;
		if (int_of(&s.seen[i], "messaging.kafka.offset") == 6)
			check_eq(length, 3 * MS, "the one that asked for it");
		if (int_of(&s.seen[i], "messaging.kafka.offset") == 50)
			check_eq(length, 1, "nobody asked: the shortest");
	}
	check_eq(asked, 2, "asked");
	check_eq(automatic, 1, "automatic");
	check_eq(s.counters.value[SPANS_UNFINISHED], 0, "all ended");
	scene_done(&s);
}

TEST(a_commit_of_several_partitions_has_events)
{
	const struct seen *sp;
	struct msg bad;
	struct scene s;

	scene_init(&s);
	feed(&s, commit(ASKED, 0, 2, 0, 6));
	feed(&s, commit(ASKED, 1, 2, 1, 7));
	feed(&s, commit(ENDED, 0, 2, 0, 6));
	bad = commit(ENDED, 1, 2, 1, 7);
	bad.commit.partition_err = 25;
	feed(&s, bad);
	scene_flush(&s);
	sp = span_named(&s, "commit t");
	check_eq(int_of(sp, "messaging.kafka.offset"), -1, "of no one partition");
	check_eq(int_of(sp, "spanstitch.kafka.partitions"), 2, "partitions");
	check_eq(sp->span.event_count, 2, "events");
	check_str(sp->span.events[1].name, "commit.partition", "event");
	check_eq(attrs_get(&sp->span.events[1].attrs, "messaging.kafka.offset")->num, 7, "offset");
	check_str(attrs_get_str(&sp->span.events[1].attrs, "error.type"), "UNKNOWN_MEMBER_ID",
		  "error of the partition");
	check_str(attrs_get_str(&sp->span.events[0].attrs, "error.type"), NULL, "no error");
	check_str(str_of(sp, "error.type"), "UNKNOWN_MEMBER_ID", "and of the whole");
	scene_done(&s);
}

#define TOLD 16			/* positions of a commit that a record has at most */

static void feed_cut(struct scene *s, enum phase phase, unsigned int total, int32_t first, int step)
{
	struct msg m;
	int i;

	for (i = 0; i < TOLD; i++) {
		m = commit(phase, i, TOLD, first + i * step, 100);
		m.commit.total = total;
		feed(s, m);
	}
}

/* The application names its partitions in any order, the result in that of their numbers. */
TEST(a_commit_of_more_partitions_than_are_told_has_its_result)
{
	static const struct cut_case {
		const char *name;
		unsigned int asked, ended;
		size_t spans;
		bool is_answer;
	} cases[] = {
		{ "as many", 20, 20, 1, true }, { "more", 20, 21, 2, false },
		{ "all that are told", 20, 16, 2, false },
	}, *c;

	for_each(c, cases) {
		struct scene s;
		size_t i;

		scene_init(&s);
		feed_cut(&s, ASKED, c->asked, 19, -1);
		feed_cut(&s, ENDED, c->ended, 0, 1);
		scene_flush(&s);
		check_eq(s.count, c->spans, c->name);
		for (i = 0; i < s.count; i++) {
			bool is_automatic = str_of(&s.seen[i], "spanstitch.parent.reason") &&
				!strcmp(str_of(&s.seen[i], "spanstitch.parent.reason"),
					"an automatic commit");

			check(!is_automatic || !c->is_answer, c->name);
			if (!is_automatic && !c->is_answer)
				continue;
			check_eq(int_of(&s.seen[i], "spanstitch.kafka.partitions"), c->ended,
				 c->name);
			check_eq(s.seen[i].span.event_count, TOLD, c->name);
			check_str(str_of(&s.seen[i], "messaging.destination.name"),
				  c->ended > TOLD ? NULL : "t", "not all topics are told");
		}
		check_eq(s.counters.value[SPANS_UNFINISHED], !c->is_answer, c->name);
		scene_done(&s);
	}
}

TEST(a_commit_of_nothing_is_none)
{
	struct scene s;

	scene_init(&s);
	feed(&s, commit(ENDED, 0, 1, 0, -1001));
	feed(&s, commit(ENDED, 0, 0, -1, -1));
	scene_flush(&s);
	check_eq(s.count, 0, "nothing was committed");
	scene_done(&s);
}

TEST(a_commit_without_a_result_ends_with_its_process)
{
	struct scene s;

	scene_init(&s);
	feed(&s, commit(ASKED, 0, 1, 0, 6));
	feed(&s, message(MSG_PROC_EXIT, &consumer));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check(attrs_get(&span_named(&s, "commit t")->span.attrs, "spanstitch.end_not_seen"), "end");
	scene_done(&s);
}

/* --- transactions ----------------------------------------------------------------------------- */

static struct msg txn(enum txn_op op, enum phase phase, int err)
{
	struct msg m = message(MSG_KAFKA_TXN, &producer);

	m.txn = (struct msg_txn){ 0xc11e, op, phase, err };
	return m;
}

static void check_outcome(const struct scene *s, const char *tag, const char *event,
			  const char *outcome)
{
	const struct seen *sp = span_of(s, tag);

	check_eq(sp->span.event_count, event ? 1 : 0, tag);
	if (!event)
		return;
	check_str(sp->span.events[0].name, event, tag);
	check_str(attrs_get_str(&sp->span.events[0].attrs, "spanstitch.kafka.outcome"), outcome,
		  tag);
}

TEST(the_outcome_of_a_transaction_is_an_event_of_its_messages)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "a"), "before"));
	feed(&s, txn(TXN_OP_BEGIN, ASKED, 0));
	feed(&s, tagged(sent(&producer, 2, "t", "b"), "full"));
	feed(&s, tagged(delivered(&broker, 3, "t", "c", 7), "light"));
	feed(&s, txn(TXN_OP_COMMIT, ASKED, 0));
	feed(&s, txn(TXN_OP_COMMIT, ENDED, -185));
	feed(&s, txn(TXN_OP_COMMIT, ASKED, 0));	/* once more */
	feed(&s, txn(TXN_OP_COMMIT, ENDED, 0));
	feed(&s, txn(TXN_OP_BEGIN, ASKED, 0));
	feed(&s, tagged(sent(&producer, 4, "t", "d"), "aborted"));
	feed(&s, txn(TXN_OP_ABORT, ASKED, 0));
	feed(&s, txn(TXN_OP_ABORT, ENDED, 47));
	feed(&s, txn(TXN_OP_BEGIN, ASKED, 0));
	feed(&s, tagged(sent(&producer, 5, "t", "e"), "open"));
	feed(&s, txn(TXN_OP_COMMIT, ASKED, 0));
	scene_flush(&s);
	check_outcome(&s, "before", NULL, NULL);
	check_outcome(&s, "full", "transaction.commit", "ok");
	check_outcome(&s, "light", "transaction.commit", "ok");
	check_outcome(&s, "aborted", "transaction.abort", "INVALID_PRODUCER_EPOCH");
	check_outcome(&s, "open", "transaction.commit", "requested");
	scene_done(&s);
}

/* The handle's address was another client's before; who begins is told by the first message. */
TEST(a_transaction_of_a_reused_handle)
{
	struct msg m = tagged(sent(&producer, 1, "t", "a"), "old");
	struct scene s;

	scene_init(&s);
	m.kafka.client_id = "rdkafka#producer-0";
	feed(&s, m);
	feed(&s, txn(TXN_OP_BEGIN, ASKED, 0));
	feed(&s, tagged(sent(&producer, 2, "t", "b"), "new"));
	feed(&s, txn(TXN_OP_COMMIT, ASKED, 0));
	feed(&s, txn(TXN_OP_COMMIT, ENDED, 0));
	scene_flush(&s);
	check_outcome(&s, "old", NULL, NULL);
	check_outcome(&s, "new", "transaction.commit", "ok");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(an_acknowledgement_gives_its_attributes),
	  cmocka_unit_test(what_is_as_it_should_be_says_nothing),
	  cmocka_unit_test(keys_are_shown_where_asked_for),
	  cmocka_unit_test(a_delivery_is_a_whole_span),
	  cmocka_unit_test(a_delivery_takes_the_span_id_of_its_header),
	  cmocka_unit_test(a_switch_of_modes_neither_loses_nor_doubles),
	  cmocka_unit_test(a_failed_delivery_is_an_error),
	  cmocka_unit_test(a_number_that_is_no_offset_is_not_told_nor_joined),
	  cmocka_unit_test(a_refusal_is_the_shortest_span),
	  cmocka_unit_test(facts_that_come_late_are_said_at_the_end),
	  cmocka_unit_test(a_client_id_is_its_name_without_the_instance),
	  cmocka_unit_test(a_handle_with_another_name_is_another_client),
	  cmocka_unit_test(a_commit_lasts_from_the_call_to_its_result),
	  cmocka_unit_test(results_find_their_commits),
	  cmocka_unit_test(a_commit_of_several_partitions_has_events),
	  cmocka_unit_test(a_commit_of_more_partitions_than_are_told_has_its_result),
	  cmocka_unit_test(a_commit_of_nothing_is_none),
	  cmocka_unit_test(a_commit_without_a_result_ends_with_its_process),
	  cmocka_unit_test(the_outcome_of_a_transaction_is_an_event_of_its_messages),
	  cmocka_unit_test(a_transaction_of_a_reused_handle))
