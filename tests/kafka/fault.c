/* fault: every way in which sending a message fails, or does not succeed at once. */
#include "producer.h"

#include <unistd.h>

#define NOWHERE "127.0.0.1:1"		/* nothing listens there */
#define PARTITION_UNKNOWN 77		/* topics have 4 */
#define SLOW_MS 400			/* the broker, where messages are to be under way */
#define WAY_US 250000			/* after which they are */
#define TEXT_OF(n) #n
#define TEXT(n) TEXT_OF(n)

/* Fails locally after librdkafka's on_send: the function itself returns the error. */
static void partition_unknown(const struct exercise *ex)
{
	static const char name[] = "fail-partition";
	struct producer p;
	struct message m;
	int i;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_CALLBACK, NULL))
		return;
	send_some(&p, send_inline, FEW);
	producer_drain(&p);		/* the partitions are known now */
	p.partition = PARTITION_UNKNOWN;
	for (i = 0; i < FEW; i++) {
		message_make(&m, p.number, FEW + i);
		must(send_inline(&p, &m) == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, name,
		     "producev refuses the partition");
		must(send_produce(&p, &m) == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, name,
		     "produce refuses the partition");
		must(send_batch(&p, &m) == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, name,
		     "produce_batch refuses the partition");
	}
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", FEW);
}

static void timed_out(const struct exercise *ex)
{
	static const char *const pairs[] = {
		"bootstrap.servers", NOWHERE, "message.timeout.ms", "300", NULL,
	};
	static const char name[] = "fail-timeout";
	struct producer p;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs))
		return;
	send_some(&p, send_inline, FEW);
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", FEW);
}

static void purged(const struct exercise *ex)
{
	static const char *const pairs[] = { "bootstrap.servers", NOWHERE, NULL };
	static const char name[] = "fail-purge";
	struct producer p;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_EVENT, pairs))
		return;
	send_some(&p, send_inline, FEW);
	must(!k.rd_kafka_purge(p.rk, RD_KAFKA_PURGE_F_QUEUE), name, "a purge");
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", FEW);
}

/* More than the queue holds: producev and produce refuse what they have no room for. */
static void queue_full(const struct exercise *ex)
{
	static const char *const pairs[] = {
		"bootstrap.servers", NOWHERE, "queue.buffering.max.messages", TEXT(FEW),
		"message.timeout.ms", "1000", NULL,
	};
	static const send_fn sends[] = { send_inline, send_produce };
	static const char name[] = "fail-full";
	struct producer p;
	struct message m;
	uint64_t begin;
	size_t i;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs))
		return;
	send_some(&p, send_inline, FEW);
	for (i = 0; i < 2 * sizeof(sends) / sizeof(*sends); i++) {
		message_make(&m, p.number, p.sent++);
		begin = now_ns();
		must(sends[i / 2](&p, &m) == RD_KAFKA_RESP_ERR__QUEUE_FULL, name, "a full queue");
		note_ended(name, "produce", begin, RD_KAFKA_RESP_ERR__QUEUE_FULL);
	}
	must(!k.rd_kafka_purge(p.rk, RD_KAFKA_PURGE_F_QUEUE), name, "a purge");
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", FEW);
}

/* In librdkafka's queue when its client is destroyed. */
static void destroyed(const struct exercise *ex)
{
	static const char *const pairs[] = { "bootstrap.servers", NOWHERE, NULL };
	static const char name[] = "fail-destroy";
	struct producer p;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs))
		return;
	send_some(&p, send_inline, FEW);
	producer_end(&p);
	told(name, "sent", FEW);
}

/* All in one request, since they wait for each other: of one partition. */
#define TOGETHER "linger.ms", "100", "retry.backoff.ms", "20"

/* The broker refuses the request with what @faults say, before it takes it if it ever does. */
static void refused(const struct exercise *ex, const char *name, const char *faults,
		    const char *const *pairs)
{
	struct producer p;

	if (!is_wanted(ex, name))
		return;
	must(producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs), name, "a producer");
	p.partition = 0;
	send_some(&p, send_inline, 1);		/* connects, and learns the partitions */
	producer_drain(&p);
	ask(name, faults);
	send_some(&p, send_inline, FEW);
	producer_drain(&p);
	producer_end(&p);
	told(name, "sent", FEW + 1);
}

static void every_refusal(const struct exercise *ex)
{
	static const char *const retrying[] = { TOGETHER, NULL };
	static const char *const giving_up[] = { TOGETHER, "message.send.max.retries", "0", NULL };

	/* 0 Produce; 19 NOT_ENOUGH_REPLICAS, 7 REQUEST_TIMED_OUT: both may be tried again */
	refused(ex, "retry-twice", "errors 0 2 19", retrying);
	refused(ex, "fail-replicas", "errors 0 1 19", giving_up);
	refused(ex, "fail-requesttimeout", "errors 0 1 7", giving_up);
	/* 29 TOPIC_AUTHORIZATION_FAILED, 10 MSG_SIZE_TOO_LARGE: never again */
	refused(ex, "fail-authorization", "errors 0 1 29", retrying);
	refused(ex, "fail-size", "errors 0 1 10", retrying);
}

static void purged_under_way(const struct exercise *ex)
{
	static const char *const pairs[] = { TOGETHER, NULL };
	static const char name[] = "fail-purgeinflight";
	struct producer p;

	if (!is_wanted(ex, name) || !producer_new(&p, ex, name, DELIVERY_CALLBACK, pairs))
		return;
	p.partition = 0;
	send_some(&p, send_inline, 1);
	producer_drain(&p);
	ask(name, "rtt 1 " TEXT(SLOW_MS));
	send_some(&p, send_inline, FEW);
	usleep(WAY_US);
	must(!k.rd_kafka_purge(p.rk, RD_KAFKA_PURGE_F_INFLIGHT), name, "a purge");
	producer_drain(&p);
	ask(name, "rtt 1 0");
	producer_end(&p);
	told(name, "sent", FEW + 1);
}

void fail_all(const struct exercise *ex)
{
	partition_unknown(ex);
	timed_out(ex);
	queue_full(ex);
	purged(ex);
	every_refusal(ex);
	purged_under_way(ex);
	destroyed(ex);		/* last: the spans of its messages stay open until the end */
}
