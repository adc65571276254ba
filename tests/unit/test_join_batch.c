/* join of what a consumer is handed: batches, polls, callbacks, runtimes, commits that end it. */
#include "scene.h"

static const struct who producer = { 100, 100, 1 };
static const struct who consumer = { 200, 200, 2 }, thread = { 200, 201, 2 };

#define QUEUE 0x9e9e

/* One message of a call that may hand over several; calls are told apart by their time. */
static struct msg of_call(struct msg m, enum kafka_poll poll, uint64_t polled_ns)
{
	m.kafka.poll = poll;
	m.kafka.polled_ns = polled_ns;
	m.kafka.queue = QUEUE;
	return m;
}

static struct msg batched(struct msg m, uint64_t polled_ns)
{
	return of_call(m, POLL_BATCH, polled_ns);
}

/* A message on its way, acknowledged at partition 0. */
static void send_one(struct scene *s, const char *tag, int64_t offset)
{
	feed(s, tagged(sent(&producer, 0x1000 + offset, "t", tag), tag));
	feed(s, acked(&producer, 0x1000 + offset, 0, offset));
}

static const struct attrs *link_attrs(const struct seen *from, const struct seen *to)
{
	size_t i;

	for (i = 0; i < from->span.link_count; i++)
		if (!memcmp(from->span.links[i].span_id, to->span.span_id, 8))
			return &from->span.links[i].attrs;
	check(false, "a link");
	return NULL;
}

static int64_t link_int(const struct seen *from, const struct seen *to, const char *key)
{
	const struct attr *at = attrs_get(link_attrs(from, to), key);

	return at && at->type == ATTR_INT ? at->num : -1;
}

TEST(batch_is_one_span_with_a_link_a_message)
{
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	send_one(&s, "a", 5);
	send_one(&s, "b", 6);
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), 7));
	feed(&s, batched(consumed(&consumer, "t", "nobody", 0, 7), 7));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_eq(s.count, 4, "two sends, the poll, one process");
	check(!batch->span.has_parent, "no producer is its parent");
	check_eq(int_of(batch, "messaging.batch.message_count"), 3, "also the unknown one");
	check_eq(batch->span.link_count, 2, "of those that are known");
	check(has_link(batch, span_of(&s, "a")) && has_link(batch, span_of(&s, "b")), "links");
	check_eq(link_int(batch, span_of(&s, "b"), "messaging.kafka.offset"), 6, "offset");
	check_eq(link_int(batch, span_of(&s, "b"), "messaging.message.body.size"), 100, "size");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "a")),
				"messaging.destination.partition.id"), "0", "partition");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "a")),
				"messaging.destination.name"), NULL, "one topic");
	check_eq(int_of(batch, "messaging.kafka.offset"), -1, "of no single message");
	check_eq(int_of(batch, "messaging.message.body.size"), -1, "of no single message");
	check_str(str_of(batch, "messaging.destination.partition.id"), "0", "all of one");
	check(!is_same_trace(batch, span_of(&s, "a")), "a trace of its own");
	check_eq(batch->span.end_ns - batch->span.start_ns, 3 * MS, "from the first to the poll");
	scene_done(&s);
}

TEST(poll_of_a_batch_is_a_span)
{
	const struct seen *poll;
	struct scene s;
	uint64_t first;

	scene_init(&s);
	send_one(&s, "a", 5);
	send_one(&s, "b", 6);
	first = feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), SCENE_START_NS + 7));
	feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), SCENE_START_NS + 7));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	poll = span_named(&s, "poll t");
	check_eq(poll->span.kind, SPAN_CLIENT, "kind");
	check_eq(poll->span.start_ns, SCENE_START_NS + 7 + SCENE_WALL_NS, "entry of the call");
	check_eq(poll->span.end_ns, first + MS + SCENE_WALL_NS, "the last hand-over");
	check_eq(poll->span.link_count, 2, "links");
	check_eq(link_int(poll, span_of(&s, "b"), "messaging.kafka.offset"), 6, "offset");
	check_str(str_of(poll, "messaging.operation.type"), "receive", "type");
	scene_done(&s);
}

