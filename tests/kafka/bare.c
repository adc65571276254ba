/*
 * bare: many messages without a header, sent by one process and read by others, each a group of its
 * own. At a pace that no machine of the tests fails to follow: this is no test of speed.
 */
#include "exerciser.h"

#include <stdio.h>
#include <unistd.h>

#define TOPIC "bare"
#define BURST 100		/* messages */
#define BURST_US 5000		/* and this rest after them: less than 20,000 a second */
#define GIVE_UP_NS 120000000000ull

static void rest(long n)
{
	if (n % BURST == 0)
		usleep(BURST_US);
}

void bare_send(const struct exercise *ex)
{
	rd_kafka_conf_t *conf = configure(ex, TOPIC, NULL);
	rd_kafka_topic_t *rkt;
	rd_kafka_t *rk;
	char value[16];
	long n;
	int len;

	rk = client_new(RD_KAFKA_PRODUCER, conf, TOPIC);
	rkt = k.rd_kafka_topic_new(rk, TOPIC, NULL);
	for (n = 0; n < ex->messages; n++) {
		len = snprintf(value, sizeof(value), "%ld", n);
		must(!k.rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
					 (size_t)len, NULL, 0, NULL), TOPIC, "a message");
		k.rd_kafka_poll(rk, 0);
		rest(n);
	}
	must(!k.rd_kafka_flush(rk, WAIT_MS), TOPIC, "all messages are delivered");
	k.rd_kafka_topic_destroy(rkt);
	k.rd_kafka_destroy(rk);
	told(TOPIC, "sent", n);
}

void bare_read(const struct exercise *ex, const char *group)
{
	const char *pairs[] = {
		"group.id", group, "auto.offset.reset", "earliest", "session.timeout.ms", "6000",
		"topic.metadata.refresh.interval.ms", "200", "enable.auto.commit", "false", NULL,
	};
	rd_kafka_topic_partition_list_t *list = k.rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = configure(ex, group, pairs);
	uint64_t begin = now_ns();
	rd_kafka_message_t *m;
	rd_kafka_t *rk;
	long n = 0;

	must(conf, group, "a configuration");
	rk = client_new(RD_KAFKA_CONSUMER, conf, group);
	k.rd_kafka_poll_set_consumer(rk);
	k.rd_kafka_topic_partition_list_add(list, TOPIC, RD_KAFKA_PARTITION_UA);
	must(!k.rd_kafka_subscribe(rk, list), group, "a subscription");
	while (n < ex->messages && now_ns() - begin < GIVE_UP_NS) {
		m = k.rd_kafka_consumer_poll(rk, 100);
		if (!m)
			continue;
		if (!m->err)
			rest(++n);
		k.rd_kafka_message_destroy(m);
	}
	must(n == ex->messages, group, "every message is read");
	k.rd_kafka_consumer_poll(rk, 0);	/* ends the work on the last one */
	k.rd_kafka_topic_partition_list_destroy(list);
	k.rd_kafka_consumer_close(rk);
	k.rd_kafka_destroy(rk);
	told(group, "read", n);
}
