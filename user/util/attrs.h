/*
 * attrs: a small ordered list of typed key-value pairs, as OpenTelemetry attributes.
 *
 * Keys are unique: setting a key again replaces its value. Owns copies of keys and strings;
 * a string value is cut at ATTR_VALUE_MAX bytes and made valid UTF-8 (bad bytes become
 * U+FFFD), since protobuf demands it. At most ATTRS_MAX pairs; more are refused (-E2BIG).
 */
#ifndef UTIL_ATTRS_H
#define UTIL_ATTRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTRS_MAX 128		/* the limit of OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT's default */
#define ATTR_VALUE_MAX 4096	/* bytes */

enum attr_type { ATTR_STR, ATTR_INT, ATTR_BOOL, ATTR_DOUBLE };

struct attr {
	char *key;
	enum attr_type type;
	union {
		char *str;
		int64_t num;
		bool flag;
		double real;
	};
};

struct attrs {			/* zero-initialized is empty */
	struct attr *list;
	size_t count, room;
};

void attrs_done(struct attrs *a);	/* frees the pairs; @a is empty afterwards */

/* 0, -ENOMEM or -E2BIG (the list is full: nothing changed) */
int attrs_set_str(struct attrs *a, const char *key, const char *value);
int attrs_set_strn(struct attrs *a, const char *key, const void *value, size_t len);
int attrs_set_int(struct attrs *a, const char *key, int64_t value);
int attrs_set_bool(struct attrs *a, const char *key, bool value);
int attrs_set_double(struct attrs *a, const char *key, double value);
void attrs_remove(struct attrs *a, const char *key);	/* nothing where it is not there */
int attrs_copy(struct attrs *to, const struct attrs *from);	/* adds or replaces each pair */

const struct attr *attrs_get(const struct attrs *a, const char *key);	/* NULL: not there */
const char *attrs_get_str(const struct attrs *a, const char *key);	/* NULL: no string there */

#endif
