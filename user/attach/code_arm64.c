/* code_arm64: arm64 instructions as steps; see code.h. Addresses and constants come in halves. */
#include "attach/code_machine.h"

#include <string.h>

#define WORD 4
#define PAGE 0xfffULL
#define STACK 31		/* number of the stack pointer */
#define VOLATILE 0x7ffffU	/* x0 to x18: what a call may change */

static uint32_t word_at(const uint8_t *b)
{
	uint32_t w;

	memcpy(&w, b, sizeof(w));
	return w;
}

static uint8_t number_of(unsigned int reg)
{
	if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28)
		return (uint8_t)(reg - ARM64_REG_X0);
	if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30)
		return (uint8_t)(reg - ARM64_REG_W0);
	if (reg == ARM64_REG_X29)
		return 29;
	if (reg == ARM64_REG_X30)
		return 30;
	return reg == ARM64_REG_SP ? STACK : CODE_NO_REGISTER;
}

static uint8_t width_of(unsigned int reg)
{
	return reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30 ? 4 : 8;
}

static bool has_page(const struct code_halves *h, uint8_t reg)
{
	return reg < CODE_REGISTERS && (h->is_page & 1U << reg);
}

static void take_memory(struct code_step *s, const struct code_halves *h, const cs_arm64 *a,
			const cs_arm64_op *op)
{
	uint8_t base = number_of(op->mem.base);

	s->has_memory = true;
	if (has_page(h, base)) {
		s->target = h->value[base] + (uint64_t)(int64_t)op->mem.disp;
		return;
	}
	s->value = s->pair = op->mem.disp;
	if (op->mem.index == ARM64_REG_INVALID)
		s->base = base;
	if (a->writeback && base < CODE_REGISTERS)
		s->writes |= 1U << base;
}

static void take_load(struct code_step *s, const cs_insn *in, const cs_arm64 *a)
{
	bool is_pair = in->id == ARM64_INS_LDP || in->id == ARM64_INS_STP ||
		       in->id == ARM64_INS_LDPSW;

	s->reg = number_of(a->operands[0].reg);
	s->width = width_of(a->operands[0].reg);
	if (is_pair) {
		s->reg2 = number_of(a->operands[1].reg);
		s->pair = s->value + s->width;
	}
	s->op = in->id == ARM64_INS_STP || in->id == ARM64_INS_STR || in->id == ARM64_INS_STUR ?
			CODE_STORE : CODE_LOAD;
}

static void take_address(struct code_step *s, const struct code_halves *h, const cs_arm64 *a)
{
	uint64_t add;

	if (a->op_count != 3 || a->operands[2].type != ARM64_OP_IMM)
		return;
	add = (uint64_t)a->operands[2].imm << a->operands[2].shift.value;
	s->op = CODE_ADDRESS;
	s->reg = number_of(a->operands[0].reg);
	s->base = number_of(a->operands[1].reg);
	s->value = s->pair = (int64_t)add;
	if (has_page(h, s->base)) {
		s->target = h->value[s->base] + add;
		s->base = CODE_NO_REGISTER;
	}
}

static void take_constant(struct code_step *s, const cs_insn *in, const cs_arm64 *a,
			  const struct code_halves *h)
{
	const cs_arm64_op *from = &a->operands[1];
	uint64_t value;

	s->reg = number_of(a->operands[0].reg);
	if (from->type == ARM64_OP_REG) {
		s->base = number_of(from->reg);
		s->op = s->base == CODE_NO_REGISTER ? CODE_CONSTANT : CODE_MOVE;	/* xzr: 0 */
		return;
	}
	if (from->type != ARM64_OP_IMM)
		return;
	value = (uint64_t)from->imm << from->shift.value;
	if (in->id == ARM64_INS_MOVK) {
		if (s->reg >= CODE_REGISTERS || !(h->is_constant & 1U << s->reg))
			return;
		value |= h->value[s->reg] & ~(0xffffULL << from->shift.value);
	}
	if (in->id == ARM64_INS_MOVN)
		value = ~value;
	s->op = CODE_CONSTANT;
	s->constant = (int64_t)value;
}

