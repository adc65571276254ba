/* bar: see bar.h. */
#include "send/bar.h"

#include <string.h>

#define PARTS 8			/* of a cell, as Unicode's block elements divide it */

/* Position on the line in parts, within it. */
static size_t position(const struct scale *scale, uint64_t ns)
{
	uint64_t length = scale->end_ns - scale->start_ns;
	size_t parts = scale->cells * PARTS;

	if (ns <= scale->start_ns || !length)
		return 0;
	if (ns >= scale->end_ns)
		return parts;
	return (size_t)((double)(ns - scale->start_ns) / length * parts);
}

/* One cell that is filled from part @low to part @high. */
static const char *block(size_t low, size_t high)
{
	static const char *const from_left[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
	size_t width = high - low;

	if (!width)
		return " ";
	if (low == 0)
		return from_left[width];
	if (low < PARTS / 2)	/* Unicode has no such block: the nearest one */
		return high < PARTS ? from_left[width] : width > 6 ? "█" : "▐";
	return width > 2 ? "▐" : "▕";
}

void bar_put(FILE *to, const struct scale *scale, uint64_t start_ns, uint64_t end_ns)
{
	size_t start = position(scale, start_ns), end = position(scale, end_ns), i;

	if (start >= scale->cells * PARTS)
		start = scale->cells * PARTS - 1;
	if (end <= start)
		end = start + 1;
	for (i = 0; i < scale->cells; i++) {
		size_t low = start > i * PARTS ? start - i * PARTS : 0;
		size_t high = end > i * PARTS ? end - i * PARTS : 0;

		if (high > PARTS)
			high = PARTS;
		if (low > high)
			low = high;
		if (scale->is_utf8)
			fputs(block(low, high), to);
		else
			fputc(high > low ? '=' : ' ', to);
	}
}

void duration_text(char ret[DURATION_MAX], uint64_t ns)
{
	static const struct unit {
		const char *name;
		uint64_t ns;
	} units[] = { { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 } };
	const struct unit *u = units;
	unsigned int minutes = ns / 60000000000ull, seconds = ns / 1000000000ull % 60;
	double value;
	int digits;

	if (minutes >= 60) {
		snprintf(ret, DURATION_MAX, "%u h %02u min", minutes / 60, minutes % 60);
		return;
	}
	if (minutes) {
		snprintf(ret, DURATION_MAX, "%u min %02u s", minutes, seconds);
		return;
	}
	while (ns < u->ns && u->ns > 1)
		u++;
	value = (double)ns / u->ns;
	digits = value >= 99.95 || u->ns == 1 ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(ret, DURATION_MAX, "%.*f %s", digits, value, u->name);
}
