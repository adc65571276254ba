/*
 * probe: `spanstitch probe`: what this kernel and these privileges allow, and what would be
 * attached to a process, or why not. Attaches to nothing but ourselves.
 */
#ifndef ATTACH_PROBE_H
#define ATTACH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct probe_opts {
	const pid_t *pids;	/* none: every process that has something to attach to */
	size_t pid_count;
	bool json;
};

/* Prints to stdout. The exit code: 0 tracing works here, 1 it does not, 2 a process is gone. */
int probe_run(const struct probe_opts *opts);

#endif
