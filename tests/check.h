/*
 * check: what unit tests include: cmocka, plus checks that name their case.
 *
 * A test program is a list of TEST() functions and one RUN_TESTS(); the runner script
 * counts cmocka's result lines.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdio.h>

#include <cmocka.h>

#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define for_each(p, array) for ((p) = (array); (p) < (array) + ARRAY_COUNT(array); (p)++)

#define TEST(name) static void name(void **state __attribute__((unused)))

#define check(cond, what)                                                                          \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("%s: %s", (what), #cond);                                         \
	} while (0)

#define check_eq(got, want, what)                                                                  \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_)                                                                 \
			fail_msg("%s: %s is %lld, not %lld", (what), #got, got_, want_);           \
	} while (0)

#define check_str(got, want, what)                                                                 \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		if (!got_ != !want_ || (got_ && strcmp(got_, want_)))                              \
			fail_msg("%s: %s is \"%s\", not \"%s\"", (what), #got,                \
				 got_ ? got_ : "(null)", want_ ? want_ : "(null)");                \
	} while (0)

/* RUN_TESTS(cmocka_unit_test(a), cmocka_unit_test(b)) */
#define RUN_TESTS(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };                                 \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

#endif
