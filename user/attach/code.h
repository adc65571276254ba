/*
 * code: questions about the machine code of an examined file, answered by a decoder
 * (Capstone): what stands in a function, who refers to an address, who calls it.
 * x86-64 and arm64: each instruction is told as a step, which knows no machine (code_x86.c,
 * code_arm64.c). Reads at most CODE_BODY_MAX bytes a function and finds at most as many
 * places as the caller has room for.
 */
#ifndef ATTACH_CODE_H
#define ATTACH_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_BODY_MAX (64U << 10)	/* bytes of one function that are decoded */
#define CODE_REGISTERS 32
#define CODE_ARGS 6			/* registers 0 to 5 are those of the first arguments */
#define CODE_NO_REGISTER 0xff

struct cs_insn;
struct elf;
struct elf_range;

enum code_op {
	CODE_OTHER,
	CODE_CALL, CODE_JUMP,	/* direct: to target */
	CODE_BRANCH,		/* conditional, to target; reg where it tests one against 0 */
	CODE_RETURN,
	CODE_LOAD,		/* reg (and reg2 at pair) = memory */
	CODE_STORE,		/* memory = reg, or constant where there is no reg */
	CODE_ADDRESS,		/* reg = base + value, or target where there is no base */
	CODE_MOVE,		/* reg = base */
	CODE_CONSTANT,		/* reg = constant */
	CODE_COMPARE,		/* reg, or memory where there is no reg, with constant */
};

struct code_step {
	uint64_t addr;
	uint32_t size;
	enum code_op op;
	uint8_t reg, reg2, base, width;	/* width: bytes loaded, stored or compared */
	bool has_memory;	/* touches memory at base + value, or at target without a base */
	int64_t value, pair;	/* displacements; pair: of the second word, else the same */
	int64_t constant;
	uint64_t target;
	uint32_t writes;	/* one bit for each register that no longer has its value */
};

/* Not 0 ends the walk, which returns it. @in is borrowed; its addresses are as linked. */
typedef int (*code_fn)(void *ctx, const struct cs_insn *in);
typedef int (*code_step_fn)(void *ctx, const struct code_step *s);

/* Each instruction from @start, straight on. 0 at the end; -EINVAL where one cannot be decoded. */
int code_walk(struct elf *e, const struct elf_range *range, code_fn fn, void *ctx);
int code_steps(struct elf *e, const struct elf_range *range, code_step_fn fn, void *ctx);

/* The function at @addr: from the unwind table, else @size bytes (0: one instruction's reach). */
struct elf_range code_range(struct elf *e, uint64_t addr, uint64_t size);

/* Places that form @target's address: their count, each within a decoded function; -E2BIG. */
int code_references(struct elf *e, uint64_t target, uint64_t *ret, size_t room);

/* Places of direct calls and jumps to @target by their bytes, so there may be false ones. */
int code_callers(struct elf *e, uint64_t target, uint64_t *ret, size_t room);

/* Does an instruction begin at @at, and does its function not end before? */
bool code_is_instruction(struct elf *e, uint64_t at);

/* Does an instruction within @range call or jump to @target directly? */
bool code_calls(struct elf *e, const struct elf_range *range, uint64_t target);

/* The linker's stub (PLT) through which the file calls its own export @name. -ENOENT: none. */
int code_stub(struct elf *e, const char *name, uint64_t *ret);

#endif
