/*
 * librdkafka_layout: where the private fields stand. What depends on the version only is held
 * against the code of accessors; what depends on the build too is read from such code.
 */
#include "attach/librdkafka_search.h"

#include <errno.h>
#include <string.h>

#include "attach/track.h"

#define ACCESSOR_LOOK 48		/* instructions of an accessor that are looked at */
#define FUNCTION_LOOK 400		/* of a longer function */
#define OFFSETS_MAX 64			/* memory displacements kept of one accessor */
#define TOPIC_NAME_OFF_OLD 80		/* rd_kafka_topic_s.rkt_topic before 1.5.0 */
#define TOPIC_NAME_OFF 88
#define TOPPAR_OFF (-64)		/* of a message's operation, seen from the message */
#define MESSAGE_OFF 112			/* of the message within its operation, 1.5 */
#define MESSAGE_OFF_1_6 120
#define ERR_REVOKE (-174)
#define ERR_ASSIGN (-175)

/* displacements that an accessor's code must hold; 0 ends the row */
static const struct accessor {
	enum name name;
	uint32_t since;
	uint16_t offsets[3];
} accessors[] = {
	{ NAME_STATUS, LIBRDKAFKA_OLDEST, { 112 } },
	{ NAME_TIMESTAMP, LIBRDKAFKA_OLDEST, { 92, 96 } },
	{ NAME_HEADERS, LIBRDKAFKA_OLDEST, { 104 } },
	{ NAME_TOPIC, LIBRDKAFKA_1_5, { TOPIC_NAME_OFF, 24, 8 } },
	{ NAME_TOPIC, 0, { TOPIC_NAME_OFF_OLD, 8 } },
};

struct offsets {
	int64_t seen[OFFSETS_MAX];
	size_t count, looked;
};

/* one function looked at with the values of its registers */
struct look {
	struct track track;
	size_t looked, calls;
	int64_t found;
	bool is_err_compared, is_list_read;
	int64_t wanted;
};

static int collect_offsets(void *ctx, const struct code_step *s)
{
	struct offsets *o = ctx;

	if (s->has_memory && o->count + 2 <= OFFSETS_MAX) {
		o->seen[o->count++] = s->value;
		o->seen[o->count++] = s->pair;
	}
	return ++o->looked == ACCESSOR_LOOK;
}

static bool has_offset(const struct offsets *o, int64_t offset)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		if (o->seen[i] == offset)
			return true;
	return false;
}

static int check_accessor(struct search *s, const struct accessor *a)
{
	struct elf_range r = search_range(s, a->name);
	struct offsets o = { .count = 0 };
	size_t i;

	code_steps(s->e, &r, collect_offsets, &o);
	for (i = 0; i < 3 && a->offsets[i]; i++)
		if (!has_offset(&o, a->offsets[i]))
			return reason_set(s->why, -ENOTSUP, "librdkafka: %s does not read offset "
					  "%u: another layout",
					  librdkafka_names[a->name], a->offsets[i]);
	return 0;
}

static int walk(struct search *s, uint64_t addr, uint64_t size, code_step_fn fn, struct look *l)
{
	struct elf_range r = code_range(s->e, addr, size);

	track_begin(&l->track);
	return code_steps(s->e, &r, fn, l);
}

static int walk_name(struct search *s, enum name n, code_step_fn fn, struct look *l)
{
	if (!s->symbols[n].addr)
		return -ENOENT;
	return walk(s, s->symbols[n].addr, s->symbols[n].size, fn, l);
}

static int go_on(struct look *l, const struct code_step *s, size_t limit)
{
	track_step(&l->track, s);
	l->calls += s->op == CODE_CALL;
	return ++l->looked == limit ? -ENOENT : 0;
}

/* rd_kafka_message_get(): the address of the message within its operation, its argument */
static int see_message(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->op == CODE_ADDRESS && s->base != CODE_NO_REGISTER && s->value == l->wanted &&
	    track_is_arg(&l->track, s->base, 0, 0))
		return 1;
	return go_on(l, s, FUNCTION_LOOK);
}

/* the toppar of the operation, read by it or by the function that it hands over to */
static int see_toppar(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->op == CODE_LOAD && s->width == 8 && s->value == l->wanted &&
	    track_is_arg(&l->track, s->base, 0, 0))
		return 1;
	return go_on(l, s, FUNCTION_LOOK);
}

static int64_t message_off(const struct search *s)
{
	return s->k->version < LIBRDKAFKA_1_6 ? MESSAGE_OFF : MESSAGE_OFF_1_6;
}

static bool has_message_off(struct search *s)
{
	struct look l = { .wanted = message_off(s) };

	return walk_name(s, NAME_MESSAGE_GET, see_message, &l) == 1;
}

/* A stripped program has no accessors: one function tells the message's place of its version. */
static int check_stripped(struct search *s)
{
	if (!s->symbols[NAME_MESSAGE_GET].addr)
		return reason_set(s->why, -ENOTSUP, "librdkafka is linked into a stripped program: "
				  "no function to check the layout by");
	if (!has_message_off(s))
		return reason_set(s->why, -ENOTSUP, "librdkafka: rd_kafka_message_get does not "
				  "add offset %u: another layout", (unsigned int)message_off(s));
	return 0;
}

