/* join by offset: who wrote what was read: late, twice, in two clusters, in a topic made anew. */
#include "scene.h"

#include <malloc.h>

static const struct who producer = { 100, 100, 1 }, other = { 101, 101, 1 };
static const struct who consumer = { 200, 200, 2 }, second = { 201, 201, 2 };

static void send_one(struct scene *s, const struct who *w, const char *tag, int64_t offset)
{
	feed(s, tagged(sent(w, 0x1000 + offset, "t", "k"), tag));
	feed(s, acked(w, 0x1000 + offset, 0, offset));
}

static void read_one(struct scene *s, const struct who *w, const char *tag, int64_t offset)
{
	feed(s, tagged(consumed(w, "t", "k", 0, offset), tag));
	feed(s, polled(w));
}

/* The producer's trace has been handed on long ago: its ids are still the parent's. */
TEST(read_minutes_later)
{
	struct scene s;
	int i;

	scene_init(&s);
	send_one(&s, &producer, "send", 5);
	for (i = 0; i < 300; i++)
		scene_wait(&s, 1000 * MS);
	check_eq(s.count, 1, "handed on");
	read_one(&s, &consumer, "process", 5);
	scene_flush(&s);
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check(has_link(span_of(&s, "process"), span_of(&s, "send")), "link");
	scene_done(&s);
}

/* Also when so many traces came since that the producer's is no longer remembered as such. */
TEST(read_after_many_other_traces)
{
	struct scene s;
	int i;

	scene_init(&s);
	send_one(&s, &producer, "send", 1);
	for (i = 0; i < 40000; i++) {
		feed(&s, sent(&other, 9, "u", "k"));
		feed(&s, acked(&other, 9, 0, i));
	}
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	read_one(&s, &consumer, "process", 1);
	join_flush(s.join, s.now);	/* scene_flush() compares each with each */
	check_parent(&s, "process", "send", EVIDENCE_KAFKA_OFFSET);
	check(has_link(span_of(&s, "process"), span_of(&s, "send")), "link");
	scene_done(&s);
}

TEST(read_again_after_a_rebalance)
{
	struct scene s;

	scene_init(&s);
	send_one(&s, &producer, "send", 5);
	read_one(&s, &consumer, "first", 5);
	scene_wait(&s, 3 * SCENE_LINGER_NS);
	read_one(&s, &second, "again", 5);
	read_one(&s, &consumer, "and again", 5);
	scene_flush(&s);
	check_parent(&s, "first", "send", EVIDENCE_KAFKA_OFFSET);
	check_parent(&s, "again", "send", EVIDENCE_KAFKA_OFFSET);
	check_parent(&s, "and again", "send", EVIDENCE_KAFKA_OFFSET);
	scene_done(&s);
}

/* --- clusters --------------------------------------------------------------------------------- */

static const struct cluster_case {
	const char *name, *wrote, *other_wrote, *read;
	const char *want;	/* tag of the producer; NULL: none */
} cluster_cases[] = {
	{ "the one of its cluster",        "A", "B", "A", "one" },
	{ "the other of its cluster",      "A", "B", "B", "two" },
	{ "none of its cluster",           "A", "B", "C", NULL },
	{ "reader's not known",            "A", "B", NULL, NULL },
	{ "writers' not known",            NULL, NULL, "A", NULL },
	{ "the known one is better",       "A", NULL, "A", "one" },
	{ "the only one that may be it",   NULL, "B", "A", "one" },
	{ "one cluster, a topic made anew", "A", "A", "A", "two" },
};

TEST(clusters_are_told_apart)
{
	const struct cluster_case *c;

	for_each(c, cluster_cases) {
		struct scene s;

		scene_init(&s);
		feed(&s, client(&producer, c->wrote, NULL));
		feed(&s, client(&other, c->other_wrote, NULL));
		feed(&s, client(&consumer, c->read, NULL));
		send_one(&s, &producer, "one", 5);
		send_one(&s, &other, "two", 5);
		read_one(&s, &consumer, "process", 5);
		scene_flush(&s);
		if (c->want)
			check_parent(&s, "process", c->want, EVIDENCE_KAFKA_OFFSET);
		else
			check_root(&s, "process");
		scene_done(&s);
	}
}

