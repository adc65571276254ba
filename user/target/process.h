/*
 * process: who a process is, from /proc: parent, executable, container, pod, service, runtime.
 *
 * Reads with limits and keeps nothing of the environment but what stands below; the buffers
 * that held it are wiped. Everything is the process's own word: foreign bytes.
 */
#ifndef TARGET_PROCESS_H
#define TARGET_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/cgroup.h"

#define PROCESS_PATH_MAX 255
#define PROCESS_SERVICE_MAX 127
#define PROCESS_TRACEPARENT_MAX 63		/* version 00 has 55 bytes */
#define PROCESS_ENVIRON_MAX (256U << 10)	/* bytes of the environment searched */
#define PROCESS_ARGUMENTS_MAX (16U << 10)	/* bytes of the command line looked at */

struct process_facts {
	pid_t pid, parent;
	/*
	 * Start on CLOCK_BOOTTIME, in the clock ticks (10 ms) that /proc has. Tells a process from
	 * a later one with its number; no record has it: those have the kernel's exact field.
	 */
	uint64_t start_ticks;
	char exe[PROCESS_PATH_MAX + 1];		/* without " (deleted)" */
	const char *runtime;			/* static: "python", "go", ...; "": not known */
	char service[PROCESS_SERVICE_MAX + 1];
	char traceparent[PROCESS_TRACEPARENT_MAX + 1];	/* TRACEPARENT of its environment */
	struct cgroup_names cgroup;
};

/* -ESRCH: no such process, or a zombie; -ENOENT: a kernel thread. */
int process_read(struct process_facts *ret, pid_t pid);

/* Parent and start from the text of /proc/PID/stat; -EINVAL: not such a text. */
int process_parse_stat(struct process_facts *ret, const char *text);

/* Pod and container from the text of /proc/PID/cgroup; empty where no line tells. */
void process_parse_cgroup(struct cgroup_names *ret, const char *text);

/*
 * Runtime and service from exe (set before) and @args, @len bytes of NUL-ended arguments: the
 * script's or module's name for an interpreter, else the executable's.
 */
void process_name_service(struct process_facts *ret, const char *args, size_t len);

/* OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and TRACEPARENT from NUL-ended NAME=value. */
void process_parse_environ(struct process_facts *ret, const char *env, size_t len);

#endif
