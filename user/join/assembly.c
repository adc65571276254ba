/* assembly: life and merging of traces in the making; see assembly.h. */
#include "join/assembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "join/assembly_impl.h"
#include "join/limits.h"
#include "join/links.h"
#include "join/span_make.h"

int assemblies_new(struct assemblies **ret, const struct assemblies_opts *opts,
		   trace_next_fn next, void *ctx)
{
	struct assemblies *as = calloc(1, sizeof(*as));

	if (!as)
		return -ENOMEM;
	as->opts = *opts;
	if (!as->opts.nodes_max)
		as->opts.nodes_max = JOIN_NODES_MAX;
	if (!as->opts.done_max)
		as->opts.done_max = JOIN_DONE_MAX;
	as->next = next;
	as->ctx = ctx;
	*ret = as;
	return 0;
}

/* --- counted references ----------------------------------------------------------------------- */

struct assembly *assembly_get(struct assembly *a)
{
	a->refs++;
	return a;
}

void assembly_put(struct assembly *a)
{
	if (!a || --a->refs)
		return;
	assembly_put(a->merged_into);
	attrs_done(&a->spread);
	free(a);
}

struct node *node_get(struct node *n)
{
	n->refs++;
	return n;
}

void node_drop_evidence(struct assemblies *as, struct node *n)
{
	unsigned int i;

	for (i = 0; i < n->candidate_count; i++)
		node_put(as, n->candidates[i].node);
	n->candidate_count = 0;
	for (i = 0; i < n->link_count; i++)
		assembly_put(n->links[i]);
	n->link_count = 0;
	links_leave(as, n->messages, n);
	n->messages = NULL;
	node_put(as, n->contradicted);
	n->contradicted = NULL;
}

void node_put(struct assemblies *as, struct node *n)
{
	if (!n || --n->refs)
		return;
	node_drop_evidence(as, n);
	span_free(n->span);
	assembly_put(n->assembly);
	free(n);
}

struct assembly *assembly_resolve(struct assembly *a)
{
	while (a->merged_into)
		a = a->merged_into;
	return a;
}

struct assembly *node_assembly(const struct node *n)
{
	return assembly_resolve(n->assembly);
}

bool assembly_has_id(const struct assembly *a)
{
	return a->has_id;
}

struct node *assembly_root(const struct assembly *a)
{
	return a->root;
}

/* --- lists ------------------------------------------------------------------------------------ */

static struct assembly **list_head(struct assemblies *as, enum assembly_list list)
{
	switch (list) {
	case LIST_BUSY:
		return &as->busy;
	case LIST_IDLE:
		return &as->idle;
	case LIST_DONE:
		return &as->done;
	default:
		return NULL;
	}
}

/* A list holds one reference. */
static void assembly_move(struct assemblies *as, struct assembly *a, enum assembly_list to)
{
	struct assembly **head;

	assembly_get(a);
	head = list_head(as, a->list);
	if (head) {
		DL_DELETE(*head, a);
		as->done_count -= a->list == LIST_DONE;
		assembly_put(a);
	}
	a->list = to;
	head = list_head(as, to);
	if (head) {
		DL_APPEND(*head, a);
		as->done_count += to == LIST_DONE;
	} else {
		assembly_put(a);
	}
}

static void assembly_file(struct assemblies *as, struct assembly *a)
{
	if (a->open_count)
		assembly_move(as, a, LIST_BUSY);
	else if (a->node_count)
		assembly_move(as, a, LIST_IDLE);
	else
		assembly_move(as, a, LIST_DONE);
}

static void assembly_unindex(struct assemblies *as, struct assembly *a)
{
	if (!a->is_indexed)
		return;
	HASH_DELETE(by_id, as->index, a);
	a->is_indexed = false;
}

