/* discover: see discover.h. */
#include "attach/discover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/files.h"
#include "attach/load.h"
#include "target/process.h"
#include "target/runtime.h"
#include "util/log.h"
#include "wire.h"

#define PROCESSES_MAX 65536	/* known at one time; more are traced without probes of their own */
#define TARGET_BYTES (sizeof(struct wire_target) + 6 * PROCESS_PATH_MAX)

#define HELD_MAX 8		/* probed files of one process */
#define SWEEP_NS 10000000000ULL	/* looks for processes whose end was lost */

struct held {			/* files that keep their probes for this process */
	struct mapped_file *files[HELD_MAX];
	size_t count;
};

struct known {
	UT_hash_handle hh;
	pid_t pid;
	struct held held;
	bool is_announced;
	bool needs_scan;		/* mapped something new since the last look */
	bool wants_python;		/* CPython that had not started up when we looked */
	bool has_python;
};

struct discover {
	struct discover_opts opts;
	discover_next_fn next;
	void *ctx;
	struct files files;
	struct known *processes;
	uint64_t swept_ns;
	pid_t self;
};

/* --- who a process is ------------------------------------------------------------------------- */

static uint16_t put_text(uint8_t *record, size_t *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(record + *at, text, len);
	*at += len;
	return (uint16_t)len;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void announce(struct discover *d, pid_t pid, const struct process_facts *f)
{
	_Alignas(8) uint8_t record[TARGET_BYTES] = { 0 };
	struct wire_target *t = (struct wire_target *)record;
	size_t at = sizeof(*t);

	if (!d->next)
		return;
	t->head.kind = WIRE_TARGET;
	t->head.ts_ns = now_ns();
	t->head.tgid = t->head.tid = (uint32_t)pid;
	if (d->opts.load)
		load_process_start(d->opts.load, (uint32_t)pid, (uint64_t *)&t->head.start_ns);
	t->parent_tgid = (uint32_t)f->parent;
	t->service_len = put_text(record, &at, f->service);
	t->exe_len = put_text(record, &at, f->exe);
	t->container_len = put_text(record, &at, f->cgroup.container_id);
	t->pod_len = put_text(record, &at, f->cgroup.pod_uid);
	t->runtime_len = put_text(record, &at, f->runtime);
	t->traceparent_len = put_text(record, &at, f->traceparent);
	t->head.len = (uint32_t)at;
	d->next(d->ctx, &t->head);
}

/* What the kernel half is to know from the first moment on. */
static void first_knobs(struct target_knobs *ret, const struct process_facts *f)
{
	*ret = (struct target_knobs){
		.since_us = now_ns() / 1000, .by_handle = runtime_is_threadless(f->runtime),
	};
}

/* --- its files -------------------------------------------------------------------------------- */

struct scan {
	struct discover *d;
	struct known *k;
};

static void set_python(struct discover *d, struct known *k, const struct mapped_file *mf,
		       const struct mapping *m)
{
	struct target_knobs knobs, old;
	uint64_t bias = 0, addr;
	int err;

	if (!mf->is_attached || k->has_python || !d->opts.load)
		return;
	/* An executable linked at fixed addresses is loaded there: the bias is 0. */
	addr = mf->python.copy.addr - mf->python.copy.offset + m->offset;
	bias = m->start - addr;
	err = python_knobs(&mf->python, k->pid, bias, &knobs);
	k->wants_python = err == -EAGAIN;
	if (err)
		return;
	if (!load_target_get(d->opts.load, (uint32_t)k->pid, &old))
		knobs.since_us = old.since_us;
	if (!load_target_set(d->opts.load, (uint32_t)k->pid, &knobs))
		k->has_python = true;
}

/* A program may show what it is written in only where its librdkafka is examined. */
static void set_by_handle(struct discover *d, const struct known *k, const struct mapped_file *mf)
{
	struct target_knobs knobs;

	if (!d->opts.load || !runtime_is_threadless(mf->kafka.runtime) ||
	    load_target_get(d->opts.load, (uint32_t)k->pid, &knobs) || knobs.by_handle)
		return;
	knobs.by_handle = 1;
	load_target_set(d->opts.load, (uint32_t)k->pid, &knobs);
}

static void hold(struct held *h, struct mapped_file *mf)
{
	size_t i;

	for (i = 0; i < h->count && h->files[i] != mf; i++)
		;
	if (i < h->count || i == HELD_MAX)
		return;
	files_hold(mf);
	h->files[h->count++] = mf;
}

static void let_go(struct discover *d, struct held *h)
{
	while (h->count)
		files_put(&d->files, h->files[--h->count]);
}

static void look_at(void *ctx, const struct mapping *m)
{
	struct scan *s = ctx;
	struct mapped_file *mf = files_get(&s->d->files, s->k->pid, m);

	if (mf && mf->is_attached)
		hold(&s->k->held, mf);
	if (mf && mf->is_attached && mf->is_kafka)
		set_by_handle(s->d, s->k, mf);
	if (mf && mf->is_python)
		set_python(s->d, s->k, mf, m);
}

static void scan_files(struct discover *d, struct known *k)
{
	struct scan s = { d, k };

	k->needs_scan = false;
	files_each_mapping(k->pid, look_at, &s);
}

/* --- which processes -------------------------------------------------------------------------- */

static struct known *known_find(struct discover *d, pid_t pid)
{
	struct known *k;

	HASH_FIND_INT(d->processes, &pid, k);
	return k;
}

static struct known *known_add(struct discover *d, pid_t pid)
{
	struct known *k = known_find(d, pid);

	if (k || HASH_COUNT(d->processes) >= PROCESSES_MAX)
		return k;
	k = calloc(1, sizeof(*k));
	if (!k)
		return NULL;
	k->pid = pid;
	HASH_ADD_INT(d->processes, pid, k);
	return k;
}

static void known_remove(struct discover *d, struct known *k)
{
	let_go(d, &k->held);
	HASH_DEL(d->processes, k);
	free(k);
}

/* A process that is a target from now on: its record first, then its probes. */
static int add_target(struct discover *d, pid_t pid)
{
	struct process_facts f;
	struct target_knobs knobs;
	struct known *k;
	struct held old;
	bool is_read;
	int err = 0;

	if (pid == d->self)
		return 0;
	is_read = !process_read(&f, pid);
	if (!is_read)
		f.runtime = "";
	first_knobs(&knobs, &f);
	if (d->opts.load)
		err = load_target_set(d->opts.load, (uint32_t)pid, &knobs);
	k = err ? NULL : known_add(d, pid);
	if (!k)
		return err ? err : -ENOMEM;
	k->has_python = k->wants_python = false;
	k->is_announced = true;
	if (is_read)
		announce(d, pid, &f);
	old = k->held;
	k->held.count = 0;
	scan_files(d, k);
	let_go(d, &old);	/* last, so that a file of both images stays probed */
	return 0;
}

static bool exe_fits(const struct discover *d, pid_t pid)
{
	char path[64], exe[PROCESS_PATH_MAX];
	const char *base;
	ssize_t n;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = '\0';
	base = strrchr(exe, '/');
	base = base ? base + 1 : exe;
	for (i = 0; i < d->opts.exe_count; i++)
		if (!fnmatch(d->opts.exes[i], exe, 0) || !fnmatch(d->opts.exes[i], base, 0))
			return true;
	return false;
}

static void add_matching(struct discover *d)
{
	struct dirent *e;
	DIR *dir;
	pid_t pid;

	if (!d->opts.exe_count && !d->opts.all)
		return;
	dir = opendir("/proc");
	if (!dir)
		return;
	for (e = readdir(dir); e; e = readdir(dir)) {
		pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;
		if (pid > 0 && (d->opts.all || exe_fits(d, pid)))
			add_target(d, pid);
	}
	closedir(dir);
}

static int add_pids(struct discover *d)
{
	char path[64];
	size_t i;
	int err;

	for (i = 0; i < d->opts.pid_count; i++) {
		snprintf(path, sizeof(path), "/proc/%d", d->opts.pids[i]);
		if (access(path, F_OK)) {
			log_error("--pid %d: no such process; ps -e lists those that live",
				  d->opts.pids[i]);
			return -ESRCH;
		}
		err = add_target(d, d->opts.pids[i]);
		if (err) {
			log_error("--pid %d: cannot be traced: %s", d->opts.pids[i],
				  strerror(-err));
			return err;
		}
	}
	return 0;
}

int discover_new(struct discover **ret, const struct discover_opts *opts, discover_next_fn next,
		 void *ctx)
{
	struct discover *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return -ENOMEM;
	d->opts = *opts;
	d->next = next;
	d->ctx = ctx;
	d->files.load = opts->load;
	d->self = getpid();
	err = add_pids(d);
	if (err) {
		discover_free(d);
		return err;
	}
	add_matching(d);
	d->opts.pids = NULL;
	d->opts.pid_count = 0;
	*ret = d;
	return 0;
}

/* --- records ---------------------------------------------------------------------------------- */

static void on_exec(struct discover *d, pid_t pid)
{
	struct known *k = known_find(d, pid);
	struct target_knobs knobs;
	bool is_target = k || d->opts.all ||
			 (d->opts.load && !load_target_get(d->opts.load, (uint32_t)pid, &knobs));

	/* The kernel half keeps a target through its exec; a new one must fit a glob. */
	if (is_target || (d->opts.exe_count && exe_fits(d, pid)))
		add_target(d, pid);
}

/* The kernel half follows the child. It keeps the probes; it is named when it does something. */
static void on_fork(struct discover *d, const struct wire_head *rec)
{
	const struct wire_fork *f = (const struct wire_fork *)rec;
	struct known *parent = known_find(d, (pid_t)rec->tgid), *k;
	size_t i;

	if (rec->len < sizeof(*f) || !parent || !parent->held.count ||
	    known_find(d, (pid_t)f->child_tgid))
		return;
	k = known_add(d, (pid_t)f->child_tgid);
	if (!k)
		return;
	k->has_python = parent->has_python;	/* with its parent's knobs */
	k->wants_python = parent->wants_python;
	for (i = 0; i < parent->held.count; i++)
		hold(&k->held, parent->held.files[i]);
}

/* Any other record: of a process that has been named, or has it to be. */
static void on_other(struct discover *d, pid_t pid)
{
	struct known *k = known_find(d, pid);
	struct process_facts f;

	if (pid == d->self || (k && k->is_announced))
		return;
	if (!k) {
		k = known_add(d, pid);
		if (!k)
			return;
		k->has_python = true;	/* a forked child has its parent's knobs */
		scan_files(d, k);
	}
	k->is_announced = true;
	if (!process_read(&f, pid))
		announce(d, pid, &f);
}

static void react(struct discover *d, const struct wire_head *rec)
{
	pid_t pid = (pid_t)rec->tgid;
	struct known *k;

	switch (rec->kind) {
	case WIRE_EXEC:
		on_exec(d, pid);
		return;
	case WIRE_EXIT:
		k = known_find(d, pid);
		if (k)
			known_remove(d, k);
		return;
	case WIRE_FORK:
		on_fork(d, rec);
		return;
	case WIRE_MAP:
		k = known_find(d, pid);
		if (k)
			k->needs_scan = true;
		return;
	default:
		on_other(d, pid);
	}
}

bool discover_feed(struct discover *d, const struct wire_head *rec)
{
	bool was_known = known_find(d, (pid_t)rec->tgid) != NULL;

	react(d, rec);
	return !d->opts.exe_count || was_known || known_find(d, (pid_t)rec->tgid);
}

/* Forgets processes whose end we were not told, so that their probes end too. */
static void sweep(struct discover *d)
{
	struct known *k, *tmp;

	HASH_ITER(hh, d->processes, k, tmp)
		if (kill(k->pid, 0) && errno == ESRCH)
			known_remove(d, k);
}

void discover_tick(struct discover *d)
{
	struct known *k, *tmp;

	if (now_ns() - d->swept_ns >= SWEEP_NS) {
		d->swept_ns = now_ns();
		sweep(d);
	}
	HASH_ITER(hh, d->processes, k, tmp)
		if (k->needs_scan || k->wants_python)
			scan_files(d, k);
}

size_t discover_count(const struct discover *d)
{
	return HASH_COUNT(d->processes);
}

void discover_free(struct discover *d)
{
	struct known *k, *tmp;

	if (!d)
		return;
	HASH_ITER(hh, d->processes, k, tmp)
		known_remove(d, k);
	files_done(&d->files);
	free(d);
}

/* --- what is known ---------------------------------------------------------------------------- */

struct report {
	struct discover *d;
	pid_t pid;
	discover_file_fn fn;
	void *ctx;
	struct file_key last;
};

static void describe_sites(const struct mapped_file *mf, char *text, size_t size)
{
	*text = '\0';
	if (mf->is_python) {
		snprintf(text, size, "PyContext_CopyCurrent (return) %s",
			 site_kind_name(mf->python.copy.kind));
		return;
	}
	if (!*mf->why.text)
		librdkafka_describe(&mf->kafka, text, size);
}

static void report_file(void *ctx, const struct mapping *m)
{
	struct report *r = ctx;
	struct mapped_file *mf = files_get(&r->d->files, r->pid, m);
	struct discover_file f = { .path = m->path };
	char kind[64], sites[LIBRDKAFKA_TEXT_MAX];
	uint32_t v;

	if (!mf || !(mf->is_kafka || mf->is_python) ||
	    (r->last.inode == m->key.inode && r->last.dev == m->key.dev))
		return;
	r->last = m->key;
	v = mf->kafka.version;
	if (mf->is_kafka)
		snprintf(kind, sizeof(kind), "librdkafka %u.%u.%u", v >> 24, v >> 16 & 0xff,
			 v >> 8 & 0xff);
	else
		snprintf(kind, sizeof(kind), mf->python.minor ? "CPython 3.%u" : "CPython",
			 mf->python.minor);
	describe_sites(mf, sites, sizeof(sites));
	f.kind = kind;
	f.sites = sites;
	f.is_ok = !*mf->why.text;
	f.why = mf->why.text;
	r->fn(r->ctx, &f);
}

void discover_each(struct discover *d, pid_t pid, discover_file_fn fn, void *ctx)
{
	struct report r = { d, pid, fn, ctx, { 0, 0 } };

	files_each_mapping(pid, report_file, &r);
}
