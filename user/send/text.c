/* text: see text.h. */
#include "send/text.h"

#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "util/utf8.h"

#define UNIT_MAX 16		/* bytes of the longest unit: an escape, or one character */

struct unit {			/* what one character becomes */
	char bytes[UNIT_MAX];
	size_t cells, taken;	/* taken: bytes of the source */
};

static uint32_t decode(const unsigned char *p, int n)
{
	static const unsigned char lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c = p[0] & lead_mask[n];
	int i;

	for (i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Characters that change how the terminal shows others. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void escape(struct unit *u, uint32_t c)
{
	if (c == '\n')
		strcpy(u->bytes, "\\n");
	else if (c == '\t')
		strcpy(u->bytes, "\\t");
	else if (c < 0x100)
		snprintf(u->bytes, sizeof(u->bytes), "\\x%02x", (unsigned int)c);
	else
		snprintf(u->bytes, sizeof(u->bytes), "\\u%04x", (unsigned int)c);
	u->cells = strlen(u->bytes);
}

static void next_unit(struct unit *u, const char *s, size_t left, bool is_utf8)
{
	const unsigned char *p = (const unsigned char *)s;
	int n = utf8_sequence(p, left), width;
	uint32_t c;

	*u = (struct unit){ .bytes = "?", .cells = 1, .taken = n > 0 ? n : 1 };
	if (n <= 0)
		return;
	c = decode(p, n);
	if (is_unsafe(c)) {
		escape(u, c);
		return;
	}
	if (n > 1 && !is_utf8)
		return;
	memcpy(u->bytes, s, n);
	u->bytes[n] = '\0';
	width = n > 1 ? wcwidth(c) : 1;
	u->cells = width >= 0 ? width : 1;	/* -1: the C library's tables are older */
}

size_t text_cells(const char *s, size_t limit, bool is_utf8)
{
	size_t left = strlen(s), cells = 0;
	struct unit u;

	for (; left && cells <= limit; s += u.taken, left -= u.taken) {
		next_unit(&u, s, left, is_utf8);
		cells += u.cells;
	}
	return cells;
}

size_t text_put(FILE *to, const char *s, size_t cells, bool is_utf8)
{
	bool is_cut = text_cells(s, cells, is_utf8) > cells;
	size_t left = strlen(s), used = 0, room = is_cut ? cells - !!cells : cells;
	struct unit u;

	for (; left; s += u.taken, left -= u.taken) {
		next_unit(&u, s, left, is_utf8);
		if (used + u.cells > room)
			break;
		fputs(u.bytes, to);
		used += u.cells;
	}
	if (is_cut && cells) {
		fputs(is_utf8 ? "\xe2\x80\xa6" : "~", to);
		used++;
	}
	return used;
}

void text_put_padded(FILE *to, const char *s, size_t cells, bool is_utf8)
{
	size_t used = text_put(to, s, cells, is_utf8);

	fprintf(to, "%*s", (int)(cells - used), "");
}
