/* attrs: see attrs.h. */
#include "util/attrs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

void attrs_done(struct attrs *a)
{
	size_t i;

	for (i = 0; i < a->count; i++) {
		free(a->list[i].key);
		if (a->list[i].type == ATTR_STR)
			free(a->list[i].str);
	}
	free(a->list);
	*a = (struct attrs){ 0 };
}

const struct attr *attrs_get(const struct attrs *a, const char *key)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (!strcmp(a->list[i].key, key))
			return &a->list[i];
	return NULL;
}

const char *attrs_get_str(const struct attrs *a, const char *key)
{
	const struct attr *at = attrs_get(a, key);

	return at && at->type == ATTR_STR ? at->str : NULL;
}

static int attrs_grow(struct attrs *a)
{
	size_t room = a->room ? a->room * 2 : 8;
	struct attr *list;

	if (a->count < a->room)
		return 0;
	if (a->count >= ATTRS_MAX)
		return -E2BIG;
	list = realloc(a->list, room * sizeof(*list));
	if (!list)
		return -ENOMEM;
	a->list = list;
	a->room = room;
	return 0;
}

/* Takes over @value's string on success only. */
static int attrs_put(struct attrs *a, const char *key, struct attr value)
{
	struct attr *at = (struct attr *)attrs_get(a, key);
	int err;

	if (at) {
		if (at->type == ATTR_STR)
			free(at->str);
		value.key = at->key;
		*at = value;
		return 0;
	}
	err = attrs_grow(a);
	if (err)
		return err;
	value.key = strdup(key);
	if (!value.key)
		return -ENOMEM;
	a->list[a->count++] = value;
	return 0;
}

int attrs_set_strn(struct attrs *a, const char *key, const void *value, size_t len)
{
	struct attr at = { .type = ATTR_STR };
	int err;

	at.str = utf8_clean(value, len < ATTR_VALUE_MAX ? len : ATTR_VALUE_MAX);
	if (!at.str)
		return -ENOMEM;
	err = attrs_put(a, key, at);
	if (err)
		free(at.str);
	return err;
}

int attrs_set_str(struct attrs *a, const char *key, const char *value)
{
	return attrs_set_strn(a, key, value, strlen(value));
}

int attrs_set_int(struct attrs *a, const char *key, int64_t value)
{
	return attrs_put(a, key, (struct attr){ .type = ATTR_INT, .num = value });
}

int attrs_set_bool(struct attrs *a, const char *key, bool value)
{
	return attrs_put(a, key, (struct attr){ .type = ATTR_BOOL, .flag = value });
}

int attrs_set_double(struct attrs *a, const char *key, double value)
{
	return attrs_put(a, key, (struct attr){ .type = ATTR_DOUBLE, .real = value });
}

void attrs_remove(struct attrs *a, const char *key)
{
	struct attr *at = (struct attr *)attrs_get(a, key);

	if (!at)
		return;
	free(at->key);
	if (at->type == ATTR_STR)
		free(at->str);
	a->count--;
	memmove(at, at + 1, (a->list + a->count - at) * sizeof(*at));
}

int attrs_copy(struct attrs *to, const struct attrs *from)
{
	size_t i;
	int err = 0;

	for (i = 0; i < from->count && !err; i++) {
		const struct attr *at = &from->list[i];

		if (at->type == ATTR_STR)
			err = attrs_set_str(to, at->key, at->str);
		else
			err = attrs_put(to, at->key, *at);
	}
	return err;
}
