/* json: see json.h. */
#include "decode/json.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum state {
	AT_VALUE,		/* a value must follow */
	AT_FIRST_VALUE,		/* of an array: a value or its end */
	AT_FIRST_KEY,		/* of an object: a key or its end */
	AT_KEY,
	AT_COLON,
	AT_COMMA,		/* after a value: a comma or the container's end */
	IN_STRING,
	IN_ESCAPE,
	IN_HEX,			/* of \uXXXX */
	IN_SCALAR,		/* number, true, false, null */
	AT_END,			/* nothing more to find, or not JSON */
};

struct want {
	struct json_field field;
	unsigned int segments;
	unsigned int matched;	/* enclosing keys, from the root, that are the path's */
	bool is_found;
};

struct json {
	enum state state;
	bool is_key;		/* the string under way is a key */
	bool is_long;		/* it, or the scalar, did not fit */
	unsigned int depth;	/* open containers */
	char open[JSON_DEPTH_MAX];	/* '{' or '[' */
	uint32_t hex, hex_digits, high;	/* high: first half of a surrogate pair */
	size_t seen, len;
	char text[JSON_VALUE_MAX];
	json_found_fn found;
	void *ctx;
	unsigned int left;	/* wants not found yet */
	unsigned int count;
	struct want wants[];
};

int json_new(struct json **ret, const struct json_field *fields, unsigned int count,
	     json_found_fn found, void *ctx)
{
	struct json *j = calloc(1, sizeof(*j) + count * sizeof(j->wants[0]));
	unsigned int i;
	const char *dot;

	if (!j)
		return -ENOMEM;
	j->found = found;
	j->ctx = ctx;
	j->left = j->count = count;
	for (i = 0; i < count; i++) {
		j->wants[i].field = fields[i];
		j->wants[i].segments = 1;
		for (dot = strchr(fields[i].path, '.'); dot; dot = strchr(dot + 1, '.'))
			j->wants[i].segments++;
	}
	*ret = j;
	return 0;
}

void json_free(struct json *j)
{
	if (j)
		explicit_bzero(j->text, sizeof(j->text));
	free(j);
}

size_t json_bytes(const struct json *j)
{
	return j ? sizeof(*j) + j->count * sizeof(j->wants[0]) : 0;
}

/* --- paths ---------------------------------------------------------------------------------- */

static struct slice segment(const char *path, unsigned int index)
{
	struct slice rest = slice_str(path), part = { 0 };
	unsigned int i;

	for (i = 0; i <= index; i++)
		slice_cut(&rest, '.', &part);
	return part;
}

static void key_read(struct json *j)
{
	struct slice key = slice_of(j->text, j->len), part;
	unsigned int i;

	for (i = 0; i < j->count && !j->is_long && j->len <= JSON_KEY_MAX; i++) {
		struct want *w = &j->wants[i];

		if (w->matched != j->depth - 1 || w->segments < j->depth)
			continue;
		part = segment(w->field.path, j->depth - 1);
		if (part.len == key.len && !memcmp(part.at, key.at, key.len))
			w->matched = j->depth;
	}
}

/* A value in the innermost container is over: its key no longer encloses anything. */
static void value_over(struct json *j)
{
	unsigned int i;

	for (i = 0; i < j->count; i++)
		if (j->wants[i].matched >= j->depth && j->depth)
			j->wants[i].matched = j->depth - 1;
	j->state = j->depth && j->left ? AT_COMMA : AT_END;
}

static void value_read(struct json *j)
{
	unsigned int i;

	for (i = 0; i < j->count && !j->is_long && j->depth; i++) {
		struct want *w = &j->wants[i];

		if (w->is_found || w->segments != j->depth || w->matched != j->depth)
			continue;
		w->is_found = true;
		j->left--;
		j->found(j->ctx, w->field.id, slice_of(j->text, j->len));
	}
	value_over(j);
}

/* --- characters ----------------------------------------------------------------------------- */

static void put(struct json *j, char c)
{
	if (j->len < sizeof(j->text))
		j->text[j->len++] = c;
	else
		j->is_long = true;
}

static void put_utf8(struct json *j, uint32_t c)
{
	if (c < 0x80) {
		put(j, c);
		return;
	}
	if (c < 0x800) {
		put(j, 0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			put(j, 0xe0 | c >> 12);
		} else {
			put(j, 0xf0 | c >> 18);
			put(j, 0x80 | (c >> 12 & 0x3f));
		}
		put(j, 0x80 | (c >> 6 & 0x3f));
	}
	put(j, 0x80 | (c & 0x3f));
}

/* A half of a surrogate pair that stands alone becomes U+FFFD. */
static void flush_high(struct json *j)
{
	if (j->high)
		put_utf8(j, 0xfffd);
	j->high = 0;
}

