/*
 * cli: what the user asked for, from the command line. Help, parsing and README's option
 * list come from the tables in cli.c.
 */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config.h"

#define CLI_PIDS_MAX 256
#define CLI_EXES_MAX 32

enum command {
	COMMAND_TRACE,
	COMMAND_RECORD,
	COMMAND_REPLAY,
	COMMAND_PROBE,
	COMMAND_HELP,
	COMMAND_VERSION,
};

struct cli {
	enum command command;
	pid_t pids[CLI_PIDS_MAX];
	size_t pid_count;
	const char *exes[CLI_EXES_MAX];
	size_t exe_count;
	bool all;
	uint64_t duration_ns;		/* 0: until interrupted, or the command ends */
	char **child_argv;		/* after "--"; NULL: none */
	bool json;
	const char *otlp_url, *otlp_file;
	const char *config_path;
	bool has_kafka_mode;		/* then kafka_mode is used, not the configuration's */
	enum config_kafka_mode kafka_mode;
	const char *file;		/* record: -o FILE; replay: FILE */
	bool verbose;
};

/* All strings are borrowed from @argv. 0, or -EINVAL: one line was written to stderr. */
int cli_parse(struct cli *ret, int argc, char **argv);

void cli_help(enum command command);	/* to stdout; COMMAND_HELP: all of it */

#endif
