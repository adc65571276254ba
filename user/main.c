/*
 * spanstitch: traces requests across unmodified programs.
 *
 *   trace:   kernel half -> ring -> order -> pipeline (decode | join | sample | send)
 *   record:  kernel half -> ring -> order -> file
 *   replay:  file -> pipeline
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/probe.h"
#include "cli.h"
#include "collect/record.h"
#include "collect/replay.h"
#include "config.h"
#include "live.h"
#include "pipeline.h"
#include "util/count.h"
#include "util/log.h"

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };	/* as docs/operations.md says */

/* What was wrong is the user's to mend (2), or something broke meanwhile (1). */
static int exit_code(int err)
{
	return err ? EXIT_USAGE : EXIT_OK;
}

static int replay_all(struct replay *r, const char *path)
{
	int n;

	do {
		n = replay_step(r);
	} while (n == 1);
	if (n == -ENODATA)
		log_warn("%s: ends within a record: its writer was killed; all before it counts",
			 path);
	else if (n < 0)
		log_warn("%s: damaged: what follows cannot be read; all before it counts", path);
	return n == -ENODATA ? 0 : n;
}

static int report_open(const char *path, int err)
{
	if (err == -EBADMSG)
		log_error("%s: not a recording; spanstitch record -o FILE makes one", path);
	else if (err == -EPROTONOSUPPORT)
		log_error("%s: a recording of another version; replay it with the spanstitch that "
			  "made it", path);
	else
		log_error("%s: cannot be read: %s", path, strerror(-err));
	return EXIT_USAGE;
}

static int run_replay(const struct cli *cli, const struct config *config)
{
	struct counters counters = { 0 };
	struct pipeline_opts opts = {
		.cli = cli, .config = config, .counters = &counters, .is_replay = true,
	};
	struct pipeline *p = NULL;
	struct replay *r;
	int err;

	err = replay_new(&r, cli->file, &counters, NULL, NULL);
	if (err)
		return report_open(cli->file, err);
	opts.info = replay_info(r);
	err = pipeline_new(&p, &opts);
	if (err) {
		replay_free(r);
		return EXIT_USAGE;
	}
	replay_set_next(r, pipeline_feed, p);
	err = replay_all(r, cli->file);
	pipeline_finish(p);
	pipeline_print_counters(p);
	pipeline_free(p);
	replay_free(r);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int run_probe(const struct cli *cli)
{
	struct probe_opts opts = {
		.pids = cli->pids, .pid_count = cli->pid_count, .json = cli->json,
	};

	return probe_run(&opts);
}

static int run(const struct cli *cli)
{
	struct config *config;
	int code;

	switch (cli->command) {
	case COMMAND_HELP:
		return EXIT_OK;
	case COMMAND_VERSION:
		puts("spanstitch " VERSION);
		return EXIT_OK;
	case COMMAND_PROBE:
		return run_probe(cli);
	default:
		break;
	}
	if (config_load(cli->config_path, &config))
		return EXIT_USAGE;
	if (cli->has_kafka_mode)
		config->kafka.mode = cli->kafka_mode;
	if (cli->command == COMMAND_REPLAY)
		code = run_replay(cli, config);
	else
		code = live_run(cli, config);
	config_free(config);
	return code;
}

int main(int argc, char **argv)
{
	struct cli cli;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_INFO);
	if (cli_parse(&cli, argc, argv))
		return exit_code(-EINVAL);
	log_set_level(cli.verbose ? LOG_DEBUG : LOG_INFO);
	return run(&cli);
}
