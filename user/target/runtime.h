/*
 * runtime: the language that an executable was compiled from, by marks that stripping leaves.
 *
 * Interpreters are known by name (process.h); this is for native programs. It matters where the
 * system's threads do not carry work: goroutines and Rust's tasks wander between them.
 */
#ifndef TARGET_RUNTIME_H
#define TARGET_RUNTIME_H

#include <stdbool.h>

/*
 * "go": the note with Go's build id; "rust": the compiler's name among those that made it; both:
 * "go". "": neither, or not an ELF file that can be read. Static; @fd is read by position only.
 */
const char *runtime_of(int fd);

/* Of a process's runtime: does its work wander between threads, so that a thread means nothing? */
bool runtime_is_threadless(const char *runtime);

#endif
