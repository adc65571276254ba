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
	size_t reach;		/* bytes that the searches see of one place */
	void (*step)(csh cs, struct code_halves *h, const cs_insn *in, struct code_step *ret);
	/*
	 * The next place of the chunk's own from @from on, or -1: that forms the address @target;
	 * that calls or jumps to it; that is a stub which jumps through the word there.
	 */
	long (*next_reference)(const struct elf_chunk *c, size_t from, uint64_t target);
	long (*next_call)(const struct elf_chunk *c, size_t from, uint64_t target);
	long (*next_stub)(const struct elf_chunk *c, size_t from, uint64_t target);
	/* Where references are told by a half (else NULL): the place in a function, or -1. */
	long (*within)(const uint8_t *b, size_t len, uint64_t addr, uint64_t target);
};

extern const struct code_machine code_x86, code_arm64;

const struct code_machine *code_machine_of(const struct elf *e);

#endif
