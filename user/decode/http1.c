/* http1: the state machine; see http1.h. Each step takes bytes from the front of its slice. */
#include "decode/http1.h"

#include <stdlib.h>

void http1_init(struct http_parser *p, const struct http_events *events, void *ctx)
{
	*p = (struct http_parser){ .events = events, .ctx = ctx };
}

static void head_free(struct http_parser *p)
{
	if (p->head)
		explicit_bzero(p->head, p->head_len);	/* it may have held secrets */
	free(p->head);
	p->head = NULL;
	p->head_len = p->head_room = p->head_line = 0;
}

void http1_done(struct http_parser *p)
{
	head_free(p);
}

void http1_stop(struct http_parser *p)
{
	head_free(p);
	p->state = HTTP_STOPPED;
}

static struct slice take(struct http_parser *p, struct slice *bytes, size_t n)
{
	struct slice part = slice_of(bytes->at, n);

	*bytes = slice_from(*bytes, n);
	p->offset += n;
	return part;
}

static void conflict(struct http_parser *p)
{
	http1_stop(p);
	p->events->conflict(p->ctx);
}

static void end(struct http_parser *p, enum http_how how)
{
	p->state = HTTP_START;
	p->events->end(p->ctx, how);
}

static void lose(struct http_parser *p, bool is_gap)
{
	p->state = HTTP_LOST;
	p->is_gap = is_gap;
}

/* --- heads ---------------------------------------------------------------------------------- */

static const char *const methods[] = {
	"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "PATCH ", "OPTIONS ", "CONNECT ", "TRACE ",
	"QUERY ",
};

