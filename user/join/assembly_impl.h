/* assembly_impl: the insides that assembly.c (life, merging) and emit.c (handing on) share. */
#ifndef JOIN_ASSEMBLY_IMPL_H
#define JOIN_ASSEMBLY_IMPL_H

#include "join/assembly.h"

struct assembly {
	int refs;
	struct assembly *merged_into;	/* counted; this one is then empty */
	UT_hash_handle by_id;
	bool has_id, is_indexed;
	bool was_emitted;		/* what comes now comes late */
	uint8_t trace_id[16];
	struct node *nodes;		/* not emitted yet; each counted */
	size_t node_count, open_count;
	struct node *root;		/* earliest; counted */
	uint64_t last_ns;		/* latest sign of life */
	struct attrs spread;
	struct assembly *prev, *next;	/* in one of the lists of struct assemblies */
	enum assembly_list { LIST_NONE, LIST_BUSY, LIST_IDLE, LIST_DONE } list;
};

struct assemblies {
	struct assemblies_opts opts;
	trace_next_fn next;
	void *ctx;
	struct assembly *index;		/* by trace id */
	struct assembly *busy;		/* have open nodes */
	struct assembly *idle;		/* all nodes ended; oldest sign of life first */
	struct assembly *done;		/* emitted, remembered; oldest first */
	size_t done_count, node_count;
	size_t link_count;		/* of all struct links, without the first of each */
};

/* Hands the nodes of @a on as one batch and forgets them. */
void assembly_emit(struct assemblies *as, struct assembly *a, uint64_t now_ns);

/* Lets go of what @n knows of other nodes and traces. */
void node_drop_evidence(struct assemblies *as, struct node *n);

/* Makes up an id for a trace that nothing gave one. */
void assembly_fix_id(struct assemblies *as, struct assembly *a);

#endif
