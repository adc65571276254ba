/* count: see count.h. */
#include "util/count.h"

#define COUNTER_ROW(id, name, sentence) [id] = { name, sentence },

static const struct {
	const char *name, *sentence;
} rows[COUNTER_MAX] = {
	COUNTERS_KERNEL(COUNTER_ROW)
	COUNTERS_AGENT(COUNTER_ROW)
};

const char *counter_name(enum counter id)
{
	return rows[id].name;
}

const char *counter_sentence(enum counter id)
{
	return rows[id].sentence;
}
