/* sample: see sample.h. */
#include "sample/sample.h"

#include <errno.h>
#include <stdlib.h>

struct sample {
	struct counters *counters;
	trace_next_fn next;
	void *ctx;
};

int sample_new(struct sample **ret, const struct sample_opts *opts, trace_next_fn next, void *ctx)
{
	struct sample *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->counters = opts->counters;
	s->next = next;
	s->ctx = ctx;
	*ret = s;
	return 0;
}

void sample_feed(void *sample, const struct trace *t)
{
	struct sample *s = sample;

	s->next(s->ctx, t);
}

void sample_tick(struct sample *s, uint64_t now_ns)
{
	(void)s;
	(void)now_ns;
}

void sample_free(struct sample *s)
{
	free(s);
}
