/*
 * code: questions about the machine code of an examined file, answered by a decoder
 * (Capstone): what stands in a function, who refers to an address, who calls it.
 * Reads at most CODE_BODY_MAX bytes a function and finds at most as many as the caller has
 * room for. x86-64 only.
 */
#ifndef ATTACH_CODE_H
#define ATTACH_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODE_BODY_MAX (64U << 10)	/* bytes of one function that are decoded */

struct cs_insn;
struct elf;
struct elf_range;

/* Not 0 ends the walk, which returns it. @in is borrowed; its addresses are as linked. */
typedef int (*code_fn)(void *ctx, const struct cs_insn *in);

/* Each instruction from @start, straight on. 0 at the end; -EINVAL where one cannot be decoded. */
int code_walk(struct elf *e, const struct elf_range *range, code_fn fn, void *ctx);

/* The function at @addr: from the unwind table, else @size bytes (0: one instruction's reach). */
struct elf_range code_range(struct elf *e, uint64_t addr, uint64_t size);

/* Places of `lea target(%rip)`: their count, each within a decoded function; -E2BIG: too many. */
int code_references(struct elf *e, uint64_t target, uint64_t *ret, size_t room);

/* Places of direct calls and jumps to @target by their bytes, so there may be false ones. */
int code_callers(struct elf *e, uint64_t target, uint64_t *ret, size_t room);

/* Does an instruction within @range call or jump to @target directly? */
bool code_calls(struct elf *e, const struct elf_range *range, uint64_t target);

#endif
