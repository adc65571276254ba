/* http1_head: first lines, header lines and what they say of the body; see http1.h. */
#include "decode/http1.h"

#include <errno.h>

#define LENGTH_DIGITS_MAX 19	/* of a Content-Length: below 2^63 */

/* RFC 9110's tchar */
static const bool token_chars[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
	['!'] = true, ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true,
	['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['^'] = true, ['_'] = true,
	['`'] = true, ['|'] = true, ['~'] = true,
};

static bool is_token(struct slice s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!token_chars[(unsigned char)s.at[i]])
			return false;
	return s.len > 0;
}

/* The next line without its end; *ret_whole: the end was there. */
static bool line_next(struct slice *text, struct slice *ret, bool *ret_whole)
{
	const char *end;

	if (!text->len)
		return false;
	end = memchr(text->at, '\n', text->len);
	*ret_whole = end != NULL;
	*ret = slice_of(text->at, end ? (size_t)(end - text->at) : text->len);
	*text = slice_from(*text, ret->len + (end ? 1 : 0));
	if (end && ret->len && ret->at[ret->len - 1] == '\r')
		ret->len--;
	return true;
}

/* "HTTP/1.x" */
static int parse_version(struct slice s, int *ret_minor)
{
	if (s.len != 8 || !slice_starts(s, "HTTP/1.") || s.at[7] < '0' || s.at[7] > '9')
		return -EINVAL;
	*ret_minor = s.at[7] - '0';
	return 0;
}

/* "HTTP/1.1 200 OK"; the reason may be missing */
static int parse_status_line(struct slice line, struct http_head *h)
{
	int i;

	if (line.len < 12 || parse_version(slice_of(line.at, 8), &h->minor) || line.at[8] != ' ' ||
	    (line.len > 12 && line.at[12] != ' '))
		return -EINVAL;
	for (i = 9; i < 12; i++) {
		if (line.at[i] < '0' || line.at[i] > '9')
			return -EINVAL;
		h->status = h->status * 10 + line.at[i] - '0';
	}
	if (h->status < 100)
		return -EINVAL;
	h->is_response = true;
	return 0;
}

/* "GET /path HTTP/1.1"; cut off, it may end anywhere in the target or the version */
static int parse_request_line(struct slice line, bool is_whole, struct http_head *h)
{
	struct slice rest = line;

	if (!slice_cut(&rest, ' ', &h->method) || !is_token(h->method) || !rest.len)
		return -EINVAL;
	slice_cut(&rest, ' ', &h->target);
	if (!h->target.len)
		return -EINVAL;
	if (is_whole)
		return parse_version(rest, &h->minor);
	h->is_target_cut = !rest.at;
	h->minor = -1;
	return 0;
}

int http1_head_parse(struct slice text, bool is_cut, struct http_head *ret)
{
	struct http_head h = { .is_cut = is_cut };
	struct slice line;
	bool is_whole;
	int err;

	if (!line_next(&text, &line, &is_whole))
		return -EINVAL;
	if (slice_starts(line, "HTTP/"))
		err = parse_status_line(line, &h);
	else
		err = parse_request_line(line, is_whole, &h);
	if (err || memchr(line.at, '\0', line.len))
		return -EINVAL;
	h.lines = text;
	*ret = h;
	return 0;
}

bool http1_header_next(struct slice *lines, struct slice *ret_name, struct slice *ret_value)
{
	struct slice line, name;
	bool is_whole;

	while (line_next(lines, &line, &is_whole) && is_whole) {
		if (line.len && (line.at[0] == ' ' || line.at[0] == '\t'))
			continue;	/* folded: what it continues is taken as it stands */
		if (!slice_cut(&line, ':', &name) || !line.at)
			continue;
		*ret_name = slice_trim(name);
		*ret_value = slice_trim(line);
		if (is_token(*ret_name))
			return true;
	}
	return false;
}

/* Equal numbers may be repeated ("5, 5"); anything else contradicts itself. */
static int parse_length(struct slice list, bool *has_length, uint64_t *length)
{
	struct slice item;
	uint64_t value;
	size_t i;

	while (slice_cut(&list, ',', &item)) {
		item = slice_trim(item);
		if (!item.len || item.len > LENGTH_DIGITS_MAX)
			return -EINVAL;
		for (value = 0, i = 0; i < item.len; i++) {
			if (item.at[i] < '0' || item.at[i] > '9')
				return -EINVAL;
			value = value * 10 + item.at[i] - '0';
		}
		if (value > INT64_MAX || (*has_length && value != *length))
			return -EINVAL;
		*has_length = true;
		*length = value;
	}
	return 0;
}

/* Is "chunked" the last coding? It may stand there once only. */
static int parse_codings(struct slice list, bool *has_coding, bool *is_chunked)
{
	struct slice item;

	while (slice_cut(&list, ',', &item)) {
		item = slice_trim(item);
		if (!item.len)
			continue;
		if (*is_chunked)
			return -EINVAL;
		*has_coding = true;
		*is_chunked = slice_is_nocase(item, "chunked");
	}
	return 0;
}

struct framing_headers {
	bool has_length, has_coding, is_chunked;
	uint64_t length;
};

/*
 * The headers that say where a message ends. A white space before the colon, or a folded line
 * after it, hides one from some programs and not from others: that contradicts itself too.
 */
static int read_framing_headers(struct slice lines, struct framing_headers *ret)
{
	bool is_whole, is_framing = false;
	struct slice line, name, trimmed;
	int err = 0;

	while (!err && line_next(&lines, &line, &is_whole) && is_whole) {
		char first = line.len ? line.at[0] : 0;

		if (first == ' ' || first == '\t') {
			err = is_framing ? -EINVAL : 0;
			continue;
		}
		is_framing = false;
		if ((first | 0x20) != 'c' && (first | 0x20) != 't')
			continue;
		slice_cut(&line, ':', &name);
		trimmed = slice_trim(name);
		if (slice_is_nocase(trimmed, "content-length"))
			err = parse_length(slice_trim(line), &ret->has_length, &ret->length);
		else if (slice_is_nocase(trimmed, "transfer-encoding"))
			err = parse_codings(slice_trim(line), &ret->has_coding,
					    &ret->is_chunked);
		else
			continue;
		is_framing = true;
		if (trimmed.len != name.len)
			err = -EINVAL;
	}
	return err;
}

int http1_framing_read(const struct http_head *head, struct http_framing *ret)
{
	struct http_framing f = { .kind = head->is_response ? FRAMING_CLOSE : FRAMING_NONE };
	struct framing_headers h = { 0 };

	if (read_framing_headers(head->lines, &h))
		return -EINVAL;
	/* a coding in HTTP/1.0, or a request whose end no coding tells */
	if (h.has_coding && (!head->minor || (!h.is_chunked && !head->is_response)))
		return -EINVAL;
	if (h.is_chunked) {
		f.kind = FRAMING_CHUNKED;
	} else if (h.has_length && !h.has_coding) {
		f.kind = FRAMING_LENGTH;
		f.length = h.length;
	}
	*ret = f;
	return 0;
}
