/* code_x86: x86-64 instructions as steps; see code.h */
#include "attach/code_machine.h"

#include <string.h>

#define LEA_BYTES 7		/* REX.W 8d modrm disp32 */
#define CALL_BYTES 5		/* e8 or e9 disp32 */
#define STUB_BYTES 11		/* endbr64, bnd jmp *disp32(%rip) */

/* after those of the arguments: %rax, %r10, %r11 and then those that a call preserves */
static const struct {
	uint16_t names[4];
	uint8_t number;
} registers[] = {
	{ { X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL }, 0 },
	{ { X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL }, 1 },
	{ { X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL }, 2 },
	{ { X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL }, 3 },
	{ { X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B }, 4 },
	{ { X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B }, 5 },
	{ { X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL }, 6 },
	{ { X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B }, 7 },
	{ { X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B }, 8 },
	{ { X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL }, 9 },
	{ { X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL }, 10 },
	{ { X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B }, 11 },
	{ { X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B }, 12 },
	{ { X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B }, 13 },
	{ { X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B }, 14 },
	{ { X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL }, 15 },
};
#define VOLATILE 0x1ffU		/* 0 to 8: what a call may change */

static uint8_t number_of(uint16_t reg)
{
	size_t i, j;

	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		for (j = 0; j < 4; j++)
			if (registers[i].names[j] == reg)
				return registers[i].number;
	return CODE_NO_REGISTER;
}

static int32_t read_rel32(const uint8_t *b)
{
	int32_t rel;

	memcpy(&rel, b, sizeof(rel));
	return rel;
}

static void take_memory(struct code_step *s, const cs_insn *in, const cs_x86_op *op)
{
	s->has_memory = true;
	s->width = op->size;
	if (op->mem.base == X86_REG_RIP) {
		s->target = in->address + in->size + (uint64_t)op->mem.disp;
		return;
	}
	s->value = s->pair = op->mem.disp;
	if (op->mem.index == X86_REG_INVALID && op->mem.segment == X86_REG_INVALID)
		s->base = number_of((uint16_t)op->mem.base);
}

static void take_move(struct code_step *s, const cs_x86_op *to, const cs_x86_op *from)
{
	if (to->type == X86_OP_MEM) {
		s->op = CODE_STORE;
		if (from->type == X86_OP_REG)
			s->reg = number_of((uint16_t)from->reg);
		else
			s->constant = to->size == 4 ? (int32_t)from->imm : from->imm;
		return;
	}
	s->reg = number_of((uint16_t)to->reg);
	if (from->type == X86_OP_MEM) {
		s->op = CODE_LOAD;
	} else if (from->type == X86_OP_IMM) {
		s->op = CODE_CONSTANT;
		s->constant = from->imm;
	} else {
		s->op = CODE_MOVE;
		s->base = number_of((uint16_t)from->reg);
	}
}

static void take_compare(struct code_step *s, const cs_insn *in, const cs_x86 *x)
{
	const cs_x86_op *a = &x->operands[0], *b = &x->operands[1];

	if (in->id == X86_INS_TEST && a->type == X86_OP_REG && b->type == X86_OP_REG &&
	    a->reg == b->reg)
		s->constant = 0;
	else if (in->id == X86_INS_CMP && b->type == X86_OP_IMM)
		s->constant = a->size == 4 ? (int32_t)b->imm : b->imm;
	else
		return;
	s->op = CODE_COMPARE;
	s->width = a->size;
	if (a->type == X86_OP_REG)
		s->reg = number_of((uint16_t)a->reg);
}

static void take_flow(struct code_step *s, const cs_insn *in, const cs_x86 *x, bool is_jump)
{
	bool is_direct = x->op_count == 1 && x->operands[0].type == X86_OP_IMM;

	if (in->id == X86_INS_CALL)
		s->writes = VOLATILE;
	if (!is_direct)
		return;
	s->target = (uint64_t)x->operands[0].imm;
	if (in->id == X86_INS_CALL)
		s->op = CODE_CALL;
	else if (is_jump)
		s->op = in->id == X86_INS_JMP ? CODE_JUMP : CODE_BRANCH;
}