static void take_compare(struct code_step *s, const cs_insn *in, const cs_arm64 *a)
{
	if (a->operands[1].type != ARM64_OP_IMM)
		return;
	s->op = CODE_COMPARE;
	s->reg = number_of(a->operands[0].reg);
	s->width = width_of(a->operands[0].reg);
	s->constant = a->operands[1].imm << a->operands[1].shift.value;
	if (in->id == ARM64_INS_CMN)
		s->constant = -s->constant;
}

static void take_flow(struct code_step *s, const cs_insn *in, const cs_arm64 *a)
{
	const cs_arm64_op *last = &a->operands[a->op_count ? a->op_count - 1 : 0];

	if (a->op_count && last->type == ARM64_OP_IMM)
		s->target = (uint64_t)last->imm;
	switch (in->id) {
	case ARM64_INS_BL:
		s->op = CODE_CALL;
		s->writes = VOLATILE;
		break;
	case ARM64_INS_BLR:
		s->writes = VOLATILE;
		break;
	case ARM64_INS_B:
		s->op = a->cc == ARM64_CC_INVALID || a->cc == ARM64_CC_AL ? CODE_JUMP :
									    CODE_BRANCH;
		break;
	case ARM64_INS_CBZ:
	case ARM64_INS_CBNZ:
		s->op = CODE_BRANCH;
		s->reg = number_of(a->operands[0].reg);
		s->width = width_of(a->operands[0].reg);
		break;
	default:
		s->op = CODE_BRANCH;	/* tbz, tbnz */
		break;
	}
}

static void take(struct code_step *s, const struct code_halves *h, const cs_insn *in,
		 const cs_arm64 *a)
{
	switch (in->id) {
	case ARM64_INS_LDR: case ARM64_INS_LDUR: case ARM64_INS_LDRSW: case ARM64_INS_LDP:
	case ARM64_INS_STR: case ARM64_INS_STUR: case ARM64_INS_STP: case ARM64_INS_LDPSW:
		take_load(s, in, a);
		break;
	case ARM64_INS_ADD:
		take_address(s, h, a);
		break;
	case ARM64_INS_ADR:
		s->op = CODE_ADDRESS;
		s->reg = number_of(a->operands[0].reg);
		s->target = (uint64_t)a->operands[1].imm;
		break;
	case ARM64_INS_MOV: case ARM64_INS_MOVZ: case ARM64_INS_MOVK: case ARM64_INS_MOVN:
		take_constant(s, in, a, h);
		break;
	case ARM64_INS_CMP: case ARM64_INS_CMN:
		take_compare(s, in, a);
		break;
	case ARM64_INS_B: case ARM64_INS_BL: case ARM64_INS_BLR: case ARM64_INS_CBZ:
	case ARM64_INS_CBNZ: case ARM64_INS_TBZ: case ARM64_INS_TBNZ:
		take_flow(s, in, a);
		break;
	case ARM64_INS_RET:
		s->op = CODE_RETURN;
		break;
	default:
		break;
	}
}

static void remember(struct code_halves *h, const cs_insn *in, const struct code_step *s)
{
	uint8_t reg = s->reg;

	h->is_page &= ~s->writes;
	h->is_constant &= ~s->writes;
	if (in->id == ARM64_INS_ADRP) {
		reg = number_of(in->detail->arm64.operands[0].reg);
		if (reg >= CODE_REGISTERS)
			return;
		h->is_page |= 1U << reg;
		h->value[reg] = (uint64_t)in->detail->arm64.operands[1].imm;
	} else if (s->op == CODE_CONSTANT && reg < CODE_REGISTERS) {
		h->is_constant |= 1U << reg;
		h->value[reg] = (uint64_t)s->constant;
	}
}

