/*
 * probe: see probe.h. Features are tried, not looked up by the kernel's version: distributions
 * carry them back, and some load but fail when they are attached.
 */
#include "attach/probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cap-ng.h>
#include <cjson/cJSON.h>

#include "attach/discover.h"
#include "attach/elf.h"
#include "attach/load.h"
#include "attach/site.h"
#include "target/process.h"
#include "util/count.h"
#include "util/log.h"

#define CALLS 3			/* of our own probed function, each of which must be counted */
#define DETAIL_MAX 128

enum feature_id {
	FEATURE_CAPABILITIES,
	FEATURE_LOCKDOWN,
	FEATURE_BTF,
	FEATURE_LOAD,
	FEATURE_TRACEPOINTS,
	FEATURE_UPROBES,
	FEATURE_RETURN,
	FEATURE_COUNT,
};

struct feature {
	const char *name, *remedy;	/* remedy: where it does not work */
	bool is_needed;
	int err;			/* 0: works */
	char detail[DETAIL_MAX];	/* more than the error says; "" */
};

static const struct feature untried[FEATURE_COUNT] = {
	[FEATURE_CAPABILITIES] = { .name = "capabilities", .is_needed = true,
		.remedy = "run as root, or grant the capabilities that are missing" },
	[FEATURE_LOCKDOWN] = { .name = "kernel lockdown allows reading", .is_needed = true,
		.remedy = "boot without lockdown=confidentiality; integrity is fine" },
	[FEATURE_BTF] = { .name = "kernel type information (BTF)", .is_needed = true,
		.remedy = "use a kernel with CONFIG_DEBUG_INFO_BTF, as Debian's are" },
	[FEATURE_LOAD] = { .name = "BPF programs and a ring buffer load", .is_needed = true,
		.remedy = "run as root, or with CAP_BPF and CAP_PERFMON; -v -v shows more" },
	[FEATURE_TRACEPOINTS] = { .name = "tracepoints: HTTP, processes", .is_needed = true,
		.remedy = "mount tracefs on /sys/kernel/tracing, or grant CAP_SYS_ADMIN" },
	[FEATURE_UPROBES] = { .name = "uprobe.multi counts calls: librdkafka", .is_needed = true,
		.remedy = "use kernel 6.6 or newer" },
	[FEATURE_RETURN] = { .name = "return probe survives seccomp: Python tasks",
		.remedy = "update the kernel; until then asyncio programs get no parents by task" },
};

