/*
 * librdkafka_points: places that serve a part of the picture only: polls, failed sends, answers
 * of brokers, commits, rebalances, transactions. One that is not found is left out.
 */
#include "attach/librdkafka_search.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "attach/load.h"
#include "attach/track.h"

static const uint8_t poll_kinds[NAME_MAX - NAME_POLL_FIRST] = {
	KAFKA_POLL_ONE, KAFKA_POLL_ONE, KAFKA_POLL_ONE,
	KAFKA_POLL_BATCH, KAFKA_POLL_BATCH,
	KAFKA_POLL_CALLBACK, KAFKA_POLL_CALLBACK,
	KAFKA_POLL_ONE, KAFKA_POLL_BATCH, KAFKA_POLL_CALLBACK,
};

static const char *const delegating[] = {
	"Group \"%s\": delegating %s of %d partition(s) to application on queue %s: %s",
	"Group \"%s\": delegating incremental %s of %d partition(s) to application on queue %s: %s",
	/* before 1.6 */
	("Group \"%s\": delegating %s of %d partition(s) to application rebalance callback on "
	 "queue %s: %s"),
};

static int take_callee(void *ctx, const struct code_step *s)
{
	uint64_t *target = ctx;

	if (s->op != CODE_CALL && s->op != CODE_JUMP)
		return 0;
	*target = s->target;
	return 1;
}

/* Which poll function @addr lies in; NAME_MAX: none. */
static enum name poll_around(struct search *s, uint64_t addr)
{
	enum name n;

	for (n = NAME_POLL_FIRST; n < NAME_MAX; n++) {
		struct elf_range r;

		if (!s->symbols[n].addr)
			continue;
		r = search_range(s, n);
		if (addr >= r.start && addr < r.end)
			break;
	}
	return n;
}

static uint8_t kind_of(enum name n)
{
	return poll_kinds[n - NAME_POLL_FIRST];
}

/*
 * A poll function whose own site would be single-stepped may hand over to an inner function:
 * that one is probed instead if nothing but poll functions of its kind (and itself) calls it.
 */
static bool find_inner(struct search *s, enum name n, uint64_t *ret)
{
	struct elf_range r = search_range(s, n), inner;
	uint64_t target = 0, callers[LIBRDKAFKA_REFERENCES_MAX];
	int count, i;

	if (code_steps(s->e, &r, take_callee, &target) != 1 ||
	    (target >= r.start && target < r.end) || !elf_is_code(s->e, target))
		return false;
	inner = code_range(s->e, target, 0);
	count = code_callers(s->e, target, callers, LIBRDKAFKA_REFERENCES_MAX);
	for (i = 0; i < count; i++) {
		enum name caller = poll_around(s, callers[i]);

		if (callers[i] >= inner.start && callers[i] < inner.end)
			continue;
		if (caller == NAME_MAX || kind_of(caller) != kind_of(n))
			return false;
	}
	if (count < 1)
		return false;
	*ret = target;
	return true;
}

struct entrance {
	struct track track;
	uint64_t at;
};

/* Straight on to the first call or jump away, with the handle or its queue as the argument. */
static int see_entrance(void *ctx, const struct code_step *s)
{
	struct entrance *l = ctx;
	struct track_value v = track_get(&l->track, 0);

	l->at = s->addr;
	if (s->op == CODE_CALL || s->op == CODE_JUMP)
		return !v.arg && ((v.kind == TRACK_ARG || v.kind == TRACK_FIELD) && !v.value) ?
			       1 : -ENOENT;
	if (s->op == CODE_BRANCH || s->op == CODE_RETURN)
		return -ENOENT;
	track_step(&l->track, s);
	return 0;
}

/*
 * A poll's probe reads the first argument only and looks at no stack. So it may also stand at
 * the first call, which the kernel emulates, where the entry would be single-stepped.
 */
static void move_to_entrance(struct search *s, struct librdkafka_point *p)
{
	struct elf_range r = code_range(s->e, p->site.addr, 0);
	struct entrance l = { .at = 0 };
	uint64_t offset;

	track_begin(&l.track);
	if (code_steps(s->e, &r, see_entrance, &l) != 1 || elf_offset(s->e, l.at, &offset))
		return;
	p->site.skip = (uint32_t)(l.at - r.start);
	p->site.addr = l.at;
	p->site.offset = offset;
	p->site.kind = SITE_EMULATED;
	p->is_left_out = false;
}

bool search_add_poll(struct search *s, enum name n, uint64_t addr)
{
	struct librdkafka_point *p;

	if (search_add(s, KAFKA_POLL, n, addr, false))
		return false;
	p = &s->k->points[s->k->count - 1];
	p->poll_kind = kind_of(n);
	if (p->is_left_out)
		move_to_entrance(s, p);
	return true;
}

static void find_named_polls(struct search *s)
{
	uint64_t inner[NAME_MAX - NAME_POLL_FIRST];
	size_t inner_count = 0, i;
	enum name n;

	for (n = NAME_POLL_FIRST; elf_machine(s->e) == EM_X86_64 && n < NAME_MAX; n++) {
		uint64_t addr = s->symbols[n].addr, target;
		struct site site;

		if (!addr || site_find(s->e, addr, 0, &site) || site.kind != SITE_SINGLE_STEP ||
		    !find_inner(s, n, &target))
			continue;
		for (i = 0; i < inner_count && inner[i] != target; i++)
			;
		if (i < inner_count || search_add(s, KAFKA_POLL, n, target, false))
			continue;
		s->k->points[s->k->count - 1].poll_kind = kind_of(n);
		if (s->k->points[s->k->count - 1].is_left_out)
			s->k->count--;
		else
			inner[inner_count++] = target;
	}
	for (n = NAME_POLL_FIRST; n < NAME_MAX; n++) {
		struct elf_range r;

		if (!s->symbols[n].addr)
			continue;
		r = search_range(s, n);
		for (i = 0; i < inner_count && !code_calls(s->e, &r, inner[i]); i++)
			;
		if (i == inner_count)
			search_add_poll(s, n, s->symbols[n].addr);
	}
}

