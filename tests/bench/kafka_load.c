/*
 * kafka_load: produces, then consumes, N messages through librdkafka; prints what one message
 * took. It waits for a line on standard input first, so that a tracer can be attached.
 *
 * Usage: kafka_load BROKERS TOPIC N [THREADS [RATE]]. THREADS produce at the same time, RATE
 * messages a second in all (0: as fast as it goes). Prints "ready", then, each per message:
 * "producer US" and "consumer US": CPU time of the threads that call; "produced_cpu US": CPU time
 * of the whole process until all is acknowledged; "produced_wall US": the same by the clock.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define GIVE_UP_MS 60000

#define THREADS_MAX 64
#define PACE 100		/* messages between looks at the clock when a rate is kept */

struct producer {
	rd_kafka_t *rk;
	const char *topic;
	int n;
	double rate;		/* messages a second of this thread; 0: no limit */
	double us;		/* result: CPU time of the thread */
};

static double clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double thread_us(void)
{
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
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

static void send_one(const struct producer *p, int i)
{
	if (rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(p->topic), RD_KAFKA_V_PARTITION(0),
			      RD_KAFKA_V_VALUE("a value of thirty-two bytes, once", 32),
			      RD_KAFKA_V_KEY(&i, sizeof(i)),
			      RD_KAFKA_V_HEADER("trace-id", "01234567890123456789", 20),
			      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
			      RD_KAFKA_V_END) != RD_KAFKA_RESP_ERR_NO_ERROR)
		exit(3);
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	double begin = thread_us(), wall = clock_us(CLOCK_MONOTONIC);
	int i;

	for (i = 0; i < p->n; i++) {
		if (p->rate > 0 && i % PACE == 0)
			while (clock_us(CLOCK_MONOTONIC) - wall < i / p->rate * 1e6) {
				struct timespec nap = { 0, 100000 };

				nanosleep(&nap, NULL);
			}
		send_one(p, i);
	}
	p->us = thread_us() - begin;
	return NULL;
}

static void produce_all(rd_kafka_t *rk, const char *topic, int n, int threads, double rate)
{
	struct producer p[THREADS_MAX];
	pthread_t ids[THREADS_MAX];
	double us = 0, cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), wall = clock_us(CLOCK_MONOTONIC);
	int i;

	for (i = 0; i < threads; i++) {
		p[i] = (struct producer){ rk, topic, n / threads, rate / threads, 0 };
		if (pthread_create(&ids[i], NULL, produce, &p[i]))
			exit(3);
	}
	for (i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		us += p[i].us;
	}
	rd_kafka_flush(rk, GIVE_UP_MS);
	printf("producer %.4f\n", us / n);
	printf("produced_cpu %.4f\n", (clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / n);
	printf("produced_wall %.4f\n", (clock_us(CLOCK_MONOTONIC) - wall) / n);
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
	struct producer warm = { .n = 100 };
	int n, threads;
	double rate;
	char line[8];

	if (argc < 4 || argc > 6)
		return 2;
	n = atoi(argv[3]);
	threads = argc > 4 ? atoi(argv[4]) : 1;
	rate = argc > 5 ? atof(argv[5]) : 0;
	if (threads < 1 || threads > THREADS_MAX)
		return 2;
	warm.rk = client(RD_KAFKA_PRODUCER, argv[1]);
	warm.topic = argv[2];
	produce(&warm);		/* connections and caches are warm */
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 2;
	produce_all(warm.rk, argv[2], n, threads, rate);
	if (rate <= 0 && threads == 1)
		printf("consumer %.4f\n", consume(argv[1], argv[2], n));
	rd_kafka_destroy(warm.rk);
	return 0;
}
