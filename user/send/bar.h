/* bar: durations for the eye: a stretch of a time line, and "1.23 ms". */
#ifndef SEND_BAR_H
#define SEND_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DURATION_MAX 24		/* bytes of the longest duration in words */

/* A time line of @cells cells on which everything of one trace is drawn. */
struct scale {
	uint64_t start_ns, end_ns;
	size_t cells;
	bool is_utf8;		/* eighths of a cell; else '=' */
};

/* Draws exactly scale->cells cells; even the shortest stretch leaves a mark. */
void bar_put(FILE *to, const struct scale *scale, uint64_t start_ns, uint64_t end_ns);

/* Three significant digits, "950 ns" to "2 h 03 min". */
void duration_text(char ret[DURATION_MAX], uint64_t ns);

#endif
