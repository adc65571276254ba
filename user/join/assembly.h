/*
 * assembly: a trace while it is being put together: nodes (spans in the making) that are
 * known to belong together, and its trace id once something decided it.
 *
 * Assemblies merge when evidence joins them; two that carry different trace ids never do.
 * A finished one is handed on when it has been quiet for the linger time; its id, root and
 * shared attributes stay known for a while, so that spans which come later join the same
 * trace. Nodes and assemblies are counted: get/put. Times are CLOCK_MONOTONIC here.
 */
#ifndef JOIN_ASSEMBLY_H
#define JOIN_ASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "join/ids.h"
#include "join/span.h"
#include "util/count.h"

#define NODE_CANDIDATES_MAX 6
#define NODE_LINKS_MAX 8	/* to other traces' roots; links to messages are in links.h */
#define NODE_ATTEMPTS_MAX 8
#define NODE_IDENTITIES_MAX 4

struct assembly;
struct links;

struct candidate {
	enum evidence evidence;
	struct node *node;		/* counted; NULL: the parent was not seen here */
	uint8_t span_id[8];		/* of the parent */
	bool is_ancestor;		/* only the trace was named, and this span is above it */
};

/* repeated requests of one activity, for http.request.resend_count */
struct attempt {
	uint64_t target;		/* hash of method, peer and path */
	unsigned int failures;
};

/* an attribute value that identifies a trace, as identity.c looks it up */
struct node_identity {
	uint8_t hash[16];		/* of the attribute's key and value */
	bool is_link;			/* only a link is wanted */
};

struct node {
	int refs;
	struct assembly *assembly;	/* read it by node_assembly() */
	struct node *prev, *next;	/* in the assembly, until emitted */
	struct span *span;		/* NULL once emitted */
	uint8_t span_id[8];
	uint64_t start_ns;		/* monotonic */
	uint32_t tgid;
	bool is_open;
	bool is_consumer;
	struct candidate candidates[NODE_CANDIDATES_MAX];
	unsigned int candidate_count;
	struct assembly *links[NODE_LINKS_MAX];	/* to the roots of these */
	unsigned int link_count;
	struct links *messages;		/* counted; NULL: it was handed none */
	struct node *contradicted;	/* parent that another trace's id ruled out */
	const char *root_reason;	/* static: why no parent was found */
	struct attempt attempts[NODE_ATTEMPTS_MAX];
	struct node_identity identities[NODE_IDENTITIES_MAX];
	unsigned int identity_count;
};

struct assemblies;

struct assemblies_opts {
	struct ids ids;
	uint64_t wall_offset_ns;	/* wall clock = monotonic + this */
	uint64_t linger_ns;		/* quiet time before a trace is handed on */
	const char *const *spread;	/* keys copied to every span of a trace; NULL-ended */
	size_t nodes_max, done_max;	/* 0: as limits.h has it */
	struct counters *counters;
};

int assemblies_new(struct assemblies **ret, const struct assemblies_opts *opts,
		   trace_next_fn next, void *ctx);
/* Hands on what has been quiet, until so many spans have gone; true: there is more. */
bool assemblies_tick(struct assemblies *as, uint64_t now_ns, size_t spans);
size_t assemblies_held(const struct assemblies *as);	/* spans */
void assemblies_flush(struct assemblies *as, uint64_t now_ns);	/* everything, open or not */
void assemblies_free(struct assemblies *as);

/*
 * A new open node, alone in an assembly of its own; the caller owns one reference.
 * @resource is counted by the span. NULL: no memory (counted as dropped).
 */
struct node *node_new(struct assemblies *as, const struct span_facts *facts,
		      struct resource *resource);
struct node *node_get(struct node *n);
void node_put(struct assemblies *as, struct node *n);
struct assembly *node_assembly(const struct node *n);

/* Ends the span; a node that has ended, or was handed on as unfinished, is left alone. */
void node_end(struct assemblies *as, struct node *n, uint64_t end_ns);
/* The same for one whose end was lost: no later than @end_ns; the span says so. */
void node_end_unseen(struct assemblies *as, struct node *n, uint64_t end_ns);

/* Adds a possible parent; does not merge. Ignored when full, or when it is @n itself. */
void node_add_candidate(struct node *n, enum evidence evidence, struct node *parent);
void node_add_remote_candidate(struct node *n, enum evidence evidence, const uint8_t span_id[8]);
/* For a header that names the trace alone: the parent only where nothing finer is known. */
void node_add_ancestor(struct node *n, struct node *ancestor);
bool node_has_candidate(const struct node *n);
void node_add_link(struct node *n, struct assembly *to);	/* to its root; counted */

/* Notes that something happened in @n's trace at @ts_ns: it is not quiet yet. */
void node_touch(struct assemblies *as, struct node *n, uint64_t ts_ns);

/* Copies those of @attrs that belong on every span of the trace. */
void node_spread(struct assemblies *as, struct node *n, const struct attrs *attrs);

/* 0, or -EEXIST: the two carry different trace ids and stay apart. */
int assembly_merge(struct assemblies *as, struct node *a, struct node *b);

/* Gives @n's trace this id; 0, or -EEXIST: it has another one. */
int assembly_adopt(struct assemblies *as, struct node *n, const uint8_t trace_id[16]);

/* NULL: no trace of this id is known here. Borrowed. */
struct assembly *assembly_by_id(struct assemblies *as, const uint8_t trace_id[16]);

struct assembly *assembly_resolve(struct assembly *a);	/* follows merges */
bool assembly_has_id(const struct assembly *a);
struct assembly *assembly_get(struct assembly *a);
void assembly_put(struct assembly *a);
struct node *assembly_root(const struct assembly *a);	/* earliest node; borrowed */

#endif
