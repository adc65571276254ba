/* code: see code.h */
#include "attach/code.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/code_machine.h"

#define HALVES_MAX 16384	/* places that form the page of one address */
#define LONE_BYTES 256		/* read of a function whose size nothing tells */

struct search {
	const struct code_machine *machine;
	uint64_t target;
	uint64_t *ret;
	size_t count, room;
};

struct walk {
	csh cs;
	struct code_halves halves;
	const struct code_machine *machine;
	code_fn fn;		/* one of the two */
	code_step_fn step_fn;
	void *ctx;
};

static int add_found(struct search *s, uint64_t at)
{
	if (s->count && s->ret[s->count - 1] == at)
		return 0;
	if (s->count == s->room)
		return -E2BIG;
	s->ret[s->count++] = at;
	return 0;
}

static int find_all(struct search *s, const struct elf_chunk *c,
		    long (*next)(const struct elf_chunk *c, size_t from, uint64_t target))
{
	long at = next(c, 0, s->target);
	int err = 0;

	while (at >= 0 && !err) {
		err = add_found(s, c->addr + (uint64_t)at);
		at = next(c, (size_t)at + 1, s->target);
	}
	return err;
}

static int find_reference(void *ctx, const struct elf_chunk *c)
{
	struct search *s = ctx;

	return find_all(s, c, s->machine->next_reference);
}

static int find_call(void *ctx, const struct elf_chunk *c)
{
	struct search *s = ctx;

	return find_all(s, c, s->machine->next_call);
}

static int find_stub(void *ctx, const struct elf_chunk *c)
{
	struct search *s = ctx;

	return find_all(s, c, s->machine->next_stub);
}

static int is_at(void *ctx, const struct code_step *s)
{
	const uint64_t *addr = ctx;

	return s->addr == *addr;
}

static int leads_to(void *ctx, const struct code_step *s)
{
	const uint64_t *target = ctx;

	return (s->op == CODE_CALL || s->op == CODE_JUMP) && s->target == *target;
}

static int walk_one(struct walk *w, const cs_insn *in)
{
	struct code_step s = {
		.addr = in->address,
		.size = in->size,
		.reg = CODE_NO_REGISTER,
		.reg2 = CODE_NO_REGISTER,
		.base = CODE_NO_REGISTER,
	};

	if (w->fn)
		return w->fn(w->ctx, in);
	w->machine->step(w->cs, &w->halves, in, &s);
	return w->step_fn(w->ctx, &s);
}

