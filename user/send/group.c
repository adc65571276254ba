/* group: see group.h. Two sorts, so that ten thousand resources cost no more than one. */
#include "send/group.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "join/span.h"

struct entry {
	const struct span *span;
	size_t index;		/* as it came */
	size_t rank;		/* index of the first span of the same resource */
};

static const char *scope_of(const struct span *sp)
{
	return sp->scope ? sp->scope : "";
}

static int compare_sizes(size_t a, size_t b)
{
	return (a > b) - (a < b);
}

static int by_resource(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	uintptr_t ra = (uintptr_t)a->span->resource, rb = (uintptr_t)b->span->resource;

	if (ra != rb)
		return ra < rb ? -1 : 1;
	return compare_sizes(a->index, b->index);
}

static int by_rank(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int order = compare_sizes(a->rank, b->rank);

	if (!order)
		order = strcmp(scope_of(a->span), scope_of(b->span));
	return order ? order : compare_sizes(a->index, b->index);
}

static void order(struct entry *list, size_t count)
{
	size_t i;

	qsort(list, count, sizeof(*list), by_resource);
	for (i = 0; i < count; i++) {
		bool is_same = i && list[i].span->resource == list[i - 1].span->resource;

		list[i].rank = is_same ? list[i - 1].rank : list[i].index;
	}
	qsort(list, count, sizeof(*list), by_rank);
}

/* Cuts the ordered list into runs; both arrays have room for one run per span. */
static void cut(struct groups *g, const struct entry *list, size_t count)
{
	struct scope_group *sg = g->scopes - 1;
	struct resource_group *rg = g->resources - 1;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct span *sp = list[i].span;
		bool is_new = !i || sp->resource != list[i - 1].span->resource;

		g->spans[i] = sp;
		if (is_new) {
			*++rg = (struct resource_group){ .resource = sp->resource,
							 .scopes = sg + 1 };
			g->count++;
		}
		if (is_new || strcmp(scope_of(sp), sg->scope)) {
			*++sg = (struct scope_group){ .scope = scope_of(sp),
						      .spans = &g->spans[i] };
			rg->count++;
		}
		sg->count++;
	}
}

int groups_init(struct groups *g, struct span *const *spans, size_t count)
{
	struct entry *list = calloc(count, sizeof(*list));
	size_t i;

	*g = (struct groups){
		.resources = calloc(count, sizeof(*g->resources)),
		.scopes = calloc(count, sizeof(*g->scopes)),
		.spans = calloc(count, sizeof(*g->spans)),
	};
	if (!list || !g->resources || !g->scopes || !g->spans) {
		free(list);
		groups_done(g);
		return -ENOMEM;
	}
	for (i = 0; i < count; i++)
		list[i] = (struct entry){ .span = spans[i], .index = i };
	order(list, count);
	cut(g, list, count);
	free(list);
	return 0;
}

void groups_done(struct groups *g)
{
	free(g->resources);
	free(g->scopes);
	free(g->spans);
	*g = (struct groups){ 0 };
}
