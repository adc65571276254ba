/* json_text: see json_text.h. */
#include "send/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 4096		/* a trace of two spans */
#define DIGITS_MAX 20		/* of a 64-bit number */
#define ESCAPE_MAX 6		/* bytes that one byte may become */

/* Room for @bytes more; false: there is none. */
static bool json_text_grow(struct json_text *j, size_t bytes)
{
	size_t room = j->room ? j->room : ROOM_FIRST;
	char *text;

	if (j->is_failed)
		return false;
	if (j->room - j->len >= bytes)
		return true;
	while (room - j->len < bytes)
		room *= 2;
	text = realloc(j->text, room);
	if (!text) {
		j->is_failed = true;
		return false;
	}
	j->text = text;
	j->room = room;
	return true;
}

static void put_bytes(struct json_text *j, const char *bytes, size_t len)
{
	if (!json_text_grow(j, len))
		return;
	memcpy(j->text + j->len, bytes, len);
	j->len += len;
}

static void put_char(struct json_text *j, char c)
{
	put_bytes(j, &c, 1);
}

/* A comma unless this is the first of what is open. */
static void put_key(struct json_text *j, const char *key)
{
	char last = j->len ? j->text[j->len - 1] : '{';

	if (last != '{' && last != '[')
		put_char(j, ',');
	if (!key)
		return;
	put_char(j, '"');
	put_bytes(j, key, strlen(key));
	put_bytes(j, "\":", 2);
}

void json_text_open(struct json_text *j, const char *key, char bracket)
{
	put_key(j, key);
	put_char(j, bracket);
}

void json_text_close(struct json_text *j, char bracket)
{
	put_char(j, bracket);
}

static size_t escape(char *to, unsigned char c)
{
	static const char letters[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
		['"'] = '"', ['\\'] = '\\',
	};

	if (c < sizeof(letters) && letters[c]) {
		to[0] = '\\';
		to[1] = letters[c];
		return 2;
	}
	return (size_t)snprintf(to, ESCAPE_MAX + 1, "\\u%04x", c);
}

void json_text_string(struct json_text *j, const char *key, const char *value)
{
	size_t len = value ? strlen(value) : 0, i, n = 0;
	char *to;

	put_key(j, key);
	if (!json_text_grow(j, len * ESCAPE_MAX + 3))	/* quotes, and snprintf's NUL */
		return;
	to = j->text + j->len;
	to[n++] = '"';
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c >= ' ' && c != '"' && c != '\\')
			to[n++] = (char)c;
		else
			n += escape(to + n, c);
	}
	to[n++] = '"';
	j->len += n;
}

static void put_digits(struct json_text *j, uint64_t value)
{
	char digits[DIGITS_MAX];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put_bytes(j, digits + at, sizeof(digits) - at);
}

void json_text_number(struct json_text *j, const char *key, uint64_t value)
{
	put_key(j, key);
	put_digits(j, value);
}

void json_text_bool(struct json_text *j, const char *key, bool value)
{
	put_key(j, key);
	put_bytes(j, value ? "true" : "false", value ? 4 : 5);
}

/* The shortest of the two forms that reads back as the same number. */
void json_text_double(struct json_text *j, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%1.15g", value);
	if (strtod(text, NULL) != value)
		snprintf(text, sizeof(text), "%1.17g", value);
	put_key(j, key);
	put_bytes(j, text, strlen(text));
}

void json_text_u64(struct json_text *j, const char *key, uint64_t value)
{
	put_key(j, key);
	put_char(j, '"');
	put_digits(j, value);
	put_char(j, '"');
}

void json_text_i64(struct json_text *j, const char *key, int64_t value)
{
	put_key(j, key);
	put_char(j, '"');
	if (value < 0)
		put_char(j, '-');
	put_digits(j, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
	put_char(j, '"');
}

void json_text_hex(struct json_text *j, const char *key, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *to;
	size_t i;

	put_key(j, key);
	if (!json_text_grow(j, 2 * len + 2))
		return;
	to = j->text + j->len;
	*to++ = '"';
	for (i = 0; i < len; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	*to++ = '"';
	j->len = (size_t)(to - j->text);
}

int json_text_take(struct json_text *j, char **ret, size_t *ret_len)
{
	size_t len = j->len;

	put_char(j, '\0');
	if (j->is_failed) {
		free(j->text);
		*j = (struct json_text){ 0 };
		return -ENOMEM;
	}
	*ret = j->text;
	*ret_len = len;
	*j = (struct json_text){ 0 };
	return 0;
}
