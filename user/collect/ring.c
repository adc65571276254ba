/* ring: see ring.h. */
#include "collect/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "util/count.h"

#define BATCH_MAX 16384		/* records of one call, so that the caller's timers go on */

struct ring {
	struct ring_buffer *buffer;
	struct counters *counters;
	record_next_fn next;
	void *ctx;
	int epoll_fd;
	int batch;		/* records handed on by the current call */
};

static int on_record(void *ctx, void *data, size_t size)
{
	const struct wire_head *rec = data;
	struct ring *r = ctx;

	counter_add(r->counters, RECORDS_SEEN, 1);
	if (size < sizeof(*rec) || !record_is_sane(rec, size))
		counter_add(r->counters, RECORDS_REJECTED, 1);
	else
		r->next(r->ctx, rec);
	return ++r->batch < BATCH_MAX ? 0 : -E2BIG;	/* the record is consumed all the same */
}

static int consume(struct ring *r)
{
	int n;

	r->batch = 0;
	n = ring_buffer__consume(r->buffer);
	return n == -E2BIG ? r->batch : n;
}

int ring_new(struct ring **ret, int map_fd, struct counters *counters, record_next_fn next,
	     void *ctx)
{
	/* Edges only: a level is high while a record waits, so that no poll would wait. */
	struct epoll_event wake = { .events = EPOLLIN | EPOLLET };
	struct ring *r;
	int err;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->counters = counters;
	r->next = next;
	r->ctx = ctx;
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll_fd < 0 || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, map_fd, &wake)) {
		err = -errno;
		goto fail;
	}
	r->buffer = ring_buffer__new(map_fd, on_record, r, NULL);
	if (!r->buffer) {
		err = -errno;
		goto fail;
	}
	*ret = r;
	return 0;

fail:
	ring_free(r);
	return err;
}

int ring_poll(struct ring *r, int timeout_ms)
{
	struct epoll_event event;

	if (r->batch >= BATCH_MAX)
		timeout_ms = 0;		/* the last call left records behind */
	if (epoll_wait(r->epoll_fd, &event, 1, timeout_ms) < 0)
		return -errno;
	return consume(r);
}

int ring_drain(struct ring *r)
{
	return consume(r);
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	ring_buffer__free(r->buffer);
	if (r->epoll_fd > 0)
		close(r->epoll_fd);
	free(r);
}