/* The reader came first; the first to be acknowledged is of another cluster. */
TEST(a_waiting_reader_waits_for_its_cluster)
{
	struct scene s;

	scene_init(&s);
	feed(&s, client(&producer, "A", NULL));
	feed(&s, client(&other, "B", NULL));
	feed(&s, client(&consumer, "B", NULL));
	feed(&s, tagged(sent(&producer, 1, "t", "k"), "one"));
	feed(&s, tagged(sent(&other, 1, "t", "k"), "two"));
	read_one(&s, &consumer, "process", 5);
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, acked(&other, 1, 0, 5));
	scene_flush(&s);
	check_parent(&s, "process", "two", EVIDENCE_KAFKA_OFFSET);
	scene_done(&s);
}

/* Without any cluster known, the time in the message tells who wrote it. */
TEST(timestamps_tell_writers_apart)
{
	struct msg one = tagged(sent(&producer, 1, "t", "k"), "one");
	struct msg two = tagged(sent(&other, 1, "t", "k"), "two");
	struct msg m = tagged(consumed(&consumer, "t", "k", 0, 5), "process");
	struct scene s;

	scene_init(&s);
	one.kafka.timestamp_ms = m.kafka.timestamp_ms = 1700000000123;
	two.kafka.timestamp_ms = 1700000000124;
	feed(&s, one);
	feed(&s, two);
	feed(&s, acked(&producer, 1, 0, 5));
	feed(&s, acked(&other, 1, 0, 5));
	feed(&s, m);
	scene_flush(&s);
	check_parent(&s, "process", "one", EVIDENCE_KAFKA_OFFSET);
	check_eq(s.counters.value[JOIN_DISAGREE], 0, "no doubt");
	scene_done(&s);
}

/* The topic is made anew: offsets count from 0 again, with the same keys and sizes. */
TEST(a_topic_that_was_made_anew)
{
	const struct who *w;
	char tag[16];
	struct scene s;
	int i;

	scene_init(&s);
	for (w = &producer; w; w = w == &producer ? &other : NULL) {
		feed(&s, client(w, "A", NULL));
		feed(&s, client(&consumer, "A", "g"));
		for (i = 0; i < 10; i++) {
			snprintf(tag, sizeof(tag), "%s %d", w == &producer ? "old" : "new", i);
			send_one(&s, w, tag, i);
		}
		for (i = 0; i < 10; i++) {
			snprintf(tag, sizeof(tag), "%s read %d", w == &producer ? "old" : "new", i);
			read_one(&s, &consumer, tag, i);
		}
		scene_wait(&s, 2 * SCENE_LINGER_NS);
	}
	scene_flush(&s);
	for (i = 0; i < 10; i++) {
		char read[16];

		snprintf(tag, sizeof(tag), "old %d", i);
		snprintf(read, sizeof(read), "old read %d", i);
		check_parent(&s, read, tag, EVIDENCE_KAFKA_OFFSET);
		snprintf(tag, sizeof(tag), "new %d", i);
		snprintf(read, sizeof(read), "new read %d", i);
		check_parent(&s, read, tag, EVIDENCE_KAFKA_OFFSET);
	}
	scene_done(&s);
}

/* --- lag -------------------------------------------------------------------------------------- */

static int64_t lag_of(int64_t high, int64_t acknowledged, int64_t read)
{
	struct msg m = tagged(consumed(&consumer, "t", "other", 0, read), "process");
	struct scene s;
	int64_t lag;

	scene_init(&s);
	if (acknowledged >= 0)
		send_one(&s, &producer, "send", acknowledged);
	m.kafka.high = high;
	feed(&s, m);
	scene_flush(&s);
	lag = int_of(span_of(&s, "process"), "spanstitch.kafka.lag");
	scene_done(&s);
	return lag;
}

