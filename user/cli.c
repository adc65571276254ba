/* cli: see cli.h. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"

#define IN(command) (1u << (command))
#define LIVE (IN(COMMAND_TRACE) | IN(COMMAND_RECORD))
#define SHOWN (IN(COMMAND_TRACE) | IN(COMMAND_REPLAY))
#define ANY (LIVE | SHOWN | IN(COMMAND_PROBE))

static const struct {
	const char *name, *usage, *sentence;
} commands[] = {
	[COMMAND_TRACE] = { "trace", "trace [options] [-- command args]",
			    "watch programs and print each finished trace" },
	[COMMAND_RECORD] = { "record", "record -o FILE [options] [-- command args]",
			     "write what the probes see to a file, for replay" },
	[COMMAND_REPLAY] = { "replay", "replay FILE [options]",
			     "make traces from a recording; needs no root" },
	[COMMAND_PROBE] = { "probe", "probe [--pid N] [--json]",
			    "what this kernel allows here, and what would be attached" },
	[COMMAND_HELP] = { "help", "help [command]", "this text" },
	[COMMAND_VERSION] = { "version", "version", "the version" },
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(*commands))

enum opt_type { OPT_PID, OPT_EXE, OPT_FLAG, OPT_STR, OPT_SPAN, OPT_MODE };

#define AT(field) offsetof(struct cli, field)

static const struct opt {
	const char *name;
	char letter;
	const char *value;		/* NULL: takes none */
	enum opt_type type;
	size_t at;
	unsigned int in;		/* commands that take it */
	const char *sentence;
} opts[] = {
	{ "pid", 'p', "N", OPT_PID, 0, LIVE | IN(COMMAND_PROBE),
	  "this process, and those that it starts (repeatable)" },
	{ "exe", 'e', "GLOB", OPT_EXE, 0, LIVE,
	  "processes whose executable's path fits, also later ones (repeatable)" },
	{ "all", 'a', NULL, OPT_FLAG, AT(all), LIVE,
	  "every process that maps a known library or speaks HTTP, but spanstitch" },
	{ "duration", 'd', "T", OPT_SPAN, AT(duration_ns), LIVE,
	  "stop after this time: 30s, 5m, 500ms" },
	{ "output", 'o', "FILE", OPT_STR, AT(file), IN(COMMAND_RECORD), "the recording to write" },
	{ "json", 'j', NULL, OPT_FLAG, AT(json), SHOWN | IN(COMMAND_PROBE),
	  "print OTLP/JSON lines (probe: JSON) instead of text" },
	{ "otlp", 0, "URL", OPT_STR, AT(otlp_url), SHOWN,
	  "also send to an OTLP/HTTP endpoint, http://localhost:4318" },
	{ "otlp-file", 0, "FILE", OPT_STR, AT(otlp_file), SHOWN,
	  "also write OTLP/JSON, one request a line" },
	{ "config", 'c', "FILE", OPT_STR, AT(config_path), SHOWN | IN(COMMAND_RECORD),
	  "routes, captured attributes, trace headers, Kafka (YAML)" },
	{ "kafka-mode", 0, "MODE", OPT_MODE, 0, LIVE,
	  "auto, full (each message) or light (each acknowledged batch)" },
	{ "verbose", 'v', NULL, OPT_FLAG, AT(verbose), ANY, "say more, for a bug report" },
};

#define OPT_ROWS (sizeof(opts) / sizeof(*opts))

/* --- help ------------------------------------------------------------------------------------- */

static void help_options(enum command command)
{
	char left[48];
	size_t i;

	for (i = 0; i < OPT_ROWS; i++) {
		const struct opt *o = &opts[i];

		if (command != COMMAND_HELP && !(o->in & IN(command)))
			continue;
		snprintf(left, sizeof(left), "%s%c%s --%s%s%s", o->letter ? "-" : " ",
			 o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name,
			 o->value ? " " : "", o->value ? o->value : "");
		printf("  %-22s %s\n", left, o->sentence);
	}
}

void cli_help(enum command command)
{
	size_t i;

	if (command == COMMAND_HELP) {
		printf("spanstitch traces requests across unmodified programs.\n\n"
		       "  spanstitch trace --pid 4711            one service and what it starts\n"
		       "  spanstitch trace --all --otlp http://localhost:4318\n"
		       "  spanstitch record -o run.rec --all     as root; then, without:\n"
		       "  spanstitch replay run.rec\n\nCommands:\n");
		for (i = 0; i < COMMAND_COUNT; i++)
			printf("  %-44s %s\n", commands[i].usage, commands[i].sentence);
	} else {
		printf("spanstitch %s\n  %s\n", commands[command].usage,
		       commands[command].sentence);
	}
	printf("\nOptions:\n");
	help_options(command);
	printf("\nSIGUSR1 prints the counters; so does the end. docs/ tells more.\n");
}

/* --- parsing ---------------------------------------------------------------------------------- */

static int parse_pid(struct cli *c, const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (end == text || *end || pid <= 0 || pid > 4194304) {
		log_error("--pid %s: not a process id; give a number from ps", text);
		return -EINVAL;
	}
	if (c->pid_count == CLI_PIDS_MAX) {
		log_error("--pid: more than %d processes; use --exe or --all", CLI_PIDS_MAX);
		return -EINVAL;
	}
	c->pids[c->pid_count++] = (pid_t)pid;
	return 0;
}

