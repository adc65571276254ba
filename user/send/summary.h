/*
 * summary: the block of counters that is printed at the end and on SIGUSR1.
 *
 * Always: what was seen, made and sent, the sums of what was lost and dropped, and whether
 * they agree. Beside them each cause and each other counter that is not zero.
 */
#ifndef SEND_SUMMARY_H
#define SEND_SUMMARY_H

#include <stdint.h>

struct counters;

/* @waiting: spans in the export queue, send_waiting(). 0 or -errno. Written at once. */
int summary_write(int fd, const struct counters *c, uint64_t waiting);

/* The same as text; *ret is the caller's to free. 0 or -ENOMEM. */
int summary_text(char **ret, const struct counters *c, uint64_t waiting);

#endif