TEST(poll_spans_are_as_configured)
{
	static const struct poll_case {
		enum poll_spans config;
		enum kafka_poll poll;
		int messages;
		size_t want;
	} cases[] = {
		{ POLL_SPANS_BATCH, POLL_BATCH, 1, 0 }, { POLL_SPANS_BATCH, POLL_BATCH, 2, 1 },
		{ POLL_SPANS_ALL, POLL_BATCH, 1, 1 }, { POLL_SPANS_ALL, POLL_BATCH, 2, 1 },
		{ POLL_SPANS_NONE, POLL_BATCH, 2, 0 }, { POLL_SPANS_ALL, POLL_ONE, 1, 1 },
		{ POLL_SPANS_ALL, POLL_CALLBACK, 3, 0 },
	}, *c;

	for_each(c, cases) {
		struct join_kafka_opts opts = { .poll_spans = c->config };
		struct scene s;
		int i;

		scene_init_with(&s, 7, opts);
		for (i = 0; i < c->messages; i++)
			feed(&s, of_call(consumed(&consumer, "t", "k", 0, i), c->poll, 7));
		feed(&s, polled(&consumer));
		scene_flush(&s);
		check_eq(scene_count(&s, "messaging.operation.name", "poll"), c->want, "polls");
		check_eq(scene_count(&s, "messaging.operation.name", "process"),
			 c->poll == POLL_CALLBACK ? c->messages : 1, "and what they are for");
		scene_done(&s);
	}
}

TEST(batch_of_one_is_a_single_message)
{
	const struct seen *single;
	struct scene s;

	scene_init(&s);
	send_one(&s, "a", 5);
	feed(&s, tagged(batched(consumed(&consumer, "t", "a", 0, 5), 7), "process"));
	feed(&s, tagged(batched(consumed(&consumer, "t", "x", 0, 6), 8), "next"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	check_parent(&s, "process", "a", EVIDENCE_KAFKA_OFFSET);
	single = span_of(&s, "process");
	check(has_link(single, span_of(&s, "a")), "and a link");
	check_eq(int_of(single, "messaging.kafka.offset"), 5, "offset");
	check_eq(int_of(single, "messaging.message.body.size"), 100, "size");
	check_eq(int_of(single, "messaging.batch.message_count"), -1, "no batch");
	scene_done(&s);
}

/* The acknowledgement of what was read is seen after the batch has ended. */
TEST(links_wait_for_their_producers)
{
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(sent(&producer, 1, "t", "a"), "a"));
	feed(&s, tagged(sent(&producer, 2, "t", "b"), "b"));
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), 7));
	feed(&s, polled(&consumer));
	feed(&s, acked(&producer, 2, 0, 6));
	feed(&s, acked(&producer, 1, 0, 5));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_eq(link_int(batch, span_of(&s, "a"), "messaging.kafka.offset"), 5, "a");
	check_eq(link_int(batch, span_of(&s, "b"), "messaging.kafka.offset"), 6, "b");
	scene_done(&s);
}

TEST(a_batch_links_what_headers_name)
{
	struct context named = context_of(9, 8);
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	feed(&s, batched(carrying(consumed(&consumer, "t", "a", 0, 5), context_of(9, 8)), 7));
	feed(&s, batched(carrying(consumed(&consumer, "t", "b", 0, 6), context_of(9, 0)), 7));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_eq(batch->span.link_count, 1, "a trace without a span cannot be linked");
	check(!memcmp(batch->span.links[0].span_id, named.span_id, 8), "span");
	check(!memcmp(batch->span.links[0].trace_id, named.trace_id, 16), "trace");
	check(memcmp(batch->span.trace_id, named.trace_id, 16), "not its own trace");
	scene_done(&s);
}

TEST(a_batch_of_two_topics_names_them_on_the_links)
{
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	send_one(&s, "a", 5);
	feed(&s, tagged(sent(&producer, 2, "u", "b"), "b"));
	feed(&s, acked(&producer, 2, 3, 5));
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	feed(&s, batched(consumed(&consumer, "u", "b", 3, 5), 7));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process");
	check_str(str_of(batch, "messaging.destination.name"), NULL, "no one topic");
	check_str(str_of(batch, "messaging.destination.partition.id"), NULL, "no one partition");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "a")),
				"messaging.destination.name"), "t", "first");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "b")),
				"messaging.destination.name"), "u", "second");
	scene_done(&s);
}

