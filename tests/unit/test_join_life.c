/* join over time: when traces are handed on, what comes late, what is bounded, and the sums. */
#include "scene.h"
#include "join/assembly.h"
#include "join/fifo.h"
#include "join/limits.h"
#include "join/span_make.h"

static const struct who server = { 100, 100, 1 }, backend = { 200, 200, 2 };

static struct msg serving(uint32_t line, const char *tag)
{
	return tagged(request(&server, HTTP_SERVER, line, 1, "GET /in"), tag);
}

TEST(life_trace_is_handed_on_when_quiet)
{
	struct scene s;

	scene_init(&s);
	feed(&s, serving(1, "in"));
	scene_wait(&s, 10 * SCENE_LINGER_NS);
	check_eq(s.count, 0, "an open span holds it");
	check_eq(s.counters.value[SPANS_HELD], 1, "held");
	answer(&s, &server, HTTP_SERVER, 1, 200);
	scene_wait(&s, SCENE_LINGER_NS - MS);
	check_eq(s.count, 0, "not quiet for long enough");
	scene_wait(&s, MS);
	check_eq(s.count, 1, "quiet");
	scene_check_sum(&s, "sum");
	check_eq(s.counters.value[SPANS_UNFINISHED], 0, "it ended");
	check(!span_of(&s, "in")->is_late, "on time");
	scene_done(&s);
}

/* A sign of life in one part holds the whole trace. */
TEST(life_any_span_keeps_the_trace)
{
	struct scene s;

	scene_init(&s);
	feed(&s, serving(1, "in"));
	feed(&s, by_thread(tagged(sent(&server, 1, "t", "k"), "send"), http_label(1, 1)));
	feed(&s, acked(&server, 1, 0, 5));
	answer(&s, &server, HTTP_SERVER, 1, 200);
	scene_wait(&s, SCENE_LINGER_NS / 2);
	feed(&s, tagged(consumed(&backend, "t", "k", 0, 5), "process"));
	scene_wait(&s, 3 * SCENE_LINGER_NS);
	check_eq(s.count, 0, "the consumer is busy");
	feed(&s, polled(&backend));
	scene_wait(&s, SCENE_LINGER_NS);
	check_eq(s.count, 3, "all of it");
	check_eq(s.batches, 1, "in one batch");
	scene_done(&s);
}

TEST(life_what_comes_later_is_late)
{
	struct scene s;

	scene_init(&s);
	feed(&s, serving(1, "in"));
	feed(&s, by_thread(tagged(sent(&server, 1, "t", "k"), "send"), http_label(1, 1)));
	feed(&s, acked(&server, 1, 0, 5));
	answer(&s, &server, HTTP_SERVER, 1, 200);
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(s.count, 2, "handed on");
	feed(&s, tagged(consumed(&backend, "t", "k", 0, 5), "process"));
	feed(&s, by_thread(tagged(sent(&backend, 2, "u", "k"), "publish"),
			   kafka_label(s.now, &backend)));
	feed(&s, acked(&backend, 2, 0, 1));
	feed(&s, polled(&backend));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(s.count, 4, "handed on too");
	check_eq(scene_traces(&s), 1, "the same trace");
	check(span_of(&s, "process")->is_late && span_of(&s, "publish")->is_late, "late");
	check_eq(s.counters.value[LATE_SPANS], 2, "counted");
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check_parent(&s, "publish", "process", EVIDENCE_THREAD);
	scene_flush(&s);
	check_eq(s.count, 4, "each once");
	scene_done(&s);
}

/* Shared attributes reach what comes late, too. */
TEST(life_late_spans_have_what_is_spread)
{
	struct scene s;

	scene_init(&s);
	feed(&s, with(serving(1, "in"), "execution.id", "e1"));
	feed(&s, by_thread(tagged(sent(&server, 1, "t", "k"), "send"), http_label(1, 1)));
	feed(&s, acked(&server, 1, 0, 5));
	answer(&s, &server, HTTP_SERVER, 1, 200);
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	feed(&s, tagged(consumed(&backend, "t", "k", 0, 5), "process"));
	scene_flush(&s);
	check_str(attrs_get_str(&span_of(&s, "process")->span.attrs, "execution.id"), "e1",
		  "spread");
	scene_done(&s);
}

TEST(life_flush_hands_on_what_is_open)
{
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	feed(&s, serving(1, "in"));
	s.now += 5 * MS;
	join_flush(s.join, s.now);
	sn = span_of(&s, "in");
	check(attrs_get(&sn->span.attrs, "spanstitch.unfinished"), "it says so");
	check_eq(sn->span.end_ns - sn->span.start_ns, 5 * MS, "until now");
	check_eq(s.counters.value[SPANS_UNFINISHED], 1, "counted");
	answer(&s, &server, HTTP_SERVER, 1, 200);	/* must not touch what is gone */
	scene_flush(&s);
	check_eq(s.count, 1, "once");
	scene_done(&s);
}

TEST(life_open_span_without_a_sign_of_life_ends)
{
	struct scene s;

	scene_init(&s);
	feed(&s, serving(1, "in"));
	scene_wait(&s, JOIN_BUSY_NS - MS);
	check_eq(s.count, 0, "not yet");
	scene_wait(&s, MS);
	check_eq(s.count, 1, "handed on");
	check_eq(s.counters.value[SPANS_UNFINISHED], 1, "counted");
	feed(&s, by_thread(tagged(sent(&server, 1, "t", "k"), "send"), http_label(1, 1)));
	answer(&s, &server, HTTP_SERVER, 1, 200);
	scene_flush(&s);
	check_parent(&s, "send", "in", EVIDENCE_THREAD);
	check(span_of(&s, "send")->is_late, "a late batch of the same trace");
	scene_done(&s);
}

