/* write: all of a buffer to a file descriptor, or an error. */
#ifndef SEND_WRITE_H
#define SEND_WRITE_H

#include <stddef.h>

#define WRITE_PATIENCE_MS 5000	/* how long a full pipe may stay full; then -ETIMEDOUT */

/* 0 or -errno; *ret_done, where not NULL, is set in both cases to the bytes that went out. */
int write_all(int fd, const void *bytes, size_t len, size_t *ret_done);

#endif
