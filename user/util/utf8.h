/* utf8: foreign bytes made into text that protobuf, JSON and a terminal can take. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stddef.h>

/*
 * A NUL-terminated copy of @len bytes; each byte that is no part of valid UTF-8, and NUL,
 * becomes U+FFFD. A sequence cut by @len's end is left out. The caller frees; NULL: no memory.
 */
char *utf8_clean(const void *bytes, size_t len);

/* Bytes of the valid sequence at @p (1 to 4); 0: invalid; -1: cut by the end. */
int utf8_sequence(const unsigned char *p, size_t left);

#endif
