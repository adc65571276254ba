/*
 * rules: what the configuration tells decode: which headers carry trace ids, which paths
 * are one route, and which parts of a message become attributes. Filled by user/config.c;
 * read-only afterwards. All strings belong to the configuration.
 */
#ifndef DECODE_RULES_H
#define DECODE_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "decode/msg.h"
#include "decode/slice.h"

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
	FROM_MAX,
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
	char *route;		/* HTTP: pattern; need not be among the routes */
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

/* The rule's place and what is wrong with it, for the user. */
struct rules_fault {
	const char *section;		/* "capture", ... */
	unsigned int index;		/* in it, from 0 */
	const char *name;		/* of the attribute or value at fault; may be NULL */
	const char *what;
};

/* 0, or -EINVAL with *ret_fault: a rule lacks a part, or would capture a secret. */
int rules_check(const struct rules *r, struct rules_fault *ret_fault);

/* Headers whose values are never captured, whatever the configuration says. */
bool rules_is_secret_header(const char *name);

/* --- matching: pure functions --- */

/*
 * Does @path fit @pattern: equal segments, {name} for any one segment that is not empty?
 * With @param, *ret_value becomes that segment (unset if the pattern has none of the name).
 */
bool route_match(const char *pattern, struct slice path, const char *param,
		 struct slice *ret_value);

const char *rules_route(const struct rules *r, struct slice path);	/* NULL: none fits */

/* One bit for each capture rule that may apply to a request or to what answers it. */
uint64_t rules_for_http(const struct rules *r, struct slice method, struct slice path);
uint64_t rules_for_topic(const struct rules *r, const char *topic);

/* --- capturing: @value becomes the rule's attribute, unless the message has that already --- */

void capture(struct msg *m, const struct rule *rule, struct slice value);

struct rule_set {		/* the rules that may apply to a message */
	const struct rules *rules;
	uint64_t mask;		/* one bit each */
};

/* Each rule of @set and kind @from that names the header @name. */
void capture_header(struct msg *m, const struct rule_set *set, enum rule_from from,
		    struct slice name, struct slice value);

#endif
