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

#include <cjson/cJSON.h>

#include "attach/discover.h"
#include "attach/elf.h"
#include "attach/load.h"
#include "attach/site.h"
#include "target/process.h"
#include "util/log.h"

struct feature {
	const char *name;
	int err;		/* 0: works */
	const char *remedy;	/* where it does not */
	bool is_needed;
};

enum {
	FEATURE_BTF,
	FEATURE_LOAD,
	FEATURE_TRACEPOINTS,
	FEATURE_UPROBES,
	FEATURE_RETURN,
	FEATURE_COUNT,
};

/* Stands in for a probed function; never called by the name that is probed in others. */
__attribute__((noinline, used)) int probe_own_function(int value);
__attribute__((noinline, used)) int probe_own_function(int value)
{
	return value + 1;
}

/* --- what the kernel allows ------------------------------------------------------------------- */

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
		if (!err)
			err = s.addr ? site_find(e, s.addr, s.size, ret) : -ENOENT;
		elf_close(e);
	}
	close(fd);
	return err;
}

static void try_features(struct feature f[FEATURE_COUNT])
{
	struct load_opts opts = { .knobs = { .self_tgid = (uint32_t)getpid() } };
	struct load_kafka_sites sites = { 0 };
	struct load *l = NULL;
	struct site site;
	int err;

	f[FEATURE_BTF].err = access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
	err = load_new(&l, &opts);
	f[FEATURE_LOAD].err = err;
	f[FEATURE_TRACEPOINTS].err = err ? err : load_attach_base(l);
	if (!err)
		err = own_site(&site);
	sites.send = err ? 0 : site.offset;
	f[FEATURE_UPROBES].err = err ? err : load_attach_kafka(l, "/proc/self/exe", &sites);
	f[FEATURE_RETURN].err = err ? err : load_attach_python(l, "/proc/self/exe", site.offset);
	load_free(l);
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_features(const struct feature f[FEATURE_COUNT], cJSON *json)
{
	int i;

	for (i = 0; i < FEATURE_COUNT; i++) {
		if (json) {
			cJSON *row = cJSON_CreateObject();

			cJSON_AddStringToObject(row, "feature", f[i].name);
			cJSON_AddBoolToObject(row, "works", !f[i].err);
			if (f[i].err) {
				cJSON_AddStringToObject(row, "error", strerror(-f[i].err));
				cJSON_AddStringToObject(row, "remedy", f[i].remedy);
			}
			cJSON_AddItemToArray(json, row);
		} else if (f[i].err) {
			printf("  no   %-40s %s; %s\n", f[i].name, strerror(-f[i].err),
			       f[i].remedy);
		} else {
			printf("  yes  %s\n", f[i].name);
		}
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
	struct feature f[FEATURE_COUNT] = {
		[FEATURE_BTF] = { "kernel type information (BTF)", 0,
				  "use a kernel with CONFIG_DEBUG_INFO_BTF", true },
		[FEATURE_LOAD] = { "BPF programs and a ring buffer load", 0,
				   "run as root, or with CAP_BPF and CAP_PERFMON", true },
		[FEATURE_TRACEPOINTS] = { "tracepoints: HTTP at system calls, processes", 0,
					  "tracefs must be mountable: CAP_SYS_ADMIN", true },
		[FEATURE_UPROBES] = { "uprobe.multi: librdkafka", 0,
				      "use kernel 6.6 or newer", true },
		[FEATURE_RETURN] = { "return probe survives seccomp: Python tasks", 0,
				     "asyncio programs get no parents by task", false },
	};
	cJSON *root = opts->json ? cJSON_CreateObject() : NULL;
	cJSON *rows = root ? cJSON_AddArrayToObject(root, "features") : NULL;
	bool works = true;
	int i, err;

	try_features(f);
	for (i = 0; i < FEATURE_COUNT; i++)
		works &= !f[i].err || !f[i].is_needed;
	if (!root)
		printf("This kernel, with these privileges:\n");
	print_features(f, rows);
	if (!root)
		printf("Processes and what would be attached:\n");
	err = list_processes(opts, root ? cJSON_AddArrayToObject(root, "processes") : NULL);
	if (root)
		print_json(root);
	else
		printf("Tracing %s here.\n", works ? "works" : "does not work");
	return err ? 2 : !works;
}
