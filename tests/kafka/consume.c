/* consume: every way to receive a message; each reads the whole topic FEED. */
#include "exerciser.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTITIONS 4
#define BATCH_MAX 16
#define POLL_MS 100
#define POLL_SIMPLE_MS 20	/* of one partition: those that are empty are asked too */
#define COMMIT_EVERY 11		/* messages */
#define WORK_US 200		/* on a message or batch, so that its processing takes some time */

struct consumer {
	const char *name;
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;		/* only where partitions are started by hand */
	rd_kafka_queue_t *queue;	/* only where one is read */
	long seen;
};

/* Takes what comes within the timeout and works on it; how many messages. Notes its own call. */
typedef long (*take_fn)(struct consumer *c, int32_t partition, int timeout_ms);

static void work(void)
{
	usleep(WORK_US);
}

static long take_one(rd_kafka_message_t *m)
{
	long n;

	if (!m)
		return 0;
	n = !m->err;	/* an end of a partition is no message */
	if (n)
		work();
	k.rd_kafka_message_destroy(m);
	return n;
}

/* The call is noted when it has returned: its messages were handed over in it. */
static long noted(struct consumer *c, const char *api, uint64_t begin_ns, rd_kafka_message_t *m)
{
	note_call(c->name, api, begin_ns, m && !m->err);
	return take_one(m);
}

static long take_consumer_poll(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();

	(void)partition;
	return noted(c, "consumer_poll", begin, k.rd_kafka_consumer_poll(c->rk, timeout_ms));
}

/* Each so many messages commits the one that it has, and waits for the answer. */
static long take_committing(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();
	rd_kafka_message_t *m = k.rd_kafka_consumer_poll(c->rk, timeout_ms);

	(void)partition;
	note_call(c->name, "consumer_poll", begin, m && !m->err);
	if (m && !m->err && (c->seen + 1) % COMMIT_EVERY == 0) {
		work();
		begin = now_ns();
		must(!k.rd_kafka_commit_message(c->rk, m, 0), c->name, "a commit");
		note_call(c->name, "commit", begin, 0);
	}
	return take_one(m);
}

static long take_consume(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();

	return noted(c, "consume", begin, k.rd_kafka_consume(c->rkt, partition, timeout_ms));
}

static long take_consume_queue(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();

	(void)partition;
	return noted(c, "consume_queue", begin, k.rd_kafka_consume_queue(c->queue, timeout_ms));
}

static long batch_taken(struct consumer *c, const char *api, uint64_t begin_ns,
			rd_kafka_message_t **m, ssize_t got)
{
	ssize_t i;
	long n = 0;

	for (i = 0; i < got; i++)
		n += !m[i]->err;
	note_call(c->name, api, begin_ns, n);
	if (n)
		work();
	for (i = 0; i < got; i++)
		k.rd_kafka_message_destroy(m[i]);
	return n;
}

static long take_batch(struct consumer *c, int32_t partition, int timeout_ms)
{
	rd_kafka_message_t *m[BATCH_MAX];
	uint64_t begin = now_ns();
	ssize_t got = k.rd_kafka_consume_batch(c->rkt, partition, timeout_ms, m, BATCH_MAX);

	return batch_taken(c, "consume_batch", begin, m, got);
}

static long take_batch_queue(struct consumer *c, int32_t partition, int timeout_ms)
{
	rd_kafka_message_t *m[BATCH_MAX];
	uint64_t begin = now_ns();
	ssize_t got = k.rd_kafka_consume_batch_queue(c->queue, timeout_ms, m, BATCH_MAX);

	(void)partition;
	return batch_taken(c, "consume_batch_queue", begin, m, got);
}

static void on_message(rd_kafka_message_t *m, void *opaque)
{
	long *n = opaque;

	if (m->err)
		return;
	work();
	(*n)++;
}

static long take_callback(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();
	long n = 0;

	k.rd_kafka_consume_callback(c->rkt, partition, timeout_ms, on_message, &n);
	note_call(c->name, "consume_callback", begin, n);
	return n;
}

