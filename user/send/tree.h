/*
 * tree: the spans of a trace in the order in which a tree is printed: each before its
 * children, siblings by start. Linear in the spans (after one sort), without recursion.
 */
#ifndef SEND_TREE_H
#define SEND_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct span;
struct trace;

struct tree_node {
	const struct span *span;
	size_t depth;
	bool is_last;		/* of its siblings */
	bool is_leaf;
	bool is_orphan;		/* has a parent that is not in this batch, or is its own ancestor */
};

struct tree {
	struct tree_node *nodes;	/* every span of the trace, once */
	size_t count;
	const struct span **by_id;	/* for tree_find() */
};

/* 0 or -ENOMEM; borrows @t's spans until tree_done(). */
int tree_init(struct tree *ret, const struct trace *t);
void tree_done(struct tree *tree);

const struct span *tree_find(const struct tree *tree, const void *span_id);	/* NULL: none */

#endif
