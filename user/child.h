/*
 * child: the command after "--": started stopped, so that it can become a target before its
 * first instruction, then let go. Ends with us only by its own will; we never signal it.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;		/* 0: none */
	int go_fd;
	int exit_code;		/* once it has ended; as a shell says it */
};

int child_start(struct child *c, char **argv);	/* 0 or -errno; waits to be let go */
void child_go(struct child *c);
bool child_has_ended(struct child *c);		/* never blocks */

#endif