/* --- limits ----------------------------------------------------------------------------------- */

/* One more open request than there is room for: that one is dropped, and counted. */
TEST(life_spans_beyond_the_limit_are_dropped)
{
	static const struct span_facts facts = { .ts_ns = 1 };
	static const char *const spread[] = { NULL };
	struct counters counters = { 0 };
	struct assemblies_opts opts = { .spread = spread, .counters = &counters, .nodes_max = 3 };
	struct resource *r = resource_new("x");
	struct assemblies *as;
	struct scene s = { 0 };
	struct node *again;
	unsigned int i;

	assert_int_equal(assemblies_new(&as, &opts, scene_next, &s), 0);
	for (i = 0; i < 5; i++) {
		struct span_facts f = facts;
		struct node *n;

		f.number = i;
		n = node_new(as, &f, r);
		check_eq(!!n, i < 3, "room for three");
		node_put(as, n);
	}
	assemblies_flush(as, 2);
	check_eq(counters.value[SPANS_MADE], 5, "made");
	check_eq(counters.value[SPANS_DROPPED_MEMORY], 2, "dropped");
	check_eq(s.count, 3, "handed on");
	again = node_new(as, &facts, r);
	check(again, "room again");
	node_put(as, again);
	assemblies_free(as);
	resource_put(r);
	scene_done(&s);
}

/* The id of a forgotten trace is used again; then a part of the old one meets a new span. */
TEST(life_forgotten_trace_begins_anew)
{
	static const char *const spread[] = { NULL };
	struct counters counters = { 0 };
	struct assemblies_opts opts = { .spread = spread, .counters = &counters, .done_max = 1 };
	struct resource *r = resource_new("x");
	struct context id = context_of(1, 11);
	struct node *n[4];
	struct assemblies *as;
	struct scene s = { 0 };
	unsigned int i;

	assert_int_equal(assemblies_new(&as, &opts, scene_next, &s), 0);
	for (i = 0; i < 4; i++) {
		struct span_facts facts = { .ts_ns = 1 + i };

		n[i] = node_new(as, &facts, r);
		if (i == 0 || i == 2)
			check_eq(assembly_adopt(as, n[i], id.trace_id), 0, "the same id twice");
		if (i < 2)
			assemblies_flush(as, 10);	/* the second makes the first forgotten */
	}
	check_eq(assembly_merge(as, n[0], n[3]), 0, "the old one has no id but this");
	check(node_assembly(n[3]) == node_assembly(n[2]), "one trace of one id");
	check(assembly_by_id(as, id.trace_id) == node_assembly(n[2]), "found by it");
	for (i = 0; i < 4; i++)
		node_put(as, n[i]);
	assemblies_flush(as, 20);
	check_eq(s.batches, 3, "the old, the other, the new");
	assemblies_free(as);
	resource_put(r);
	scene_done(&s);
}

static void count_drop(void *ctx, struct fifo_entry *e)
{
	(*(size_t *)ctx)++;
	free(e);
}

TEST(life_fifo_forgets_the_oldest)
{
	size_t dropped = 0;
	struct fifo f;
	uint64_t key;

	fifo_init(&f, 3, count_drop, &dropped);
	for (key = 1; key <= 5; key++)
		fifo_add(&f, &key, sizeof(key), calloc(1, sizeof(struct fifo_entry)));
	check_eq(f.evicted, 2, "counted");
	check_eq(dropped, 2, "freed");
	for (key = 1; key <= 5; key++)
		check_eq(!!fifo_find(&f, &key, sizeof(key)), key > 2, "the newest stay");
	fifo_done(&f);
	check_eq(dropped, 5, "all are freed");
}

/* Exchanges whose end is lost, on ever new connections, must not fill the memory. */
TEST(life_open_exchanges_are_bounded)
{
	struct scene s;
	uint32_t i;

	scene_init(&s);
	for (i = 0; i < JOIN_EXCHANGES_MAX + 10; i++) {
		struct msg m = request(&server, HTTP_SERVER, i, 1, "GET /in");

		s.now -= MS - 1000;
		feed(&s, m);
	}
	scene_wait(&s, SCENE_LINGER_NS);
	check_eq(s.count, 10, "the oldest have ended");
	check_eq(scene_traces(&s), 10, "apart");
	check(attrs_get(&s.seen[0].span.attrs, "spanstitch.end_not_seen"), "they say so");
	check_eq(s.counters.value[JOIN_KEYS_EVICTED], 10, "counted");
	scene_check_sum(&s, "sum");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(life_trace_is_handed_on_when_quiet),
	  cmocka_unit_test(life_any_span_keeps_the_trace),
	  cmocka_unit_test(life_what_comes_later_is_late),
	  cmocka_unit_test(life_late_spans_have_what_is_spread),
	  cmocka_unit_test(life_flush_hands_on_what_is_open),
	  cmocka_unit_test(life_open_span_without_a_sign_of_life_ends),
	  cmocka_unit_test(life_spans_beyond_the_limit_are_dropped),
	  cmocka_unit_test(life_forgotten_trace_begins_anew),
	  cmocka_unit_test(life_fifo_forgets_the_oldest),
	  cmocka_unit_test(life_open_exchanges_are_bounded))
