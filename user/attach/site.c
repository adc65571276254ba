/* site: see site.h */
#include "attach/site.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <capstone/capstone.h>

#include "attach/elf.h"

#define SIZE_UNKNOWN_BYTES 4096		/* searched for jumps where no table gives the size */

/* what an instruction means to the search */
enum step {
	STEP_SITE,		/* cheap: the probe may stand here */
	STEP_OVER,		/* changes nothing that a probe reads */
	STEP_STOP,
};

static const char *const kind_names[SITE_KIND_MAX] = {
	[SITE_NOP5] = "nop5",
	[SITE_EMULATED] = "emulated",
	[SITE_SINGLE_STEP] = "single-step",
};

static bool is_nop5(const uint8_t *b, size_t len)
{
	static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	return len >= sizeof(nop5) && !memcmp(b, nop5, sizeof(nop5));
}

/* the forms that arch/x86/kernel/uprobes.c emulates since 5.0: bytes, not mnemonics, decide */
static bool is_emulated(const cs_insn *in)
{
	const uint8_t *b = in->bytes;

	if (in->size == 1 && b[0] >= 0x50 && b[0] <= 0x57)
		return true;				/* push %rax to %rdi */
	if (in->size == 2 && b[0] == 0x41 && b[1] >= 0x50 && b[1] <= 0x57)
		return true;				/* push %r8 to %r15 */
	if (in->size == 2 && (b[0] == 0xeb || (b[0] >= 0x70 && b[0] <= 0x7f)))
		return true;				/* jmp, jcc, 8 bits */
	if (in->size == 5 && (b[0] == 0xe8 || b[0] == 0xe9))
		return true;				/* call, jmp, 32 bits */
	return in->size == 6 && b[0] == 0x0f && b[1] >= 0x80 && b[1] <= 0x8f;	/* jcc, 32 bits */
}

/* registers that carry arguments, and the stack pointer, in any width */
static bool is_guarded(uint16_t reg)
{
	static const uint16_t guarded[] = {
		X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL,
		X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL,
		X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH,
		X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH,
		X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B,
		X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B,
		X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL,
	};
	size_t i;

	for (i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
		if (guarded[i] == reg)
			return true;
	return false;
}

static bool is_skippable_kind(unsigned int id)
{
	switch (id) {
	case X86_INS_ENDBR64:
	case X86_INS_NOP:
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_LEA:
	case X86_INS_TEST:
	case X86_INS_CMP:
		return true;
	default:
		return false;
	}
}

/* mov, lea write their first operand; test and cmp write none but the flags */
static bool changes_nothing_read(const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;

	if (!is_skippable_kind(in->id))
		return false;
	if (in->id == X86_INS_ENDBR64 || in->id == X86_INS_NOP || in->id == X86_INS_TEST ||
	    in->id == X86_INS_CMP)
		return true;
	return x->op_count && x->operands[0].type == X86_OP_REG &&
	       !is_guarded((uint16_t)x->operands[0].reg);
}

static enum step judge(const cs_insn *in, size_t at)
{
	if (!at && in->id == X86_INS_NOP && in->size == 1)
		return STEP_SITE;
	if (is_emulated(in))
		return STEP_SITE;
	return changes_nothing_read(in) ? STEP_OVER : STEP_STOP;
}

/* Does a jump lead into (first byte, @site]? Then a loop could hit the site many times a call. */
static bool is_jumped_to(csh cs, const uint8_t *code, size_t len, size_t site)
{
	uint64_t addr = 0;
	bool is_found = false;
	cs_insn *in = cs_malloc(cs);

	if (!in)
		return true;		/* not proved: stay at the first byte */
	while (len && !is_found) {
		const cs_x86 *x = &in->detail->x86;

		if (!cs_disasm_iter(cs, &code, &len, &addr, in)) {
			code++, len--, addr++;		/* data among code: find the thread again */
			continue;
		}
		if (!cs_insn_group(cs, in, X86_GRP_JUMP) || x->op_count != 1 ||
		    x->operands[0].type != X86_OP_IMM)
			continue;
		is_found = x->operands[0].imm > 0 && (uint64_t)x->operands[0].imm <= site;
	}
	cs_free(in, 1);
	return is_found;
}

static int walk(csh cs, cs_insn *in, const uint8_t *code, size_t len, struct site *ret)
{
	const uint8_t *at = code;
	size_t left = len < SITE_LOOK_BYTES ? len : SITE_LOOK_BYTES;
	uint64_t addr = 0;
	enum step step;

	ret->skip = 0;
	ret->kind = SITE_SINGLE_STEP;
	for (;;) {
		size_t here = (size_t)(at - code);

		if (!cs_disasm_iter(cs, &at, &left, &addr, in))
			return here ? 0 : -EINVAL;
		if (!here && in->id == X86_INS_INT3)
			return -EINVAL;
		step = judge(in, here);
		if (step == STEP_STOP)
			return 0;
		if (step == STEP_OVER)
			continue;
		if (!here || !is_jumped_to(cs, code, len, here)) {
			ret->skip = (uint32_t)here;
			ret->kind = SITE_EMULATED;
		}
		return 0;
	}
}

const char *site_kind_name(enum site_kind kind)
{
	return kind < SITE_KIND_MAX ? kind_names[kind] : "?";
}

int site_choose(const uint8_t *code, size_t len, struct site *ret)
{
	cs_insn *in;
	csh cs;
	int err;

	if (is_nop5(code, len)) {
		ret->skip = 0;
		ret->kind = SITE_NOP5;
		return 0;
	}
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	in = cs_malloc(cs);
	err = in ? walk(cs, in, code, len, ret) : -ENOMEM;
	if (in)
		cs_free(in, 1);
	cs_close(&cs);
	return err;
}

int site_find(struct elf *e, uint64_t addr, uint64_t size, struct site *ret)
{
	struct site s = { 0 };
	struct elf_range body;
	uint64_t whole;
	uint8_t *code;
	long len;
	int err;

	if (!elf_is_code(e, addr))
		return -EINVAL;
	if (elf_machine(e) == EM_AARCH64)
		return site_find_arm64(e, addr, size, ret);
	if (!elf_function(e, addr, &body) && body.start == addr)
		size = body.end - body.start;	/* without padding and what follows */
	if (!size)
		size = SIZE_UNKNOWN_BYTES;
	whole = size;
	if (size > SITE_BODY_MAX)
		size = SITE_BODY_MAX;
	code = malloc(size);
	if (!code)
		return -ENOMEM;
	len = elf_read(e, addr, code, size);
	err = len < 0 ? (int)len : site_choose(code, (size_t)len, &s);
	free(code);
	if (err)
		return err;
	if (whole > size && s.skip) {	/* the rest may jump there: not proved */
		s.skip = 0;
		s.kind = SITE_SINGLE_STEP;
	}
	s.addr = addr + s.skip;
	err = elf_offset(e, s.addr, &s.offset);
	if (err)
		return err;
	*ret = s;
	return 0;
}
