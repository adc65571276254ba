/*
 * links: the producers of messages that were handed over together: one link a message, whose
 * producer may become known later, also after the span of some holder has been handed on.
 *
 * Counted, because several hold it: the span of the processing and that of the poll. What waits
 * for a producer does not: it is told when the last holder has gone, since nobody could say then
 * what it finds. At most SPAN_LINKS_MAX each, and JOIN_LINKS_MAX in all beside the first of
 * each, which may be a parent; what does not fit is counted here and in LINKS_DROPPED.
 */
#ifndef JOIN_LINKS_H
#define JOIN_LINKS_H

#include "join/assembly.h"

/* What waits for the producer of a link; embed as the first member. */
struct waiter {
	void (*forget)(struct waiter *w);	/* the link goes: frees @w */
};

struct link {
	struct node *node;		/* counted: the producer; NULL: not known */
	struct waiter *waiter;		/* NULL: nobody waits; who ends the wait, unsets it */
	bool has_remote;		/* the message's context names a span */
	uint8_t trace_id[16], span_id[8];
	int64_t offset;
	int32_t partition;
	int64_t body_size;		/* -1: a null value */
	char *topic;			/* NULL: as that of the whole */
	struct attrs attrs;		/* captured from the message */
};

struct links {
	int refs;
	struct node *single;		/* holder, child of the producer; NULL: batch, gone */
	struct link *list, one;
	size_t count;
	size_t dropped;			/* messages without room for a link */
};

struct links *links_new(void);		/* NULL: no memory */
struct links *links_get(struct links *l);
void links_put(struct assemblies *as, struct links *l);
void links_leave(struct assemblies *as, struct links *l, struct node *n);	/* @n's reference */

/* A new zeroed link at the end; borrowed until the next. NULL: no room, or no memory. */
struct link *links_add(struct assemblies *as, struct links *l);
void links_count_dropped(struct assemblies *as, struct links *l);

/* Writes them to the span of @n, with attributes where there are several; a parent is none. */
void links_emit(struct assemblies *as, struct links *l, struct node *n);

#endif
