/*
 * discover: finds the processes to trace, hangs the probes that their files need, and says who
 * each of them is (WIRE_TARGET records).
 *
 * At the start /proc is read once; afterwards it reacts to records: exec, mapped files, the
 * first record of a process that it does not know. One probe link for each (device, inode);
 * files are examined once, failures included. Not thread-safe.
 */
#ifndef ATTACH_DISCOVER_H
#define ATTACH_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/reason.h"

struct load;
struct wire_head;
struct discover;

/* @rec is borrowed: valid until the callback returns. */
typedef void (*discover_next_fn)(void *ctx, const struct wire_head *rec);

struct discover_opts {
	const pid_t *pids;		/* borrowed during discover_new() */
	size_t pid_count;
	const char *const *exes;	/* globs over executables' paths; borrowed for its life */
	size_t exe_count;
	bool all;
	struct load *load;		/* borrowed for its life; NULL: look only, attach nothing */
};

/*
 * Sets the targets and attaches. -ESRCH: a process of opts->pids does not live (logged).
 * On success *ret is the caller's, to be ended with discover_free().
 */
int discover_new(struct discover **ret, const struct discover_opts *opts, discover_next_fn next,
		 void *ctx);

/*
 * Each record, at once. Is it of a traced process? With globs the kernel half also tells what
 * others execute and when they end: that is nobody else's business.
 */
bool discover_feed(struct discover *d, const struct wire_head *rec);
void discover_tick(struct discover *d);		/* a few times a second */
size_t discover_count(const struct discover *d);	/* processes traced now */
void discover_free(struct discover *d);		/* NULL is fine; leaves the probes to load_free() */

/* what one file of a process is, for `spanstitch probe` */
struct discover_file {
	const char *path;
	const char *kind;	/* "librdkafka 2.0.2", "CPython 3.11" */
	bool is_ok;
	const char *why;	/* where it is not: the reason */
	const char *sites;	/* "on_send emulated, ..." */
};

typedef void (*discover_file_fn)(void *ctx, const struct discover_file *f);

/* Each known file of @pid, whether or not it could be attached. */
void discover_each(struct discover *d, pid_t pid, discover_file_fn fn, void *ctx);

#endif
