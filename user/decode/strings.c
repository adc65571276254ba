/* strings: see strings.h. */
#include "decode/strings.h"

#include <string.h>

char *strings_take(struct strings *a, size_t len)
{
	char *at = a->bytes + a->used;

	if (len >= sizeof(a->bytes) - a->used)
		return NULL;
	a->used += len + 1;
	return at;
}

char *strings_copy(struct strings *a, const void *bytes, size_t len)
{
	char *at, *nul;

	if (len > STRING_MAX)
		len = STRING_MAX;
	at = strings_take(a, len);
	if (!at)
		return NULL;
	memcpy(at, bytes, len);
	at[len] = '\0';
	for (nul = memchr(at, '\0', len); nul; nul = memchr(nul, '\0', at + len - nul))
		*nul = '?';
	return at;
}
