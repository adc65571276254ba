/* code_machine: what code.c asks of each machine's decoder; for nobody else. */
#ifndef ATTACH_CODE_MACHINE_H
#define ATTACH_CODE_MACHINE_H

#include <capstone/capstone.h>

#include "attach/code.h"
#include "attach/elf.h"

/* what a walk remembers between instructions: halves of addresses and constants (arm64) */
struct code_halves {
	uint64_t value[CODE_REGISTERS];
	uint32_t is_page, is_constant;		/* one bit a register */
};

struct code_machine {
	cs_arch arch;
	cs_mode mode;
	size_t reach;		/* bytes that find_*() see of one place */
	void (*step)(csh cs, struct code_halves *h, const cs_insn *in, struct code_step *ret);
	/* Does the code at @b, of @len bytes, form the address @target? At which byte, or -1. */
	long (*forms)(const uint8_t *b, size_t len, uint64_t addr, uint64_t target);
	/* Where forms() tells a half only (else NULL): the place in a whole function, or -1. */
	long (*within)(const uint8_t *b, size_t len, uint64_t addr, uint64_t target);
	bool (*calls)(const uint8_t *b, size_t len, uint64_t addr, uint64_t target);
	/* Is it the jump of a stub through the word at @slot? How far before it the stub begins. */
	long (*stub)(const uint8_t *b, size_t len, uint64_t addr, uint64_t slot);
	size_t align;		/* instructions begin at multiples of it */
};

extern const struct code_machine code_x86, code_arm64;

const struct code_machine *code_machine_of(const struct elf *e);

#endif
