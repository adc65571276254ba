/* join of rebalances: an event on what their client has in hand or is handed next. */
#include "scene.h"

static const struct who consumer = { 200, 200, 2 }, thread = { 200, 201, 2 };

static struct msg rebalance(uint64_t group_handle, bool is_assign, unsigned int partitions)
{
	struct msg m = message(MSG_KAFKA_REBALANCE, &consumer);

	m.rebalance = (struct msg_rebalance){ group_handle, is_assign, partitions };
	return m;
}

TEST(a_rebalance_is_an_event_of_what_is_in_hand_or_comes_next)
{
	const struct seen *first, *second;
	struct scene s;
	uint64_t at;

	scene_init(&s);
	at = feed(&s, rebalance(0x6e0, true, 4));
	feed(&s, rebalance(0x111, true, 9));	/* of another client */
	feed(&s, client(&consumer, NULL, "g"));
	feed(&s, tagged(consumed(&consumer, "t", "a", 0, 5), "first"));
	feed(&s, rebalance(0x6e0, false, 3));
	feed(&s, polled(&consumer));
	feed(&s, tagged(consumed(&consumer, "t", "b", 0, 6), "second"));
	feed(&s, polled(&consumer));
	scene_flush(&s);
	first = span_of(&s, "first");
	second = span_of(&s, "second");
	check_eq(first->span.event_count, 2, "before it, and during it");
	check_eq(second->span.event_count, 0, "each once");
	check_str(first->span.events[0].name, "rebalance", "name");
	check_eq(first->span.events[0].ts_ns, at + SCENE_WALL_NS, "time");
	check_str(attrs_get_str(&first->span.events[0].attrs, "spanstitch.kafka.rebalance"),
		  "assign", "first");
	check_str(attrs_get_str(&first->span.events[1].attrs, "spanstitch.kafka.rebalance"),
		  "revoke", "second");
	check_eq(attrs_get(&first->span.events[1].attrs, "spanstitch.kafka.partitions")->num, 3,
		 "partitions");
	scene_done(&s);
}

/* --- an address that is used again ------------------------------------------------------------ */

#define GROUP 0x6e0

struct member {			/* a consumer of the process, in a thread of its own */
	const struct who *who;
	uint64_t handle;
	const char *name;
};

static const struct member old = { &consumer, 0xa0, "rdkafka#consumer-1" };
static const struct member new = { &thread, 0xb0, "rdkafka#consumer-2" };
static const struct member at_the_old = { &thread, 0xa0, "rdkafka#consumer-2" };

static void tell(struct scene *s, const struct member *mb)
{
	struct msg m = client(mb->who, NULL, "g");

	m.client.client = mb->handle;
	m.client.client_id = mb->name;
	m.client.group_handle = GROUP;
	feed(s, m);
}

static void hand_over(struct scene *s, const struct member *mb, const char *tag)
{
	struct msg m = tagged(consumed(mb->who, "t", tag, 0, 5), tag);

	m.kafka.client = mb->handle;
	m.kafka.client_id = mb->name;
	feed(s, m);
}

/* The events of the one with the tag, a letter each. */
static void check_events(const struct scene *s, const char *tag, const char *want, const char *what)
{
	const struct seen *sp = span_of(s, tag);
	char got[16] = "";
	size_t i;

	check(sp->span.event_count < sizeof(got), what);
	for (i = 0; i < sp->span.event_count; i++)
		got[i] = *attrs_get_str(&sp->span.events[i].attrs, "spanstitch.kafka.rebalance");
	check_str(got, want, what);
}

/* The old one still has a message in hand: it was closed in the middle of it. */
TEST(a_group_object_that_lies_where_another_did_is_the_new_clients)
{
	struct scene s;

	scene_init(&s);
	tell(&s, &old);
	hand_over(&s, &old, "old");
	tell(&s, &new);
	feed(&s, rebalance(GROUP, true, 4));
	hand_over(&s, &new, "new");
	scene_flush(&s);
	check_events(&s, "old", "", "it is gone");
	check_events(&s, "new", "a", "whose it is");
	scene_done(&s);
}

/* What waits when the new client comes: its own is what came after the old one's revocation. */
TEST(what_the_old_client_left_is_not_the_new_ones)
{
	static const struct left_case {
		const char *name;
		const struct member *next;
		const char *before, *after;	/* its facts come; a: assigned, r: revoked */
		const char *want;
	} cases[] = {
		{ "told after its assignment",  &new,        "ra",  "",   "a" },
		{ "told before it",             &new,        "r",   "a",  "a" },
		{ "revoked and assigned again", &new,        "r",   "ara", "ara" },
		{ "of an old one's two",        &new,        "ara", "",   "a" },
		{ "at the old handle, too",     &at_the_old, "ra",  "",   "a" },
		{ "nothing of it",              &at_the_old, "ar",  "",   "" },
		{ "the same client",            &old,        "ra",  "",   "ra" },
	}, *c;
	const char *p;

	for_each(c, cases) {
		struct scene s;

		scene_init(&s);
		tell(&s, &old);
		for (p = c->before; *p; p++)
			feed(&s, rebalance(GROUP, *p == 'a', 4));
		tell(&s, c->next);
		for (p = c->after; *p; p++)
			feed(&s, rebalance(GROUP, *p == 'a', 4));
		hand_over(&s, c->next, "next");
		scene_flush(&s);
		check_events(&s, "next", c->want, c->name);
		check_eq(s.counters.value[JOIN_KEYS_EVICTED], 0, "no loss");
		scene_done(&s);
	}
}

RUN_TESTS(cmocka_unit_test(a_rebalance_is_an_event_of_what_is_in_hand_or_comes_next),
	  cmocka_unit_test(a_group_object_that_lies_where_another_did_is_the_new_clients),
	  cmocka_unit_test(what_the_old_client_left_is_not_the_new_ones))