void librdkafka_find_polls(struct search *s)
{
	if (s->is_stripped)
		librdkafka_stripped_polls(s);
	else
		find_named_polls(s);
}

/*
 * Acknowledgements of single messages that do not come through the queue function: a produce
 * call that fails. Probed where they are called: at the function itself each message of a
 * batch would hit too.
 */
static void find_ack_calls(struct search *s)
{
	struct callee ack = search_callee(s, NAME_ON_ACK);
	struct elf_range self = search_range(s, NAME_ON_ACK);
	struct elf_range queue = search_range(s, NAME_ON_ACK_QUEUE);
	uint64_t calls[LIBRDKAFKA_REFERENCES_MAX];
	int i, n;

	if (!ack.addr)
		return;
	n = search_calls_of(s, &ack, calls, LIBRDKAFKA_REFERENCES_MAX);
	for (i = 0; i < n; i++) {
		struct librdkafka_point *p = &s->k->points[s->k->count];

		if ((calls[i] >= queue.start && calls[i] < queue.end) ||
		    (calls[i] >= self.start && calls[i] < self.end) ||
		    s->k->count == LIBRDKAFKA_POINTS_MAX)
			continue;
		*p = (struct librdkafka_point){
			.role = KAFKA_ACK_CALL,
			.name = librdkafka_names[NAME_ON_ACK],
			.site = { .addr = calls[i], .kind = SITE_EMULATED },
		};
		if (!elf_offset(s->e, calls[i], &p->site.offset))
			s->k->count++;
	}
}

/* One commit by the application must hit one place: of two that call each other the inner. */
static void find_commits(struct search *s)
{
	struct callee commit = search_callee(s, NAME_COMMIT);
	struct callee queue = search_callee(s, NAME_COMMIT_QUEUE);
	struct elf_range of_commit = search_range(s, NAME_COMMIT);
	struct elf_range of_queue = search_range(s, NAME_COMMIT_QUEUE);
	struct elf_range of_message = search_range(s, NAME_COMMIT_MESSAGE);

	if (commit.addr && !search_calls(s, &of_commit, &queue))
		search_add(s, KAFKA_COMMIT, NAME_COMMIT, commit.addr, true);
	if (queue.addr && (!commit.addr || !search_calls(s, &of_queue, &commit)))
		search_add(s, KAFKA_COMMIT, NAME_COMMIT_QUEUE, queue.addr, true);
	if (s->symbols[NAME_COMMIT_MESSAGE].addr && !search_calls(s, &of_message, &commit) &&
	    !search_calls(s, &of_message, &queue))
		search_add(s, KAFKA_COMMIT_MESSAGE, NAME_COMMIT_MESSAGE,
			   s->symbols[NAME_COMMIT_MESSAGE].addr, false);
}

static bool is_point(const struct search *s, enum librdkafka_role role, uint64_t start,
		     uint64_t end)
{
	size_t i;

	for (i = 0; i < s->k->count; i++)
		if (s->k->points[i].role == role && s->k->points[i].site.addr >= start &&
		    s->k->points[i].site.addr < end)
			return true;
	return false;
}

/* By name, and else by what they log; either way their code must tell their arguments. */
static void find_rebalances(struct search *s)
{
	struct elf_range f[4];
	size_t i;
	int j, n;

	for (i = 0; i < 2; i++) {
		enum name name = NAME_REBALANCE + (enum name)i;

		f[0] = search_range(s, name);
		if (s->symbols[name].addr && librdkafka_is_rebalance(s, &f[0]))
			search_add(s, KAFKA_REBALANCE, name, f[0].start, true);
	}
	if (is_point(s, KAFKA_REBALANCE, 0, UINT64_MAX))
		return;
	for (i = 0; i < sizeof(delegating) / sizeof(delegating[0]); i++) {
		n = search_string(s, delegating[i], f, 4);
		for (j = 0; j < n; j++)
			if (!is_point(s, KAFKA_REBALANCE, f[j].start, f[j].end) &&
			    librdkafka_is_rebalance(s, &f[j]))
				search_add(s, KAFKA_REBALANCE, NAME_REBALANCE + (i == 1),
					   f[j].start, true);
	}
}

void librdkafka_find_points(struct search *s)
{
	static const struct { enum librdkafka_role role; enum name name; bool is_rare; } rows[] = {
		{ KAFKA_RESPONSE, NAME_ON_RESPONSE, false },
		{ KAFKA_COMMITTED, NAME_ON_COMMIT, false },
		{ KAFKA_TXN_BEGIN, NAME_TXN_BEGIN, true },
		{ KAFKA_TXN_COMMIT, NAME_TXN_COMMIT, true },
		{ KAFKA_TXN_ABORT, NAME_TXN_ABORT, true },
	};
	size_t i;

	find_ack_calls(s);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (s->symbols[rows[i].name].addr)
			search_add(s, rows[i].role, rows[i].name, s->symbols[rows[i].name].addr,
				   rows[i].is_rare);
	find_commits(s);
	find_rebalances(s);
	librdkafka_find_refused(s);
}
