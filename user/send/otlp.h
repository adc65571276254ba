/*
 * otlp: traces as OTLP requests, in pieces small enough for every back end, in either form.
 *
 * A piece has at most OTLP_PIECE_SPANS spans. One that would be longer than OTLP_PIECE_BYTES is
 * halved; a single span that is still too long loses its events and links, and says so in
 * the protocol's dropped counts. So a piece is never too long to be sent.
 */
#ifndef SEND_OTLP_H
#define SEND_OTLP_H

#include <stddef.h>
#include <stdint.h>

#define OTLP_PIECE_SPANS 512
#define OTLP_PIECE_BYTES (3584 * 1024)	/* gRPC servers take 4 MiB, before compression */
#define OTLP_MESSAGE_MAX 256		/* bytes kept of what a back end says */

struct request_opts;
struct trace;

enum otlp_form { OTLP_PROTO, OTLP_JSON, OTLP_FORM_MAX };

struct otlp_piece {
	char *body;
	size_t len, spans;
};

struct otlp_answer {
	int64_t rejected;	/* spans that the back end refused; foreign: check its range */
	char message[OTLP_MESSAGE_MAX];
};

/* Takes over @piece's body, whatever it returns; not 0 ends the walk. */
typedef int (*otlp_next_fn)(void *ctx, struct otlp_piece *piece);

const char *otlp_content_type(enum otlp_form form);

/* 0, -ENOMEM, or what @next returned; pieces that were handed over before stay so. */
int otlp_encode(const struct trace *t, enum otlp_form form, const struct request_opts *opts,
		otlp_next_fn next, void *ctx);

/*
 * Joins pieces of one form into one request; @room must hold the sum of their lengths.
 * Returns the length. The pieces are only read.
 */
size_t otlp_join(char *to, enum otlp_form form, const struct otlp_piece *pieces, size_t count);

/* The answer to a request; 0, or -EINVAL: that is no ExportTraceServiceResponse. */
int otlp_decode_answer(struct otlp_answer *ret, enum otlp_form form, const void *body, size_t len);

#endif
