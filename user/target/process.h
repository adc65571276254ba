/*
 * process: who a process is, read from /proc: its program, the service's name, the container.
 *
 * Foreign text: every read is bounded, nothing else of the environment is kept. A process may
 * be gone at any moment: that is -ESRCH, never an error to report.
 */
#ifndef TARGET_PROCESS_H
#define TARGET_PROCESS_H

#include <sys/types.h>

#include "target/cgroup.h"

#define PROCESS_NAME_MAX 128
#define PROCESS_PATH_MAX 256
#define PROCESS_TEXT_MAX 32768	/* bytes of cmdline and environ that are looked at */

struct process_facts {
	pid_t parent;				/* 0: not known */
	char exe[PROCESS_PATH_MAX];
	char service[PROCESS_NAME_MAX];
	char runtime[16];			/* telemetry.sdk.language: "python", ..., or "" */
	char traceparent[64];			/* TRACEPARENT it was given; "": none */
	struct cgroup_names cgroup;
};

/* 0, or -ESRCH */
int process_read(struct process_facts *ret, pid_t pid);

/*
 * The name of a service by the command line (@args: NUL-separated, @len bytes) of @exe: an
 * interpreter is named by its script or module, another program by its own name.
 */
void process_name_service(struct process_facts *ret, const char *args, size_t len);

#endif
