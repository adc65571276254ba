/*
 * identity: which trace a message belongs to, by what it carries: trace contexts, span ids
 * that were taken over from the wire (each once only), and configured attribute values.
 */
#ifndef JOIN_IDENTITY_H
#define JOIN_IDENTITY_H

#include "decode/msg.h"
#include "join/assembly.h"

struct identity;

int identity_new(struct identity **ret, struct assemblies *as, struct counters *counters);
void identity_free(struct identity *id);
uint64_t identity_evicted(const struct identity *id);	/* ids and values forgotten */

/*
 * Places an inbound message's node, or a process, by its context: its trace, and the sender's
 * span or the ancestor whose id was passed on as a candidate for its parent by @evidence.
 */
void identity_place_inbound(struct identity *id, struct node *n, const struct context *c,
			    enum evidence evidence);

/*
 * Places an outgoing message's node, made by @activity (NULL: not known; then no adoption).
 * A context seen for the first time gives the node its span id, and the activity its trace
 * id where nothing gave one yet (late adoption). A repeated one gives the trace only.
 */
void identity_place_outgoing(struct identity *id, struct node *n, struct node *activity,
			     const struct context *c);

/* Keeps the identifying attributes of @m with @n. */
void identity_note(struct node *n, const struct msg *m);

/*
 * When all other evidence about @n has been heard: where a kept attribute names exactly one
 * other live trace, @n is linked to that trace's root; or, as its rule says, the root becomes
 * @n's parent unless there is a candidate already. Then the attributes name @n's trace.
 */
void identity_settle(struct identity *id, struct node *n);

#endif
