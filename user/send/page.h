/* page: draws one trace for print. */
#ifndef SEND_PAGE_H
#define SEND_PAGE_H

#include <stddef.h>
#include <stdio.h>

struct print_opts;
struct span;
struct trace;

#define SERVICES_MAX 64		/* services that keep their color; later ones share the last */

/* Services in the order in which they were seen: each keeps its color from trace to trace. */
struct services {
	char *names[SERVICES_MAX];
	size_t count;
};

void services_done(struct services *s);

/* 0 or -ENOMEM. @t has at least one span. */
int page_put(FILE *to, const struct print_opts *opts, struct services *services,
	     const struct trace *t);

#endif
