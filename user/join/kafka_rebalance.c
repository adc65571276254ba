/*
 * kafka_rebalance: partitions that come to a consumer or go are an event on the span of what
 * it has in hand, else on that of what it is handed next.
 */
#include <stdlib.h>

#include <utlist.h>

#include "join/kafka.h"

#define REBALANCES_MAX 256	/* that wait for a consumer's next message */

struct rebalance {
	struct rebalance *prev, *next;
	uint32_t tgid;
	uint64_t ts_ns;
	struct msg_rebalance what;
};

static void rebalance_free(struct core *c, struct rebalance *r)
{
	DL_DELETE(c->rebalances, r);
	c->rebalance_count--;
	free(r);
}

static void add_event(struct core *c, struct span *s, uint64_t ts_ns,
		      const struct msg_rebalance *what)
{
	struct span_event *e;

	if (span_add_event(s, ts_ns + c->wall_offset_ns, "rebalance", &e))
		return;
	attrs_set_str(&e->attrs, "spanstitch.kafka.rebalance",
		      what->is_assign ? "assign" : "revoke");
	attrs_set_int(&e->attrs, "spanstitch.kafka.partitions", what->partitions);
}

void core_kafka_rebalance(struct core *c, const struct msg *m)
{
	struct client *cl = client_by_group(c, m->tgid, m->rebalance.group_handle);
	struct node *n = cl ? consume_open_node(cl) : NULL;
	struct rebalance *r;

	/* before 1.6 librdkafka takes away what a new member never had */
	if (!m->rebalance.is_assign && !m->rebalance.partitions)
		return;
	if (n && n->span) {
		add_event(c, n->span, m->ts_ns, &m->rebalance);
		return;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	r->tgid = m->tgid;
	r->ts_ns = m->ts_ns;
	r->what = m->rebalance;
	if (c->rebalance_count == REBALANCES_MAX) {
		c->given_up++;
		rebalance_free(c, c->rebalances);
	}
	kafka_note_process(c, m->tgid);
	DL_APPEND(c->rebalances, r);
	c->rebalance_count++;
}

static bool is_of(const struct rebalance *r, const struct client *cl)
{
	return r->tgid == cl->tgid && r->what.group_handle == cl->group_handle;
}

/*
 * No loss: who is gone is handed nothing any more that could tell. What came after its last
 * revocation is the next one's, whose facts come later.
 */
void rebalance_leave(struct core *c, struct client *cl)
{
	struct rebalance *r, *tmp, *last = NULL;

	DL_FOREACH(c->rebalances, r)
		if (is_of(r, cl) && !r->what.is_assign)
			last = r;
	DL_FOREACH_SAFE(c->rebalances, r, tmp) {
		bool is_last = r == last;

		if (last && is_of(r, cl))
			rebalance_free(c, r);
		if (is_last)
			break;
	}
	cl->group_handle = 0;
}

void rebalance_settle(struct core *c, const struct client *cl, struct node *n)
{
	struct rebalance *r, *tmp;

	if (!cl || !cl->group_handle)
		return;
	DL_FOREACH_SAFE(c->rebalances, r, tmp) {
		if (!is_of(r, cl))
			continue;
		add_event(c, n->span, r->ts_ns, &r->what);
		rebalance_free(c, r);
	}
}

void rebalance_exit(struct core *c, uint32_t tgid)
{
	struct rebalance *r, *tmp;

	DL_FOREACH_SAFE(c->rebalances, r, tmp)
		if (r->tgid == tgid)
			rebalance_free(c, r);
}

void rebalance_done(struct core *c)
{
	while (c->rebalances)
		rebalance_free(c, c->rebalances);
}
