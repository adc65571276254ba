/* rules: see rules.h. */
#include "decode/rules.h"

#include <errno.h>
#include <fnmatch.h>

#define BIT(i) (1ULL << (i))

/* Whoever reads a trace must not be able to act as somebody else. */
static const char *const secret_headers[] = {
	"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key",
	"x-amz-security-token", "x-auth-token", "x-access-token", "x-csrf-token", "x-xsrf-token",
	"x-vault-token", "x-goog-api-key", "api-key", "apikey",
};

/* the parts that a rule of each kind needs and may have */
enum part { HEADER = 1, FIELD = 2, PARAM = 4, METHOD = 8, ROUTE = 16, TOPIC = 32 };

static const struct {
	unsigned int needs, allows;
	const char *what;
} kinds[FROM_MAX] = {
	[FROM_HTTP_REQUEST_HEADER] = { HEADER, HEADER | METHOD | ROUTE,
		"needs header, and may have method and route" },
	[FROM_HTTP_REQUEST_JSON] = { FIELD, FIELD | METHOD | ROUTE,
		"needs field, and may have method and route" },
	[FROM_HTTP_RESPONSE_JSON] = { FIELD, FIELD | METHOD | ROUTE,
		"needs field, and may have method and route" },
	[FROM_HTTP_PATH] = { ROUTE | PARAM, ROUTE | PARAM | METHOD,
		"needs route and param, and may have method" },
	[FROM_KAFKA_HEADER] = { HEADER, HEADER | TOPIC, "needs header, and may have topic" },
	[FROM_KAFKA_KEY] = { 0, TOPIC, "may have topic" },
};

bool rules_is_secret_header(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(secret_headers) / sizeof(*secret_headers); i++)
		if (!strcasecmp(name, secret_headers[i]))
			return true;
	return false;
}

static bool is_from_http(enum rule_from from)
{
	return from != FROM_KAFKA_HEADER && from != FROM_KAFKA_KEY;
}

/* --- checking ------------------------------------------------------------------------------- */

static bool is_pattern(const char *p)
{
	for (; *p; p += strcspn(p, "/")) {
		size_t len;

		if (*p++ != '/')
			return false;
		len = strcspn(p, "/");
		/* braces must be around a whole segment */
		if (strcspn(p, "{}") < len &&
		    (len < 3 || *p != '{' || p[len - 1] != '}' || strcspn(p + 1, "{}") != len - 2))
			return false;
	}
	return true;
}

static bool has_param(const char *pattern, const char *name)
{
	struct slice rest = slice_str(pattern), part;

	while (slice_cut(&rest, '/', &part))
		if (part.len > 2 && part.at[0] == '{' &&
		    slice_is(slice_of(part.at + 1, part.len - 2), name))
			return true;
	return false;
}

static const char *check_rule(const struct rule *r)
{
	unsigned int parts = (r->header ? HEADER : 0) | (r->field ? FIELD : 0) |
			     (r->param ? PARAM : 0) | (r->method ? METHOD : 0) |
			     (r->route ? ROUTE : 0) | (r->topic ? TOPIC : 0);

	if (!r->attribute || !*r->attribute)
		return "needs attribute, a name";
	if (r->from >= FROM_MAX)
		return "has no such source";
	if ((parts & kinds[r->from].needs) != kinds[r->from].needs ||
	    parts & ~kinds[r->from].allows)
		return kinds[r->from].what;
	if (r->header && rules_is_secret_header(r->header))
		return "names a header that holds secrets, which are never captured; remove it";
	if (r->route && (!is_pattern(r->route) || !*r->route))
		return "has a route that is no pattern like /orders/{id}";
	if (r->param && !has_param(r->route, r->param))
		return "has a param that its route has not: write {param} there";
	if (r->field && (!*r->field || strstr(r->field, "..") || *r->field == '.' ||
			 r->field[strlen(r->field) - 1] == '.'))
		return "has a field that is no dotted path like metadata.uid";
	return NULL;
}

static int fault(struct rules_fault *ret, const char *section, unsigned int index,
		 const char *name, const char *what)
{
	*ret = (struct rules_fault){ section, index, name, what };
	return -EINVAL;
}

