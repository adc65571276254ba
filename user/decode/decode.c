/* decode: see decode.h. The kinds are a table: a new one is a row and a feed function. */
#include "decode/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "decode/kafka.h"
#include "decode/process.h"
#include "decode/stage.h"
#include "decode/stream.h"

static const struct rules no_rules;

static int feed_counters(struct decode *d, const struct wire_head *rec)
{
	const struct wire_counters *c = (const struct wire_counters *)rec;
	const __u64 *values = (const __u64 *)(c + 1);
	uint32_t i;

	if ((rec->len - sizeof(*c)) / sizeof(*values) < c->count)
		return -EINVAL;
	for (i = 0; i < c->count && i < COUNTER_KERNEL_MAX; i++)
		d->counters->value[i] = values[i];
	return 0;
}

/* What the process had open ends before it does. */
static int feed_exit(struct decode *d, const struct wire_head *rec)
{
	stream_exit(d, rec);
	return process_feed_exit(d, rec);
}

static int feed_nothing(struct decode *d, const struct wire_head *rec)
{
	(void)d;
	(void)rec;
	return 0;
}

static const struct kind_row {
	size_t size;		/* smallest record of the kind */
	int (*feed)(struct decode *d, const struct wire_head *rec);
} kinds[WIRE_KIND_MAX] = {
	[WIRE_IO] = { sizeof(struct wire_io), stream_feed_io },
	[WIRE_CLOSE] = { sizeof(struct wire_close), stream_feed_close },
	[WIRE_KAFKA_SEND] = { sizeof(struct wire_kafka), kafka_feed_message },
	[WIRE_KAFKA_ACK] = { sizeof(struct wire_kafka_ack), kafka_feed_ack },
	[WIRE_KAFKA_CONSUME] = { sizeof(struct wire_kafka), kafka_feed_message },
	[WIRE_KAFKA_POLL] = { sizeof(struct wire_kafka_poll), kafka_feed_poll },
	[WIRE_KAFKA_DELIVERED] = { sizeof(struct wire_kafka_delivered), kafka_feed_delivered },
	[WIRE_KAFKA_CLIENT] = { sizeof(struct wire_kafka_client), kafka_feed_client },
	[WIRE_KAFKA_COMMIT] = { sizeof(struct wire_kafka_commit), kafka_feed_commit },
	[WIRE_KAFKA_REBALANCE] = { sizeof(struct wire_kafka_rebalance), kafka_feed_rebalance },
	[WIRE_KAFKA_TXN] = { sizeof(struct wire_kafka_txn), kafka_feed_txn },
	[WIRE_KAFKA_REFUSED] = { sizeof(struct wire_kafka_refused), kafka_feed_refused },
	[WIRE_FORK] = { sizeof(struct wire_fork), process_feed_fork },
	[WIRE_EXEC] = { sizeof(struct wire_exec), process_feed_exec },
	[WIRE_EXIT] = { sizeof(struct wire_exit), feed_exit },
	[WIRE_MAP] = { sizeof(struct wire_map), feed_nothing },	/* for attach only */
	[WIRE_TARGET] = { sizeof(struct wire_target), process_feed_target },
	[WIRE_COUNTERS] = { sizeof(struct wire_counters), feed_counters },
};

void stage_msg(struct decode *d, struct msg *m, enum msg_kind kind, const struct wire_head *rec)
{
	strings_reset(&d->strings);
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->ts_ns = rec->ts_ns;
	m->tgid = rec->tgid;
	m->tid = rec->tid;
	m->start_ns = rec->start_ns;
}

void stage_send(struct decode *d, struct msg *m)
{
	d->next(d->ctx, m);
	attrs_done(&m->attrs);
}

struct msg_label stage_label(const struct wire_label *label)
{
	struct msg_label l = { .id = label->id, .op = label->op };

	if (label->kind == LABEL_HTTP)
		l.kind = LABEL_OF_HTTP;
	else if (label->kind == LABEL_KAFKA)
		l.kind = LABEL_OF_KAFKA;
	else
		l = (struct msg_label){ .kind = LABEL_OF_NONE };
	return l;
}

void stage_labels(struct msg *m, const struct wire_head *rec, const struct wire_labels *labels)
{
	m->labels.thread = stage_label(&labels->thread);
	m->labels.task = stage_label(&labels->task);
	m->labels.has_task = labels->task_id != 0;
	m->labels.loop_thread = rec->flags & WIRE_F_LOOP_THREAD;
}

const char *stage_string(struct decode *d, struct slice *tail, size_t len)
{
	const char *text = strings_copy(&d->strings, tail->at, len);

	*tail = slice_from(*tail, len);
	return text;
}

int decode_new(struct decode **ret, const struct decode_opts *opts, decode_next_fn next,
	       void *ctx)
{
	struct decode *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	err = stream_new(&d->stream);
	if (err) {
		free(d);
		return err;
	}
	d->rules = opts->rules ? opts->rules : &no_rules;
	d->counters = opts->counters;
	d->next = next;
	d->ctx = ctx;
	*ret = d;
	return 0;
}

int decode_feed(struct decode *d, const struct wire_head *rec)
{
	const struct kind_row *row = NULL;
	int err = -EINVAL;

	if (rec->kind < WIRE_KIND_MAX)
		row = &kinds[rec->kind];
	if (row && row->feed && rec->len >= row->size && rec->len <= WIRE_RECORD_MAX)
		err = row->feed(d, rec);
	counter_add(d->counters, err ? RECORDS_REJECTED : RECORDS_DECODED, 1);
	return err;
}

void decode_tick(struct decode *d, uint64_t now_ns)
{
	(void)d;
	(void)now_ns;
}

void decode_free(struct decode *d)
{
	if (d)
		stream_free(d->stream);
	free(d);
}