static int parse_span(uint64_t *ret, const char *text)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ms", 1e6 }, { "s", 1e9 }, { "", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	double value;
	size_t i;
	char *end;

	value = strtod(text, &end);
	for (i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (end != text && value > 0 && value < 1e9 && !strcmp(end, units[i].unit)) {
			*ret = (uint64_t)(value * units[i].ns);
			return 0;
		}
	log_error("--duration %s: not a time; write 500ms, 30s, 5m or 1h", text);
	return -EINVAL;
}

static int parse_mode(struct cli *c, const char *text)
{
	if (config_kafka_mode(&c->kafka_mode, text)) {
		log_error("--kafka-mode %s: no such mode; write auto, full or light", text);
		return -EINVAL;
	}
	c->has_kafka_mode = true;
	return 0;
}

static int parse_value(struct cli *c, const struct opt *o, const char *value)
{
	char *field = (char *)c + o->at;

	switch (o->type) {
	case OPT_PID:
		return parse_pid(c, value);
	case OPT_EXE:
		if (c->exe_count == CLI_EXES_MAX) {
			log_error("--exe: more than %d patterns", CLI_EXES_MAX);
			return -EINVAL;
		}
		c->exes[c->exe_count++] = value;
		return 0;
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_STR:
		*(const char **)field = value;
		return 0;
	case OPT_SPAN:
		return parse_span((uint64_t *)field, value);
	case OPT_MODE:
		return parse_mode(c, value);
	}
	return -EINVAL;
}

static const struct opt *find_option(const char *arg, const char **ret_value)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg), i;

	*ret_value = NULL;
	for (i = 0; i < OPT_ROWS; i++) {
		if (len == 2 && arg[0] == '-' && arg[1] == opts[i].letter && arg[1])
			return &opts[i];
		if (len > 2 && !strncmp(arg, "--", 2) && strlen(opts[i].name) == len - 2 &&
		    !strncmp(arg + 2, opts[i].name, len - 2)) {
			*ret_value = equals ? equals + 1 : NULL;
			return &opts[i];
		}
	}
	return NULL;
}

/* Returns how many arguments were used, or -EINVAL. */
static int parse_option(struct cli *c, char **argv)
{
	const char *value;
	const struct opt *o = find_option(argv[0], &value);
	int used = 1;

	if (!o || !(o->in & IN(c->command))) {
		log_error("%s: %s; see spanstitch help %s", argv[0],
			  o ? "not an option of this command" : "no such option",
			  commands[c->command].name);
		return -EINVAL;
	}
	if (!o->value && value) {
		log_error("--%s: takes no value, but got \"%s\"", o->name, value);
		return -EINVAL;
	}
	if (o->value && !value) {
		value = argv[1];
		used = 2;
	}
	if (o->value && (!value || !*value)) {
		log_error("--%s: wants a value: --%s %s", o->name, o->name, o->value);
		return -EINVAL;
	}
	return parse_value(c, o, value) ? -EINVAL : used;
}

static int check_whole(const struct cli *c)
{
	bool has_filter = c->pid_count || c->exe_count || c->all || c->child_argv;

	if (c->child_argv && !c->child_argv[0]) {
		log_error("%s: no command after --; write: spanstitch %s -- command args",
			  commands[c->command].name, commands[c->command].name);
		return -EINVAL;
	}
	if ((IN(c->command) & LIVE) && !has_filter) {
		log_error("%s: what shall be traced? give --pid N, --exe GLOB, --all or -- command",
			  commands[c->command].name);
		return -EINVAL;
	}
	if (c->command == COMMAND_RECORD && !c->file) {
		log_error("record: where to? give -o FILE");
		return -EINVAL;
	}
	if (c->command == COMMAND_REPLAY && !c->file) {
		log_error("replay: which recording? give its file");
		return -EINVAL;
	}
	return 0;
}

static int find_command(struct cli *c, const char *name)
{
	size_t i;

	if (!strcmp(name, "-h") || !strcmp(name, "--help"))
		name = "help";
	if (!strcmp(name, "-V") || !strcmp(name, "--version"))
		name = "version";
	for (i = 0; i < COMMAND_COUNT; i++) {
		if (!strcmp(name, commands[i].name)) {
			c->command = i;
			return 0;
		}
	}
	log_error("%s: no such command; there are trace, record, replay, probe and help", name);
	return -EINVAL;
}

/* "help trace", "trace --help": the command's own page */
static int parse_help(struct cli *c, const char *name)
{
	struct cli asked = { 0 };

	if (name && find_command(&asked, name))
		return -EINVAL;
	cli_help(name ? asked.command : COMMAND_HELP);
	c->command = COMMAND_HELP;
	return 0;
}

int cli_parse(struct cli *ret, int argc, char **argv)
{
	struct cli c = { 0 };
	int i, used;

	if (find_command(&c, argc > 1 ? argv[1] : "help"))
		return -EINVAL;
	if (c.command == COMMAND_HELP) {
		*ret = c;
		return parse_help(ret, argc > 2 ? argv[2] : NULL);
	}
	for (i = 2; i < argc; i += used) {
		used = 1;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			*ret = c;
			return parse_help(ret, argv[1]);
		}
		if (!strcmp(argv[i], "--") && (IN(c.command) & LIVE)) {
			c.child_argv = argv + i + 1;
			break;
		}
		if (argv[i][0] != '-' && c.command == COMMAND_REPLAY && !c.file) {
			c.file = argv[i];
		} else if (argv[i][0] != '-') {
			log_error("%s: what is this? a command to trace stands after --", argv[i]);
			return -EINVAL;
		} else {
			used = parse_option(&c, argv + i);
			if (used < 0)
				return used;
		}
	}
	if (check_whole(&c))
		return -EINVAL;
	*ret = c;
	return 0;
}
