/*
 * fuzz_json: a body of a foreign program, cut anywhere. What is found does not depend on the
 * split, and where the whole text is JSON that another parser takes, it agrees with it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "decode/json.h"

#define FOUND_MAX 8192

static const struct json_field fields[] = {
	{ "user", 0 }, { "metadata.uid", 1 }, { "a.b.c", 2 },
};

struct found {
	char text[FOUND_MAX];
	size_t len;
	char value[3][JSON_VALUE_MAX + 1];
	int has[3];
};

static void on_found(void *ctx, unsigned int id, struct slice value)
{
	struct found *f = ctx;

	if (id > 2 || f->has[id]++ || value.len > JSON_VALUE_MAX)
		abort();	/* each field once */
	memcpy(f->value[id], value.at, value.len);
	f->value[id][value.len] = '\0';
	f->text[f->len++] = '0' + id;
	memcpy(f->text + f->len, value.at, value.len);
	f->len += value.len;
}

static struct found *scan(const char *text, size_t len, size_t piece)
{
	struct found *f = calloc(1, sizeof(*f));
	size_t at, n;
	struct json *j;

	if (json_new(&j, fields, 3, on_found, f))
		abort();
	for (at = 0; at < len; at += n) {
		n = len - at < piece ? len - at : piece;
		if (!json_feed(j, slice_of(text + at, n)))
			break;
	}
	json_free(j);
	return f;
}

/* The first member of this name, as ours takes it; names are compared exactly. */
static const cJSON *member(const cJSON *object, const char *name)
{
	const cJSON *c;

	for (c = cJSON_IsObject(object) ? object->child : NULL; c; c = c->next)
		if (c->string && !strcmp(c->string, name))
			return c;
	return NULL;
}

static void compare(const struct found *f, const char *text)
{
	const cJSON *user;
	cJSON *root;

	if (strstr(text, "\\u"))
		return;		/* the other parser refuses or cuts some escapes */
	root = cJSON_ParseWithOpts(text, NULL, 1);
	user = root ? member(root, "user") : NULL;
	if (user && cJSON_IsString(user) && strlen(user->valuestring) <= JSON_VALUE_MAX &&
	    (!f->has[0] || strcmp(f->value[0], user->valuestring)))
		abort();
	cJSON_Delete(root);
}

static int is_plain(const uint8_t *data, size_t size)
{
	size_t i;

	/* the other parser takes control characters in strings, and stops at NUL */
	for (i = 0; i < size; i++)
		if (data[i] < ' ')
			return 0;
	return size < JSON_BYTES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct found *whole, *split;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	whole = scan(text, size, size + 1);
	split = scan(text, size, 1 + size % 7);
	if (whole->len != split->len || memcmp(whole->text, split->text, whole->len))
		abort();
	if (is_plain(data, size))
		compare(whole, text);
	free(whole);
	free(split);
	free(text);
	return 0;
}
