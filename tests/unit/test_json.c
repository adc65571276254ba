/* json: fields are found in whole, split and cut texts; everything else is passed over. */
#include "check.h"

#include <stdlib.h>

#include "decode/json.h"

static const struct json_field fields[] = {
	{ "user", 0 }, { "metadata.uid", 1 }, { "a.b.c", 2 },
};

#define D8 "[[[[[[[["
#define D32 D8 D8 D8 D8

static const struct json_case {
	const char *name, *text, *want;	/* "id=value;" in the order of finding */
} cases[] = {
	{ "one", "{\"user\":\"x\"}", "0=x;" },
	{ "among others", " { \"z\" : 1 , \"user\" : \"x\" , \"y\" : [ ] } ", "0=x;" },
	{ "nested", "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\"}}", "1=u;" },
	{ "deeper", "{\"a\":{\"x\":{\"c\":0},\"b\":{\"c\":7}}}", "2=7;" },
	{ "several", "{\"a\":{\"b\":{\"c\":1}},\"user\":\"x\",\"metadata\":{\"uid\":\"u\"}}",
	  "2=1;0=x;1=u;" },
	{ "the last part of a path alone", "{\"uid\":\"u\",\"b\":{\"c\":1},\"c\":2}", "" },
	{ "a path one level too deep", "{\"x\":{\"user\":\"no\",\"metadata\":{\"uid\":1}}}", "" },
	{ "a path broken off and begun anew",
	  "{\"a\":{\"b\":1},\"b\":{\"c\":2},\"a\":{\"b\":{\"c\":3}}}",
	  "2=3;" },
	{ "inside an array", "[{\"user\":\"no\"}]", "" },
	{ "an array on the way", "{\"metadata\":[{\"uid\":\"no\"}]}", "" },
	{ "after arrays", "{\"x\":[1,[2,{}],\"]\"],\"user\":\"x\"}", "0=x;" },
	{ "numbers", "{\"user\":-1.5e+3,\"metadata\":{\"uid\":0}}", "0=-1.5e+3;1=0;" },
	{ "booleans", "{\"user\":true,\"metadata\":{\"uid\":false}}", "0=true;1=false;" },
	{ "null is no value", "{\"user\":null,\"metadata\":{\"uid\":\"u\"}}", "1=u;" },
	{ "objects and arrays are no values", "{\"user\":{},\"metadata\":{\"uid\":[1]}}", "" },
	{ "the first of two", "{\"user\":\"a\",\"user\":\"b\"}", "0=a;" },
	{ "null, then a value", "{\"user\":null,\"user\":\"b\"}", "0=b;" },
	{ "empty string", "{\"user\":\"\"}", "0=;" },
	{ "escapes", "{\"user\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "0=\"\\/\b\f\n\r\t;" },
	{ "unicode", "{\"user\":\"\\u0041\\u00e9\\u20AC\"}", "0=A\xc3\xa9\xe2\x82\xac;" },
	{ "surrogate pair", "{\"user\":\"\\ud83d\\ude00\"}", "0=\xf0\x9f\x98\x80;" },
	{ "half pairs", "{\"user\":\"\\ud83dx\\ude00\\ud83d\\ud83d\\ude00\"}",
	  "0=\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80;" },
	{ "half a pair before an escape", "{\"user\":\"\\ud83d\\n\"}", "0=\xef\xbf\xbd\n;" },
	{ "escaped key", "{\"\\u0075ser\":\"x\"}", "0=x;" },
	{ "quoted braces", "{\"z\":\"{\\\"user\\\":1}\",\"user\":\"x\"}", "0=x;" },

	{ "cut in a value", "{\"user\":\"al", "" },
	{ "cut before a number's end", "{\"user\":12", "" },
	{ "cut after the value", "{\"user\":\"x\"", "0=x;" },
	{ "no JSON", "user=x", "" },
	{ "a lone scalar", "\"user\"", "" },
	{ "missing colon", "{\"user\" \"x\"}", "" },
	{ "missing comma", "{\"z\":1 \"user\":\"x\"}", "" },
	{ "wrong bracket", "{\"z\":[1},\"user\":\"x\"}", "" },
	{ "comma before the end", "{\"z\":1,}", "" },
	{ "bad escape", "{\"z\":\"\\x\",\"user\":\"x\"}", "" },
	{ "bad hex", "{\"z\":\"\\u00g0\",\"user\":\"x\"}", "" },
	{ "line end in a string", "{\"z\":\"a\nb\",\"user\":\"x\"}", "" },
	{ "unknown word", "{\"z\":nil,\"user\":\"x\"}", "" },
	{ "after the end of the text", "{\"z\":1}{\"user\":\"x\"}", "" },
	{ "32 levels", "{\"z\":" D8 D8 D8 "[[[[[[[" "]]]]]]]" "]]]]]]]]]]]]]]]]]]]]]]]]"
	  ",\"user\":\"x\"}", "0=x;" },
	{ "33 levels", "{\"z\":" D32 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]" ",\"user\":\"x\"}", "" },
};

