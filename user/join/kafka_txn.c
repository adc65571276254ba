/*
 * kafka_txn: the outcome of a transaction is an event on each producer span of it that is
 * still held when the transaction is asked to end.
 */
#include <stdlib.h>
#include <string.h>

#include "join/kafka.h"

#define TXN_NODES_MAX 65536	/* messages of one transaction that hear its outcome */
#define OUTCOME "spanstitch.kafka.outcome"

struct txn {
	struct node **nodes;		/* counted */
	size_t count, room;
};

void txn_free(struct core *c, struct client *cl)
{
	struct txn *t = cl->txn;
	size_t i;

	if (!t)
		return;
	for (i = 0; i < t->count; i++)
		node_put(c->as, t->nodes[i]);
	free(t->nodes);
	free(t);
	cl->txn = NULL;
}

struct txn *txn_take_empty(struct client *cl)
{
	struct txn *t = cl->txn;

	if (!t || t->count)
		return NULL;
	cl->txn = NULL;
	return t;
}

void txn_note(struct core *c, struct client *cl, struct node *n)
{
	struct txn *t = cl->txn;
	size_t room;
	struct node **nodes;

	if (!t)
		return;
	if (t->count == TXN_NODES_MAX) {
		c->given_up++;
		return;
	}
	if (t->count == t->room) {
		room = t->room ? 2 * t->room : 64;
		nodes = realloc(t->nodes, room * sizeof(*nodes));
		if (!nodes)
			return;
		t->nodes = nodes;
		t->room = room;
	}
	t->nodes[t->count++] = node_get(n);
}

static void set_outcome(struct core *c, struct span *s, const struct msg *m, const char *outcome)
{
	const char *name = m->txn.op == TXN_OP_COMMIT ? "transaction.commit" : "transaction.abort";
	struct span_event *last = s->event_count ? &s->events[s->event_count - 1] : NULL;

	/* What was asked for has its answer; an application may ask again after a failure. */
	if (last && !strcmp(last->name, name)) {
		attrs_set_str(&last->attrs, OUTCOME, outcome);
		return;
	}
	if (!span_add_event(s, m->ts_ns + c->wall_offset_ns, name, &last))
		attrs_set_str(&last->attrs, OUTCOME, outcome);
}

void core_kafka_txn(struct core *c, const struct msg *m)
{
	struct client *cl = client_find(c, m->tgid, m->txn.client, NULL);
	const char *outcome = "requested";
	char room[16];
	size_t i;

	if (!cl)
		return;
	if (m->txn.op == TXN_OP_BEGIN) {
		txn_free(c, cl);
		cl->txn = calloc(1, sizeof(*cl->txn));
		return;
	}
	if (!cl->txn)
		return;		/* begun before we looked */
	if (m->txn.phase == ENDED)
		outcome = m->txn.err ? kafka_error_text(m->txn.err, room) : "ok";
	for (i = 0; i < cl->txn->count; i++)
		if (cl->txn->nodes[i]->span)
			set_outcome(c, cl->txn->nodes[i]->span, m, outcome);
	if (m->txn.phase == ENDED && !m->txn.err)
		txn_free(c, cl);
}