static void hex_read(struct json *j)
{
	uint32_t c = j->hex;

	j->state = IN_STRING;
	if (c >= 0xdc00 && c <= 0xdfff && j->high) {
		put_utf8(j, 0x10000 + ((j->high - 0xd800) << 10) + (c - 0xdc00));
		j->high = 0;
		return;
	}
	flush_high(j);
	if (c >= 0xd800 && c <= 0xdbff)
		j->high = c;
	else
		put_utf8(j, c >= 0xdc00 && c <= 0xdfff ? 0xfffd : c);
}

static void on_hex(struct json *j, char c)
{
	int digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;

	if (digit < 0 || digit > 15 || (digit > 9 && (c | 0x20) < 'a')) {
		j->state = AT_END;
		return;
	}
	j->hex = j->hex << 4 | digit;
	if (++j->hex_digits == 4)
		hex_read(j);
}

static void on_escape(struct json *j, char c)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at = c ? strchr(from, c) : NULL;

	if (c == 'u') {
		j->hex = j->hex_digits = 0;
		j->state = IN_HEX;
		return;
	}
	flush_high(j);
	if (!at) {
		j->state = AT_END;
		return;
	}
	put(j, to[at - from]);
	j->state = IN_STRING;
}

static void on_string(struct json *j, char c)
{
	if (c == '\\') {
		j->state = IN_ESCAPE;
		return;
	}
	flush_high(j);
	if (c != '"') {
		if ((unsigned char)c < ' ')
			j->state = AT_END;
		else
			put(j, c);
	} else if (j->is_key) {
		key_read(j);
		j->state = AT_COLON;
	} else {
		value_read(j);
	}
}

static bool is_scalar_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == 'E' || c == '+' ||
	       c == '-' || c == '.';
}

/* true: @c ended the scalar, is not part of it, and something may follow */
static bool on_scalar(struct json *j, char c)
{
	struct slice text;

	if (is_scalar_char(c)) {
		put(j, c);
		return false;
	}
	text = slice_of(j->text, j->len);
	if (slice_is(text, "null"))
		value_over(j);
	else if (slice_is(text, "true") || slice_is(text, "false") || text.at[0] == '-' ||
		 (text.at[0] >= '0' && text.at[0] <= '9'))
		value_read(j);
	else
		j->state = AT_END;
	return j->state != AT_END;
}

/* --- structure ------------------------------------------------------------------------------ */

static void begin_text(struct json *j, enum state state, bool is_key)
{
	j->state = state;
	j->is_key = is_key;
	j->is_long = false;
	j->len = 0;
	j->high = 0;
}

static void open_container(struct json *j, char c)
{
	if (j->depth == JSON_DEPTH_MAX) {
		j->state = AT_END;
		return;
	}
	j->open[j->depth++] = c;
	j->state = c == '{' ? AT_FIRST_KEY : AT_FIRST_VALUE;
}

static void close_container(struct json *j, char c)
{
	if (!j->depth || j->open[j->depth - 1] != (c == '}' ? '{' : '[')) {
		j->state = AT_END;
		return;
	}
	j->depth--;
	value_over(j);
}

static void on_value(struct json *j, char c)
{
	if (c == '{' || c == '[') {
		open_container(j, c);
	} else if (c == ']' && j->state == AT_FIRST_VALUE) {
		close_container(j, c);
	} else if (!j->depth) {
		j->state = AT_END;	/* a lone scalar has no fields */
	} else if (c == '"') {
		begin_text(j, IN_STRING, false);
	} else if (is_scalar_char(c)) {
		begin_text(j, IN_SCALAR, false);
		put(j, c);
	} else {
		j->state = AT_END;
	}
}

static void on_structure(struct json *j, char c)
{
	if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
		return;
	if (j->state == AT_VALUE || j->state == AT_FIRST_VALUE)
		on_value(j, c);
	else if (j->state == AT_COLON)
		j->state = c == ':' ? AT_VALUE : AT_END;
	else if (j->state == AT_COMMA && c == ',')
		j->state = j->open[j->depth - 1] == '{' ? AT_KEY : AT_VALUE;
	else if (j->state == AT_COMMA || (j->state == AT_FIRST_KEY && c == '}'))
		close_container(j, c);
	else if (c == '"')
		begin_text(j, IN_STRING, true);
	else
		j->state = AT_END;
}

bool json_feed(struct json *j, struct slice bytes)
{
	size_t i;

	for (i = 0; i < bytes.len && j->state != AT_END; i++) {
		char c = bytes.at[i];

		if (++j->seen > JSON_BYTES_MAX)
			j->state = AT_END;
		else if (j->state == IN_STRING)
			on_string(j, c);
		else if (j->state == IN_ESCAPE)
			on_escape(j, c);
		else if (j->state == IN_HEX)
			on_hex(j, c);
		else if (j->state != IN_SCALAR || on_scalar(j, c))
			on_structure(j, c);
	}
	return j->state != AT_END;
}