int librdkafka_check_layout(struct search *s)
{
	bool is_topic_seen = false;
	size_t i, checked = 0;
	int err;

	for (i = 0; i < sizeof(accessors) / sizeof(accessors[0]); i++) {
		const struct accessor *a = &accessors[i];

		if (s->k->version < a->since || (a->name == NAME_TOPIC && is_topic_seen))
			continue;
		is_topic_seen |= a->name == NAME_TOPIC;
		if (!s->symbols[a->name].addr)
			continue;	/* a linker dropped what the program does not call */
		err = check_accessor(s, a);
		if (err)
			return err;
		checked++;
	}
	return checked ? 0 : check_stripped(s);
}

/* rd_kafka_name() returns an address within the client */
static int see_name(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->op == CODE_ADDRESS && track_is_arg(&l->track, s->base, 0, 0)) {
		l->found = s->value;
		return 1;
	}
	return s->op == CODE_OTHER && !s->writes ? 0 : -ENOENT;
}

/* rd_kafka_clusterid() takes the client's lock and tests the cached text */
static int see_cluster(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value v = track_get(&l->track, 0);

	if (l->is_list_read && track_tests_field(&l->track, s, 0, &l->found))
		return 1;
	if (s->op == CODE_CALL && v.kind == TRACK_ARG && !v.arg && v.value > 0)
		l->is_list_read = true;		/* the lock */
	return go_on(l, s, FUNCTION_LOOK);
}

/* rd_kafka_memberid() begins with a test of the client's group */
static int see_group(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (track_tests_field(&l->track, s, 0, &l->found))
		return 1;
	return s->op == CODE_CALL ? -ENOENT : go_on(l, s, ACCESSOR_LOOK);
}

/* rd_kafka_get_watermark_offsets() stores the high one where its fifth argument points */
static int see_high(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value v = track_get(&l->track, s->reg);

	if (s->op == CODE_STORE && s->width == 8 && !s->value && l->calls &&
	    track_is_arg(&l->track, s->base, 4, 0) && v.kind == TRACK_OTHER && v.width == 8) {
		l->found = v.value;
		return 1;
	}
	return go_on(l, s, ACCESSOR_LOOK);
}

static uint32_t offset_of(struct search *s, enum name n, code_step_fn fn)
{
	struct look l = { 0 };

	if (walk_name(s, n, fn, &l) != 1 || l.found <= 0 || l.found > UINT16_MAX)
		return 0;
	return (uint32_t)l.found;
}

/* The function that calls on_consume for the operation that is its first argument. */
static bool is_toppar_read(struct search *s)
{
	struct callee consume = search_callee(s, NAME_ON_CONSUME);
	struct look l = { .wanted = message_off(s) + TOPPAR_OFF };
	uint64_t calls[LIBRDKAFKA_REFERENCES_MAX];
	int i, n = search_calls_of(s, &consume, calls, LIBRDKAFKA_REFERENCES_MAX);

	for (i = 0; i < n; i++) {
		struct elf_range r;

		l.looked = 0;
		if (!elf_function(s->e, calls[i], &r) &&
		    walk(s, r.start, 0, see_toppar, &l) == 1)
			return true;
	}
	return false;
}

void librdkafka_find_knobs(struct search *s)
{
	struct kafka_knobs *k = &s->k->knobs;

	k->topic_off = s->k->version < LIBRDKAFKA_1_5 ? TOPIC_NAME_OFF_OLD : TOPIC_NAME_OFF;
	k->name_off = offset_of(s, NAME_NAME, see_name);
	k->cluster_off = offset_of(s, NAME_CLUSTER, see_cluster);
	k->group_off = offset_of(s, NAME_MEMBER, see_group);
	if (s->k->version < LIBRDKAFKA_1_5 || !has_message_off(s) || !is_toppar_read(s))
		return;		/* before 1.5 another object stands between the two */
	k->high_off = offset_of(s, NAME_WATERMARKS, see_high);
	k->toppar_off = k->high_off ? TOPPAR_OFF : 0;
}

/* The second argument is compared with the two errors, the third is a list that is passed on. */
static int see_rebalance(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value list = track_get(&l->track, s->base);

	if (s->op == CODE_COMPARE && !s->has_memory &&
	    ((int32_t)s->constant == ERR_ASSIGN || (int32_t)s->constant == ERR_REVOKE) &&
	    track_is_arg(&l->track, s->reg, 1, 0))
		l->is_err_compared = true;
	if (s->op == CODE_LOAD && s->width == 4 && !s->value && list.kind == TRACK_ARG &&
	    list.arg == 2 && !list.value)
		l->is_list_read = true;
	if (s->op == CODE_CALL && (track_is_arg(&l->track, 0, 2, 0) ||
				   track_is_arg(&l->track, 1, 2, 0)))
		l->is_list_read = l->is_list_read || l->calls;
	if (l->is_err_compared && l->is_list_read)
		return 1;
	return go_on(l, s, FUNCTION_LOOK);
}

bool librdkafka_is_rebalance(struct search *s, const struct elf_range *r)
{
	struct look l = { 0 };

	return walk(s, r->start, r->end - r->start, see_rebalance, &l) == 1;
}

bool librdkafka_is_member(struct search *s, const struct elf_range *r)
{
	struct look l = { 0 };

	return walk(s, r->start, r->end - r->start, see_group, &l) == 1;
}

bool librdkafka_is_cluster(struct search *s, const struct elf_range *r)
{
	struct look l = { 0 };

	return walk(s, r->start, r->end - r->start, see_cluster, &l) == 1;
}

bool librdkafka_is_watermarks(struct search *s, const struct elf_range *r)
{
	struct look l = { 0 };

	return walk(s, r->start, r->end - r->start, see_high, &l) == 1;
}
