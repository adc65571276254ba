/*
 * track: what registers hold while the instructions of a function go by: its arguments, fields
 * of them, or nothing known. Straight on; what stands behind a jump away or a return has the
 * registers of the first branch that led there; where none did, a loop's body behind the jump
 * into its middle, those of that jump. It never follows a loop.
 */
#ifndef ATTACH_TRACK_H
#define ATTACH_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "attach/code.h"

enum track_kind {
	TRACK_NOTHING,
	TRACK_ARG,	/* argument @arg + value */
	TRACK_FIELD,	/* loaded from (argument @arg + value) */
	TRACK_OTHER,	/* loaded from (something else + value) */
	TRACK_CONSTANT,
	TRACK_PLACE,	/* address as linked */
	TRACK_SLOT,	/* loaded from the address as linked that is value */
};

struct track_value {
	enum track_kind kind;
	uint8_t arg, width;
	int64_t value;
};

#define TRACK_BRANCHES_MAX 32	/* branches forward that are remembered at one time */

struct track_branch {
	uint64_t target;
	struct track_value registers[CODE_REGISTERS];
};

struct track {
	struct track_value registers[CODE_REGISTERS];
	struct track_branch branches[TRACK_BRANCHES_MAX];
	uint32_t branch_count;
	bool is_cut;		/* the last step went away: the next one is led to */
};

void track_begin(struct track *t);				/* at a function's entry */
void track_step(struct track *t, const struct code_step *s);	/* after @s was executed */

/* What @reg holds before the step that is looked at. */
struct track_value track_get(const struct track *t, uint8_t reg);

bool track_is_arg(const struct track *t, uint8_t reg, uint8_t arg, int64_t value);

/* Does @s test against 0 what was loaded from argument @arg? Sets its offset. */
bool track_tests_field(const struct track *t, const struct code_step *s, uint8_t arg,
		       int64_t *ret_offset);

#endif