TEST(a_thread_works_for_its_batch)
{
	const struct seen *batch;
	struct scene s;
	uint64_t last;

	scene_init(&s);
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	last = feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), 7));
	feed(&s, by_thread(tagged(sent(&consumer, 1, "out", "x"), "out"),
			   kafka_label(last, &consumer)));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_child(span_of(&s, "out"), batch, EVIDENCE_THREAD, "out");
	scene_done(&s);
}

/* Ten thousand, as librdkafka hands over at most; what falls out is told. */
TEST(a_batch_has_so_many_links_at_most)
{
	const struct seen *batch;
	struct scene s;
	int i;

	scene_init(&s);
	for (i = 0; i < 10000; i++)
		feed(&s, batched(carrying(consumed(&consumer, "t", "a", 0, i),
					  context_of(9, 1 + i)), 7));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_eq(int_of(batch, "messaging.batch.message_count"), 10000, "all are counted");
	check_eq(batch->span.link_count, 1024, "links");
	check_eq(batch->span.dropped_links, 10000 - 1024, "dropped");
	check_eq(s.counters.value[LINKS_DROPPED], 10000 - 1024, "and counted");
	scene_done(&s);
}

/* Whether anybody wrote them is not known yet when there is no room for their links. */
TEST(links_that_do_not_fit_are_counted_also_before_their_producers_are_known)
{
	struct scene s;
	int i;

	scene_init(&s);
	for (i = 0; i < 1100; i++)
		feed(&s, sent(&producer, 0x1000 + i, "t", "a"));
	for (i = 0; i < 1100; i++)
		feed(&s, batched(consumed(&consumer, "t", "a", 0, i), 7));
	feed(&s, polled(&consumer));
	for (i = 0; i < 1100; i++)
		feed(&s, acked(&producer, 0x1000 + i, 0, i));
	scene_flush(&s);
	check_eq(span_named(&s, "process t")->span.link_count, 1024, "links");
	check_eq(span_named(&s, "process t")->span.dropped_links, 76, "dropped");
	check_eq(s.counters.value[LINKS_DROPPED], 76, "counted");
	scene_done(&s);
}

TEST(a_batch_of_captured_attributes_has_them_on_its_links)
{
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	send_one(&s, "a", 5);
	send_one(&s, "b", 6);
	feed(&s, identified(batched(consumed(&consumer, "t", "a", 0, 5), 7), "one",
			    IDENTIFY_PARENT));
	feed(&s, identified(batched(consumed(&consumer, "t", "b", 0, 6), 7), "two",
			    IDENTIFY_PARENT));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_str(str_of(batch, "execution.id"), NULL, "of no single message");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "a")), "execution.id"), "one", "a");
	check_str(attrs_get_str(link_attrs(batch, span_of(&s, "b")), "execution.id"), "two", "b");
	scene_done(&s);
}

