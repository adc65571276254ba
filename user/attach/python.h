/*
 * python: what the kernel half must know of a CPython binary to read the current context of
 * a thread: where the thread state pointer stands, and where in it the context.
 *
 * Derived from the code of the exported PyContext_CopyCurrent, by version, and held against
 * it; the kernel half checks the type of each context that it reads. Refused with a reason
 * where anything does not fit.
 */
#ifndef ATTACH_PYTHON_H
#define ATTACH_PYTHON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/site.h"
#include "knobs.h"

struct elf;
struct reason;

struct python {
	unsigned int minor;		/* 3.minor */
	struct site copy;		/* PyContext_CopyCurrent, for a return probe */
	uint64_t context_type;		/* PyContext_Type, as linked */
	uint64_t runtime;		/* _PyRuntime, as linked */
	uint64_t context_off;
	int64_t tls;			/* 3.12 and newer: from the fs base; 0: by the TSS key */
	uint64_t key_off;		/* before: of autoTSSkey in _PyRuntime */
};

/* -ENOENT: not CPython. Any other error: it is, and @why says why it is not probed. */
int python_find(struct elf *e, struct python *ret, struct reason *why);

/*
 * The knobs of process @pid, whose copy of the file is loaded @bias above its addresses.
 * -EAGAIN: the interpreter has not started up yet; -ESRCH; -ERANGE: a key beyond the first
 * block of thread-specific data.
 */
int python_knobs(const struct python *p, pid_t pid, uint64_t bias, struct target_knobs *ret);

#endif
