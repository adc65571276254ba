/* url: request targets in parts, with the secrets of their queries taken out. */
#ifndef DECODE_URL_H
#define DECODE_URL_H

#include "decode/slice.h"
#include "decode/strings.h"

#define URL_KEY_MAX 64		/* longer query keys are not secret ones */

struct url {
	struct slice path;	/* no query, no fragment */
	struct slice query;	/* at NULL: none */
	struct slice authority;	/* of an absolute target, without its user; at NULL: none */
};

/* "/path?query", "http://user@host/path", "*", or with is_connect "host:port" (all path) */
struct url url_split(struct slice target, bool is_connect);

/*
 * The query with the value of each key that names a secret made REDACTED (keys in any case,
 * percent-decoded for the comparison); other parts stay as they are. NULL: no room.
 */
char *url_redact_query(struct strings *strings, struct slice query);

/* Percent-decoded copy; a bad escape stands as it is. NULL: no room. */
char *url_decode(struct strings *strings, struct slice text, size_t *ret_len);

#endif