static long take_callback_queue(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();
	long n = 0;

	(void)partition;
	k.rd_kafka_consume_callback_queue(c->queue, timeout_ms, on_message, &n);
	note_call(c->name, "consume_callback_queue", begin, n);
	return n;
}

/* conf_set_consume_cb: the configured callback, run by whoever serves the queue with callbacks. */
static long configured_n;

static void on_configured(rd_kafka_message_t *m, void *opaque)
{
	(void)opaque;
	on_message(m, &configured_n);
}

static long take_configured(struct consumer *c, int32_t partition, int timeout_ms)
{
	uint64_t begin = now_ns();

	(void)partition;
	configured_n = 0;
	k.rd_kafka_queue_poll_callback(c->queue, timeout_ms);
	note_call(c->name, "queue_poll_callback", begin, configured_n);
	return configured_n;
}

static long take_event(struct consumer *c, int timeout_ms, bool as_array)
{
	uint64_t begin = now_ns();
	rd_kafka_event_t *event = k.rd_kafka_queue_poll(c->queue, timeout_ms);
	const rd_kafka_message_t *m[BATCH_MAX];
	size_t i, got = 0;
	long n = 0;

	if (event && k.rd_kafka_event_type(event) == RD_KAFKA_EVENT_FETCH) {
		if (as_array) {
			got = k.rd_kafka_event_message_array(event, m, BATCH_MAX);
		} else {
			m[0] = k.rd_kafka_event_message_next(event);
			got = m[0] ? 1 : 0;
		}
	}
	for (i = 0; i < got; i++)
		n += !m[i]->err;
	note_call(c->name, "queue_poll", begin, n);
	if (n)
		work();
	if (event)
		k.rd_kafka_event_destroy(event);
	return n;
}

static long take_event_next(struct consumer *c, int32_t partition, int timeout_ms)
{
	(void)partition;
	return take_event(c, timeout_ms, false);
}

static long take_event_array(struct consumer *c, int32_t partition, int timeout_ms)
{
	(void)partition;
	return take_event(c, timeout_ms, true);
}

enum style {
	STYLE_ASSIGNED,		/* one queue of all partitions, by assign() */
	STYLE_PARTITIONS,	/* consume_start(), a queue a partition */
	STYLE_QUEUE,		/* consume_start_queue(), all in a queue of our own */
	STYLE_GROUP,		/* one queue, by the group, which is committed for at the end */
};

static const struct way {
	const char *name;
	enum style style;
	take_fn take;
	void (*callback)(rd_kafka_message_t *, void *);
} ways[] = {
	{ "read-poll",           STYLE_ASSIGNED,   take_consumer_poll,  NULL },
	{ "read-commit",         STYLE_ASSIGNED,   take_committing,     NULL },
	{ "read-group",          STYLE_GROUP,      take_consumer_poll,  NULL },
	{ "read-cb",             STYLE_ASSIGNED,   take_configured,     on_configured },
	{ "read-event",          STYLE_ASSIGNED,   take_event_next,     NULL },
	{ "read-eventarray",     STYLE_ASSIGNED,   take_event_array,    NULL },
	{ "read-batchqueue",     STYLE_ASSIGNED,   take_batch_queue,    NULL },
	{ "read-consume",        STYLE_PARTITIONS, take_consume,        NULL },
	{ "read-batch",          STYLE_PARTITIONS, take_batch,          NULL },
	{ "read-callback",       STYLE_PARTITIONS, take_callback,       NULL },
	{ "read-queue",          STYLE_QUEUE,      take_consume_queue,  NULL },
	{ "read-callbackqueue",  STYLE_QUEUE,      take_callback_queue, NULL },
};

