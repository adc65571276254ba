/* attrs and utf8: foreign strings become valid, unique, bounded attributes. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "util/attrs.h"
#include "util/utf8.h"

static const struct utf8_case {
	const char *name, *bytes;
	size_t len;
	const char *want;
} utf8_cases[] = {
	{ "plain", "abc", 3, "abc" },
	{ "two bytes", "\xc3\xa9", 2, "\xc3\xa9" },
	{ "four bytes", "\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80" },
	{ "lone continuation", "a\x80z", 3, "a\xef\xbf\xbdz" },
	{ "overlong slash", "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "surrogate", "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "above U+10FFFF", "\xf4\x90\x80\x80", 4,
	  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "cut by the end", "ab\xe2\x82", 4, "ab" },
	{ "NUL inside", "a\0b", 3, "a\xef\xbf\xbd" "b" },
	{ "empty", "", 0, "" },
};

TEST(utf8_is_made_valid)
{
	const struct utf8_case *c;

	for_each(c, utf8_cases) {
		char *got = utf8_clean(c->bytes, c->len);

		check_str(got, c->want, c->name);
		free(got);
	}
}

TEST(a_key_set_twice_keeps_the_last_value)
{
	struct attrs a = { 0 };

	check_eq(attrs_set_str(&a, "k", "one"), 0, "set");
	check_eq(attrs_set_int(&a, "k", 2), 0, "set again");
	check_eq(a.count, 1, "count");
	check_eq(attrs_get(&a, "k")->num, 2, "value");
	check_str(attrs_get_str(&a, "k"), NULL, "no longer a string");
	attrs_done(&a);
}

TEST(the_list_is_bounded)
{
	struct attrs a = { 0 };
	char key[16];
	int i;

	for (i = 0; i < ATTRS_MAX; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		check_eq(attrs_set_int(&a, key, i), 0, key);
	}
	check_eq(attrs_set_int(&a, "one more", 1), -E2BIG, "full");
	check_eq(attrs_set_int(&a, "k0", 7), 0, "replacing is still possible");
	attrs_done(&a);
}

TEST(copies_own_their_strings)
{
	struct attrs a = { 0 }, b = { 0 };

	attrs_set_str(&a, "s", "text");
	attrs_set_bool(&a, "b", true);
	check_eq(attrs_copy(&b, &a), 0, "copy");
	attrs_done(&a);
	check_str(attrs_get_str(&b, "s"), "text", "string lives on");
	check(attrs_get(&b, "b")->flag, "bool");
	attrs_done(&b);
}

TEST(a_removed_pair_leaves_the_others_in_order)
{
	struct attrs a = { 0 };

	attrs_set_str(&a, "a", "1");
	attrs_set_str(&a, "b", "2");
	attrs_set_int(&a, "c", 3);
	attrs_remove(&a, "none");
	attrs_remove(&a, "b");
	check_eq(a.count, 2, "count");
	check_str(a.list[0].key, "a", "first");
	check_str(a.list[1].key, "c", "last");
	attrs_remove(&a, "c");
	attrs_remove(&a, "a");
	check_eq(a.count, 0, "empty");
	attrs_done(&a);
}

RUN_TESTS(cmocka_unit_test(utf8_is_made_valid),
	  cmocka_unit_test(a_key_set_twice_keeps_the_last_value),
	  cmocka_unit_test(the_list_is_bounded), cmocka_unit_test(copies_own_their_strings),
	  cmocka_unit_test(a_removed_pair_leaves_the_others_in_order))
