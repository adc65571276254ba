/*
 * json: looks for a few fields in a JSON text that comes in pieces and may end anywhere.
 *
 * A push scanner: never holds more than one key and one value. A field is a dotted path of
 * object keys ("metadata.uid"); arrays and keys that hold dots cannot be named. Of a field
 * that stands twice the first is taken. Strings come unescaped, numbers and booleans as they
 * are written; null, objects, arrays and values over JSON_VALUE_MAX are passed over.
 */
#ifndef DECODE_JSON_H
#define DECODE_JSON_H

#include <stddef.h>

#include "decode/slice.h"

#define JSON_DEPTH_MAX 32	/* nested objects and arrays; deeper text is given up */
#define JSON_KEY_MAX 64		/* bytes; longer keys fit no field */
#define JSON_VALUE_MAX 1024	/* bytes */
#define JSON_BYTES_MAX 65536	/* of a text looked at, from its first byte */

struct json;

struct json_field {
	const char *path;	/* borrowed for the scanner's life */
	unsigned int id;	/* for the caller */
};

/* @value is borrowed until the callback returns; it may be empty */
typedef void (*json_found_fn)(void *ctx, unsigned int id, struct slice value);

int json_new(struct json **ret, const struct json_field *fields, unsigned int count,
	     json_found_fn found, void *ctx);
void json_free(struct json *j);		/* NULL is fine */
size_t json_bytes(const struct json *j);	/* of memory; 0 for NULL */

/* false: there is nothing more to find (all found, text over, not JSON, or a limit) */
bool json_feed(struct json *j, struct slice bytes);

#endif
