/*
 * http1: a passive, incremental parser of one direction of an HTTP/1 connection.
 *
 * Fed operation by operation; the messages that it tells of do not depend on where the
 * stream was split. Bytes that were not captured are counted where the framing allows it;
 * where it does not, the message's end is not known (HTTP_LOST) until an operation begins
 * as a message does. Holds at most HTTP_HEAD_MAX bytes, and those only while a head is
 * incomplete.
 */
#ifndef DECODE_HTTP1_H
#define DECODE_HTTP1_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/slice.h"

#define HTTP_HEAD_MAX 65536		/* bytes of a head; a longer one is taken as cut */
#define HTTP_CHUNK_LINE_MAX 4096	/* bytes of a chunk's size line */
#define HTTP_TRAILERS_MAX 65536		/* bytes of all trailers of a message */

enum http_state {
	HTTP_START,		/* between messages */
	HTTP_HEAD,
	HTTP_LENGTH,		/* body of known length */
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_EXTENSION,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_END,		/* line end after a chunk's data */
	HTTP_TRAILERS,
	HTTP_UNTIL_CLOSE,	/* body that ends with the connection */
	HTTP_LOST,		/* inside a message whose end cannot be told */
	HTTP_RESYNC,		/* outside: waiting for an operation that begins a message */
	HTTP_STOPPED,		/* ended, upgraded, or its framing contradicts itself */
};

enum http_side { HTTP_ANY, HTTP_REQUESTS, HTTP_RESPONSES };

struct http_head {
	bool is_response;
	bool is_cut;		/* the rest of the head was not captured */
	bool is_target_cut;	/* ... and the target neither */
	int minor;		/* HTTP/1.minor; -1: cut off */
	struct slice method, target;	/* request */
	int status;			/* response */
	struct slice lines;	/* the header lines */
};

/* what the owner knows of a message's body beyond its headers */
enum http_body {
	HTTP_BODY_BY_HEADERS,
	HTTP_BODY_NONE,
	HTTP_BODY_TUNNEL,	/* no longer HTTP after this head: stops */
};

/* how a message came to its end */
enum http_how {
	HTTP_SEEN,		/* its last byte was seen, or the connection's end was its end */
	HTTP_UNSEEN,		/* in bytes that were not captured: where, is not known */
	HTTP_MISSING,		/* in a gap of the records */
};

/* All slices are borrowed until the callback returns. */
struct http_events {
	void (*start)(void *ctx, uint64_t offset);	/* a message's first byte */
	enum http_body (*head)(void *ctx, const struct http_head *head);
	void (*body)(void *ctx, struct slice bytes);	/* decoded; at NULL: not captured */
	void (*end)(void *ctx, enum http_how how);
	void (*conflict)(void *ctx);	/* contradicting framing: the parser has stopped */
};

struct http_parser {		/* http1_init() first, http1_done() last */
	enum http_state state;
	enum http_side side;	/* what resynchronization looks for */
	bool is_gap;		/* LOST: by a gap */
	bool has_digits;	/* of a chunk's size line */
	bool is_line_empty;	/* of a trailer */
	uint32_t line_bytes;	/* of a chunk's size line, or of the trailers */
	uint64_t left;		/* bytes of the body or chunk still to come */
	uint64_t offset;	/* of the next byte in the stream */
	char *head;
	uint32_t head_len, head_room, head_line;	/* head_line: where its last line begins */
	const struct http_events *events;
	void *ctx;
};

void http1_init(struct http_parser *p, const struct http_events *events, void *ctx);
void http1_done(struct http_parser *p);

/* One operation: @bytes were captured of @total that were moved. */
void http1_feed(struct http_parser *p, struct slice bytes, uint64_t total);
void http1_gap(struct http_parser *p, uint64_t missing);	/* bytes of lost records */

/* The other side shows that this direction's message is over; counts as found anew. */
void http1_finish_lost(struct http_parser *p);

/* No more bytes come. true: a message was cut short, and no end was told for it. */
bool http1_close(struct http_parser *p);
void http1_stop(struct http_parser *p);

/* Does an operation with these first bytes begin a message? */
bool http1_is_start(enum http_side side, struct slice bytes);

/* --- heads: pure functions --- */

/* 0 or -EINVAL: no HTTP/1 head. @text ends with the empty line unless is_cut. */
int http1_head_parse(struct slice text, bool is_cut, struct http_head *ret);

/* Cuts the next header line off *lines: its trimmed parts; odd ones are left out. false: no more */
bool http1_header_next(struct slice *lines, struct slice *ret_name, struct slice *ret_value);

struct http_framing {
	enum { FRAMING_NONE, FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE } kind;
	uint64_t length;
};

/* 0 or -EINVAL: the headers contradict each other */
int http1_framing_read(const struct http_head *head, struct http_framing *ret);

#endif