static void assign(struct consumer *c)
{
	rd_kafka_topic_partition_list_t *list = k.rd_kafka_topic_partition_list_new(PARTITIONS);
	int32_t p;

	k.rd_kafka_poll_set_consumer(c->rk);
	for (p = 0; p < PARTITIONS; p++)
		k.rd_kafka_topic_partition_list_add(list, FEED, p)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	must(!k.rd_kafka_assign(c->rk, list), c->name, "an assignment");
	k.rd_kafka_topic_partition_list_destroy(list);
	c->queue = k.rd_kafka_queue_get_consumer(c->rk);
}

static void join_group(struct consumer *c)
{
	rd_kafka_topic_partition_list_t *list = k.rd_kafka_topic_partition_list_new(1);

	k.rd_kafka_poll_set_consumer(c->rk);
	k.rd_kafka_topic_partition_list_add(list, FEED, RD_KAFKA_PARTITION_UA);
	must(!k.rd_kafka_subscribe(c->rk, list), c->name, "a subscription");
	k.rd_kafka_topic_partition_list_destroy(list);
}

static void start(struct consumer *c, enum style style)
{
	int32_t p;

	c->rkt = k.rd_kafka_topic_new(c->rk, FEED, NULL);
	if (style == STYLE_QUEUE)
		c->queue = k.rd_kafka_queue_new(c->rk);
	for (p = 0; p < PARTITIONS; p++) {
		if (style == STYLE_QUEUE)
			must(!k.rd_kafka_consume_start_queue(c->rkt, p, RD_KAFKA_OFFSET_BEGINNING,
							     c->queue), c->name, "a start");
		else
			must(!k.rd_kafka_consume_start(c->rkt, p, RD_KAFKA_OFFSET_BEGINNING),
			     c->name, "a start");
	}
}

static void end(struct consumer *c)
{
	int32_t p;

	if (c->rkt) {
		for (p = 0; p < PARTITIONS; p++)
			k.rd_kafka_consume_stop(c->rkt, p);
		k.rd_kafka_topic_destroy(c->rkt);
	}
	if (c->queue)
		k.rd_kafka_queue_destroy(c->queue);
	if (!c->rkt)
		k.rd_kafka_consumer_close(c->rk);
	k.rd_kafka_destroy(c->rk);
}

static void read_all(struct consumer *c, const struct way *way, long wanted)
{
	int timeout_ms = way->style == STYLE_PARTITIONS ? POLL_SIMPLE_MS : POLL_MS;
	uint64_t begin = now_ns();
	int32_t p = 0;

	while (c->seen < wanted && now_ns() - begin < WAIT_MS * 1000000ull) {
		c->seen += way->take(c, p, timeout_ms);
		p = (p + 1) % PARTITIONS;
	}
	must(c->seen == wanted, c->name, "every message is read");
	way->take(c, 0, 0);	/* ends the work on the last ones */
}

static void run(const struct exercise *ex, const struct way *way)
{
	char group[64];
	const char *pairs[] = {
		"group.id", group, "auto.commit.enable", "false", "fetch.wait.max.ms", "20",
		"auto.offset.reset", "earliest", "session.timeout.ms", "6000",
		"enable.auto.commit", way->style == STYLE_GROUP ? "true" : "false", NULL,
	};
	struct consumer c = { .name = way->name };
	rd_kafka_conf_t *conf;

	if (!is_wanted(ex, way->name))
		return;
	snprintf(group, sizeof(group), "group-%s", way->name);
	conf = configure(ex, way->name, pairs);
	must(conf, way->name, "a configuration");
	if (way->callback)
		k.rd_kafka_conf_set_consume_cb(conf, way->callback);
	c.rk = client_new(RD_KAFKA_CONSUMER, conf, way->name);
	if (way->style == STYLE_ASSIGNED)
		assign(&c);
	else if (way->style == STYLE_GROUP)
		join_group(&c);
	else
		start(&c, way->style);
	read_all(&c, way, ex->messages);
	end(&c);
	told(way->name, "read", c.seen);
}

void consume_all(const struct exercise *ex)
{
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		run(ex, &ways[i]);
}