static int walk_bytes(struct walk *w, const uint8_t *code, size_t len, uint64_t addr)
{
	cs_insn *in;
	int result = 0;

	if (cs_open(w->machine->arch, w->machine->mode, &w->cs) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(w->cs, CS_OPT_DETAIL, CS_OPT_ON);
	in = cs_malloc(w->cs);
	if (!in)
		result = -ENOMEM;
	while (!result && len)
		result = cs_disasm_iter(w->cs, &code, &len, &addr, in) ? walk_one(w, in) : -EINVAL;
	if (in)
		cs_free(in, 1);
	cs_close(&w->cs);
	return result;
}

static int walk_range(struct elf *e, const struct elf_range *range, struct walk *w)
{
	size_t bytes = range->end - range->start;
	uint8_t *code;
	long len;
	int result;

	w->machine = code_machine_of(e);
	if (range->end <= range->start)
		return -EINVAL;
	if (bytes > CODE_BODY_MAX)
		bytes = CODE_BODY_MAX;
	code = malloc(bytes);
	if (!code)
		return -ENOMEM;
	len = elf_read(e, range->start, code, bytes);
	result = len < 0 ? (int)len : walk_bytes(w, code, (size_t)len, range->start);
	free(code);
	return result;
}

const struct code_machine *code_machine_of(const struct elf *e)
{
	return elf_machine(e) == EM_AARCH64 ? &code_arm64 : &code_x86;
}

int code_walk(struct elf *e, const struct elf_range *range, code_fn fn, void *ctx)
{
	struct walk w = { .fn = fn, .ctx = ctx };

	return walk_range(e, range, &w);
}

int code_steps(struct elf *e, const struct elf_range *range, code_step_fn fn, void *ctx)
{
	struct walk w = { .step_fn = fn, .ctx = ctx };

	return walk_range(e, range, &w);
}

struct elf_range code_range(struct elf *e, uint64_t addr, uint64_t size)
{
	struct elf_range r;

	if (!elf_function(e, addr, &r) && r.start == addr)
		return r;
	return (struct elf_range){ addr, addr + (size ? size : LONE_BYTES) };
}

struct formed {
	uint64_t target, at;
};

static int forms_target(void *ctx, const struct code_step *s)
{
	struct formed *f = ctx;

	f->at = s->addr;
	return s->op == CODE_ADDRESS && s->base == CODE_NO_REGISTER && s->target == f->target;
}

/*
 * Does the function @r form the address, and where? Told by its decoded steps; else (@is_raw)
 * by its bytes, which do not see a register that was written in between.
 */
static bool is_formed(struct elf *e, const struct search *s, const struct elf_range *r,
		      bool is_raw, uint64_t *ret)
{
	size_t bytes = r->end - r->start < CODE_BODY_MAX ? r->end - r->start : CODE_BODY_MAX;
	struct formed f = { .target = s->target };
	uint8_t *code;
	long len, at = -1;

	if (!is_raw) {
		bool is_found = code_steps(e, r, forms_target, &f) == 1;

		*ret = f.at;
		return is_found;
	}
	code = malloc(bytes);
	if (!code)
		return false;
	len = elf_read(e, r->start, code, bytes);
	if (len > 0)
		at = s->machine->within(code, (size_t)len, r->start, s->target);
	free(code);
	*ret = r->start + (uint64_t)at;
	return at >= 0;
}

static int ask_functions(struct elf *e, const struct search *halves, bool is_raw,
			 struct search *ret)
{
	struct elf_range r = { 0, 0 };
	uint64_t at;
	size_t i;
	int err = 0;

	for (i = 0; !err && i < halves->count; i++) {
		if (halves->ret[i] < r.end || elf_function(e, halves->ret[i], &r))
			continue;
		if (is_formed(e, halves, &r, is_raw, &at))
			err = add_found(ret, at);
	}
	return err;
}

/* Halves are many: each function that has one is asked for the other. */
static int references_by_halves(struct elf *e, const struct code_machine *machine,
				uint64_t target, struct search *ret)
{
	struct search s = { machine, target, NULL, 0, HALVES_MAX };
	int err;

	s.ret = calloc(HALVES_MAX, sizeof(*s.ret));
	if (!s.ret)
		return -ENOMEM;
	err = elf_scan(e, ELF_CODE, machine->reach, find_reference, &s);
	if (!err)
		err = ask_functions(e, &s, false, ret);
	if (!err && !ret->count)
		err = ask_functions(e, &s, true, ret);
	free(s.ret);
	return err;
}

int code_references(struct elf *e, uint64_t target, uint64_t *ret, size_t room)
{
	struct search s = { code_machine_of(e), target, ret, 0, room };
	size_t i, kept = 0;
	int err;

	if (s.machine->within)
		err = references_by_halves(e, s.machine, target, &s);
	else
		err = elf_scan(e, ELF_CODE, s.machine->reach, find_reference, &s);
	if (err)
		return err;
	for (i = 0; i < s.count; i++)
		if (code_is_instruction(e, ret[i]))
			ret[kept++] = ret[i];
	return (int)kept;
}

int code_callers(struct elf *e, uint64_t target, uint64_t *ret, size_t room)
{
	struct search s = { code_machine_of(e), target, ret, 0, room };
	int err = elf_scan(e, ELF_CODE, s.machine->reach, find_call, &s);

	return err ? err : (int)s.count;
}

bool code_is_instruction(struct elf *e, uint64_t at)
{
	struct elf_range r;

	return !elf_function(e, at, &r) && code_steps(e, &r, is_at, &at) == 1;
}

bool code_calls(struct elf *e, const struct elf_range *range, uint64_t target)
{
	return target && code_steps(e, range, leads_to, &target) == 1;
}

int code_stub(struct elf *e, const char *name, uint64_t *ret)
{
	uint64_t found[1];
	struct search s = { code_machine_of(e), 0, found, 0, 1 };
	int err;

	err = elf_slot(e, name, &s.target);
	if (!err)
		err = elf_scan(e, ELF_CODE, s.machine->reach, find_stub, &s);
	if (err && err != -E2BIG)
		return err;
	if (!s.count)
		return -ENOENT;
	*ret = found[0];
	return 0;
}
