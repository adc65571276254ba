/*
 * fuzz_text: any string of a traced program on a terminal: no control byte comes out, what
 * comes out is valid UTF-8, and it takes the cells that it says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "send/text.h"
#include "util/utf8.h"

static void check_safe(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	int n;

	for (; len; p += n, len -= n) {
		n = utf8_sequence(p, len);
		if (n <= 0 || *p < ' ' || *p == 0x7f)
			abort();
		if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)	/* C1 */
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s, *text;
	size_t len, cells, used;
	int is_utf8;
	FILE *to;

	if (!size)
		return 0;
	s = strndup((const char *)data + 1, size - 1);
	cells = data[0] % 64;
	for (is_utf8 = 0; is_utf8 < 2; is_utf8++) {
		to = open_memstream(&text, &len);
		used = text_put(to, s, cells, is_utf8);
		fclose(to);
		check_safe(text, len);
		if (used > cells || (!is_utf8 && used != len))
			abort();
		free(text);
	}
	free(s);
	return 0;
}
