/* otlp: see otlp.h. */
#include "send/otlp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "join/span.h"
#include "send/otlp_json.h"
#include "send/otlp_proto.h"
#include "send/request.h"

/*
 * Around the repeated resourceSpans of a request: between head and tail its parts may be
 * put one after another, with the separator, and make one request again. In protobuf a
 * message's concatenation is its merge, so there is nothing around them.
 */
static const struct form {
	const char *content_type;
	const char *head, *separator, *tail;
	int (*encode)(char **ret, size_t *ret_len, const struct request *r);
	int (*decode_answer)(struct otlp_answer *ret, const void *body, size_t len);
} forms[OTLP_FORM_MAX] = {
	[OTLP_PROTO] = { "application/x-protobuf", "", "", "", otlp_proto_encode,
			 otlp_proto_decode_answer },
	[OTLP_JSON] = { "application/json", "{\"resourceSpans\":[", ",", "]}", otlp_json_encode,
			otlp_json_decode_answer },
};

const char *otlp_content_type(enum otlp_form form)
{
	return forms[form].content_type;
}

static int encode_piece(struct otlp_piece *ret, enum otlp_form form, struct span *const *spans,
			size_t count, const struct request_opts *opts)
{
	struct request r;
	int err = request_init(&r, spans, count, opts);

	if (err)
		return err;
	ret->spans = count;
	err = forms[form].encode(&ret->body, &ret->len, &r);
	request_done(&r);
	return err;
}

/* The longest piece from @spans that is short enough: halves until it is. */
static int next_piece(struct otlp_piece *ret, enum otlp_form form, struct span *const *spans,
		      size_t count, struct request_opts opts)
{
	int err;

	for (;;) {
		err = encode_piece(ret, form, spans, count, &opts);
		if (err || ret->len <= OTLP_PIECE_BYTES || (count == 1 && opts.is_bare))
			return err;
		free(ret->body);
		if (count > 1)
			count = (count + 1) / 2;
		else
			opts.is_bare = true;
	}
}

int otlp_encode(const struct trace *t, enum otlp_form form, const struct request_opts *opts,
		otlp_next_fn next, void *ctx)
{
	size_t max = opts->spans_max ? opts->spans_max : OTLP_PIECE_SPANS;
	struct otlp_piece piece;
	size_t from, left;
	int err;

	for (from = 0; from < t->count; from += piece.spans) {
		left = t->count - from;
		if (left > max)
			left = max;
		err = next_piece(&piece, form, t->spans + from, left, *opts);
		if (!err)
			err = next(ctx, &piece);
		if (err)
			return err;
	}
	return 0;
}

size_t otlp_join(char *to, enum otlp_form form, const struct otlp_piece *pieces, size_t count)
{
	const struct form *f = &forms[form];
	size_t head = strlen(f->head), tail = strlen(f->tail), len = 0, i;

	len = head;
	memcpy(to, f->head, head);
	for (i = 0; i < count; i++) {
		size_t part = pieces[i].len - head - tail;

		if (i) {
			memcpy(to + len, f->separator, strlen(f->separator));
			len += strlen(f->separator);
		}
		memcpy(to + len, pieces[i].body + head, part);
		len += part;
	}
	memcpy(to + len, f->tail, tail);
	return len + tail;
}

int otlp_decode_answer(struct otlp_answer *ret, enum otlp_form form, const void *body, size_t len)
{
	return forms[form].decode_answer(ret, body, len);
}
