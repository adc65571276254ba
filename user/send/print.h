/*
 * print: finished traces as waterfalls on a terminal: a head, then the tree in parent order,
 * one line a span: service, name, when and how long, what tells.
 */
#ifndef SEND_PRINT_H
#define SEND_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#define PRINT_LINES_MAX 200	/* spans printed of one trace; the others are counted */
#define PRINT_DEPTH_MAX 16	/* levels that are indented; deeper ones say their depth */
#define PRINT_EXTRAS_MAX 3	/* links and events printed of one span, each */
#define PRINT_REPEATS_MAX 3	/* equal leaves in a row that are printed; more are folded */
#define PRINT_WIDTH 120		/* columns, where there is no terminal to ask */
#define PRINT_WIDTH_MIN 60
#define PRINT_WIDTH_MAX 1000

struct print;
struct trace;

struct print_opts {
	int fd;
	size_t width;		/* columns */
	bool is_utf8, has_color;
};

/*
 * What @fd can show: its width (COLUMNS, then the terminal's), colors on a terminal unless
 * NO_COLOR is set, UTF-8 by the locale: the caller has called setlocale().
 */
void print_opts_detect(struct print_opts *ret, int fd);

/* On success *ret is the caller's, to be ended with print_free(); untouched on failure. */
int print_new(struct print **ret, const struct print_opts *opts);

int print_feed(struct print *p, const struct trace *t);	/* writes at once; 0 or -errno */

/* The same as text, with nothing written; *ret is the caller's to free. 0 or -ENOMEM. */
int print_text(struct print *p, const struct trace *t, char **ret, size_t *ret_len);

void print_free(struct print *p);	/* NULL is fine */

#endif
