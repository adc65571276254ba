/*
 * emit: hands a trace on: picks each span's parent among its candidates, writes down the
 * evidence, resolves links, and gives the batch to the next stage.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "join/assembly_impl.h"
#include "join/links.h"
#include "join/span_make.h"

static const enum counter evidence_counters[EVIDENCE_MAX] = {
	[EVIDENCE_HEADER] = JOIN_HEADER,
	[EVIDENCE_TASK_PYTHON] = JOIN_TASK,
	[EVIDENCE_THREAD] = JOIN_THREAD,
	[EVIDENCE_KAFKA_OFFSET] = JOIN_OFFSET,
	[EVIDENCE_SOCKET_SEQUENCE] = JOIN_SEQUENCE,
	[EVIDENCE_EXEC] = JOIN_EXEC,
	[EVIDENCE_CORRELATION] = JOIN_CORRELATION,
	[EVIDENCE_NONE] = JOIN_NONE,
};

/* design 6: evidence that only inferred the parent says so */
static const char *confidence_name(enum evidence e)
{
	return e == EVIDENCE_CORRELATION ? "configured" : "exact";
}

/*
 * A header that repeats an ancestor's id gives the trace; the finer evidence then gives the
 * parent in it. So the header comes after what names the very sender.
 */
static int candidate_rank(const struct candidate *c)
{
	static const int ranks[EVIDENCE_MAX] = {
		[EVIDENCE_TASK_PYTHON] = 0, [EVIDENCE_THREAD] = 1,
		[EVIDENCE_KAFKA_OFFSET] = 2, [EVIDENCE_SOCKET_SEQUENCE] = 3,
		[EVIDENCE_HEADER] = 4, [EVIDENCE_EXEC] = 5, [EVIDENCE_CORRELATION] = 6,
	};

	return ranks[c->evidence];
}

static bool is_usable(const struct node *n, const struct candidate *c)
{
	return !c->node || node_assembly(c->node) == node_assembly(n);
}

static const struct candidate *pick_parent(struct assemblies *as, const struct node *n)
{
	const struct candidate *best = NULL, *c;
	unsigned int i;

	for (i = 0; i < n->candidate_count; i++) {
		c = &n->candidates[i];
		if (!is_usable(n, c)) {
			counter_add(as->opts.counters, JOIN_DISAGREE, 1);
			continue;
		}
		if (!best || candidate_rank(c) < candidate_rank(best))
			best = c;
	}
	return best;
}

/* The header names the same parent as the finer evidence: the better name of the two. */
static enum evidence pick_evidence(const struct node *n, const struct candidate *best)
{
	const struct candidate *c;
	unsigned int i;

	for (i = 0; i < n->candidate_count; i++) {
		c = &n->candidates[i];
		if (c->evidence == EVIDENCE_HEADER && !c->is_ancestor &&
		    !memcmp(c->span_id, best->span_id, 8))
			return EVIDENCE_HEADER;
	}
	return best->evidence;
}

static void emit_link_to_node(struct assemblies *as, struct span *s, const struct node *to)
{
	struct assembly *a = node_assembly(to);

	assembly_fix_id(as, a);
	if (a->has_id)
		span_add_link(s, a->trace_id, to->span_id, NULL);
}

/* The message's own context named the parent: its producer, as far as anything tells. */
static bool is_parent_by_header(const struct node *n, const struct candidate *c)
{
	return c->evidence == EVIDENCE_HEADER && n->span->has_parent &&
	       !memcmp(n->span->parent_id, c->span_id, 8);
}

static void emit_links(struct assemblies *as, struct node *n)
{
	struct span *s = n->span;
	unsigned int i;

	for (i = 0; i < n->candidate_count; i++) {
		const struct candidate *c = &n->candidates[i];

		/* a consumer links each message's producer, also where it is the parent */
		if (c->node && (!is_usable(n, c) || c->evidence == EVIDENCE_KAFKA_OFFSET ||
				(n->is_consumer && is_parent_by_header(n, c))))
			emit_link_to_node(as, s, c->node);
		else if (!c->node && n->is_consumer)
			span_add_link(s, node_assembly(n)->trace_id, c->span_id, NULL);
	}
	if (n->messages)
		links_emit(as, n->messages, n);
	if (n->contradicted)
		emit_link_to_node(as, s, n->contradicted);
	for (i = 0; i < n->link_count; i++) {
		struct node *root = assembly_root(assembly_resolve(n->links[i]));

		if (root && node_assembly(root) != node_assembly(n))
			emit_link_to_node(as, s, root);
	}
}

