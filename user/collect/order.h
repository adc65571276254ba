/*
 * order: puts records of all CPUs in the order of their time, within a bounded window.
 *
 * A record leaves when it is older than the newest by the window, or when more than max_records
 * or ORDER_BYTES_MAX are held: then the oldest leaves early. One that comes after its place has
 * left is handed on at once and counted RECORDS_LATE. Equal times keep the order of arrival.
 * Not thread-safe.
 */
#ifndef COLLECT_ORDER_H
#define COLLECT_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "collect/next.h"

#define ORDER_WINDOW_NS 100000000ULL	/* default; sends are stamped at entry */
#define ORDER_RECORDS_MAX 65536		/* default */
#define ORDER_BYTES_MAX (64U << 20)	/* of copies held */

struct counters;
struct order;

struct order_opts {
	uint64_t window_ns;		/* 0: ORDER_WINDOW_NS */
	size_t max_records;		/* 0: ORDER_RECORDS_MAX */
	struct counters *counters;	/* borrowed */
};

int order_new(struct order **ret, const struct order_opts *opts, record_next_fn next, void *ctx);

/* Copies @rec. -ENOMEM: it was handed on at once, out of order. */
int order_feed(struct order *o, const struct wire_head *rec);
void order_tick(struct order *o, uint64_t now_ns);	/* CLOCK_MONOTONIC: records become old */
void order_flush(struct order *o);			/* hands on all that is held */
void order_free(struct order *o);			/* NULL is fine; drops what is held */

#endif
