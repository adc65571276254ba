/*
 * post: one HTTP POST after the other to one address, by libcurl. Never follows a redirect,
 * speaks http and https only, reads a bounded answer, keeps the total time.
 */
#ifndef SEND_POST_H
#define SEND_POST_H

#include <stddef.h>
#include <stdint.h>

struct fault;
struct post;
struct reply;
struct settings;

/* 0, or -errno with @why set. @s is borrowed until post_free(). */
int post_new(struct post **ret, const struct settings *s, struct fault *why);

/* Blocks until the answer, the time limit or post_stop(). @limit_ms: 0 is none. */
void post_run(struct post *p, const void *body, size_t len, uint64_t limit_ms, struct reply *ret);

/* From another thread: the POST that runs, and each until post_resume(), ends at once. */
void post_stop(struct post *p);
void post_resume(struct post *p);

const char *post_address(const struct post *p);	/* for messages: without user and password */

void post_free(struct post *p);			/* NULL is fine */

#endif
