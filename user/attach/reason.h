/*
 * reason: why something is not attached, as one sentence for the operator.
 * Filled by whoever refuses, kept by value; never holds more than REASON_MAX bytes.
 */
#ifndef ATTACH_REASON_H
#define ATTACH_REASON_H

#define REASON_MAX 192

struct reason {
	char text[REASON_MAX];
};

/* Writes the sentence and returns @err, so that a refusal is one statement. @r may be NULL. */
int reason_set(struct reason *r, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
