/* process: see process.h */
#include "target/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/runtime.h"

#define SMALL_FILE_MAX 4096	/* bytes of stat and cgroup that are read */

/* how an interpreter's command line names what it runs */
static const struct interpreter {
	const char *prefix;		/* of the executable's base name */
	const char *runtime;
	const char *inline_options;	/* letters whose value is the program's text */
	const char *module_options;	/* letters whose value names the program */
	const char *value_options;	/* letters whose value is neither */
	const char *long_value_options;	/* separated by spaces; words as they stand */
	const char *suffix;		/* the only ending taken off; NULL: any */
} interpreters[] = {
	{ "python", "python", "c", "m", "WX", " --check-hash-based-pycs ", NULL },
	{ "node", "nodejs", "ep", "", "r", " --require --import --loader --eval --print ", NULL },
	{ "java", "java", "", "", "", " -cp -classpath --class-path -p --module-path ", ".jar" },
	{ "ruby", "ruby", "e", "", "IrC", "", NULL },
	{ "perl", "perl", "eE", "", "I", "", NULL },
	{ "sh", "", "c", "", "oO", "", NULL },
	{ "bash", "", "c", "", "oO", " --rcfile --init-file ", NULL },
	{ "dash", "", "c", "", "o", "", NULL },
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "python3.11" is python, "nodejs" node; "pythonic" and "shred" are neither */
static const struct interpreter *interpreter_of(const char *exe)
{
	const char *base = base_name(exe);
	size_t i;

	if (!strcmp(base, "nodejs"))
		base = "node";
	for (i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
		size_t len = strlen(interpreters[i].prefix);

		if (!strncmp(base, interpreters[i].prefix, len) &&
		    base[len + strspn(base + len, "0123456789.")] == '\0')
			return &interpreters[i];
	}
	return NULL;
}

static void set_service(struct process_facts *p, const char *name, size_t len)
{
	if (len > PROCESS_SERVICE_MAX)
		len = PROCESS_SERVICE_MAX;
	memcpy(p->service, name, len);
	p->service[len] = '\0';
}

/* "/app/worker.py" names the service "worker"; a Java class keeps its whole name */
static void set_service_from_file(struct process_facts *p, const struct interpreter *in,
				  const char *path)
{
	const char *base = base_name(path), *dot = strrchr(base, '.');
	size_t len = strlen(base);

	if (dot && dot != base && (!in->suffix || !strcmp(dot, in->suffix)))
		len = (size_t)(dot - base);
	set_service(p, base, len);
}

/* What an option word asks for: the rest of the line is then no script's. */
enum word { WORD_OPTION, WORD_VALUE_FOLLOWS, WORD_INLINE, WORD_NAME_FOLLOWS, WORD_NAME };

/* @name gets the value of a module option that stands in the word itself. */
static enum word judge_word(const struct interpreter *in, const char *word, const char **name)
{
	const char *letter;

	if (strlen(word) < 32 && in->long_value_options[0]) {
		char padded[36];

		snprintf(padded, sizeof(padded), " %s ", word);
		if (strstr(in->long_value_options, padded))
			return WORD_VALUE_FOLLOWS;
	}
	if (word[1] == '-' || !strcmp(in->prefix, "java"))
		return WORD_OPTION;
	for (letter = word + 1; *letter; letter++) {
		bool is_last = !letter[1];

		if (strchr(in->inline_options, *letter))
			return WORD_INLINE;
		if (strchr(in->module_options, *letter)) {
			*name = letter + 1;
			return is_last ? WORD_NAME_FOLLOWS : WORD_NAME;
		}
		if (strchr(in->value_options, *letter))
			return is_last ? WORD_VALUE_FOLLOWS : WORD_OPTION;
	}
	return WORD_OPTION;
}

static const char *next_word(const char *word, const char *end)
{
	const char *nul = memchr(word, '\0', (size_t)(end - word));

	return nul && nul + 1 < end ? nul + 1 : NULL;
}

/* Walks over the options to what is run; the interpreter's own name where nothing tells. */
static void name_by_script(struct process_facts *p, const struct interpreter *in, const char *args,
			   const char *end)
{
	const char *word = args < end ? next_word(args, end) : NULL, *name;

	while (word && word[0] == '-' && word[1]) {
		switch (judge_word(in, word, &name)) {
		case WORD_INLINE:
			return;
		case WORD_NAME:
			set_service(p, name, strlen(name));
			return;
		case WORD_NAME_FOLLOWS:
			word = next_word(word, end);
			if (word)
				set_service(p, word, strlen(word));
			return;
		case WORD_VALUE_FOLLOWS:
			word = next_word(word, end);
			break;
		case WORD_OPTION:
			break;
		}
		if (word)
			word = next_word(word, end);
	}
	if (word && strcmp(word, "-") != 0 && *word)
		set_service_from_file(p, in, word);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* service.name of `key=value,key=value` with percent-encoded values */
static void service_from_attributes(struct process_facts *p, const char *list)
{
	static const char key[] = "service.name=";
	size_t n = 0;

	while (strncmp(list + strspn(list, " "), key, sizeof(key) - 1) != 0) {
		list = strchr(list, ',');
		if (!list)
			return;
		list++;
	}
	list += strspn(list, " ") + sizeof(key) - 1;
	for (; *list && *list != ',' && n < PROCESS_SERVICE_MAX; list++) {
		int high = list[0] == '%' ? hex_value(list[1]) : -1;
		int low = high >= 0 ? hex_value(list[2]) : -1;

		p->service[n++] = low >= 0 ? (char)(high << 4 | low) : *list;
		if (low >= 0)
			list += 2;
	}
	if (n)
		p->service[n] = '\0';
}

/* A file of /proc, whole up to @room - 1 bytes, NUL-ended: its length or -errno. */
static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t room)
{
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	do {
		n = read(fd, buf + len, room - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while (n > 0 && len < room - 1);
	n = n < 0 ? -errno : 0;
	close(fd);
	buf[len] = '\0';
	return n < 0 && !len ? n : (ssize_t)len;
}

static int read_exe(struct process_facts *p)
{
	static const char deleted[] = " (deleted)";
	char path[64];
	ssize_t n;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/exe", p->pid);
	n = readlink(path, p->exe, PROCESS_PATH_MAX);
	if (n < 0)
		return -errno;
	len = (size_t)n;
	p->exe[len] = '\0';
	if (len > sizeof(deleted) - 1 && !strcmp(p->exe + len - (sizeof(deleted) - 1), deleted))
		p->exe[len - (sizeof(deleted) - 1)] = '\0';
	return 0;
}

/* Of what no interpreter's name tells: the language that it was compiled from. */
static const char *read_runtime(pid_t pid)
{
	const char *runtime;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "";
	runtime = runtime_of(fd);
	close(fd);
	return runtime;
}

int process_parse_stat(struct process_facts *ret, const char *text)
{
	/* the name stands in parentheses and may hold any byte, so look from the end */
	const char *after = strrchr(text, ')');
	unsigned int parent;
	unsigned long long start;

	if (!after ||
	    sscanf(after + 1, " %*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
		   "%*d %*d %*d %llu", &parent, &start) != 2)
		return -EINVAL;
	ret->parent = (pid_t)parent;
	ret->start_ticks = start;
	return 0;
}

/*
 * The deepest two names of @path that tell of a pod, else of a container: a container may have
 * groups of its own below.
 */
static bool cgroup_of_path(struct cgroup_names *ret, const char *path, size_t len)
{
	struct cgroup_names names = { 0 };
	char copy[SMALL_FILE_MAX], *leaf, *parent;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, path, len);
	copy[len] = '\0';
	for (;;) {
		leaf = strrchr(copy, '/');
		if (!leaf)
			return ret->container_id[0] != '\0';
		*leaf++ = '\0';
		parent = strrchr(copy, '/');
		cgroup_names_parse(&names, leaf, parent ? parent + 1 : "");
		if (names.pod_uid[0] || (names.container_id[0] && !ret->container_id[0]))
			*ret = names;
		if (ret->pod_uid[0])
			return true;
	}
}

void process_parse_cgroup(struct cgroup_names *ret, const char *text)
{
	const char *line, *end;

	memset(ret, 0, sizeof(*ret));
	for (line = text; *line; line = *end ? end + 1 : end) {
		const char *path;

		end = strchrnul(line, '\n');
		path = memchr(line, '/', (size_t)(end - line));
		if (path && cgroup_of_path(ret, path, (size_t)(end - path)))
			return;
	}
	memset(ret, 0, sizeof(*ret));
}

void process_name_service(struct process_facts *ret, const char *args, size_t len)
{
	const struct interpreter *in = interpreter_of(ret->exe);
	const char *base = base_name(ret->exe);

	ret->runtime = in ? in->runtime : "";
	if (!*base)
		base = "unknown_service";
	if (in && len && *args && memchr(args, '\0', len))
		base = base_name(args);		/* python3, as it was called: not python3.11 */
	set_service(ret, base, strlen(base));
	if (in && len && args[len - 1] == '\0')
		name_by_script(ret, in, args, args + len);
}

void process_parse_environ(struct process_facts *ret, const char *env, size_t len)
{
	static const char name[] = "OTEL_SERVICE_NAME=", attributes[] = "OTEL_RESOURCE_ATTRIBUTES=",
			  parent[] = "TRACEPARENT=";
	const char *end = env + len, *at, *next, *service = NULL;

	for (at = env; at < end; at = next) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));

		if (!nul)
			return;		/* cut: a part of a value is no value */
		next = nul + 1;
		if (!strncmp(at, name, sizeof(name) - 1) && at[sizeof(name) - 1])
			service = at + sizeof(name) - 1;
		else if (!service && !strncmp(at, attributes, sizeof(attributes) - 1))
			service_from_attributes(ret, at + sizeof(attributes) - 1);
		else if (!strncmp(at, parent, sizeof(parent) - 1) &&
			 (size_t)(nul - at) - (sizeof(parent) - 1) <= PROCESS_TRACEPARENT_MAX)
			strcpy(ret->traceparent, at + sizeof(parent) - 1);
		if (service)
			set_service(ret, service, strlen(service));
	}
}

