/*
 * otlp_json: a request in OTLP's JSON form: hex ids, enums as numbers, lowerCamelCase names,
 * 64-bit integers as decimal strings. One line, without a line break; repeatable to the byte.
 */
#ifndef SEND_OTLP_JSON_H
#define SEND_OTLP_JSON_H

#include <stddef.h>

struct otlp_answer;
struct request;

/* 0 or -ENOMEM; *ret is the caller's to free; NUL-terminated beyond *ret_len. */
int otlp_json_encode(char **ret, size_t *ret_len, const struct request *r);

/* What a back end answered: 0, or -EINVAL: no ExportTraceServiceResponse. */
int otlp_json_decode_answer(struct otlp_answer *ret, const void *body, size_t len);

#endif
