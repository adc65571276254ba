/*
 * group: spans ordered as OTLP nests them: by resource, then by scope, then as they came.
 *
 * Resources come in the order of their first span, scopes by name: the same spans always
 * give the same groups. Borrows the spans.
 */
#ifndef SEND_GROUP_H
#define SEND_GROUP_H

#include <stddef.h>

struct resource;
struct span;

struct scope_group {
	const char *scope;		/* "" where the span names none */
	const struct span **spans;
	size_t count;
};

struct resource_group {
	const struct resource *resource;	/* NULL: the spans have none */
	struct scope_group *scopes;
	size_t count;
};

struct groups {
	struct resource_group *resources;
	size_t count;
	struct scope_group *scopes;	/* storage */
	const struct span **spans;	/* storage */
};

/* 0 or -ENOMEM; on success ended with groups_done(). @count is at least 1. */
int groups_init(struct groups *g, struct span *const *spans, size_t count);
void groups_done(struct groups *g);

#endif