static void step(csh cs, struct code_halves *h, const cs_insn *in, struct code_step *ret)
{
	const cs_arm64 *a = &in->detail->arm64;
	cs_regs read, written;
	uint8_t reads, writes, i;

	if (cs_regs_access(cs, in, read, &reads, written, &writes))
		writes = 0;
	for (i = 0; i < writes; i++) {
		uint8_t n = number_of(written[i]);

		if (n != CODE_NO_REGISTER)
			ret->writes |= 1U << n;
	}
	for (i = 0; i < a->op_count; i++)
		if (a->operands[i].type == ARM64_OP_MEM)
			take_memory(ret, h, a, &a->operands[i]);
	take(ret, h, in, a);
	remember(h, in, ret);
}

static bool is_page_of(uint32_t w, uint64_t addr, uint64_t target)
{
	uint64_t page = (uint64_t)(w >> 5 & 0x7ffff) << 2 | (w >> 29 & 3);

	page = (uint64_t)((int64_t)(page << 43) >> 31);		/* 21 bits with a sign, in pages */
	return (w & 0x9f000000) == 0x90000000 && (addr & ~PAGE) + page == (target & ~PAGE);
}

/* `adrp` of the page of @target: the other half stands anywhere in its function */
static long forms(const uint8_t *b, size_t len, uint64_t addr, uint64_t target)
{
	return len >= WORD && is_page_of(word_at(b), addr, target) ? 0 : -1;
}

static bool is_adrp_to(uint32_t w, uint32_t reg)
{
	return (w & 0x9f000000) == 0x90000000 && (w & 31) == reg;
}

/* Is the register that word @i adds to given the page of @target by the adrp before it? */
static bool has_page_of(const uint8_t *b, uint64_t addr, size_t i, uint64_t target)
{
	uint32_t reg = word_at(b + i * WORD) >> 5 & 31, w;
	size_t j;

	for (j = i; j > 0; j--) {
		w = word_at(b + (j - 1) * WORD);
		if (is_adrp_to(w, reg))
			return is_page_of(w, addr + (j - 1) * WORD, target);
	}
	return false;
}

static long within(const uint8_t *b, size_t len, uint64_t addr, uint64_t target)
{
	size_t i, count = len / WORD;

	for (i = 0; i < count; i++) {
		uint32_t w = word_at(b + i * WORD);

		if ((w & 0xffc00000) == 0x91000000 && (w >> 10 & 0xfff) == (target & PAGE) &&
		    has_page_of(b, addr, i, target))
			return (long)(i * WORD);
	}
	return -1;
}

static bool calls(const uint8_t *b, size_t len, uint64_t addr, uint64_t target)
{
	uint32_t w;

	if (len < WORD)
		return false;
	w = word_at(b);
	return (w & 0x7c000000) == 0x14000000 &&
	       addr + (uint64_t)((int64_t)((uint64_t)w << 38) >> 36) == target;
}

/* adrp x16, page; ldr x17, [x16, rest]; maybe after a `bti c` */
static long stub(const uint8_t *b, size_t len, uint64_t addr, uint64_t slot)
{
	uint32_t w, load;
	uint64_t page;

	if (len < 2 * WORD)
		return -1;
	w = word_at(b);
	load = word_at(b + WORD);
	if ((w & 0x9f00001f) != 0x90000010 || (load & 0xffc003ff) != 0xf9400211)
		return -1;
	page = (uint64_t)(w >> 5 & 0x7ffff) << 2 | (w >> 29 & 3);
	page = (addr & ~PAGE) + (uint64_t)((int64_t)(page << 43) >> 31);
	return page + ((uint64_t)(load >> 10 & 0xfff) << 3) == slot ? 0 : -1;
}

static size_t aligned(const struct elf_chunk *c, size_t from)
{
	return from + (size_t)(-(c->addr + from) & (WORD - 1));
}

static long next_reference(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = aligned(c, from); i < c->own; i += WORD)
		if (!forms(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

static long next_call(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = aligned(c, from); i < c->own; i += WORD)
		if (calls(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

static long next_stub(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = aligned(c, from); i < c->own; i += WORD)
		if (!stub(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

const struct code_machine code_arm64 = {
	.arch = CS_ARCH_ARM64,
	.mode = CS_MODE_ARM,
	.reach = 2 * WORD,
	.step = step,
	.next_reference = next_reference,
	.next_call = next_call,
	.next_stub = next_stub,
	.within = within,
};
