/*
 * site: where in a function an entry probe stands, and what a hit there costs.
 *
 * The kernel emulates push, jcc, call and jmp and single-steps the rest: 4 to 30 times the
 * cost. So the probe goes to the first byte, or to the first cheap instruction that a decoder
 * walked to when nothing on the way changed an argument register, the stack pointer, memory or
 * the flow of control. Such a site stands before any push: a return probe may use it too.
 */
#ifndef ATTACH_SITE_H
#define ATTACH_SITE_H

#include <stddef.h>
#include <stdint.h>

#define SITE_LOOK_BYTES 64		/* how far from the first byte we look */
#define SITE_BODY_MAX (64U << 10)	/* bytes of a function searched for jumps to the site */

struct elf;

enum site_kind {
	SITE_NOP5,		/* 5-byte nop as the first instruction: no trap from 6.18 on */
	SITE_EMULATED,		/* the kernel emulates it: one trap */
	SITE_SINGLE_STEP,	/* two traps and an out-of-line copy: dear */
	SITE_KIND_MAX,
};

struct site {
	uint64_t addr;		/* as linked */
	uint64_t offset;	/* in the file: what the kernel takes */
	uint32_t skip;		/* bytes from the function's first byte */
	enum site_kind kind;
};

const char *site_kind_name(enum site_kind kind);	/* "nop5", "emulated", "single-step" */

/*
 * Sets skip and kind for the function whose bytes are @code. -EINVAL: its first instruction
 * cannot be decoded, or a breakpoint stands there.
 */
int site_choose(const uint8_t *code, size_t len, struct site *ret);

/* The same for the function at @addr of @e, @size bytes long (0: unknown), with addr and offset. */
int site_find(struct elf *e, uint64_t addr, uint64_t size, struct site *ret);

/* What site_find() does for an arm64 file (site_arm64.c). */
int site_find_arm64(struct elf *e, uint64_t addr, uint64_t size, struct site *ret);

#endif
