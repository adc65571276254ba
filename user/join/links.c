/* links: see links.h. */
#include "join/links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join/assembly_impl.h"
#include "join/limits.h"
#include "join/span_make.h"

struct links *links_new(void)
{
	struct links *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->refs = 1;
	l->list = &l->one;
	return l;
}

struct links *links_get(struct links *l)
{
	l->refs++;
	return l;
}

void links_put(struct assemblies *as, struct links *l)
{
	size_t i;

	if (!l || --l->refs)
		return;
	for (i = 0; i < l->count; i++) {
		if (l->list[i].waiter)
			l->list[i].waiter->forget(l->list[i].waiter);
		node_put(as, l->list[i].node);
		free(l->list[i].topic);
		attrs_done(&l->list[i].attrs);
	}
	if (l->count)
		as->link_count -= l->count - 1;
	if (l->list != &l->one)
		free(l->list);
	free(l);
}

void links_leave(struct assemblies *as, struct links *l, struct node *n)
{
	if (l && l->single == n)
		l->single = NULL;
	links_put(as, l);
}

/* Room for one more; a full list's count is a power of two. The first needs no memory. */
static bool links_grow(struct links *l)
{
	struct link *list;

	if (!l->count || l->count & (l->count - 1))
		return true;
	list = realloc(l->list == &l->one ? NULL : l->list, 2 * l->count * sizeof(*list));
	if (!list)
		return false;
	if (l->list == &l->one)
		list[0] = l->one;
	l->list = list;
	return true;
}

struct link *links_add(struct assemblies *as, struct links *l)
{
	struct link *link;

	if (l->count >= SPAN_LINKS_MAX || !links_grow(l))
		return NULL;
	if (l->count && as->link_count >= JOIN_LINKS_MAX)
		return NULL;
	as->link_count += l->count > 0;
	link = &l->list[l->count++];
	memset(link, 0, sizeof(*link));
	return link;
}

void links_count_dropped(struct assemblies *as, struct links *l)
{
	l->dropped++;
	counter_add(as->opts.counters, LINKS_DROPPED, 1);
}

static void set_message(struct attrs *a, const struct link *l)
{
	char text[16];

	if (l->topic)
		attrs_set_str(a, "messaging.destination.name", l->topic);
	if (l->partition >= 0) {
		snprintf(text, sizeof(text), "%d", l->partition);
		attrs_set_str(a, "messaging.destination.partition.id", text);
	}
	if (l->offset >= 0)
		attrs_set_int(a, "messaging.kafka.offset", l->offset);
	if (l->body_size >= 0)
		attrs_set_int(a, "messaging.message.body.size", l->body_size);
	attrs_copy(a, &l->attrs);
}

/* False: nobody knows the producer. */
static bool producer_ids(struct assemblies *as, const struct link *l, const uint8_t **ret_trace,
			 const uint8_t **ret_span)
{
	struct assembly *a;

	if (!l->node) {
		*ret_trace = l->trace_id;
		*ret_span = l->span_id;
		return l->has_remote;
	}
	a = node_assembly(l->node);
	assembly_fix_id(as, a);
	*ret_trace = a->trace_id;
	*ret_span = l->node->span_id;
	return a->has_id;
}

void links_emit(struct assemblies *as, struct links *l, struct node *n)
{
	const uint8_t *trace_id, *span_id;
	struct span_link *made;
	size_t i;

	if (l->single == n)
		return;			/* its candidates name the producer */
	for (i = 0; i < l->count; i++) {
		if (!producer_ids(as, &l->list[i], &trace_id, &span_id))
			continue;
		if (!span_append_link(n->span, trace_id, span_id, &made) && l->count > 1)
			set_message(&made->attrs, &l->list[i]);
	}
	n->span->dropped_links += l->dropped;
}