bool http1_is_start(enum http_side side, struct slice bytes)
{
	size_t i;

	if (side != HTTP_REQUESTS && slice_starts(bytes, "HTTP/1."))
		return true;
	if (side == HTTP_RESPONSES)
		return false;
	for (i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (slice_starts(bytes, methods[i]))
			return true;
	return false;
}

/* The head is read: what follows it? */
static void after_head(struct http_parser *p, const struct http_head *head)
{
	struct http_framing framing;
	enum http_body body;

	if (!head->is_cut && http1_framing_read(head, &framing)) {
		conflict(p);
		return;
	}
	p->state = HTTP_LOST;	/* the owner may stop the parser, which then stays stopped */
	p->is_gap = false;
	body = p->events->head(p->ctx, head);
	if (p->state == HTTP_STOPPED || head->is_cut)
		return;
	if (body == HTTP_BODY_TUNNEL) {
		p->state = HTTP_STOPPED;
	} else if (body == HTTP_BODY_NONE || framing.kind == FRAMING_NONE ||
		   (framing.kind == FRAMING_LENGTH && !framing.length)) {
		end(p, HTTP_SEEN);
	} else if (framing.kind == FRAMING_CHUNKED) {
		p->state = HTTP_CHUNK_SIZE;
		p->line_bytes = 0;
		p->has_digits = false;
		p->left = 0;
	} else {
		p->state = framing.kind == FRAMING_LENGTH ? HTTP_LENGTH : HTTP_UNTIL_CLOSE;
		p->left = framing.length;
	}
}

static void head_read(struct http_parser *p, struct slice text, bool is_cut)
{
	struct http_head head;

	if (http1_head_parse(text, is_cut, &head))
		p->state = HTTP_RESYNC;
	else
		after_head(p, &head);
	head_free(p);
}

/* Bytes up to and with the empty line; 0: it is not there yet. *line: start of the last line. */
static size_t head_find_end(const char *text, size_t len, uint32_t *line)
{
	const char *nl;

	while (*line < len) {
		nl = memchr(text + *line, '\n', len - *line);
		if (!nl)
			return 0;
		if (nl == text + *line || (nl == text + *line + 1 && nl[-1] == '\r'))
			return nl - text + 1;
		*line = nl - text + 1;
	}
	return 0;
}

static int head_grow(struct http_parser *p, size_t need)
{
	size_t room = p->head_room ? p->head_room : 1024;
	char *head;

	while (room < need)
		room *= 2;
	if (room == p->head_room)
		return 0;
	head = malloc(room);
	if (!head)
		return -1;
	if (p->head_len)
		memcpy(head, p->head, p->head_len);
	if (p->head)
		explicit_bzero(p->head, p->head_len);
	free(p->head);
	p->head = head;
	p->head_room = room;
	return 0;
}

static void step_head(struct http_parser *p, struct slice *bytes)
{
	size_t n = HTTP_HEAD_MAX - p->head_len, len;
	bool is_full = bytes->len >= n;

	if (!is_full)
		n = bytes->len;
	if (!p->head_len) {
		/* mostly a head comes in one piece and need not be copied */
		len = head_find_end(bytes->at, n, &p->head_line);
		if (len) {
			head_read(p, take(p, bytes, len), false);
			return;
		}
		p->head_line = 0;
	}
	if (head_grow(p, p->head_len + n)) {
		take(p, bytes, bytes->len);
		head_free(p);
		p->state = HTTP_RESYNC;		/* out of memory: this message is lost */
		return;
	}
	memcpy(p->head + p->head_len, bytes->at, n);
	len = head_find_end(p->head, p->head_len + n, &p->head_line);
	if (len) {
		take(p, bytes, len - p->head_len);
		p->head_len = len;
		head_read(p, slice_of(p->head, len), false);
		return;
	}
	take(p, bytes, n);
	p->head_len += n;
	if (is_full)
		head_read(p, slice_of(p->head, p->head_len), true);
}

static void step_start(struct http_parser *p, struct slice *bytes)
{
	if (bytes->at[0] == '\r' || bytes->at[0] == '\n') {
		take(p, bytes, 1);	/* some programs end a message with one line end more */
		return;
	}
	p->state = HTTP_HEAD;
	p->events->start(p->ctx, p->offset);
}

/* --- bodies --------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void chunk_size_done(struct http_parser *p)
{
	if (!p->has_digits) {
		conflict(p);
		return;
	}
	p->line_bytes = 0;
	p->is_line_empty = true;
	p->state = p->left ? HTTP_CHUNK_DATA : HTTP_TRAILERS;
}

static void step_chunk_size(struct http_parser *p, struct slice *bytes)
{
	char c = take(p, bytes, 1).at[0];
	int digit = hex_digit(c);

	if (++p->line_bytes > HTTP_CHUNK_LINE_MAX) {
		conflict(p);
	} else if (c == '\n') {
		chunk_size_done(p);
	} else if (p->state == HTTP_CHUNK_EXTENSION || (c == '\r' && p->has_digits)) {
		p->state = HTTP_CHUNK_EXTENSION;
	} else if (digit >= 0 && !(p->left >> 58)) {	/* sizes stay below 2^62 */
		p->left = p->left << 4 | digit;
		p->has_digits = true;
	} else if (p->has_digits && (c == ';' || c == ' ' || c == '\t')) {
		p->state = HTTP_CHUNK_EXTENSION;
	} else {
		conflict(p);
	}
}

static void step_chunk_end(struct http_parser *p, struct slice *bytes)
{
	char c = take(p, bytes, 1).at[0];

	if (c == '\r' && !p->line_bytes) {
		p->line_bytes = 1;
	} else if (c == '\n') {
		p->state = HTTP_CHUNK_SIZE;
		p->line_bytes = 0;
		p->has_digits = false;
		p->left = 0;
	} else {
		conflict(p);
	}
}

static void step_trailers(struct http_parser *p, struct slice *bytes)
{
	char c = take(p, bytes, 1).at[0];

	if (++p->line_bytes > HTTP_TRAILERS_MAX)
		conflict(p);
	else if (c == '\n' && p->is_line_empty)
		end(p, HTTP_SEEN);
	else if (c == '\n')
		p->is_line_empty = true;
	else if (c != '\r')
		p->is_line_empty = false;
}

static void step_data(struct http_parser *p, struct slice *bytes)
{
	size_t n = p->left < bytes->len ? p->left : bytes->len;

	p->left -= n;
	p->events->body(p->ctx, take(p, bytes, n));
	if (p->left || p->state == HTTP_STOPPED)
		return;
	if (p->state == HTTP_LENGTH) {
		end(p, HTTP_SEEN);
	} else {
		p->state = HTTP_CHUNK_END;
		p->line_bytes = 0;
	}
}

