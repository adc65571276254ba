/* identity: see identity.h. */
#include "join/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "join/fifo.h"
#include "join/span_make.h"

#define OWNED_MAX 262144	/* span ids known from the wire */
#define VALUES_MAX 131072	/* values of identifying attributes */
#define HOLDERS_MAX 4		/* traces that one value may name before it names none */

struct owned {
	struct fifo_entry entry;	/* key: trace id, span id */
	struct node *node;		/* counted; NULL: a span that was not seen here */
};

struct value {
	struct fifo_entry entry;	/* key: 128-bit hash of the attribute's key and value */
	struct assembly *holders[HOLDERS_MAX];
	unsigned int count;
	bool is_overfull;
};

struct identity {
	struct assemblies *as;
	struct counters *counters;
	struct fifo owned;
	struct fifo values;
};

static void owned_drop(void *ctx, struct fifo_entry *e)
{
	struct identity *id = ctx;
	struct owned *o = (struct owned *)e;

	node_put(id->as, o->node);
	free(o);
}

static void value_drop(void *ctx __attribute__((unused)), struct fifo_entry *e)
{
	struct value *v = (struct value *)e;

	while (v->count)
		assembly_put(v->holders[--v->count]);
	free(v);
}

int identity_new(struct identity **ret, struct assemblies *as, struct counters *counters)
{
	struct identity *id = calloc(1, sizeof(*id));

	if (!id)
		return -ENOMEM;
	id->as = as;
	id->counters = counters;
	fifo_init(&id->owned, OWNED_MAX, owned_drop, id);
	fifo_init(&id->values, VALUES_MAX, value_drop, id);
	*ret = id;
	return 0;
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	fifo_done(&id->owned);
	fifo_done(&id->values);
	free(id);
}

uint64_t identity_evicted(const struct identity *id)
{
	return id->owned.evicted + id->values.evicted;
}

/* --- contexts --------------------------------------------------------------------------------- */

#define OWNED_KEY_BYTES 24

static void owned_key(unsigned char key[OWNED_KEY_BYTES], const uint8_t trace_id[16],
		      const uint8_t span_id[8])
{
	memcpy(key, trace_id, 16);
	memcpy(key + 16, span_id, 8);
}

static struct owned *owned_find(struct identity *id, const struct context *c)
{
	unsigned char key[OWNED_KEY_BYTES];

	owned_key(key, c->trace_id, c->span_id);
	return fifo_find(&id->owned, key, sizeof(key));
}

/* @node NULL: the id belongs to a span of somebody else. */
static void owned_add(struct identity *id, const struct context *c, struct node *node)
{
	struct owned *o = calloc(1, sizeof(*o));
	unsigned char key[OWNED_KEY_BYTES];

	if (!o)
		return;
	o->node = node ? node_get(node) : NULL;
	owned_key(key, c->trace_id, c->span_id);
	fifo_add(&id->owned, key, sizeof(key), &o->entry);
}

/* The parent that a context names: the span of that id, or failing that the trace's root. */
static void add_context_candidate(struct identity *id, struct node *n, const struct context *c,
				  enum evidence evidence)
{
	struct owned *o = c->has_span_id ? owned_find(id, c) : NULL;
	struct node *root;

	if (o && o->node) {
		node_add_candidate(n, evidence, o->node);
	} else if (c->has_span_id) {
		node_add_remote_candidate(n, evidence, c->span_id);
	} else {
		root = assembly_root(node_assembly(n));
		if (root && root != n && root->start_ns < n->start_ns)
			node_add_ancestor(n, root);
	}
}

static void note_conflict(struct identity *id, struct node *n, struct node *contradicted)
{
	counter_add(id->counters, CONTEXT_CONFLICTS, 1);
	n->root_reason = "its message names another trace";
	if (contradicted && !n->contradicted)
		n->contradicted = node_get(contradicted);
}

/* What a context says beside the ids. A second one in the message becomes a link. */
static void note_context(struct identity *id, struct node *n, const struct context *c)
{
	static const uint8_t none[8];

	n->span->flags = c->flags;
	if (c->tracestate) {
		free(n->span->tracestate);
		n->span->tracestate = strdup(c->tracestate);
	}
	if (!c->has_other)
		return;
	counter_add(id->counters, CONTEXT_CONFLICTS, 1);
	if (memcmp(c->other_span_id, none, sizeof(none)))
		span_add_link(n->span, c->other_trace_id, c->other_span_id, NULL);
}

void identity_place_inbound(struct identity *id, struct node *n, const struct context *c,
			    enum evidence evidence)
{
	if (!c->has_trace_id)
		return;
	note_context(id, n, c);
	if (assembly_adopt(id->as, n, c->trace_id)) {
		note_conflict(id, n, NULL);
		if (c->has_span_id)
			span_add_link(n->span, c->trace_id, c->span_id, NULL);
		return;
	}
	add_context_candidate(id, n, c, evidence);
	/* Passed on by this activity, the id is an ancestor's, never a new span's. */
	if (c->has_span_id && !owned_find(id, c))
		owned_add(id, c, NULL);
}

