/* track: see track.h */
#include "attach/track.h"

#include <string.h>

static struct track_value loaded(const struct track *t, const struct code_step *s, int64_t at)
{
	struct track_value base = track_get(t, s->base);
	struct track_value v = { .kind = TRACK_OTHER, .width = s->width, .value = at };

	if (base.kind == TRACK_ARG) {
		v.kind = TRACK_FIELD;
		v.arg = base.arg;
		v.value = base.value + at;
	} else if (s->base == CODE_NO_REGISTER) {
		v.kind = s->target ? TRACK_SLOT : TRACK_NOTHING;
		v.value = (int64_t)s->target;
	}
	return v;
}

static struct track_value result(const struct track *t, const struct code_step *s)
{
	struct track_value v = { .kind = TRACK_NOTHING };

	switch (s->op) {
	case CODE_LOAD:
		return loaded(t, s, s->value);
	case CODE_MOVE:
		return track_get(t, s->base);
	case CODE_CONSTANT:
		v.kind = TRACK_CONSTANT;
		v.value = s->constant;
		return v;
	case CODE_ADDRESS:
		if (s->base == CODE_NO_REGISTER && s->target) {
			v.kind = TRACK_PLACE;
			v.value = (int64_t)s->target;
			return v;
		}
		v = track_get(t, s->base);
		if (v.kind != TRACK_ARG)
			return (struct track_value){ .kind = TRACK_NOTHING };
		v.value += s->value;
		return v;
	default:
		return v;
	}
}

static void remember(struct track *t, const struct code_step *s)
{
	struct track_branch *b;
	uint32_t i;

	if ((s->op != CODE_BRANCH && s->op != CODE_JUMP) || s->target <= s->addr)
		return;
	for (i = 0; i < t->branch_count && t->branches[i].target != s->target; i++)
		;
	if (i < t->branch_count || i == TRACK_BRANCHES_MAX)
		return;		/* the first one counts; without room the rest is unknown */
	b = &t->branches[t->branch_count++];
	b->target = s->target;
	memcpy(b->registers, t->registers, sizeof(b->registers));
}

static void go_away(struct track *t, const struct code_step *s)
{
	uint64_t next = s->addr + s->size;
	uint32_t i;

	t->is_cut |= s->op == CODE_JUMP || s->op == CODE_RETURN;
	for (i = 0; i < t->branch_count; i++) {
		if (t->branches[i].target != next)
			continue;
		if (t->is_cut)
			memcpy(t->registers, t->branches[i].registers, sizeof(t->registers));
		t->is_cut = false;
		t->branches[i] = t->branches[--t->branch_count];
		return;
	}
	if (s->op == CODE_RETURN)
		memset(t->registers, 0, sizeof(t->registers));
}

void track_begin(struct track *t)
{
	uint8_t i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < CODE_ARGS; i++)
		t->registers[i] = (struct track_value){ .kind = TRACK_ARG, .arg = i };
}

void track_step(struct track *t, const struct code_step *s)
{
	struct track_value v = result(t, s), second = { .kind = TRACK_NOTHING };
	bool is_written = s->op == CODE_LOAD || s->op == CODE_MOVE || s->op == CODE_CONSTANT ||
			  s->op == CODE_ADDRESS;
	uint8_t i;

	if (s->op == CODE_LOAD && s->reg2 < CODE_REGISTERS)
		second = loaded(t, s, s->pair);
	for (i = 0; i < CODE_REGISTERS; i++)
		if (s->writes & 1U << i)
			t->registers[i].kind = TRACK_NOTHING;
	if (is_written && s->reg < CODE_REGISTERS)
		t->registers[s->reg] = v;
	if (s->op == CODE_LOAD && s->reg2 < CODE_REGISTERS)
		t->registers[s->reg2] = second;
	remember(t, s);
	go_away(t, s);
}

struct track_value track_get(const struct track *t, uint8_t reg)
{
	if (reg >= CODE_REGISTERS)
		return (struct track_value){ .kind = TRACK_NOTHING };
	return t->registers[reg];
}

bool track_is_arg(const struct track *t, uint8_t reg, uint8_t arg, int64_t value)
{
	struct track_value v = track_get(t, reg);

	return v.kind == TRACK_ARG && v.arg == arg && v.value == value;
}

bool track_tests_field(const struct track *t, const struct code_step *s, uint8_t arg,
		       int64_t *ret_offset)
{
	struct track_value v;

	if (s->op == CODE_COMPARE && s->has_memory) {
		v = track_get(t, s->base);
		v.value += s->value;
		if (s->constant || s->width != 8 || v.kind != TRACK_ARG || v.arg != arg)
			return false;
	} else {
		if ((s->op != CODE_COMPARE && s->op != CODE_BRANCH) || s->constant)
			return false;
		v = track_get(t, s->reg);
		if (v.kind != TRACK_FIELD || v.arg != arg || v.width != 8)
			return false;
	}
	*ret_offset = v.value;
	return true;
}