int rules_check(const struct rules *r, struct rules_fault *ret_fault)
{
	const char *what;
	unsigned int i;

	if (r->capture_count > RULES_MAX)
		return fault(ret_fault, "capture", RULES_MAX, NULL, "holds more than 64 rules");
	if (r->routes_count > RULES_ROUTES_MAX)
		return fault(ret_fault, "routes", RULES_ROUTES_MAX, NULL,
			     "holds more than 256 patterns");
	if (r->trace_headers_count > RULES_HEADERS_MAX)
		return fault(ret_fault, "trace_headers", RULES_HEADERS_MAX, NULL,
			     "holds more than 8 names");
	for (i = 0; i < r->trace_headers_count; i++)
		if (rules_is_secret_header(r->trace_headers[i]))
			return fault(ret_fault, "trace_headers", i, r->trace_headers[i],
				     "holds secrets, which are never captured; remove it");
	for (i = 0; i < r->routes_count; i++)
		if (!is_pattern(r->routes[i]) || !*r->routes[i])
			return fault(ret_fault, "routes", i, r->routes[i],
				     "is no pattern like /orders/{id}");
	for (i = 0; i < r->capture_count; i++) {
		what = check_rule(&r->capture[i]);
		if (what)
			return fault(ret_fault, "capture", i, r->capture[i].attribute, what);
	}
	return 0;
}

/* --- matching ------------------------------------------------------------------------------- */

bool route_match(const char *pattern, struct slice path, const char *param,
		 struct slice *ret_value)
{
	struct slice left = slice_str(pattern), want = { 0 }, got = { 0 }, value = { 0 };
	bool has_want, has_got;

	for (;;) {
		has_want = slice_cut(&left, '/', &want);
		has_got = slice_cut(&path, '/', &got);
		if (!has_want || !has_got)
			break;
		if (want.len > 2 && want.at[0] == '{') {
			if (!got.len)
				return false;
			if (param && slice_is(slice_of(want.at + 1, want.len - 2), param))
				value = got;
		} else if (want.len != got.len || memcmp(want.at, got.at, want.len)) {
			return false;
		}
	}
	if (has_want || has_got)
		return false;
	if (value.at)
		*ret_value = value;
	return true;
}

const char *rules_route(const struct rules *r, struct slice path)
{
	unsigned int i;

	for (i = 0; i < r->routes_count; i++)
		if (route_match(r->routes[i], path, NULL, NULL))
			return r->routes[i];
	return NULL;
}

uint64_t rules_for_http(const struct rules *r, struct slice method, struct slice path)
{
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < r->capture_count && i < RULES_MAX; i++) {
		const struct rule *rule = &r->capture[i];

		if (is_from_http(rule->from) && (!rule->method || slice_is(method, rule->method)) &&
		    (!rule->route || route_match(rule->route, path, NULL, NULL)))
			mask |= BIT(i);
	}
	return mask;
}

uint64_t rules_for_topic(const struct rules *r, const char *topic)
{
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < r->capture_count && i < RULES_MAX; i++) {
		const struct rule *rule = &r->capture[i];

		if (!is_from_http(rule->from) &&
		    (!rule->topic || !fnmatch(rule->topic, topic, 0)))
			mask |= BIT(i);
	}
	return mask;
}

/* --- capturing ------------------------------------------------------------------------------ */

void capture(struct msg *m, const struct rule *rule, struct slice value)
{
	struct msg_identity *id;

	if (attrs_get(&m->attrs, rule->attribute) ||
	    attrs_set_strn(&m->attrs, rule->attribute, value.at, value.len))
		return;
	/* nothing can be identified by an empty string */
	if (rule->identifies == IDENTIFY_NO || !value.len ||
	    m->identity_count == MSG_IDENTITIES_MAX)
		return;
	id = &m->identities[m->identity_count++];
	id->key = rule->attribute;
	id->value = attrs_get_str(&m->attrs, rule->attribute);
	id->how = rule->identifies;
}

void capture_header(struct msg *m, const struct rule_set *set, enum rule_from from,
		    struct slice name, struct slice value)
{
	const struct rule *rule = set->rules->capture;
	unsigned int i;

	for (i = 0; i < RULES_MAX && set->mask >> i; i++)
		if (set->mask & BIT(i) && rule[i].from == from &&
		    slice_is_nocase(name, rule[i].header))
			capture(m, &rule[i], value);
}