int process_read(struct process_facts *ret, pid_t pid)
{
	struct process_facts p = { .pid = pid, .runtime = "" };
	char small[SMALL_FILE_MAX], *large;
	ssize_t n;
	int err;

	n = read_proc(pid, "stat", small, sizeof(small));
	if (n < 0)
		return (int)n;
	err = process_parse_stat(&p, small);
	if (!err)
		err = read_exe(&p);
	if (err)	/* no executable: a kernel thread has no memory, a zombie has it no more */
		return err == -ENOENT && strstr(small, ") Z ") ? -ESRCH : err;
	if (read_proc(pid, "cgroup", small, sizeof(small)) > 0)
		process_parse_cgroup(&p.cgroup, small);
	large = malloc(PROCESS_ENVIRON_MAX);
	if (!large)
		return -ENOMEM;
	n = read_proc(pid, "cmdline", large, PROCESS_ARGUMENTS_MAX);
	process_name_service(&p, large, n > 0 ? (size_t)n : 0);
	if (!*p.runtime)
		p.runtime = read_runtime(pid);
	n = read_proc(pid, "environ", large, PROCESS_ENVIRON_MAX);
	if (n > 0) {
		process_parse_environ(&p, large, (size_t)n);
		explicit_bzero(large, (size_t)n);
	}
	free(large);
	*ret = p;
	return 0;
}
