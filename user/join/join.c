/* join: see join.h. Hands each kind of message to the part that knows it. */
#include "join/join.h"

#include <errno.h>
#include <stdlib.h>

#include "join/core.h"

struct join {
	struct core core;
};

int join_new(struct join **ret, const struct join_opts *opts, trace_next_fn next, void *ctx)
{
	struct assemblies_opts as_opts = {
		.ids = opts->ids,
		.wall_offset_ns = opts->wall_offset_ns,
		.linger_ns = opts->linger_ns,
		.spread = opts->spread,
		.counters = opts->counters,
	};
	struct join *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return -ENOMEM;
	j->core.counters = opts->counters;
	j->core.wall_offset_ns = opts->wall_offset_ns;
	j->core.host_name = opts->host_name;
	j->core.kafka = opts->kafka;
	core_http_init(&j->core);
	core_process_init(&j->core);
	err = core_kafka_init(&j->core);
	if (!err)
		err = assemblies_new(&j->core.as, &as_opts, next, ctx);
	if (!err)
		err = identity_new(&j->core.identity, j->core.as, opts->counters);
	if (err) {
		join_free(j);
		return err;
	}
	*ret = j;
	return 0;
}

typedef void (*core_fn)(struct core *c, const struct msg *m);

static const core_fn handlers[] = {
	[MSG_HTTP_REQUEST] = core_http_request,
	[MSG_HTTP_ATTRS] = core_http_attrs,
	[MSG_HTTP_RESPONSE] = core_http_response,
	[MSG_HTTP_END] = core_http_end,
	[MSG_KAFKA_SEND] = core_kafka_send,
	[MSG_KAFKA_ACK] = core_kafka_ack,
	[MSG_KAFKA_CONSUME] = core_kafka_consume,
	[MSG_KAFKA_POLL] = core_kafka_poll,
	[MSG_KAFKA_DELIVERED] = core_kafka_delivered,
	[MSG_KAFKA_CLIENT] = core_kafka_client,
	[MSG_KAFKA_COMMIT] = core_kafka_commit,
	[MSG_KAFKA_REBALANCE] = core_kafka_rebalance,
	[MSG_KAFKA_TXN] = core_kafka_txn,
	[MSG_KAFKA_REFUSED] = core_kafka_refused,
	[MSG_PROC_FORK] = core_process_fork,
	[MSG_PROC_EXEC] = core_process_exec,
	[MSG_PROC_EXIT] = core_process_exit,
	[MSG_PROC_TARGET] = core_process_target,
};

void join_feed(struct join *j, const struct msg *m)
{
	j->core.now_ns = m->ts_ns;
	handlers[m->kind](&j->core, m);
}

static void count_evictions(struct core *c)
{
	c->counters->value[JOIN_KEYS_EVICTED] =
		c->sequences.evicted + c->offsets.evicted + c->highs.evicted +
		c->clients.evicted + c->kafka_processes.evicted + c->pods.evicted +
		identity_evicted(c->identity) + c->given_up;
}

void join_tick(struct join *j, uint64_t now_ns)
{
	join_tick_some(j, now_ns, SIZE_MAX);
}

bool join_tick_some(struct join *j, uint64_t now_ns, size_t spans)
{
	bool has_more = assemblies_tick(j->core.as, now_ns, spans);

	count_evictions(&j->core);
	return has_more;
}

size_t join_held(const struct join *j)
{
	return assemblies_held(j->core.as);
}

void join_flush(struct join *j, uint64_t now_ns)
{
	core_kafka_flush(&j->core);
	assemblies_flush(j->core.as, now_ns);
	count_evictions(&j->core);
}

void join_free(struct join *j)
{
	if (!j)
		return;
	core_http_done(&j->core);
	core_kafka_done(&j->core);
	core_process_done(&j->core);
	identity_free(j->core.identity);
	assemblies_free(j->core.as);
	free(j);
}
