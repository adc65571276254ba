/*
 * strings: memory for the strings of one message; all of it is given back at once.
 *
 * A string is cut at STRING_MAX, so STRINGS_BYTES holds every string that one record
 * can give; past that a string comes back as NULL, which reads as "not known".
 */
#ifndef DECODE_STRINGS_H
#define DECODE_STRINGS_H

#include <stddef.h>

#define STRINGS_BYTES 65536
#define STRING_MAX 4096	/* as ATTR_VALUE_MAX: a longer string could not be shown */

struct strings {			/* zero-initialized is empty */
	size_t used;
	char bytes[STRINGS_BYTES];
};

static inline void strings_reset(struct strings *a)
{
	a->used = 0;
}

/* NUL-terminated copy, NULs inside it made '?'; valid until the reset; NULL: full */
char *strings_copy(struct strings *a, const void *bytes, size_t len);

/* @len bytes to write into, and one for a NUL; NULL: full */
char *strings_take(struct strings *a, size_t len);

#endif
