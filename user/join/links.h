/*
 * links: the producers of messages that were handed over together: one link a message, whose
 * producer may become known later, also after the span of some holder has been handed on.
 *
 * Counted, because several hold it: the span of the processing, that of the poll, and what
 * waits for a producer. At most SPAN_LINKS_MAX each and JOIN_LINKS_MAX in all; what does not
 * fit is counted here and in LINKS_DROPPED.
 */
#ifndef JOIN_LINKS_H
#define JOIN_LINKS_H

#include "join/assembly.h"

struct link {
	struct node *node;		/* counted: the producer; NULL: not known */
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
	struct node *single;		/* counted: the producer is its parent, too; NULL: batch */
	struct link *list, one;
	size_t count;
	size_t dropped;			/* of messages whose producer was known */
};

struct links *links_new(void);		/* NULL: no memory */
struct links *links_get(struct links *l);
void links_put(struct assemblies *as, struct links *l);

/* A new zeroed link at the end; borrowed until the next. NULL: no room, or no memory. */
struct link *links_add(struct assemblies *as, struct links *l);
void links_count_dropped(struct assemblies *as, struct links *l);

/* Writes them to the span of @n, with attributes where there are several. */
void links_emit(struct assemblies *as, struct links *l, struct node *n);

#endif