/* Forgets a finished trace: what comes later for it starts anew. */
static void assembly_forget(struct assemblies *as, struct assembly *a)
{
	struct node *root = a->root;

	assembly_get(a);
	assembly_unindex(as, a);
	assembly_move(as, a, LIST_NONE);
	a->root = NULL;
	node_put(as, root);
	assembly_put(a);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct assembly *assembly_new(uint64_t ts_ns)
{
	struct assembly *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->refs = 1;
	a->last_ns = ts_ns;
	return a;
}

struct node *node_new(struct assemblies *as, const struct span_facts *facts,
		      struct resource *resource)
{
	struct node *n = NULL;

	counter_add(as->opts.counters, SPANS_MADE, 1);
	if (!resource || as->node_count >= as->opts.nodes_max)
		goto fail;
	n = calloc(1, sizeof(*n));
	if (!n)
		goto fail;
	n->refs = 1;
	n->assembly = assembly_new(facts->ts_ns);
	n->span = span_new(resource);
	if (!n->assembly || !n->span)
		goto fail;
	ids_make_span(&as->opts.ids, facts, n->span_id);
	n->start_ns = facts->ts_ns;
	n->tgid = facts->tgid;
	n->is_open = true;
	n->span->kind = facts->kind;
	n->span->start_ns = facts->ts_ns + as->opts.wall_offset_ns;

	n->assembly->root = node_get(n);
	DL_APPEND(n->assembly->nodes, node_get(n));
	n->assembly->node_count = 1;
	n->assembly->open_count = 1;
	as->node_count++;
	assembly_file(as, n->assembly);
	return n;

fail:
	counter_add(as->opts.counters, SPANS_DROPPED_MEMORY, 1);
	node_put(as, n);
	return NULL;
}

void node_touch(struct assemblies *as, struct node *n, uint64_t ts_ns)
{
	struct assembly *a = node_assembly(n);

	if (ts_ns > a->last_ns)
		a->last_ns = ts_ns;
	assembly_file(as, a);
}

void node_end(struct assemblies *as, struct node *n, uint64_t end_ns)
{
	if (!n->is_open)
		return;
	n->is_open = false;
	node_assembly(n)->open_count--;
	/* Jaeger 1.76 warns of a span without length as of a negative one, and makes it 1 ns */
	if (end_ns <= n->start_ns)
		end_ns = n->start_ns + 1;
	n->span->end_ns = end_ns + as->opts.wall_offset_ns;
	node_touch(as, n, end_ns);
}

void node_end_unseen(struct assemblies *as, struct node *n, uint64_t end_ns)
{
	if (!n->is_open)
		return;
	attrs_set_bool(&n->span->attrs, "spanstitch.end_not_seen", true);
	node_end(as, n, end_ns);
}

static void add_candidate(struct node *n, struct candidate c, const uint8_t span_id[8])
{
	if (c.node == n || n->candidate_count == NODE_CANDIDATES_MAX)
		return;
	if (c.node)
		node_get(c.node);
	memcpy(c.span_id, span_id, sizeof(c.span_id));
	n->candidates[n->candidate_count++] = c;
}

void node_add_candidate(struct node *n, enum evidence evidence, struct node *parent)
{
	add_candidate(n, (struct candidate){ .evidence = evidence, .node = parent },
		      parent->span_id);
}

void node_add_remote_candidate(struct node *n, enum evidence evidence, const uint8_t span_id[8])
{
	add_candidate(n, (struct candidate){ .evidence = evidence }, span_id);
}

void node_add_ancestor(struct node *n, struct node *ancestor)
{
	add_candidate(n, (struct candidate){
		.evidence = EVIDENCE_HEADER, .node = ancestor, .is_ancestor = true,
	}, ancestor->span_id);
}

bool node_has_candidate(const struct node *n)
{
	return n->candidate_count > 0;
}

void node_add_link(struct node *n, struct assembly *to)
{
	if (n->link_count < NODE_LINKS_MAX)
		n->links[n->link_count++] = assembly_get(to);
}

void node_spread(struct assemblies *as, struct node *n, const struct attrs *attrs)
{
	struct attrs *spread = &node_assembly(n)->spread;
	const char *const *key;

	for (key = as->opts.spread; *key; key++) {
		const char *value = attrs_get_str(attrs, *key);

		/* The first value stays: a trace has one execution. */
		if (value && !attrs_get(spread, *key))
			attrs_set_str(spread, *key, value);
	}
}

/* --- merging and ids -------------------------------------------------------------------------- */

static void assembly_set_id(struct assemblies *as, struct assembly *a, const uint8_t id[16])
{
	memmove(a->trace_id, id, sizeof(a->trace_id));	/* may be its own */
	a->has_id = true;
	a->is_indexed = true;
	HASH_ADD(by_id, as->index, trace_id, sizeof(a->trace_id), a);
}

static void assembly_take_root(struct assemblies *as, struct assembly *to, struct assembly *from)
{
	struct node *root = from->root;

	if (!root)
		return;
	from->root = NULL;
	if (to->root && to->root->start_ns <= root->start_ns) {
		node_put(as, root);
		return;
	}
	node_put(as, to->root);
	to->root = root;
}

static void assembly_absorb(struct assemblies *as, struct assembly *to, struct assembly *from)
{
	uint8_t id[16];

	assembly_get(from);
	if (from->has_id) {
		memcpy(id, from->trace_id, sizeof(id));
		assembly_unindex(as, from);
		assembly_set_id(as, to, id);
	}
	DL_CONCAT(to->nodes, from->nodes);
	from->nodes = NULL;
	to->node_count += from->node_count;
	to->open_count += from->open_count;
	to->was_emitted |= from->was_emitted;
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
	from->node_count = from->open_count = 0;
	assembly_take_root(as, to, from);
	attrs_copy(&from->spread, &to->spread);	/* what @to has, wins */
	attrs_copy(&to->spread, &from->spread);
	assembly_move(as, from, LIST_NONE);
	from->merged_into = assembly_get(to);
	assembly_file(as, to);
	assembly_put(from);
}

/* A trace that was forgotten meets something again: it may have begun anew meanwhile. */
static struct assembly *assembly_revive(struct assemblies *as, struct assembly *a)
{
	struct assembly *newer;

	if (!a->has_id || a->is_indexed)
		return a;
	newer = assembly_by_id(as, a->trace_id);
	a->has_id = false;
	if (newer) {
		assembly_absorb(as, newer, a);
		return newer;
	}
	assembly_set_id(as, a, a->trace_id);
	return a;
}

static int assembly_join(struct assemblies *as, struct assembly *a, struct assembly *b)
{
	a = assembly_revive(as, a);
	b = assembly_revive(as, b);
	if (a == b)
		return 0;
	if (a->has_id && b->has_id)
		return -EEXIST;		/* two of one id would be one assembly */
	if (a->node_count >= b->node_count && !(b->has_id && b->was_emitted))
		assembly_absorb(as, a, b);
	else
		assembly_absorb(as, b, a);
	return 0;
}

int assembly_merge(struct assemblies *as, struct node *a, struct node *b)
{
	return assembly_join(as, node_assembly(a), node_assembly(b));
}

struct assembly *assembly_by_id(struct assemblies *as, const uint8_t trace_id[16])
{
	struct assembly *a;

	HASH_FIND(by_id, as->index, trace_id, 16, a);
	return a;
}

int assembly_adopt(struct assemblies *as, struct node *n, const uint8_t trace_id[16])
{
	struct assembly *a = node_assembly(n), *other;

	if (a->has_id)
		return memcmp(a->trace_id, trace_id, 16) ? -EEXIST : 0;
	other = assembly_by_id(as, trace_id);
	if (other)
		return assembly_join(as, a, other);
	assembly_set_id(as, a, trace_id);
	return 0;
}

void assembly_fix_id(struct assemblies *as, struct assembly *a)
{
	uint8_t id[16];

	if (a->has_id || !a->root)
		return;
	ids_make_trace(&as->opts.ids, a->root->span_id, id);
	assembly_set_id(as, a, id);
}

/* --- time ------------------------------------------------------------------------------------- */

/* Returns how many spans it had. */
static size_t assembly_finish(struct assemblies *as, struct assembly *a, uint64_t now_ns)
{
	size_t spans = a->node_count;

	assembly_emit(as, a, now_ns);
	as->node_count -= a->node_count;
	a->node_count = a->open_count = 0;
	a->was_emitted = true;
	assembly_move(as, a, LIST_DONE);
	while (as->done_count > as->opts.done_max)
		assembly_forget(as, as->done);
	return spans;
}

static void assemblies_count_held(struct assemblies *as)
{
	as->opts.counters->value[SPANS_HELD] = as->node_count;
}

/* The next that is due; NULL: none. */
static struct assembly *assemblies_due(const struct assemblies *as, uint64_t now_ns)
{
	if (as->idle && as->idle->last_ns + as->opts.linger_ns <= now_ns)
		return as->idle;
	if (as->busy && as->busy->last_ns + JOIN_BUSY_NS <= now_ns)
		return as->busy;
	return NULL;
}

bool assemblies_tick(struct assemblies *as, uint64_t now_ns, size_t spans)
{
	struct assembly *a;
	size_t done = 0;

	for (a = assemblies_due(as, now_ns); a && done < spans; a = assemblies_due(as, now_ns))
		done += assembly_finish(as, a, now_ns);
	assemblies_count_held(as);
	return a != NULL;
}

size_t assemblies_held(const struct assemblies *as)
{
	return as->node_count;
}

void assemblies_flush(struct assemblies *as, uint64_t now_ns)
{
	while (as->idle)
		assembly_finish(as, as->idle, now_ns);
	while (as->busy)
		assembly_finish(as, as->busy, now_ns);
	assemblies_count_held(as);
}

void assemblies_free(struct assemblies *as)
{
	struct assembly **heads[] = { &as->idle, &as->busy };
	size_t i;

	if (!as)
		return;
	for (i = 0; i < 2; i++) {
		while (*heads[i]) {
			struct assembly *a = *heads[i];
			struct node *n, *tmp;

			DL_FOREACH_SAFE(a->nodes, n, tmp) {
				DL_DELETE(a->nodes, n);
				node_put(as, n);
			}
			assembly_forget(as, a);
		}
	}
	while (as->done)
		assembly_forget(as, as->done);
	free(as);
}
