/*
 * kafka_load: produces, then consumes, N messages through librdkafka; prints what one message
 * took. Between the two parts it waits for a line on standard input, and before the first, so
 * that a tracer can be attached.
 *
 * Usage: kafka_load BROKERS TOPIC N. Prints "ready", then "producer US", "consumer US": CPU time
 * of the thread that calls, per message, so that the broker's share of the machine is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define GIVE_UP_MS 60000

static double thread_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
		fprintf(stderr, "kafka_load: %s\n", why);
		exit(2);
	}
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	set(conf, "bootstrap.servers", brokers);
	if (type == RD_KAFKA_PRODUCER)
		set(conf, "queue.buffering.max.messages", "1000000");
	rk = rd_kafka_new(type, conf, why, sizeof(why));
	if (!rk) {
		fprintf(stderr, "kafka_load: %s\n", why);
		exit(2);
	}
	return rk;
}

static double produce(rd_kafka_t *rk, const char *topic, int n)
{
	double begin = thread_us(), spent;
	int i;

	for (i = 0; i < n; i++)
		if (rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
				      RD_KAFKA_V_VALUE("a value of thirty-two bytes, once", 32),
				      RD_KAFKA_V_KEY(&i, sizeof(i)),
				      RD_KAFKA_V_HEADER("trace-id", "01234567890123456789", 20),
				      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
				      RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
			exit(3);
	spent = thread_us() - begin;
	rd_kafka_flush(rk, GIVE_UP_MS);
	return spent / n;
}

static double consume(const char *brokers, const char *topic, int n)
{
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, brokers);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
	double begin = 0;
	int seen = 0;

	/* From the last N: earlier rounds' messages are not read again. */
	if (rd_kafka_consume_start(rkt, 0, RD_KAFKA_OFFSET_TAIL(n)))
		exit(3);
	while (seen < n) {
		rd_kafka_message_t *m = rd_kafka_consume(rkt, 0, GIVE_UP_MS);

		if (!m)
			exit(3);
		if (!m->err && !seen++)
			begin = thread_us();
		rd_kafka_message_destroy(m);
	}
	begin = thread_us() - begin;
	rd_kafka_consume_stop(rkt, 0);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_destroy(rk);
	return begin / n;
}

int main(int argc, char **argv)
{
	char line[8];
	rd_kafka_t *rk;
	int n;

	if (argc != 4)
		return 2;
	n = atoi(argv[3]);
	rk = client(RD_KAFKA_PRODUCER, argv[1]);
	produce(rk, argv[2], 100);	/* connections and caches are warm */
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 2;
	printf("producer %.4f\n", produce(rk, argv[2], n));
	printf("consumer %.4f\n", consume(argv[1], argv[2], n));
	rd_kafka_destroy(rk);
	return 0;
}
