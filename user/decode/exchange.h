/* exchange: the messages of one HTTP exchange, from the heads and bodies that conn pairs. */
#ifndef DECODE_EXCHANGE_H
#define DECODE_EXCHANGE_H

#include "decode/conn.h"
#include "decode/rules.h"

/* Fills *x from the request's head and sends MSG_HTTP_REQUEST. */
void exchange_request(struct direction *dir, const struct http_head *head, struct exchange *x);
void exchange_response(struct direction *dir, const struct http_head *head,
		       const struct exchange *x);
void exchange_end(struct conn *c, const struct exchange *x, const struct operation *op,
		  enum http_end how);

/* A JSON scanner for the body that follows, if a rule of @x wants a field of it. */
void exchange_body_begin(struct direction *dir, const struct exchange *x, enum rule_from from);
void exchange_body(struct direction *dir, struct slice bytes);
void exchange_body_end(struct direction *dir);

#endif
