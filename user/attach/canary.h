/*
 * canary: may a return probe stand in other people's programs on this kernel?
 *
 * Some kernels end a probed function's return in a system call that a strict seccomp filter
 * kills. So before the first return probe a child of our own, under a filter that allows its exit
 * and nothing else, runs through one; only if it survives do others get theirs.
 */
#ifndef ATTACH_CANARY_H
#define ATTACH_CANARY_H

#include <stdint.h>

/* Hangs the return probe to be tried on the file offset of @path; the caller detaches it later. */
typedef int (*canary_attach_fn)(void *ctx, const char *path, uint64_t offset);

/* 0: it survives. -EOPNOTSUPP: it does not, or no probe came to stand; else what @attach says. */
int canary_try(canary_attach_fn attach, void *ctx);

#endif