static void take_wire_id(struct identity *id, struct node *n, const struct context *c)
{
	memcpy(n->span_id, c->span_id, sizeof(n->span_id));
	owned_add(id, c, n);
}

void identity_place_outgoing(struct identity *id, struct node *n, struct node *activity,
			     const struct context *c)
{
	bool is_repeat;

	if (!c->has_trace_id) {
		if (activity)
			assembly_merge(id->as, activity, n);
		return;
	}
	note_context(id, n, c);
	is_repeat = !c->has_span_id || owned_find(id, c);
	/* Late adoption: an activity that came without an id takes the one it publishes. */
	if (assembly_adopt(id->as, n, c->trace_id))
		note_conflict(id, n, NULL);
	else if (activity && assembly_merge(id->as, activity, n))
		note_conflict(id, n, activity);
	if (is_repeat)
		add_context_candidate(id, n, c, EVIDENCE_HEADER);
	else
		take_wire_id(id, n, c);
}

/* --- identifying attributes ------------------------------------------------------------------- */

static void identity_hash(uint8_t ret[16], const struct msg_identity *mi)
{
	XXH128_hash_t key = XXH3_128bits(mi->key, strlen(mi->key));
	XXH128_hash_t h = XXH3_128bits_withSeed(mi->value, strlen(mi->value), key.low64);

	memcpy(ret, &h, 16);
}

void identity_note(struct node *n, const struct msg *m)
{
	unsigned int i;

	for (i = 0; i < m->identity_count && n->identity_count < NODE_IDENTITIES_MAX; i++) {
		struct node_identity *ni = &n->identities[n->identity_count];

		if (m->identities[i].how == IDENTIFY_NO)
			continue;
		identity_hash(ni->hash, &m->identities[i]);
		ni->is_link = m->identities[i].how == IDENTIFY_LINK;
		n->identity_count++;
	}
}

/* Follows merges and leaves one entry a trace. */
static void value_compact(struct value *v)
{
	unsigned int i, j, kept = 0;

	for (i = 0; i < v->count; i++) {
		struct assembly *a = assembly_get(assembly_resolve(v->holders[i]));

		assembly_put(v->holders[i]);
		for (j = 0; j < kept && v->holders[j] != a; j++)
			;
		if (j < kept || !assembly_root(a))
			assembly_put(a);
		else
			v->holders[kept++] = a;
	}
	v->count = kept;
}

static void value_hold(struct identity *id, const struct node_identity *ni, struct assembly *a)
{
	struct value *v = fifo_find(&id->values, ni->hash, sizeof(ni->hash));
	unsigned int i;

	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v)
			return;
		fifo_add(&id->values, ni->hash, sizeof(ni->hash), &v->entry);
	}
	value_compact(v);
	for (i = 0; i < v->count; i++)
		if (v->holders[i] == a)
			return;
	if (v->count == HOLDERS_MAX)
		v->is_overfull = true;
	else
		v->holders[v->count++] = assembly_get(a);
}

/* The one trace other than @own that has the value; NULL: none, or not exactly one. */
static struct assembly *value_only_other(struct identity *id, const struct node_identity *ni,
					 const struct assembly *own)
{
	struct value *v = fifo_find(&id->values, ni->hash, sizeof(ni->hash));
	struct assembly *found = NULL;
	unsigned int i;

	if (!v || v->is_overfull)
		return NULL;
	value_compact(v);
	for (i = 0; i < v->count; i++) {
		if (v->holders[i] == own)
			continue;
		if (found)
			return NULL;
		found = v->holders[i];
	}
	return found;
}

/* A link is wanted whatever the parent; a parent only where no other evidence gave one. */
static void settle_by(struct identity *id, struct node *n, const struct node_identity *ni)
{
	struct assembly *other = value_only_other(id, ni, node_assembly(n));
	struct node *root = other ? assembly_root(other) : NULL;

	if (!root || root->start_ns >= n->start_ns)
		return;
	if (ni->is_link)
		node_add_link(n, other);
	else if (!node_has_candidate(n) && !assembly_merge(id->as, root, n))
		node_add_candidate(n, EVIDENCE_CORRELATION, root);
}

void identity_settle(struct identity *id, struct node *n)
{
	unsigned int i;

	for (i = 0; i < n->identity_count; i++)
		settle_by(id, n, &n->identities[i]);
	for (i = 0; i < n->identity_count; i++)
		if (!n->identities[i].is_link)
			value_hold(id, &n->identities[i], node_assembly(n));
	n->identity_count = 0;
}