static void take_two(struct code_step *s, const cs_insn *in, const cs_x86 *x)
{
	const cs_x86_op *a = &x->operands[0], *b = &x->operands[1];

	switch (in->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
		take_move(s, a, b);
		break;
	case X86_INS_LEA:
		s->op = CODE_ADDRESS;
		s->reg = number_of((uint16_t)a->reg);
		s->has_memory = false;
		break;
	case X86_INS_ADD:
		if (a->type != X86_OP_REG || b->type != X86_OP_IMM)
			break;
		s->op = CODE_ADDRESS;
		s->reg = s->base = number_of((uint16_t)a->reg);
		s->value = s->pair = b->imm;
		break;
	case X86_INS_XOR:
		if (a->type != X86_OP_REG || b->type != X86_OP_REG || a->reg != b->reg)
			break;
		s->op = CODE_CONSTANT;
		s->reg = number_of((uint16_t)a->reg);
		break;
	case X86_INS_TEST:
	case X86_INS_CMP:
		take_compare(s, in, x);
		break;
	default:
		break;
	}
}

static void step(csh cs, struct code_halves *h __attribute__((unused)), const cs_insn *in,
		 struct code_step *ret)
{
	const cs_x86 *x = &in->detail->x86;
	cs_regs read, written;
	uint8_t reads, writes, i;

	if (cs_regs_access(cs, in, read, &reads, written, &writes))
		writes = 0;
	for (i = 0; i < writes; i++) {
		uint8_t n = number_of(written[i]);

		if (n != CODE_NO_REGISTER)
			ret->writes |= 1U << n;
	}
	for (i = 0; i < x->op_count; i++)
		if (x->operands[i].type == X86_OP_MEM)
			take_memory(ret, in, &x->operands[i]);
	if (in->id == X86_INS_RET)
		ret->op = CODE_RETURN;
	else if (in->id == X86_INS_CALL || cs_insn_group(cs, in, X86_GRP_JUMP))
		take_flow(ret, in, x, in->id != X86_INS_CALL);
	else if (x->op_count == 2)
		take_two(ret, in, x);
}

/*
 * `lea target(%rip)`; where the linker knew that addresses fit, also `mov $target` into a
 * register, of 32 bits or with their sign.
 */
static inline bool forms(const uint8_t *b, size_t len, uint64_t addr, uint64_t target)
{
	if (len < LEA_BYTES)
		return false;
	if ((b[0] & 0xfe) == 0x48 && b[1] == 0xc7 && (b[2] & 0xf8) == 0xc0)
		return (uint64_t)(int64_t)read_rel32(b + 3) == target;
	if (b[0] == 0x41 && (b[1] & 0xf8) == 0xb8)
		return (uint32_t)read_rel32(b + 2) == target;
	if ((b[0] & 0xf8) == 0xb8)
		return (uint32_t)read_rel32(b + 1) == target;
	if ((b[0] & 0xfb) != 0x48 || b[1] != 0x8d || (b[2] & 0xc7) != 0x05)
		return false;
	return addr + LEA_BYTES + (uint64_t)(int64_t)read_rel32(b + 3) == target;
}

static inline bool calls(const uint8_t *b, size_t len, uint64_t addr, uint64_t target)
{
	return len >= CALL_BYTES && (b[0] & 0xfe) == 0xe8 &&
	       addr + CALL_BYTES + (uint64_t)(int64_t)read_rel32(b + 1) == target;
}

/* The stub begins with its jump, or with an endbr64 before it; a jump may have a bnd prefix. */
static inline bool stub(const uint8_t *b, size_t len, uint64_t addr, uint64_t slot)
{
	size_t at = 0;

	if (len < STUB_BYTES)
		return false;
	if (!memcmp(b, "\xf3\x0f\x1e\xfa", 4))
		at = 4;
	if (b[at] == 0xf2)
		at++;
	if (b[at] != 0xff || b[at + 1] != 0x25 ||
	    addr + at + 6 + (uint64_t)(int64_t)read_rel32(b + at + 2) != slot)
		return false;
	return true;
}

static long next_reference(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = from; i < c->own; i++)
		if (((c->bytes[i] & 0xf8) == 0x48 || (c->bytes[i] & 0xf8) == 0xb8 ||
		     c->bytes[i] == 0x41) &&
		    forms(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

static long next_call(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = from; i < c->own; i++)
		if (calls(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

static long next_stub(const struct elf_chunk *c, size_t from, uint64_t target)
{
	size_t i;

	for (i = from; i < c->own; i++)
		if (c->bytes[i] >= 0xf2 && stub(c->bytes + i, c->len - i, c->addr + i, target))
			return (long)i;
	return -1;
}

const struct code_machine code_x86 = {
	.arch = CS_ARCH_X86,
	.mode = CS_MODE_64,
	.reach = STUB_BYTES,
	.step = step,
	.next_reference = next_reference,
	.next_call = next_call,
	.next_stub = next_stub,
};
