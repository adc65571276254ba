/* tree: see tree.h. */
#include "send/tree.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "join/span.h"

#define NONE SIZE_MAX

/* while the tree is built: one per span, by its place in the trace */
struct shape {
	size_t parent, child, sibling;	/* child: the first; sibling: the next */
	size_t walk;			/* number of the walk that came by, from 1 */
	bool is_orphan;
};

struct id_row {
	const struct span *span;
	size_t index;
};

static int by_id(const void *a, const void *b)
{
	const struct id_row *ra = a, *rb = b;
	int order = memcmp(ra->span->span_id, rb->span->span_id, sizeof(ra->span->span_id));

	return order ? order : (ra->index > rb->index) - (ra->index < rb->index);
}

static int compare_id(const void *id, const void *row)
{
	return memcmp(id, ((const struct id_row *)row)->span->span_id, 8);
}

static void find_parents(struct shape *shapes, const struct trace *t, const struct id_row *rows)
{
	size_t i;

	for (i = 0; i < t->count; i++) {
		const struct span *sp = t->spans[i];
		const struct id_row *row = NULL;

		if (sp->has_parent)
			row = bsearch(sp->parent_id, rows, t->count, sizeof(*rows), compare_id);
		shapes[i] = (struct shape){
			.parent = row ? row->index : NONE,
			.child = NONE,
			.sibling = NONE,
			.is_orphan = sp->has_parent && !row,
		};
	}
}

/* Ids are foreign: a span may name its own descendant. One edge of such a ring is cut. */
static void cut_rings(struct shape *shapes, size_t count)
{
	size_t i, j;

	for (i = 0; i < count; i++) {
		for (j = i; j != NONE && !shapes[j].walk; j = shapes[j].parent)
			shapes[j].walk = i + 1;
		if (j != NONE && shapes[j].walk == i + 1) {
			shapes[j].parent = NONE;
			shapes[j].is_orphan = true;
		}
	}
}

/* Returns the first root. Backwards, so that the lists come out by start. */
static size_t link_siblings(struct shape *shapes, size_t count)
{
	size_t root = NONE, i = count;

	while (i--) {
		size_t *first = shapes[i].parent == NONE ? &root : &shapes[shapes[i].parent].child;

		shapes[i].sibling = *first;
		*first = i;
	}
	return root;
}

static void walk(struct tree *tree, const struct trace *t, const struct shape *shapes, size_t root)
{
	size_t i = root, depth = 0;

	while (i != NONE) {
		tree->nodes[tree->count++] = (struct tree_node){
			.span = t->spans[i],
			.depth = depth,
			.is_last = shapes[i].sibling == NONE,
			.is_leaf = shapes[i].child == NONE,
			.is_orphan = shapes[i].is_orphan,
		};
		if (shapes[i].child != NONE) {
			i = shapes[i].child;
			depth++;
			continue;
		}
		while (i != NONE && shapes[i].sibling == NONE) {
			i = shapes[i].parent;
			depth -= i != NONE;
		}
		if (i != NONE)
			i = shapes[i].sibling;
	}
}

int tree_init(struct tree *ret, const struct trace *t)
{
	struct shape *shapes = calloc(t->count, sizeof(*shapes));
	struct id_row *rows = calloc(t->count, sizeof(*rows));
	size_t i;

	*ret = (struct tree){
		.nodes = calloc(t->count, sizeof(*ret->nodes)),
		.by_id = calloc(t->count, sizeof(*ret->by_id)),
	};
	if (!shapes || !rows || !ret->nodes || !ret->by_id) {
		free(shapes);
		free(rows);
		tree_done(ret);
		return -ENOMEM;
	}
	for (i = 0; i < t->count; i++)
		rows[i] = (struct id_row){ t->spans[i], i };
	qsort(rows, t->count, sizeof(*rows), by_id);
	for (i = 0; i < t->count; i++)
		ret->by_id[i] = rows[i].span;
	find_parents(shapes, t, rows);
	cut_rings(shapes, t->count);
	walk(ret, t, shapes, link_siblings(shapes, t->count));
	free(shapes);
	free(rows);
	return 0;
}

void tree_done(struct tree *tree)
{
	free(tree->nodes);
	free(tree->by_id);
	*tree = (struct tree){ 0 };
}

static int compare_span(const void *id, const void *sp)
{
	return memcmp(id, (*(const struct span *const *)sp)->span_id, 8);
}

const struct span *tree_find(const struct tree *tree, const void *span_id)
{
	const struct span **at =
	    bsearch(span_id, tree->by_id, tree->count, sizeof(*tree->by_id), compare_span);

	return at ? *at : NULL;
}