static void on_found(void *ctx, unsigned int id, struct slice value)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%u=%.*s;", id, (int)value.len, value.at);
}

static void scan(const char *text, size_t split, char *ret)
{
	size_t len = strlen(text);
	struct json *j;
	char *copy = malloc(len + 1);

	memcpy(copy, text, len);
	ret[0] = '\0';
	check_eq(json_new(&j, fields, ARRAY_COUNT(fields), on_found, ret), 0, "new");
	if (json_feed(j, slice_of(copy, split)))
		json_feed(j, slice_of(copy + split, len - split));
	json_free(j);
	free(copy);
}

TEST(fields_are_found_wherever_the_text_is_split)
{
	const struct json_case *c;
	char got[256];
	size_t split;

	for_each(c, cases) {
		for (split = 0; split <= strlen(c->text); split++) {
			scan(c->text, split, got);
			check_str(got, c->want, c->name);
		}
	}
}

TEST(long_values_and_keys_are_passed_over)
{
	char text[2 * JSON_VALUE_MAX], got[2 * JSON_VALUE_MAX], *at = text;

	at += sprintf(at, "{\"user\":\"");
	memset(at, 'a', JSON_VALUE_MAX + 1);
	strcpy(at + JSON_VALUE_MAX + 1, "\",\"metadata\":{\"uid\":\"u\"}}");
	scan(text, 0, got);
	check_str(got, "1=u;", "one byte too long");

	strcpy(at + JSON_VALUE_MAX, "\",\"metadata\":{\"uid\":\"u\"}}");
	scan(text, 0, got);
	check_eq(strlen(got), 2 + JSON_VALUE_MAX + 1 + 4, "just not too long");
}

TEST(a_text_is_looked_at_to_its_limit)
{
	char *text = malloc(JSON_BYTES_MAX + 64), got[64];
	size_t i;

	/* the value's closing quote is the last byte looked at, then one after it */
	for (i = 0; i < 2; i++) {
		size_t pad = JSON_BYTES_MAX - strlen("{\"user\":\"x\"") + i;

		text[0] = '{';
		memset(text + 1, ' ', pad);
		strcpy(text + 1 + pad, "\"user\":\"x\"}");
		scan(text, 100, got);
		check_str(got, i ? "" : "0=x;", "limit");
	}
	free(text);
}

TEST(it_says_when_nothing_more_can_be_found)
{
	struct json *j;
	char got[64] = "";

	check_eq(json_new(&j, fields, 1, on_found, got), 0, "new");
	check(json_feed(j, slice_str("{\"z\":1,\"user\":")), "more");
	check(!json_feed(j, slice_str("\"x\",")), "all found");
	check_str(got, "0=x;", "found");
	json_free(j);
}

RUN_TESTS(cmocka_unit_test(fields_are_found_wherever_the_text_is_split),
	  cmocka_unit_test(long_values_and_keys_are_passed_over),
	  cmocka_unit_test(a_text_is_looked_at_to_its_limit),
	  cmocka_unit_test(it_says_when_nothing_more_can_be_found))
