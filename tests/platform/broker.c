/*
 * broker: a Kafka cluster for tests and the demo, without Kafka.
 *
 * librdkafka's mock cluster, held alive in a process of its own so that several programs can
 * share it. Prints its bootstrap address as one line, then serves until SIGTERM or SIGINT,
 * until its parent dies, or until its standard input ends where that is a pipe. Lines from there
 * make it fail on purpose, one at a time, each answered by "ok" or "bad":
 *   errors APIKEY N CODE    the next N requests of this kind are refused by this error
 *   rtt BROKER MS           the broker's answers take this long
 *   down BROKER, up BROKER
 *   leader TOPIC PARTITION BROKER
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define BROKERS_MAX 8
#define PARTITIONS_MAX 64
#define ERRSTR_BYTES 512
#define TOPIC_BYTES 64		/* of a command's, with its end */
#define ERRORS_MAX 64

struct broker_opts {
	int brokers;
	int partitions;
	char **topics;	/* borrowed from argv, ends with NULL */
};

static int number_parse(int *ret, const char *name, const char *text, int max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 1 || n > max) {
		fprintf(stderr, "broker: --%s %s: want a number from 1 to %d\n", name, text, max);
		return -EINVAL;
	}
	*ret = (int)n;
	return 0;
}

static int opts_parse(struct broker_opts *ret, int argc, char **argv)
{
	static const struct option options[] = {
		{ "brokers",    required_argument, NULL, 'b' },
		{ "partitions", required_argument, NULL, 'p' },
		{ 0 },
	};
	struct broker_opts o = { .brokers = 1, .partitions = 4 };
	int c, err = 0;

	while (!err) {
		c = getopt_long(argc, argv, "b:p:", options, NULL);
		if (c == -1)
			break;
		if (c == 'b')
			err = number_parse(&o.brokers, "brokers", optarg, BROKERS_MAX);
		else if (c == 'p')
			err = number_parse(&o.partitions, "partitions", optarg, PARTITIONS_MAX);
		else
			err = -EINVAL;	/* getopt has said why */
	}
	if (err)
		return err;

	o.topics = argv + optind;
	*ret = o;
	return 0;
}

static int topics_create(rd_kafka_mock_cluster_t *cluster, const struct broker_opts *opts)
{
	rd_kafka_resp_err_t err;
	char **topic;

	for (topic = opts->topics; *topic; topic++) {
		err = rd_kafka_mock_topic_create(cluster, *topic, opts->partitions, 1);
		if (err) {
			fprintf(stderr, "broker: topic %s: %s\n", *topic, rd_kafka_err2str(err));
			return -EINVAL;
		}
	}
	return 0;
}

/* /dev/null would be at its end at once: only a pipe or socket says that somebody holds us. */
static int stdin_is_held(void)
{
	struct stat st;

	return !fstat(STDIN_FILENO, &st) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static int command_run(rd_kafka_mock_cluster_t *cluster, const char *line)
{
	rd_kafka_resp_err_t codes[ERRORS_MAX];
	char topic[TOPIC_BYTES];
	int key, n, code, i;

	if (sscanf(line, "leader %63s %d %d", topic, &key, &n) == 3)
		return rd_kafka_mock_partition_set_leader(cluster, topic, key, n) ? -EINVAL : 0;
	if (sscanf(line, "errors %d %d %d", &key, &n, &code) == 3 && n > 0 && n <= ERRORS_MAX) {
		for (i = 0; i < n; i++)
			codes[i] = (rd_kafka_resp_err_t)code;
		rd_kafka_mock_push_request_errors_array(cluster, (int16_t)key, (size_t)n, codes);
		return 0;
	}
	if (sscanf(line, "rtt %d %d", &key, &n) == 2)
		return rd_kafka_mock_broker_set_rtt(cluster, key, n) ? -EINVAL : 0;
	if (sscanf(line, "down %d", &key) == 1)
		return rd_kafka_mock_broker_set_down(cluster, key) ? -EINVAL : 0;
	if (sscanf(line, "up %d", &key) == 1)
		return rd_kafka_mock_broker_set_up(cluster, key) ? -EINVAL : 0;
	return -EINVAL;
}

/* Who writes waits for the answer, so a read gives one line, whole. */
static int stdin_has_ended(rd_kafka_mock_cluster_t *cluster)
{
	char line[256];
	ssize_t n;

	n = read(STDIN_FILENO, line, sizeof(line) - 1);
	if (n > 0) {
		line[n] = '\0';
		printf("%s\n", command_run(cluster, line) ? "bad" : "ok");
		fflush(stdout);
	}
	return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static int wait_for_end(rd_kafka_mock_cluster_t *cluster, int signal_fd)
{
	struct pollfd fds[] = {
		{ .fd = signal_fd, .events = POLLIN },
		{ .fd = stdin_is_held() ? STDIN_FILENO : -1, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (fds[0].revents)
			return 0;
		if (fds[1].revents && stdin_has_ended(cluster))
			return 0;
	}
}

static int serve(const struct broker_opts *opts, int signal_fd)
{
	rd_kafka_mock_cluster_t *cluster = NULL;
	char errstr[ERRSTR_BYTES];
	rd_kafka_conf_t *conf;
	rd_kafka_t *rk;
	int err;

	/*
	 * The mock cluster lives in a client instance, which itself produces nothing and
	 * would complain at notice level that it has no bootstrap servers.
	 */
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "log_level", "4", NULL, 0);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
	if (!rk) {
		fprintf(stderr, "broker: no client instance: %s\n", errstr);
		rd_kafka_conf_destroy(conf);
		return -ENOMEM;
	}
	cluster = rd_kafka_mock_cluster_new(rk, opts->brokers);
	if (!cluster) {
		fprintf(stderr, "broker: no mock cluster of %d brokers\n", opts->brokers);
		err = -ENOMEM;
		goto out;
	}
	err = topics_create(cluster, opts);
	if (err)
		goto out;

	printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	fflush(stdout);
	err = wait_for_end(cluster, signal_fd);
out:
	if (cluster)
		rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	return err;
}

int main(int argc, char **argv)
{
	pid_t parent = getppid();
	struct broker_opts opts;
	sigset_t signals;
	int signal_fd;

	if (opts_parse(&opts, argc, argv)) {
		fprintf(stderr, "usage: broker [--brokers N] [--partitions N] TOPIC...\n");
		return 2;
	}

	/* Blocked before any thread exists, so that all threads inherit the mask. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0) {
		perror("broker: signalfd");
		return 1;
	}

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return 0;	/* the parent died before the request could be made */

	return serve(&opts, signal_fd) ? 1 : 0;
}
