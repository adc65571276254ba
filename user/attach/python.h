/*
 * python: what the kernel half must know of a CPython binary to read the current context of
 * a thread: where the thread state pointer stands, and where in it the context.
 *
 * Decoded from the file's own code, by no table of versions: the thread state from
 * PyGILState_GetThisThreadState(), which finds it also while the GIL is released (the TLS word
 * "current thread state" of 3.12 on is null then), the context in it from
 * PyContext_CopyCurrent(). The kernel half checks the type of each context that it reads.
 * Refused with a reason where anything does not fit.
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

struct python {			/* addresses as linked */
	unsigned int minor;		/* 3.minor; 0: older than 3.11, which does not say */
	struct site copy;		/* PyContext_CopyCurrent, for a return probe */
	uint64_t context_type;		/* PyContext_Type */
	uint32_t context_off;		/* PyThreadState -> context */
	uint64_t key;			/* the Py_tss_t that holds the thread state; 0: see tls */
	int64_t tls;			/* offset from the fs base of the word that holds it */
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
