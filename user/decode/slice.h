/* slice: a run of borrowed bytes inside a record or a buffer; not NUL-terminated. */
#ifndef DECODE_SLICE_H
#define DECODE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *at;
	size_t len;
};

static inline struct slice slice_of(const void *at, size_t len)
{
	return (struct slice){ at, len };
}

static inline struct slice slice_str(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

/* ASCII letters of any case */
static inline bool slice_is_nocase(struct slice s, const char *text)
{
	return s.len == strlen(text) && !strncasecmp(s.at, text, s.len);
}

static inline bool slice_starts(struct slice s, const char *text)
{
	return s.len >= strlen(text) && !memcmp(s.at, text, strlen(text));
}

static inline struct slice slice_from(struct slice s, size_t start)
{
	return (struct slice){ s.at + start, s.len - start };
}

/* without the spaces and tabs around it: HTTP's optional white space */
static inline struct slice slice_trim(struct slice s)
{
	while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
		s = slice_from(s, 1);
	while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Cuts the part before @sep off @s, which keeps what follows; false: @s was used up. */
static inline bool slice_cut(struct slice *s, char sep, struct slice *ret_part)
{
	const char *end;

	if (!s->at)
		return false;
	end = memchr(s->at, sep, s->len);
	if (!end) {
		*ret_part = *s;
		*s = (struct slice){ NULL, 0 };
		return true;
	}
	*ret_part = slice_of(s->at, end - s->at);
	*s = slice_from(*s, ret_part->len + 1);
	return true;
}

#endif
