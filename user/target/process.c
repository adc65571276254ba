/* process: see process.h. */
#include "target/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct interpreter {
	const char *prefix;		/* of the executable's base name */
	const char *runtime;
	const char *options_with_value;	/* letters; the next argument is theirs */
} interpreters[] = {
	{ "python", "python", "WX" },
	{ "node", "nodejs", "r" },
	{ "ruby", "ruby", "Ir" },
	{ "perl", "perl", "IM" },
	{ "java", "java", "" },
	{ "bash", "", "O" },
	{ "dash", "", "" },
	{ "sh", "", "" },
};

#define INTERPRETER_COUNT (sizeof(interpreters) / sizeof(*interpreters))

/* Up to @size - 1 bytes of /proc/@pid/@name, NUL-ended; the count or -ESRCH. */
static ssize_t read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[64];
	size_t len = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	buf[len] = '\0';
	return (ssize_t)len;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void set_name(struct process_facts *f, const char *path, bool cut_extension)
{
	const char *base = base_name(path);
	const char *dot = strrchr(base, '.');
	size_t len = cut_extension && dot && dot != base ? (size_t)(dot - base) : strlen(base);

	if (len >= sizeof(f->service))
		len = sizeof(f->service) - 1;
	memcpy(f->service, base, len);
	f->service[len] = '\0';
}

static const struct interpreter *find_interpreter(const char *base)
{
	size_t i, len;

	for (i = 0; i < INTERPRETER_COUNT; i++) {
		len = strlen(interpreters[i].prefix);
		/* python3.11, node20; but not "shutdown" */
		if (!strncmp(base, interpreters[i].prefix, len) &&
		    strspn(base + len, "0123456789.") == strlen(base + len))
			return &interpreters[i];
	}
	return NULL;
}

/* @args after the interpreter itself: options, then a script; or -m module, -jar file. */
static void name_by_script(struct process_facts *f, const struct interpreter *in,
			   const char *args, const char *end)
{
	const char *arg, *next;

	for (arg = args; arg < end; arg = next) {
		next = arg + strnlen(arg, (size_t)(end - arg)) + 1;
		if (!strcmp(arg, "-c") || !strcmp(arg, "-e"))
			return;			/* code, not a name */
		if (!strcmp(arg, "-m") || !strcmp(arg, "-jar")) {
			if (next < end)
				set_name(f, next, arg[1] == 'j');
			return;
		}
		if (arg[0] != '-' && *arg) {
			set_name(f, arg, strcmp(in->prefix, "java"));
			return;
		}
		if (strlen(arg) == 2 && strchr(in->options_with_value, arg[1]) && next < end)
			next += strnlen(next, (size_t)(end - next)) + 1;
	}
}

void process_name_service(struct process_facts *ret, const char *args, size_t len)
{
	const struct interpreter *in = find_interpreter(base_name(ret->exe));
	const char *end = args + len, *first_end;

	set_name(ret, *ret->exe ? ret->exe : "unknown_service", false);
	if (!in)
		return;
	snprintf(ret->runtime, sizeof(ret->runtime), "%s", in->runtime);
	first_end = args + strnlen(args, len) + 1;
	/* python3, as it was called, and as its exec is seen: not what the link leads to */
	if (len && *args)
		set_name(ret, args, false);
	if (first_end < end)
		name_by_script(ret, in, first_end, end);
}

/* service.name of a list "key=value,key=value" */
static void name_by_attributes(struct process_facts *f, const char *list)
{
	const char *found = strstr(list, "service.name=");
	size_t n;

	if (!found)
		return;
	found += strlen("service.name=");
	n = strcspn(found, ",");
	if (n && n < sizeof(f->service))
		snprintf(f->service, sizeof(f->service), "%.*s", (int)n, found);
}

static const char *after(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return !strncmp(entry, name, len) && entry[len] ? entry + len : NULL;
}

/* OTEL_SERVICE_NAME, else service.name of OTEL_RESOURCE_ATTRIBUTES: what its operator said. */
static void read_environment(struct process_facts *f, const char *env, size_t len)
{
	const char *p, *end = env + len, *value, *name = NULL;

	for (p = env; p < end; p += strnlen(p, (size_t)(end - p)) + 1) {
		value = after(p, "OTEL_SERVICE_NAME=");
		if (value)
			name = value;
		value = after(p, "OTEL_RESOURCE_ATTRIBUTES=");
		if (value)
			name_by_attributes(f, value);
		value = after(p, "TRACEPARENT=");
		if (value)
			snprintf(f->traceparent, sizeof(f->traceparent), "%.63s", value);
	}
	if (name)
		snprintf(f->service, sizeof(f->service), "%.127s", name);
}

static void read_cgroup(struct process_facts *f, pid_t pid)
{
	char text[4096], *line, *save, *leaf, *parent;

	if (read_proc(pid, "cgroup", text, sizeof(text)) <= 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		leaf = strrchr(line, '/');
		if (!leaf)
			continue;
		*leaf++ = '\0';
		parent = strrchr(line, '/');
		cgroup_names_parse(&f->cgroup, leaf, parent ? parent + 1 : "");
		if (*f->cgroup.pod_uid)
			return;
	}
}

static pid_t read_parent(pid_t pid)
{
	char text[1024];
	const char *p;
	int parent = 0;

	if (read_proc(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	p = strrchr(text, ')');		/* the name before it may hold anything */
	if (!p || sscanf(p + 1, " %*c %d", &parent) != 1)
		return 0;
	return parent;
}

int process_read(struct process_facts *ret, pid_t pid)
{
	struct process_facts f = { 0 };
	char path[64], *text;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, f.exe, sizeof(f.exe) - 1);
	if (n < 0)
		return -ESRCH;
	f.exe[n] = '\0';
	text = malloc(PROCESS_TEXT_MAX);
	if (!text)
		return -ESRCH;
	n = read_proc(pid, "cmdline", text, PROCESS_TEXT_MAX);
	process_name_service(&f, text, n > 0 ? (size_t)n : 0);
	n = read_proc(pid, "environ", text, PROCESS_TEXT_MAX);
	if (n > 0)
		read_environment(&f, text, (size_t)n);
	explicit_bzero(text, PROCESS_TEXT_MAX);
	free(text);
	f.parent = read_parent(pid);
	read_cgroup(&f, pid);
	*ret = f;
	return 0;
}