static void emit_parent(struct assemblies *as, struct node *n)
{
	const struct candidate *best = pick_parent(as, n);
	struct span *s = n->span;

	if (best) {
		s->has_parent = true;
		memcpy(s->parent_id, best->span_id, 8);
		s->parent_is_remote = !best->node || best->node->tgid != n->tgid;
		s->evidence = pick_evidence(n, best);
		attrs_set_str(&s->attrs, "spanstitch.parent.confidence",
			      confidence_name(s->evidence));
	} else {
		attrs_set_str(&s->attrs, "spanstitch.parent.reason",
			      n->root_reason ? n->root_reason : "no context and no label");
	}
	attrs_set_str(&s->attrs, "spanstitch.parent.evidence", evidence_name(s->evidence));
	counter_add(as->opts.counters, evidence_counters[s->evidence], 1);
}

static void emit_unfinished(struct assemblies *as, struct node *n, uint64_t now_ns)
{
	if (!n->is_open)
		return;
	n->is_open = false;
	n->span->end_ns = (now_ns > n->start_ns ? now_ns : n->start_ns + 1) +
			  as->opts.wall_offset_ns;
	attrs_set_bool(&n->span->attrs, "spanstitch.unfinished", true);
	counter_add(as->opts.counters, SPANS_UNFINISHED, 1);
}

/*
 * Jaeger shows one reference a pair of spans: without this word of the OpenTracing
 * conventions a link beside the parent would hide that it is the parent.
 */
static void mark_parent_links(struct span *s)
{
	size_t i;

	for (i = 0; s->has_parent && i < s->link_count; i++)
		if (!memcmp(s->links[i].span_id, s->parent_id, 8) &&
		    !memcmp(s->links[i].trace_id, s->trace_id, 16))
			attrs_set_str(&s->links[i].attrs, "opentracing.ref_type", "child_of");
}

static void emit_spread(const struct assembly *a, struct span *s)
{
	size_t i;

	for (i = 0; i < a->spread.count; i++)
		if (!attrs_get(&s->attrs, a->spread.list[i].key))
			attrs_set_str(&s->attrs, a->spread.list[i].key, a->spread.list[i].str);
}

static int by_start(const void *a, const void *b)
{
	const struct span *x = *(struct span *const *)a, *y = *(struct span *const *)b;

	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return memcmp(x->span_id, y->span_id, 8);
}

static void emit_node(struct assemblies *as, struct assembly *a, struct node *n, uint64_t now_ns)
{
	struct span *s = n->span;

	memcpy(s->trace_id, a->trace_id, 16);
	memcpy(s->span_id, n->span_id, 8);
	emit_unfinished(as, n, now_ns);
	emit_parent(as, n);
	emit_links(as, n);
	mark_parent_links(s);
	emit_spread(a, s);
	if (!s->name)
		span_set_name(s, "unknown");
}

static void node_retire(struct assemblies *as, struct assembly *a, struct node *n)
{
	DL_DELETE(a->nodes, n);
	n->is_open = false;	/* also where there was no memory to hand it on */
	span_free(n->span);
	n->span = NULL;
	node_drop_evidence(as, n);
	node_put(as, n);
}

void assembly_emit(struct assemblies *as, struct assembly *a, uint64_t now_ns)
{
	struct trace t = { .is_late = a->was_emitted };
	struct node *n, *tmp;

	assembly_fix_id(as, a);
	memcpy(t.trace_id, a->trace_id, 16);
	t.spans = calloc(a->node_count, sizeof(*t.spans));
	if (!t.spans) {
		counter_add(as->opts.counters, SPANS_DROPPED_MEMORY, a->node_count);
	} else {
		DL_FOREACH(a->nodes, n) {
			emit_node(as, a, n, now_ns);
			t.spans[t.count++] = n->span;
		}
		qsort(t.spans, t.count, sizeof(*t.spans), by_start);
		if (t.is_late)
			counter_add(as->opts.counters, LATE_SPANS, t.count);
		as->next(as->ctx, &t);
		free(t.spans);
	}
	DL_FOREACH_SAFE(a->nodes, n, tmp)
		node_retire(as, a, n);
}
