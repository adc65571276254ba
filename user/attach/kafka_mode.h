/*
 * kafka_mode: full or light, for each probed librdkafka file, by how many messages its clients
 * produce. Light costs one hit a batch and loses the producing thread.
 */
#ifndef ATTACH_KAFKA_MODE_H
#define ATTACH_KAFKA_MODE_H

#include <stdbool.h>
#include <stdint.h>

#include "knobs.h"

struct load;

struct kafka_mode_file {
	uint64_t produced;	/* at the last look */
	uint32_t quiet;		/* looks in a row below half of the limit */
	bool is_stuck;		/* a change failed, and was told */
};

struct kafka_mode {
	struct load *load;
	uint32_t light_above;	/* messages/s; 0: never changed */
	uint64_t looked_ns;
	struct kafka_mode_file files[KAFKA_FILES_MAX];
};

/* At any pace; it acts once a second. @now_ns: CLOCK_MONOTONIC. */
void kafka_mode_tick(struct kafka_mode *m, uint64_t now_ns);

#endif
