/* order: records of all CPUs leave by time, within the window and its limits. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "collect/order.h"
#include "util/count.h"

#define SEEN_MAX 4096

struct seen {
	uint64_t ts[SEEN_MAX];
	uint32_t tid[SEEN_MAX];
	size_t count;
};

static void on_record(void *ctx, const struct wire_head *rec)
{
	struct seen *s = ctx;

	if (s->count < SEEN_MAX) {
		s->ts[s->count] = rec->ts_ns;
		s->tid[s->count] = rec->tid;
	}
	s->count++;
}

static void feed(struct order *o, uint64_t ts_ns, uint32_t tid)
{
	struct wire_head rec = { .len = sizeof(rec), .kind = WIRE_MAP, .ts_ns = ts_ns, .tid = tid };

	check_eq(order_feed(o, &rec), 0, "feed");
}

static struct order *make(uint64_t window_ns, size_t max, struct counters *c, struct seen *s)
{
	struct order_opts opts = { .window_ns = window_ns, .max_records = max, .counters = c };
	struct order *o = NULL;

	check_eq(order_new(&o, &opts, on_record, s), 0, "new");
	return o;
}

static void check_sorted(const struct seen *s, const char *what)
{
	size_t i;

	for (i = 1; i < s->count; i++)
		check(s->ts[i - 1] <= s->ts[i], what);
}

TEST(any_order_within_the_window_comes_out_sorted)
{
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(1000, 5000, &c, &s);
	uint64_t i, x = 1;

	/* displaced by less than the window, both ways */
	for (i = 0; i < SEEN_MAX; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		feed(o, 10000 + i * 10 + (x >> 33) % 900, (uint32_t)i);
	}
	order_flush(o);
	check_eq(s.count, SEEN_MAX, "all came out");
	check_eq(c.value[RECORDS_LATE], 0, "late");
	check_sorted(&s, "sorted");
	order_free(o);
}

TEST(equal_times_keep_their_order)
{
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(1000, 100, &c, &s);
	uint32_t i;

	for (i = 0; i < 50; i++)
		feed(o, 500, i);
	order_flush(o);
	for (i = 0; i < 50; i++)
		check_eq(s.tid[i], i, "order of arrival");
	order_free(o);
}

TEST(only_what_is_older_than_the_window_leaves)
{
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(100, 100, &c, &s);

	feed(o, 1000, 0);
	feed(o, 1100, 0);
	check_eq(s.count, 0, "the first is exactly a window old: it stays");
	feed(o, 1101, 0);
	check_eq(s.count, 1, "now it is older");
	order_tick(o, 1201);
	check_eq(s.count, 2, "time alone releases the second");
	order_flush(o);
	check_eq(s.count, 3, "flush releases the rest");
	order_free(o);
}

TEST(late_records_are_handed_on_and_counted)
{
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(100, 100, &c, &s);

	feed(o, 1000, 1);
	feed(o, 2000, 2);
	check_eq(s.count, 1, "1000 has left");
	feed(o, 999, 3);
	check_eq(s.count, 2, "at once");
	check_eq(s.tid[1], 3, "the late one");
	check_eq(c.value[RECORDS_LATE], 1, "counted");
	feed(o, 1500, 4);
	check_eq(c.value[RECORDS_LATE], 1, "after what has left, though outside the window");
	order_flush(o);
	check_eq(s.count, 4, "all");
	order_free(o);
}

TEST(the_number_held_is_bounded)
{
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(1000000, 10, &c, &s);
	uint64_t i;

	for (i = 0; i < 30; i++)
		feed(o, 100 + (30 - i), 0);
	check_eq(s.count, 20, "ten are held");
	order_flush(o);
	check_eq(s.count, 30, "none was lost");
	check_eq(c.value[RECORDS_LATE], 19, "each that came before what had left");
	order_free(o);
}

TEST(the_copy_is_whole_and_its_own)
{
	static const char tail[] = "the tail";
	struct counters c = { 0 };
	struct seen s = { 0 };
	struct order *o = make(100, 10, &c, &s);
	union {
		struct wire_head head;
		char bytes[64];
	} rec = { .head = { .kind = WIRE_MAP, .ts_ns = 5 } };

	rec.head.len = sizeof(rec.head) + sizeof(tail);
	memcpy(rec.bytes + sizeof(rec.head), tail, sizeof(tail));
	check_eq(order_feed(o, &rec.head), 0, "feed");
	memset(&rec, 0xff, sizeof(rec));
	order_flush(o);
	check_eq(s.count, 1, "one");
	check_eq(s.ts[0], 5, "not the overwritten one");
	order_free(o);
}

RUN_TESTS(cmocka_unit_test(any_order_within_the_window_comes_out_sorted),
	  cmocka_unit_test(equal_times_keep_their_order),
	  cmocka_unit_test(only_what_is_older_than_the_window_leaves),
	  cmocka_unit_test(late_records_are_handed_on_and_counted),
	  cmocka_unit_test(the_number_held_is_bounded),
	  cmocka_unit_test(the_copy_is_whole_and_its_own))
