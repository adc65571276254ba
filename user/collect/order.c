/* order: see order.h. A binary heap by (time, arrival). */
#include "collect/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/count.h"

struct held {
	uint64_t ts_ns, arrival;
	struct wire_head *rec;
};

struct order {
	struct order_opts opts;
	record_next_fn next;
	void *ctx;
	struct held *heap;
	size_t count;
	size_t bytes;
	uint64_t arrivals;
	uint64_t newest_ns;
	uint64_t left_ns;	/* time of the last record that was handed on in order */
};

static bool is_before(const struct held *a, const struct held *b)
{
	return a->ts_ns != b->ts_ns ? a->ts_ns < b->ts_ns : a->arrival < b->arrival;
}

static void push(struct order *o, struct held h)
{
	size_t i = o->count++;

	while (i && is_before(&h, &o->heap[(i - 1) / 2])) {
		o->heap[i] = o->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	o->heap[i] = h;
	o->bytes += h.rec->len;
}

static struct held pop(struct order *o)
{
	struct held first = o->heap[0], last = o->heap[--o->count];
	size_t i = 0, child;

	for (child = 1; child < o->count; child = 2 * i + 1) {
		if (child + 1 < o->count && is_before(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!is_before(&o->heap[child], &last))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	if (o->count)
		o->heap[i] = last;
	o->bytes -= first.rec->len;
	return first;
}

static void release_oldest(struct order *o)
{
	struct held h = pop(o);

	o->left_ns = h.ts_ns;
	o->next(o->ctx, h.rec);
	free(h.rec);
}

static void release_ripe(struct order *o)
{
	while (o->count && (o->count > o->opts.max_records || o->bytes > ORDER_BYTES_MAX ||
			    o->heap[0].ts_ns + o->opts.window_ns < o->newest_ns))
		release_oldest(o);
}

int order_new(struct order **ret, const struct order_opts *opts, record_next_fn next, void *ctx)
{
	struct order *o;

	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->opts = *opts;
	if (!o->opts.window_ns)
		o->opts.window_ns = ORDER_WINDOW_NS;
	if (!o->opts.max_records)
		o->opts.max_records = ORDER_RECORDS_MAX;
	o->next = next;
	o->ctx = ctx;
	o->heap = calloc(o->opts.max_records + 1, sizeof(*o->heap));
	if (!o->heap) {
		order_free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

int order_feed(struct order *o, const struct wire_head *rec)
{
	struct held h = { .ts_ns = rec->ts_ns, .arrival = o->arrivals++ };

	if (rec->ts_ns < o->left_ns) {
		counter_add(o->opts.counters, RECORDS_LATE, 1);
		o->next(o->ctx, rec);
		return 0;
	}
	h.rec = malloc(rec->len);
	if (!h.rec) {
		o->next(o->ctx, rec);	/* out of order rather than lost */
		return -ENOMEM;
	}
	memcpy(h.rec, rec, rec->len);
	push(o, h);
	if (rec->ts_ns > o->newest_ns)
		o->newest_ns = rec->ts_ns;
	release_ripe(o);
	return 0;
}

void order_tick(struct order *o, uint64_t now_ns)
{
	if (now_ns > o->newest_ns)
		o->newest_ns = now_ns;
	release_ripe(o);
}

void order_flush(struct order *o)
{
	while (o->count)
		release_oldest(o);
}

void order_free(struct order *o)
{
	if (!o)
		return;
	while (o->count)
		free(o->heap[--o->count].rec);
	free(o->heap);
	free(o);
}
