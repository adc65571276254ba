/* utf8: see utf8.h. Validity as in RFC 3629: shortest form, no surrogates, up to U+10FFFF. */
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Range of the second byte, which is what rules out overlong forms and surrogates. */
static int utf8_lead(unsigned char lead, unsigned char *low, unsigned char *high)
{
	*low = 0x80;
	*high = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef) {
		if (lead == 0xe0)
			*low = 0xa0;
		if (lead == 0xed)
			*high = 0x9f;
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		if (lead == 0xf0)
			*low = 0x90;
		if (lead == 0xf4)
			*high = 0x8f;
		return 4;
	}
	return 0;
}

int utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char low, high;
	int i, n;

	n = utf8_lead(p[0], &low, &high);
	for (i = 1; i < n; i++) {
		if ((size_t)i >= left)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

/* Bytes at the front that are themselves: mostly all of them. */
static size_t plain_prefix(const unsigned char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && p[i] - 1U < 0x7f; i++)
		;
	return i;
}

char *utf8_clean(const void *bytes, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd";
	const unsigned char *p = bytes;
	size_t in = plain_prefix(p, len), out = in;
	char *text = malloc(in + (len - in) * 3 + 1);
	int n;

	if (!text)
		return NULL;
	if (in)
		memcpy(text, p, in);
	while (in < len) {
		n = p[in] ? utf8_sequence(p + in, len - in) : 0;
		if (n < 0)
			break;
		if (n > 0) {
			memcpy(text + out, p + in, n);
			out += n;
			in += n;
		} else {
			memcpy(text + out, replacement, 3);
			out += 3;
			in++;
		}
	}
	text[out] = '\0';
	return text;
}