static const struct {
	unsigned int id;
	const char *name;
} capabilities[] = {
	{ CAP_BPF, "CAP_BPF" },
	{ CAP_PERFMON, "CAP_PERFMON" },
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE" },
	{ CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH" },
	{ CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE" },
};

/* Stands in for librdkafka's function; its arguments are two empty objects. */
__attribute__((noinline, used)) int probe_own_function(const void *client, const void *message);
__attribute__((noinline, used)) int probe_own_function(const void *client, const void *message)
{
	__asm__ volatile("" : : "r"(client), "r"(message) : "memory");
	return 1;
}

/* --- what the kernel allows ------------------------------------------------------------------- */

static void try_capabilities(struct feature *f)
{
	size_t i, at = 0;

	capng_get_caps_process();
	for (i = 0; i < sizeof(capabilities) / sizeof(*capabilities); i++) {
		if (capng_have_capability(CAPNG_EFFECTIVE, capabilities[i].id))
			continue;
		f->err = -EPERM;
		if (at < sizeof(f->detail))
			at += (size_t)snprintf(f->detail + at, sizeof(f->detail) - at, "%s%s",
					       at ? ", " : "missing: ", capabilities[i].name);
	}
}

static void try_lockdown(struct feature *f)
{
	char text[128] = "";
	int fd = open("/sys/kernel/security/lockdown", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0 && strstr(text, "[confidentiality]"))
		f->err = -EPERM;	/* no such file: the kernel has no lockdown, or hides it */
}

static int own_site(struct site *ret)
{
	struct elf_symbol s = { .name = "probe_own_function", .type = ELF_FUNCTION };
	struct elf *e;
	int fd, err;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = elf_open(&e, fd);
	if (!err) {
		err = elf_symbols(e, &s, 1);
		if (!err)	/* a stripped program: there is nothing to try it on */
			err = s.addr ? site_find(e, s.addr, s.size, ret) : -ENOENT;
		elf_close(e);
	}
	close(fd);
	return err;
}

/* Makes ourselves a target, calls our own function and sees whether each call was counted. */
static int count_hits(struct load *l, uint64_t offset, struct feature *f)
{
	struct load_kafka_sites sites = { .send = offset };
	struct target_knobs knobs = { 0 };
	struct counters before = { 0 }, after = { 0 };
	static const char nothing[4096];
	uint64_t hits;
	int i, err;

	err = load_target_set(l, (uint32_t)getpid(), &knobs);
	if (!err)
		err = load_attach_kafka(l, "/proc/self/exe", &sites);
	if (!err)
		err = load_read_counters(l, &before);
	for (i = 0; !err && i < CALLS; i++)
		probe_own_function(nothing, nothing);
	if (!err)
		err = load_read_counters(l, &after);
	load_target_remove(l, (uint32_t)getpid());
	if (err)
		return err;
	hits = after.value[KERNEL_RECORDS] - before.value[KERNEL_RECORDS];
	snprintf(f->detail, sizeof(f->detail), "%llu of %d calls counted",
		 (unsigned long long)hits, CALLS);
	return hits == CALLS ? 0 : -EIO;
}

static void try_features(struct feature f[FEATURE_COUNT])
{
	struct load_opts opts = { .knobs = { .self_tgid = (uint32_t)getpid() } };
	struct load *l = NULL;
	struct site site;
	int err;

	try_capabilities(&f[FEATURE_CAPABILITIES]);
	try_lockdown(&f[FEATURE_LOCKDOWN]);
	f[FEATURE_BTF].err = access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
	err = load_new(&l, &opts);
	f[FEATURE_LOAD].err = err;
	if (err) {
		int i;

		for (i = FEATURE_TRACEPOINTS; i < FEATURE_COUNT; i++) {
			f[i].err = err;
			f[i].remedy = "not tried: the programs must load first";
		}
		return;
	}
	err = own_site(&site);
	f[FEATURE_UPROBES].err = err ? err : count_hits(l, site.offset, &f[FEATURE_UPROBES]);
	f[FEATURE_RETURN].err = err ? err : load_attach_python(l, "/proc/self/exe", site.offset);
	f[FEATURE_TRACEPOINTS].err = load_attach_base(l);
	load_free(l);
}

static bool is_enough(const struct feature f[FEATURE_COUNT])
{
	bool works = true;
	int i;

	for (i = 0; i < FEATURE_COUNT; i++)
		works &= !f[i].err || !f[i].is_needed;
	return works;
}

/* --- printing --------------------------------------------------------------------------------- */

static void add_feature(cJSON *rows, const struct feature *f)
{
	cJSON *row = cJSON_CreateObject();

	cJSON_AddStringToObject(row, "feature", f->name);
	cJSON_AddBoolToObject(row, "works", !f->err);
	cJSON_AddBoolToObject(row, "needed", f->is_needed);
	if (*f->detail)
		cJSON_AddStringToObject(row, "detail", f->detail);
	if (f->err) {
		cJSON_AddStringToObject(row, "error", strerror(-f->err));
		cJSON_AddStringToObject(row, "remedy", f->remedy);
	}
	cJSON_AddItemToArray(rows, row);
}

static void print_features(const struct feature f[FEATURE_COUNT], cJSON *rows)
{
	int i;

	for (i = 0; i < FEATURE_COUNT; i++) {
		if (rows)
			add_feature(rows, &f[i]);
		else if (f[i].err)
			printf("  no   %-45s %s%s%s; %s\n", f[i].name, strerror(-f[i].err),
			       *f[i].detail ? ": " : "", f[i].detail, f[i].remedy);
		else if (*f[i].detail)
			printf("  yes  %-45s %s\n", f[i].name, f[i].detail);
		else
			printf("  yes  %s\n", f[i].name);
	}
}

struct listing {
	pid_t pid;
	const char *service;
	cJSON *json;		/* array of this process's files; NULL: text */
	bool has_head;
};

static void print_file(void *ctx, const struct discover_file *f)
{
	struct listing *l = ctx;

	if (l->json) {
		cJSON *row = cJSON_CreateObject();

		cJSON_AddStringToObject(row, "path", f->path);
		cJSON_AddStringToObject(row, "kind", f->kind);
		cJSON_AddBoolToObject(row, "attachable", f->is_ok);
		cJSON_AddStringToObject(row, f->is_ok ? "sites" : "why",
					f->is_ok ? f->sites : f->why);
		cJSON_AddItemToArray(l->json, row);
		return;
	}
	if (!l->has_head)
		printf("  %d %s\n", l->pid, l->service);
	l->has_head = true;
	printf("    %s %s: %s: %s\n", f->is_ok ? "yes" : "no ", f->kind, f->path,
	       f->is_ok ? f->sites : f->why);
}

static void list_process(struct discover *d, pid_t pid, bool is_asked, cJSON *json)
{
	struct process_facts facts;
	struct listing l = { .pid = pid };
	cJSON *row;

	if (pid == getpid() || process_read(&facts, pid))
		return;
	l.service = facts.service;
	l.json = json ? cJSON_CreateArray() : NULL;
	discover_each(d, pid, print_file, &l);
	if (!json) {
		if (is_asked && !l.has_head)
			printf("  %d %s\n    no library to probe; its HTTP is seen at the system "
			       "calls\n", pid, facts.service);
		return;
	}
	if (!is_asked && !cJSON_GetArraySize(l.json)) {
		cJSON_Delete(l.json);
		return;
	}
	row = cJSON_CreateObject();
	cJSON_AddNumberToObject(row, "pid", pid);
	cJSON_AddStringToObject(row, "service", facts.service);
	cJSON_AddItemToObject(row, "files", l.json);
	cJSON_AddItemToArray(json, row);
}

static void list_all(struct discover *d, cJSON *json)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	if (!dir)
		return;
	for (e = readdir(dir); e; e = readdir(dir))
		if (isdigit((unsigned char)e->d_name[0]))
			list_process(d, atoi(e->d_name), false, json);
	closedir(dir);
}

static int list_processes(const struct probe_opts *opts, cJSON *json)
{
	struct discover_opts none = { 0 };
	struct discover *d;
	char path[64];
	size_t i;
	int err = discover_new(&d, &none, NULL, NULL);

	if (err)
		return err;
	for (i = 0; i < opts->pid_count; i++) {
		snprintf(path, sizeof(path), "/proc/%d", opts->pids[i]);
		if (access(path, F_OK)) {
			log_error("--pid %d: no such process; ps -e lists those that live",
				  opts->pids[i]);
			err = -ESRCH;
			break;
		}
		list_process(d, opts->pids[i], true, json);
	}
	if (!opts->pid_count)
		list_all(d, json);
	discover_free(d);
	return err;
}

static void print_json(cJSON *root)
{
	char *text = cJSON_Print(root);

	if (text)
		puts(text);
	free(text);
	cJSON_Delete(root);
}

int probe_run(const struct probe_opts *opts)
{
	cJSON *root = opts->json ? cJSON_CreateObject() : NULL;
	struct feature f[FEATURE_COUNT];
	bool works;
	int err;

	memcpy(f, untried, sizeof(f));
	try_features(f);
	works = is_enough(f);
	if (!root)
		printf("This kernel, with these privileges:\n");
	print_features(f, root ? cJSON_AddArrayToObject(root, "features") : NULL);
	if (!root)
		printf("Processes and what would be attached:\n");
	err = list_processes(opts, root ? cJSON_AddArrayToObject(root, "processes") : NULL);
	if (root) {
		cJSON_AddBoolToObject(root, "works", works);
		print_json(root);
	} else {
		printf("Tracing %s here.\n", works ? "works" : "does not work");
	}
	return err ? 2 : !works;
}
