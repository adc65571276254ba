/* otlp_proto: a request in OTLP's binary form. */
#ifndef SEND_OTLP_PROTO_H
#define SEND_OTLP_PROTO_H

#include <stddef.h>

struct otlp_answer;
struct request;

/* 0 or -ENOMEM; *ret is the caller's to free. */
int otlp_proto_encode(char **ret, size_t *ret_len, const struct request *r);

/* What a back end answered: 0, or -EINVAL: no ExportTraceServiceResponse. */
int otlp_proto_decode_answer(struct otlp_answer *ret, const void *body, size_t len);

#endif