TEST(lag_is_what_lies_behind_the_message)
{
	check_eq(lag_of(10, -1, 5), 4, "by the watermark: offsets to 9 exist");
	check_eq(lag_of(6, -1, 5), 0, "the last");
	check_eq(lag_of(-1001, -1, 5), -1, "not known");
	check_eq(lag_of(-1001, 8, 5), 3, "by what was acknowledged");
	check_eq(lag_of(-1001, 5, 5), 0, "the last that was acknowledged");
	check_eq(lag_of(-1001, 4, 5), -1, "more was written than we saw");
	check_eq(lag_of(10, 30, 5), 4, "the watermark first");
}

/* --- many ------------------------------------------------------------------------------------- */

#define MESSAGES 100000
#define GROUPS 2
#define MEMORY_MAX (256ULL << 20)	/* bytes that join may hold at any time of it */

struct tally {			/* instead of the spans themselves */
	uint64_t *producers;		/* span id by offset */
	uint64_t joined, wrong;
	bool is_reading;
};

static void tally_next(void *ctx, const struct trace *t)
{
	struct tally *y = ctx;
	size_t i;

	for (i = 0; i < t->count; i++) {
		const struct span *sp = t->spans[i];
		const struct attr *at = attrs_get(&sp->attrs, "messaging.kafka.offset");
		uint64_t id;

		memcpy(&id, sp->kind == SPAN_PRODUCER ? sp->span_id : sp->parent_id, 8);
		if (sp->kind == SPAN_PRODUCER)
			y->producers[at->num] = id;
	}
	for (i = 0; i < t->count; i++) {
		const struct span *sp = t->spans[i];
		uint64_t id;

		if (sp->kind != SPAN_CONSUMER || !sp->has_parent)
			continue;
		memcpy(&id, sp->parent_id, 8);
		if (id == y->producers[attrs_get(&sp->attrs, "messaging.kafka.offset")->num])
			y->joined++;
		else
			y->wrong++;
	}
}

/* A join that keeps no spans, only what became of them. */
static void tally_init(struct tally *y, struct scene *s, struct counters *counters, size_t messages)
{
	static const char *const spread[] = { NULL };
	struct join_opts opts = {
		.linger_ns = SCENE_LINGER_NS, .spread = spread, .counters = counters,
	};

	*y = (struct tally){ .producers = calloc(messages, sizeof(uint64_t)) };
	*s = (struct scene){ .now = SCENE_START_NS };
	check_eq(join_new(&s->join, &opts, tally_next, y), 0, "new");
}

/* No key, no header, all of one size: written first, then read by two groups, minutes later. */
TEST(many_joins_stay_within_memory)
{
	struct counters counters = { 0 };
	uint64_t before = mallinfo2().uordblks, used, most = 0;
	int64_t i, group;
	struct tally y;
	struct scene s;

	tally_init(&y, &s, &counters, MESSAGES);
	for (i = 0; i < MESSAGES; i++) {
		feed(&s, sent(&producer, 1, "t", NULL));
		feed(&s, acked(&producer, 1, 0, i));
		if (i % 1000 == 0)
			scene_wait(&s, 10 * MS);
	}
	scene_wait(&s, 60 * 1000 * MS);
	for (group = 0; group < GROUPS; group++) {
		for (i = 0; i < MESSAGES; i++) {
			feed(&s, consumed(group ? &second : &consumer, "t", NULL, 0, i));
			feed(&s, polled(group ? &second : &consumer));
			if (i % 1000 == 0) {
				scene_wait(&s, 10 * MS);
				used = mallinfo2().uordblks - before;
				most = used > most ? used : most;
			}
		}
	}
	join_flush(s.join, s.now);
	check_eq(y.joined, GROUPS * MESSAGES, "joined");
	check_eq(y.wrong, 0, "wrong");
	check_eq(counters.value[JOIN_KEYS_EVICTED], 0, "nothing forgotten");
	if (most > MEMORY_MAX)
		fail_msg("%llu MiB held", (unsigned long long)most >> 20);
	print_message("%llu MiB held at most\n", (unsigned long long)most >> 20);
	join_free(s.join);
	free(y.producers);
}

