/*
 * json_text: JSON written straight into a growing text. A tree of the packaged library costs
 * twenty allocations a span before the first byte of text; this is on the way of every span.
 *
 * Memory that fails is remembered: from then on nothing is added, and json_text_take() says so.
 */
#ifndef SEND_JSON_TEXT_H
#define SEND_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_text {		/* zero-initialized is empty */
	char *text;
	size_t len, room;
	bool is_failed;
};

/* Objects and lists; @key NULL: an element of a list, or the whole. */
void json_text_open(struct json_text *j, const char *key, char bracket);
void json_text_close(struct json_text *j, char bracket);

/* Members of the object that is open. Keys are our own: nothing in them needs an escape. */
void json_text_string(struct json_text *j, const char *key, const char *value);
void json_text_bool(struct json_text *j, const char *key, bool value);
void json_text_number(struct json_text *j, const char *key, uint64_t value);
void json_text_double(struct json_text *j, const char *key, double value);
/* As protobuf's mapping has 64-bit integers and ids: in quotes. */
void json_text_u64(struct json_text *j, const char *key, uint64_t value);
void json_text_i64(struct json_text *j, const char *key, int64_t value);
void json_text_hex(struct json_text *j, const char *key, const uint8_t *bytes, size_t len);

/* The text, NUL-ended, is the caller's; 0 or -ENOMEM. Ends @j in both cases. */
int json_text_take(struct json_text *j, char **ret, size_t *ret_len);

#endif
