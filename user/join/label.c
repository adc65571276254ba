/*
 * label: which activity an outgoing message works for, by the labels that its record
 * carries. A label of work that has ended means nothing: then no parent is claimed.
 */
#include "join/core.h"

static struct node *resolve(struct core *c, struct node *n, const struct msg *m,
			    const struct msg_label *l)
{
	struct node *activity = NULL;

	if (l->kind == LABEL_OF_HTTP)
		activity = core_http_active(c, m->tgid, l, &n->root_reason);
	else if (l->kind == LABEL_OF_KAFKA)
		activity = core_kafka_active(c, m->tgid, l, &n->root_reason);
	if (activity || l->kind == LABEL_OF_NONE)
		return activity;
	counter_add(c->counters, JOIN_STALE, 1);
	if (!n->root_reason)
		n->root_reason = "the work of its label had ended";
	return NULL;
}

/*
 * The runtime task comes first: it is right also where one thread runs many tasks. The
 * thread's own label counts only outside of event loops, where a thread reads one request,
 * works for it, and answers it.
 */
struct node *core_find_activity(struct core *c, struct node *n, const struct msg *m)
{
	const struct msg_labels *l = &m->labels;
	struct node *activity;

	if (l->task.kind != LABEL_OF_NONE) {
		activity = resolve(c, n, m, &l->task);
		if (activity)
			node_add_candidate(n, EVIDENCE_TASK_PYTHON, activity);
		return activity;
	}
	if (l->loop_thread) {
		n->root_reason = l->has_task ? "its task has no label" : "an event loop's thread";
		return NULL;
	}
	if (l->thread.kind == LABEL_OF_KAFKA && core_process_is_threadless(c, m->tgid)) {
		n->root_reason = "the threads of its runtime do not carry work";
		return NULL;
	}
	activity = resolve(c, n, m, &l->thread);
	if (activity)
		node_add_candidate(n, EVIDENCE_THREAD, activity);
	return activity;
}