TEST(trace_mode_link_makes_traces_of_their_own)
{
	struct join_kafka_opts opts = { .link_only = true };
	const struct seen *single;
	struct scene s;

	scene_init_with(&s, 7, opts);
	send_one(&s, "a", 5);
	feed(&s, tagged(carrying(consumed(&consumer, "t", "a", 0, 5), context_of(9, 8)),
			"process"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	single = span_of(&s, "process");
	check(!single->span.has_parent, "no parent");
	check(!is_same_trace(single, span_of(&s, "a")), "another trace");
	check_eq(single->span.link_count, 1, "one link");
	check(has_link(single, span_of(&s, "a")), "to who wrote it");
	scene_done(&s);
}

TEST(a_callback_ends_when_the_next_message_comes)
{
	struct scene s;
	uint64_t first;

	scene_init(&s);
	first = feed(&s, tagged(of_call(consumed(&consumer, "t", "a", 0, 5), POLL_CALLBACK, 7),
				"first"));
	feed(&s, by_thread(tagged(sent(&consumer, 1, "out", "x"), "out"),
			   kafka_label(first, &consumer)));
	feed(&s, tagged(of_call(consumed(&consumer, "t", "b", 0, 6), POLL_CALLBACK, 7), "second"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	check_parent(&s, "out", "first", EVIDENCE_THREAD);
	check_eq(span_of(&s, "first")->span.end_ns, span_of(&s, "second")->span.start_ns, "end");
	check_eq(span_of(&s, "second")->span.end_ns - span_of(&s, "second")->span.start_ns, MS,
		 "the poll");
	scene_done(&s);
}

/* --- runtimes whose threads carry no work ----------------------------------------------------- */

static void runs(struct scene *s, const struct who *w, const char *runtime)
{
	struct msg m = message(MSG_PROC_TARGET, w);

	m.process.runtime = runtime;
	feed(s, m);
}

static struct msg of_queue(struct msg m, uint64_t queue)
{
	m.kafka.queue = queue;
	return m;
}

TEST(in_go_the_handle_stands_for_the_thread)
{
	struct scene s;
	uint64_t first;

	scene_init(&s);
	runs(&s, &consumer, "go");
	first = feed(&s, tagged(of_queue(consumed(&consumer, "t", "a", 0, 5), 1), "a"));
	feed(&s, tagged(of_queue(consumed(&consumer, "t", "b", 0, 6), 2), "b"));
	feed(&s, by_thread(tagged(sent(&consumer, 1, "out", "x"), "out"),
			   kafka_label(first, &consumer)));
	feed(&s, of_queue(polled(&thread), 1));	/* another thread polls the same handle */
	feed(&s, of_queue(polled(&thread), 2));
	feed(&s, acked(&consumer, 1, 0, 9));
	scene_flush(&s);
	check_eq(span_of(&s, "a")->span.end_ns - span_of(&s, "a")->span.start_ns, 3 * MS, "a");
	check_eq(span_of(&s, "b")->span.end_ns - span_of(&s, "b")->span.start_ns, 3 * MS, "b");
	check_root(&s, "out");
	check_str(str_of(span_of(&s, "out"), "spanstitch.parent.reason"),
		  "the threads of its runtime do not carry work", "reason");
	check_eq(s.counters.value[SPANS_UNFINISHED], 0, "both ended");
	scene_done(&s);
}

/* --- commits ---------------------------------------------------------------------------------- */

static struct msg commit(const struct who *w, enum phase phase, const char *topic,
			 int32_t partition, int64_t offset)
{
	struct msg m = message(MSG_KAFKA_COMMIT, w);

	m.commit = (struct msg_commit){
		.client = 0xc11e, .phase = phase, .count = topic != NULL, .topic = topic,
		.total = topic != NULL, .partition = partition, .offset = offset,
	};
	return m;
}

TEST(a_commit_ends_the_processing_that_it_covers)
{
	static const struct commit_case {
		const char *name, *runtime, *topic;
		int32_t partition;
		int64_t offset;
		bool works_on;
		uint64_t want_ms;
	} cases[] = {
		{ "covers",             "go",     "t", 0, 6, false, 1 },
		{ "beyond",             "nodejs", "t", 0, 9, false, 1 },
		{ "not yet",            "go",     "t", 0, 5, false, 4 },
		{ "another partition",  "go",     "t", 1, 6, false, 4 },
		{ "another topic",      "go",     "u", 0, 6, false, 4 },
		{ "of a thread",        "python", "t", 0, 6, false, 1 },
		{ "the thread goes on", "python", "t", 0, 6, true,  4 },
	}, *c;

	for_each(c, cases) {
		struct scene s;
		uint64_t first;

		scene_init(&s);
		runs(&s, &consumer, c->runtime);
		first = feed(&s, tagged(of_queue(consumed(&consumer, "t", "a", 0, 5), QUEUE), "a"));
		feed(&s, commit(&consumer, ASKED, c->topic, c->partition, c->offset));
		feed(&s, commit(&consumer, ENDED, c->topic, c->partition, c->offset));
		if (c->works_on)
			feed(&s, by_thread(sent(&consumer, 1, "out", "x"),
					   kafka_label(first, &consumer)));
		else
			s.now += MS;
		feed(&s, of_queue(polled(&consumer), QUEUE));
		scene_flush(&s);
		check_eq(span_of(&s, "a")->span.end_ns - span_of(&s, "a")->span.start_ns,
			 c->want_ms * MS, c->name);
		scene_done(&s);
	}
}

/* An automatic commit, or one of what is stored: how far it reaches is told by its result only. */
TEST(in_go_the_result_of_a_commit_ends_what_it_covers)
{
	static const struct result_case {
		const char *name, *runtime;
		bool is_asked;
		int64_t offset;
		int err, partition_err;
		uint64_t want_ms;
	} cases[] = {
		{ "automatic",           "go",     false, 6, 0,  0,  2 },
		{ "of what is stored",   "nodejs", true,  6, 0,  0,  2 },
		{ "not yet",             "go",     false, 5, 0,  0,  4 },
		{ "failed",              "go",     true,  6, 25, 0,  4 },
		{ "failed there",        "go",     true,  6, 0,  25, 4 },
		{ "of a thread",         "python", false, 6, 0,  0,  4 },
	}, *c;

	for_each(c, cases) {
		struct scene s;
		struct msg m;

		scene_init(&s);
		runs(&s, &consumer, c->runtime);
		feed(&s, tagged(of_queue(consumed(&consumer, "t", "a", 0, 5), QUEUE), "a"));
		if (c->is_asked)
			feed(&s, commit(&consumer, ASKED, NULL, -1, -1));
		else
			s.now += MS;
		m = commit(&thread, ENDED, "t", 0, c->offset);
		m.commit.err = c->err;
		m.commit.partition_err = c->partition_err;
		feed(&s, m);
		s.now += MS;
		feed(&s, of_queue(polled(&consumer), QUEUE));
		scene_flush(&s);
		check_eq(span_of(&s, "a")->span.end_ns - span_of(&s, "a")->span.start_ns,
			 c->want_ms * MS, c->name);
		scene_done(&s);
	}
}

TEST(an_exit_ends_a_batch)
{
	struct scene s;

	scene_init(&s);
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), 7));
	feed(&s, message(MSG_PROC_EXIT, &consumer));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(int_of(span_named(&s, "process t"), "messaging.batch.message_count"), 2, "batch");
	check_eq(s.counters.value[SPANS_UNFINISHED], 0, "ended");
	scene_done(&s);
}

TEST(what_is_open_at_the_end_of_the_run_is_placed)
{
	const struct seen *batch;
	struct scene s;

	scene_init(&s);
	send_one(&s, "a", 5);
	feed(&s, batched(consumed(&consumer, "t", "a", 0, 5), 7));
	feed(&s, batched(consumed(&consumer, "t", "b", 0, 6), 7));
	scene_flush(&s);
	batch = span_named(&s, "process t");
	check_eq(int_of(batch, "messaging.batch.message_count"), 2, "count");
	check(has_link(batch, span_of(&s, "a")), "link");
	check_eq(s.counters.value[SPANS_UNFINISHED], 1, "and unfinished");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(batch_is_one_span_with_a_link_a_message),
	  cmocka_unit_test(poll_of_a_batch_is_a_span),
	  cmocka_unit_test(poll_spans_are_as_configured),
	  cmocka_unit_test(batch_of_one_is_a_single_message),
	  cmocka_unit_test(links_wait_for_their_producers),
	  cmocka_unit_test(a_batch_links_what_headers_name),
	  cmocka_unit_test(a_batch_of_two_topics_names_them_on_the_links),
	  cmocka_unit_test(a_thread_works_for_its_batch),
	  cmocka_unit_test(a_batch_has_so_many_links_at_most),
	  cmocka_unit_test(links_that_do_not_fit_are_counted_also_before_their_producers_are_known),
	  cmocka_unit_test(a_batch_of_captured_attributes_has_them_on_its_links),
	  cmocka_unit_test(trace_mode_link_makes_traces_of_their_own),
	  cmocka_unit_test(a_callback_ends_when_the_next_message_comes),
	  cmocka_unit_test(in_go_the_handle_stands_for_the_thread),
	  cmocka_unit_test(a_commit_ends_the_processing_that_it_covers),
	  cmocka_unit_test(in_go_the_result_of_a_commit_ends_what_it_covers),
	  cmocka_unit_test(an_exit_ends_a_batch),
	  cmocka_unit_test(what_is_open_at_the_end_of_the_run_is_placed))
