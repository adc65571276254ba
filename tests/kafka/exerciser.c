/*
 * exerciser: drives every produce and consume function of the librdkafka that it is given, in ways
 * that a tracer must follow. Says "ready VERSION" once the library is loaded, then waits for a line
 * on standard input, so that a tracer can be attached; then a line a scenario. "ask COMMAND" is for
 * the broker, whose answer it reads.
 *
 * Usage: exerciser LIBRARY BROKERS [--plugin FILE] [--messages N] [--only PREFIX]
 *                  [--bare send|GROUP]
 */
#include "exerciser.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES 44		/* each kind of message.c four times */

static int notes_fd = -1;

void must(bool ok, const char *scenario, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "exerciser: %s: %s: %s\n", scenario, what,
		k.rd_kafka_err2name(k.rd_kafka_last_error()));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void told(const char *scenario, const char *what, long n)
{
	printf("%s %s %ld\n", scenario, what, n);
	fflush(stdout);
}

void ask(const char *scenario, const char *what)
{
	char line[16];

	printf("ask %s\n", what);
	fflush(stdout);
	must(fgets(line, sizeof(line), stdin) && !strcmp(line, "ok\n"), scenario, what);
}

bool is_wanted(const struct exercise *ex, const char *name)
{
	return !ex->only || !strncmp(name, ex->only, strlen(ex->only));
}

static void note(const char *scenario, const char *api, uint64_t begin_ns, long n,
		 const char *error)
{
	char line[512];
	int len;

	if (notes_fd < 0)
		return;
	len = snprintf(line, sizeof(line),
		       "{\"role\":\"call\",\"t\":%lu,\"end\":%lu,\"pid\":%d,\"tid\":%ld,"
		       "\"client_id\":\"%s\",\"api\":\"%s\",\"n\":%ld,\"error\":\"%s\"}\n",
		       begin_ns, now_ns(), (int)getpid(), syscall(SYS_gettid), scenario, api, n,
		       error);
	must(write(notes_fd, line, (size_t)len) == len, scenario, "a line for the judge");
}

void note_call(const char *scenario, const char *api, uint64_t begin_ns, long n)
{
	note(scenario, api, begin_ns, n, "NO_ERROR");
}

void note_ended(const char *scenario, const char *api, uint64_t begin_ns, rd_kafka_resp_err_t err)
{
	note(scenario, api, begin_ns, 0, k.rd_kafka_err2name(err));
}

rd_kafka_conf_t *configure(const struct exercise *ex, const char *name, const char *const *pairs)
{
	const char *common[] = {
		"bootstrap.servers", ex->brokers, "client.id", name, "log_level", "2",
		/* An old release asks an unknown broker's version by default, a slow way. */
		"api.version.request", "true", "broker.address.family", "v4",
		ex->plugin ? "plugin.library.paths" : NULL, ex->plugin, NULL,
	};
	const char *const *lists[] = { common, pairs };
	rd_kafka_conf_t *conf = k.rd_kafka_conf_new();
	char why[512];
	size_t i;

	for (i = 0; i < 2; i++) {
		const char *const *p;

		for (p = lists[i]; p && *p; p += 2) {
			if (k.rd_kafka_conf_set(conf, p[0], p[1], why, sizeof(why)) ==
			    RD_KAFKA_CONF_OK)
				continue;
			k.rd_kafka_conf_destroy(conf);
			if (i)
				return NULL;
			fprintf(stderr, "exerciser: %s: %s\n", name, why);
			exit(1);
		}
	}
	return conf;
}

rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *name)
{
	char why[512];
	rd_kafka_t *rk = k.rd_kafka_new(type, conf, why, sizeof(why));

	if (!rk)
		fprintf(stderr, "exerciser: %s\n", why);
	must(rk, name, "a client");
	return rk;
}

static int options_parse(struct exercise *ret, int argc, char **argv)
{
	static const struct option options[] = {
		{ "plugin",   required_argument, NULL, 'p' },
		{ "messages", required_argument, NULL, 'n' },
		{ "only",     required_argument, NULL, 'o' },
		{ "bare",     required_argument, NULL, 'b' },
		{ 0 },
	};
	int c;

	*ret = (struct exercise){ .messages = MESSAGES };
	for (;;) {
		c = getopt_long(argc, argv, "", options, NULL);
		if (c == -1)
			break;
		if (c == 'p')
			ret->plugin = optarg;
		else if (c == 'n')
			ret->messages = atoi(optarg);
		else if (c == 'o')
			ret->only = optarg;
		else if (c == 'b')
			ret->bare = optarg;
		else
			return -1;
	}
	return argc - optind == 2 && ret->messages > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	const char *notes = getenv("SPANSTITCH_TRUTH");
	struct exercise ex;
	char line[16];

	if (options_parse(&ex, argc, argv)) {
		fprintf(stderr, "usage: exerciser LIBRARY BROKERS [--plugin FILE] [--messages N]"
			" [--only PREFIX] [--bare send|GROUP]\n");
		return 2;
	}
	if (library_open(argv[optind]))
		return 1;
	ex.brokers = argv[optind + 1];
	if (notes)
		notes_fd = open(notes, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	printf("ready %s\n", k.rd_kafka_version_str());
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	if (!ex.bare) {
		produce_all(&ex);
		consume_all(&ex);
	} else if (!strcmp(ex.bare, "send")) {
		bare_send(&ex);
	} else {
		bare_read(&ex, ex.bare);
	}
	told("done", "done", 0);
	return 0;
}
