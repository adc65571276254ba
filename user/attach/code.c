/* code: see code.h */
#include "attach/code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

#include "attach/elf.h"

#define LEA_BYTES 7		/* REX.W 8d modrm disp32 */
#define CALL_BYTES 5		/* e8 or e9 disp32 */
#define LONE_BYTES 256		/* read of a function whose size nothing tells */

struct search {
	uint64_t target;
	uint64_t *ret;
	size_t count, room;
};

static int add_found(struct search *s, uint64_t at)
{
	if (s->count == s->room)
		return -E2BIG;
	s->ret[s->count++] = at;
	return 0;
}

static int32_t read_rel32(const uint8_t *b)
{
	int32_t rel;

	memcpy(&rel, b, sizeof(rel));
	return rel;
}

static int find_lea(void *ctx, const struct elf_chunk *c)
{
	struct search *s = ctx;
	size_t i;
	int err;

	for (i = 0; i + LEA_BYTES <= c->len && i < c->own; i++) {
		const uint8_t *b = c->bytes + i;

		if ((b[0] & 0xfb) != 0x48 || b[1] != 0x8d || (b[2] & 0xc7) != 0x05 ||
		    c->addr + i + LEA_BYTES + (uint64_t)(int64_t)read_rel32(b + 3) != s->target)
			continue;
		err = add_found(s, c->addr + i);
		if (err)
			return err;
	}
	return 0;
}

static int find_call(void *ctx, const struct elf_chunk *c)
{
	struct search *s = ctx;
	size_t i;
	int err;

	for (i = 0; i + CALL_BYTES <= c->len && i < c->own; i++) {
		const uint8_t *b = c->bytes + i;

		if ((b[0] & 0xfe) != 0xe8 ||
		    c->addr + i + CALL_BYTES + (uint64_t)(int64_t)read_rel32(b + 1) != s->target)
			continue;
		err = add_found(s, c->addr + i);
		if (err)
			return err;
	}
	return 0;
}

static int is_at(void *ctx, const cs_insn *in)
{
	const uint64_t *addr = ctx;

	return in->address == *addr;
}

static int leads_to(void *ctx, const cs_insn *in)
{
	const uint64_t *target = ctx;
	const cs_x86 *x = &in->detail->x86;

	return (in->id == X86_INS_CALL || in->id == X86_INS_JMP) && x->op_count == 1 &&
	       x->operands[0].type == X86_OP_IMM && (uint64_t)x->operands[0].imm == *target;
}

static int walk_bytes(const uint8_t *code, size_t len, uint64_t addr, code_fn fn, void *ctx)
{
	cs_insn *in;
	csh cs;
	int result = 0;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	in = cs_malloc(cs);
	if (!in)
		result = -ENOMEM;
	while (!result && len)
		result = cs_disasm_iter(cs, &code, &len, &addr, in) ? fn(ctx, in) : -EINVAL;
	if (in)
		cs_free(in, 1);
	cs_close(&cs);
	return result;
}

int code_walk(struct elf *e, const struct elf_range *range, code_fn fn, void *ctx)
{
	size_t bytes = range->end - range->start;
	uint8_t *code;
	long len;
	int result;

	if (range->end <= range->start)
		return -EINVAL;
	if (bytes > CODE_BODY_MAX)
		bytes = CODE_BODY_MAX;
	code = malloc(bytes);
	if (!code)
		return -ENOMEM;
	len = elf_read(e, range->start, code, bytes);
	result = len < 0 ? (int)len : walk_bytes(code, (size_t)len, range->start, fn, ctx);
	free(code);
	return result;
}

struct elf_range code_range(struct elf *e, uint64_t addr, uint64_t size)
{
	struct elf_range r;

	if (!elf_function(e, addr, &r) && r.start == addr)
		return r;
	return (struct elf_range){ addr, addr + (size ? size : LONE_BYTES) };
}

int code_references(struct elf *e, uint64_t target, uint64_t *ret, size_t room)
{
	struct search s = { .target = target, .ret = ret, .room = room };
	size_t i, kept = 0;
	int err;

	err = elf_scan(e, ELF_CODE, LEA_BYTES, find_lea, &s);
	if (err)
		return err;
	for (i = 0; i < s.count; i++) {
		struct elf_range r;

		if (!elf_function(e, ret[i], &r) && code_walk(e, &r, is_at, &ret[i]) == 1)
			ret[kept++] = ret[i];
	}
	return (int)kept;
}

int code_callers(struct elf *e, uint64_t target, uint64_t *ret, size_t room)
{
	struct search s = { .target = target, .ret = ret, .room = room };
	int err = elf_scan(e, ELF_CODE, CALL_BYTES, find_call, &s);

	return err ? err : (int)s.count;
}

bool code_calls(struct elf *e, const struct elf_range *range, uint64_t target)
{
	return code_walk(e, range, leads_to, &target) == 1;
}
