/*
 * count: the agent's copy of every counter (include/counters.h), with names to print.
 * One struct is passed to all stages; each stage adds to its own rows only.
 */
#ifndef UTIL_COUNT_H
#define UTIL_COUNT_H

#include <stdint.h>

#include "counters.h"

struct counters {
	uint64_t value[COUNTER_MAX];
};

static inline void counter_add(struct counters *c, enum counter id, uint64_t n)
{
	c->value[id] += n;
}

const char *counter_name(enum counter id);	/* as in counters.h, "spans.made" */
const char *counter_sentence(enum counter id);

#endif