/* What does not fit is forgotten, oldest first, and counted. */
TEST(keys_that_do_not_fit_are_counted)
{
	struct counters counters = { 0 };
	struct tally y;
	struct scene s;
	int64_t i;

	tally_init(&y, &s, &counters, 300000);
	for (i = 0; i < 300000; i++) {
		feed(&s, sent(&producer, 1, "t", NULL));
		feed(&s, acked(&producer, 1, 0, i));
		if (i % 1000 == 0)
			scene_wait(&s, 10 * MS);
	}
	feed(&s, consumed(&consumer, "t", NULL, 0, 0));
	feed(&s, polled(&consumer));
	feed(&s, consumed(&consumer, "t", NULL, 0, 299999));
	feed(&s, polled(&consumer));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(y.joined, 1, "the newest only");
	check_eq(counters.value[JOIN_KEYS_EVICTED], 300001 - 262144, "counted");
	join_free(s.join);
	free(y.producers);
}

#define UNSEEN 300000		/* more than the offsets that are remembered */
#define GROWTH_MAX (1ULL << 20)	/* bytes, from the first third to the end */

/* What another node wrote: once the readers' spans have gone nothing is left that waits for it. */
TEST(readers_of_unseen_producers_leave_nothing)
{
	struct counters counters = { 0 };
	uint64_t early = 0, late;
	struct tally y;
	struct scene s;
	int64_t i;

	tally_init(&y, &s, &counters, 2);
	send_one(&s, &producer, "send", 1);
	for (i = 0; i <= UNSEEN; i++) {
		feed(&s, consumed(&consumer, "elsewhere", NULL, 0, i));
		feed(&s, polled(&consumer));
		if (i % 1000 == 0)
			scene_wait(&s, 10 * MS);
		if (i == UNSEEN / 3)
			early = mallinfo2().uordblks;
	}
	late = mallinfo2().uordblks;
	read_one(&s, &second, "process", 1);
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(y.joined, 1, "what was written before them is still known");
	check_eq(counters.value[JOIN_KEYS_EVICTED], 0, "nothing had to be forgotten");
	if (late > early + GROWTH_MAX)
		fail_msg("%llu KiB more", (unsigned long long)(late - early) >> 10);
	join_free(s.join);
	free(y.producers);
}

#define BATCH 1024
#define BATCHES 980		/* whose links beside the first are more than a million */

TEST(a_full_list_costs_links_and_no_parent)
{
	struct counters counters = { 0 };
	struct tally y;
	struct scene s;
	struct msg m;
	uint64_t polled_ns = 0, before;
	int64_t i;

	tally_init(&y, &s, &counters, 2);
	before = mallinfo2().uordblks;
	for (i = 0; i < BATCH * BATCHES; i++) {
		if (i % BATCH == 0)
			polled_ns = s.now;
		m = consumed(&consumer, "elsewhere", NULL, 0, i);
		m.kafka.poll = POLL_BATCH;
		m.kafka.polled_ns = polled_ns;
		feed(&s, m);
	}
	print_message("%llu MiB held\n",
		      (unsigned long long)(mallinfo2().uordblks - before) >> 20);
	check_eq(counters.value[LINKS_DROPPED], (BATCH - 1) * BATCHES - 1000000, "links");
	send_one(&s, &producer, "send", 1);
	read_one(&s, &second, "process", 1);
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(y.joined, 1, "parent");
	join_free(s.join);
	free(y.producers);
}

RUN_TESTS(cmocka_unit_test(read_minutes_later), cmocka_unit_test(read_after_many_other_traces),
	  cmocka_unit_test(read_again_after_a_rebalance),
	  cmocka_unit_test(clusters_are_told_apart),
	  cmocka_unit_test(a_waiting_reader_waits_for_its_cluster),
	  cmocka_unit_test(timestamps_tell_writers_apart),
	  cmocka_unit_test(a_topic_that_was_made_anew),
	  cmocka_unit_test(lag_is_what_lies_behind_the_message),
	  cmocka_unit_test(many_joins_stay_within_memory),
	  cmocka_unit_test(keys_that_do_not_fit_are_counted),
	  cmocka_unit_test(readers_of_unseen_producers_leave_nothing),
	  cmocka_unit_test(a_full_list_costs_links_and_no_parent))
