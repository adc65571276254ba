/*
 * site_arm64: where an arm64 function is probed. The kernel simulates branches, calls, adr and
 * adrp and single-steps the rest; there that is one exception more and no hypervisor's trap, so
 * such a site is no reason to leave a function out.
 */
#include "attach/site.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "attach/code.h"
#include "attach/elf.h"

#define BTI 0xd503241fU			/* with its two bits of what may lead there */
#define BTI_MASK 0xffffff3fU
#define GUARDED 0xc00000ffU		/* x0 to x7, x30 (where it returns to), sp */

struct look {
	uint64_t start, site;
	bool is_found, is_led_to;
};

static bool is_simulated(const struct code_step *s)
{
	return s->op == CODE_CALL || s->op == CODE_JUMP || s->op == CODE_BRANCH ||
	       (s->op == CODE_ADDRESS && s->base == CODE_NO_REGISTER);
}

static bool changes_nothing_read(const struct code_step *s)
{
	if (s->writes & GUARDED)
		return false;
	return s->op == CODE_LOAD || s->op == CODE_MOVE || s->op == CODE_CONSTANT ||
	       s->op == CODE_COMPARE || s->op == CODE_ADDRESS;
}

static int look_for(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->addr >= l->start + SITE_LOOK_BYTES)
		return 1;
	if (is_simulated(s)) {
		l->site = s->addr;
		l->is_found = true;
		return 1;
	}
	return !changes_nothing_read(s);
}

/* A loop could hit the site many times a call. */
static int see_branch(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if ((s->op == CODE_JUMP || s->op == CODE_BRANCH) && s->target > l->start &&
	    s->target <= l->site)
		l->is_led_to = true;
	return l->is_led_to;
}

int site_find_arm64(struct elf *e, uint64_t addr, uint64_t size, struct site *ret)
{
	struct elf_range body = code_range(e, addr, size), from;
	struct look l = { .start = addr, .site = addr };
	struct site s = { .kind = SITE_SINGLE_STEP };
	uint32_t first;
	int err;

	if (addr & 3 || elf_read(e, addr, &first, sizeof(first)) != (long)sizeof(first))
		return -EINVAL;
	if ((first & BTI_MASK) == BTI)
		l.start = l.site = addr + sizeof(first);	/* a landing pad of its own */
	from = (struct elf_range){ l.start, body.end };
	err = code_steps(e, &from, look_for, &l);
	if (err < 0)
		return err;
	if (l.is_found && l.site != l.start)
		code_steps(e, &body, see_branch, &l);
	if (l.is_found && !l.is_led_to)
		s.kind = SITE_EMULATED;
	else
		l.site = l.start;
	s.addr = l.site;
	s.skip = (uint32_t)(l.site - addr);
	err = elf_offset(e, s.addr, &s.offset);
	if (!err)
		*ret = s;
	return err;
}