static void step(struct http_parser *p, struct slice *bytes)
{
	switch (p->state) {
	case HTTP_START:
		step_start(p, bytes);
		break;
	case HTTP_HEAD:
		step_head(p, bytes);
		break;
	case HTTP_LENGTH:
	case HTTP_CHUNK_DATA:
		step_data(p, bytes);
		break;
	case HTTP_CHUNK_SIZE:
	case HTTP_CHUNK_EXTENSION:
		step_chunk_size(p, bytes);
		break;
	case HTTP_CHUNK_END:
		step_chunk_end(p, bytes);
		break;
	case HTTP_TRAILERS:
		step_trailers(p, bytes);
		break;
	case HTTP_UNTIL_CLOSE:
		p->events->body(p->ctx, take(p, bytes, bytes->len));
		break;
	case HTTP_LOST:
	case HTTP_RESYNC:
	case HTTP_STOPPED:
		take(p, bytes, bytes->len);
		break;
	}
}

/* --- bytes that are not there --------------------------------------------------------------- */

/* Inside a body, how many bytes may be missed without losing the framing? */
static bool is_counted(const struct http_parser *p, uint64_t n)
{
	return p->state == HTTP_LENGTH || p->state == HTTP_UNTIL_CLOSE ||
	       (p->state == HTTP_CHUNK_DATA && n <= p->left);
}

static void skip_body(struct http_parser *p, uint64_t *n)
{
	uint64_t part = *n;

	if (p->state != HTTP_UNTIL_CLOSE) {
		part = p->left < part ? p->left : part;
		p->left -= part;
	}
	*n -= part;
	p->offset += part;
	p->events->body(p->ctx, slice_of(NULL, part));
	if (p->state == HTTP_UNTIL_CLOSE || p->left)
		return;
	if (p->state == HTTP_LENGTH) {
		end(p, HTTP_SEEN);
	} else {
		p->state = HTTP_CHUNK_END;
		p->line_bytes = 0;
	}
}

static void skip(struct http_parser *p, uint64_t n, bool is_gap)
{
	if (n && is_counted(p, n))
		skip_body(p, &n);
	if (!n)
		return;
	p->offset += n;
	switch (p->state) {
	case HTTP_START:
		p->state = HTTP_RESYNC;
		break;
	case HTTP_HEAD:
		head_read(p, slice_of(p->head, p->head_len), true);
		if (p->state == HTTP_LOST)
			p->is_gap = is_gap;
		break;
	case HTTP_LOST:
		p->is_gap |= is_gap;
		break;
	case HTTP_RESYNC:
	case HTTP_STOPPED:
		break;
	default:
		p->events->body(p->ctx, slice_of(NULL, n));
		lose(p, is_gap);
	}
}

void http1_finish_lost(struct http_parser *p)
{
	enum http_state state = p->state;

	if (state != HTTP_LOST && state != HTTP_RESYNC)
		return;
	p->state = HTTP_START;
	if (state == HTTP_LOST)
		p->events->end(p->ctx, p->is_gap ? HTTP_MISSING : HTTP_UNSEEN);
}

void http1_feed(struct http_parser *p, struct slice bytes, uint64_t total)
{
	uint64_t rest = total - bytes.len;

	if ((p->state == HTTP_LOST || p->state == HTTP_RESYNC) && http1_is_start(p->side, bytes))
		http1_finish_lost(p);
	while (bytes.len)
		step(p, &bytes);
	skip(p, rest, false);
}

void http1_gap(struct http_parser *p, uint64_t missing)
{
	skip(p, missing, true);
}

bool http1_close(struct http_parser *p)
{
	enum http_state state = p->state;

	http1_stop(p);
	if (state == HTTP_UNTIL_CLOSE)
		p->events->end(p->ctx, HTTP_SEEN);
	else if (state == HTTP_LOST)
		p->events->end(p->ctx, p->is_gap ? HTTP_MISSING : HTTP_UNSEEN);
	else
		return state != HTTP_START && state != HTTP_STOPPED && state != HTTP_RESYNC;
	return false;
}
