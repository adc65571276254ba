/* gzip: a buffer compressed in one go. */
#ifndef SEND_GZIP_H
#define SEND_GZIP_H

#include <stddef.h>

/* 0 or -ENOMEM; *ret is the caller's to free. */
int gzip_encode(char **ret, size_t *ret_len, const void *bytes, size_t len);

#endif
