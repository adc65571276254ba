/*
 * rules: what the configuration tells decode: which headers carry trace ids, which paths
 * are one route, and which parts of a message become attributes. Filled by user/config.c;
 * read-only afterwards. All strings belong to the configuration.
 */
#ifndef DECODE_RULES_H
#define DECODE_RULES_H

#include "decode/msg.h"

#define RULES_MAX 64		/* capture rules: one bit each in a 64-bit mask */
#define RULES_ROUTES_MAX 256
#define RULES_HEADERS_MAX 8	/* trace_headers; as CONTEXT_CUSTOM_MAX */

enum rule_from {
	FROM_HTTP_REQUEST_HEADER,
	FROM_HTTP_REQUEST_JSON,
	FROM_HTTP_RESPONSE_JSON,
	FROM_HTTP_PATH,
	FROM_KAFKA_HEADER,
	FROM_KAFKA_KEY,
};

/* one capture rule; a part that does not apply, or does not restrict, is NULL */
struct rule {
	char *attribute;
	enum rule_from from;
	enum identify identifies;
	char *header;		/* *_HEADER */
	char *field;		/* *_JSON: dotted path */
	char *param;		/* HTTP_PATH: name of a {param} of route */
	char *method;		/* HTTP */
	char *route;		/* HTTP: pattern */
	char *topic;		/* KAFKA: glob */
};

struct rules {
	char **trace_headers;
	unsigned int trace_headers_count;
	char **routes;		/* patterns; the first that fits is the route */
	unsigned int routes_count;
	struct rule *capture;
	unsigned int capture_count;
};

#endif
