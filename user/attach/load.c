/* load: see load.h. */
#include "attach/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/canary.h"
#include "attach/load_state.h"
#include "counters.h"
#include "spanstitch.skel.h"
#include "util/count.h"
#include "util/log.h"

#define EVENT_ID_MAX 32		/* bytes of a tracepoint's id file */

/* programs that hang on a tracepoint of tracefs: BPF program, system call event */
static const struct {
	const char *program, *event;
} events[] = {
	{ "read_exit", "sys_exit_read" },
	{ "readv_exit", "sys_exit_readv" },
	{ "recvfrom_exit", "sys_exit_recvfrom" },
	{ "recvmsg_exit", "sys_exit_recvmsg" },
	/* the exit of a send before its entry: a call in between then leaves nothing behind */
	{ "write_exit", "sys_exit_write" },
	{ "write_enter", "sys_enter_write" },
	{ "writev_exit", "sys_exit_writev" },
	{ "writev_enter", "sys_enter_writev" },
	{ "sendto_exit", "sys_exit_sendto" },
	{ "sendto_enter", "sys_enter_sendto" },
	{ "sendmsg_exit", "sys_exit_sendmsg" },
	{ "sendmsg_enter", "sys_enter_sendmsg" },
	{ "sendfile_exit", "sys_exit_sendfile64" },
	{ "accept_exit", "sys_exit_accept" },
	{ "accept4_exit", "sys_exit_accept4" },
	{ "close_enter", "sys_enter_close" },
	{ "epoll_wait_enter", "sys_enter_epoll_wait" },
	{ "epoll_pwait_enter", "sys_enter_epoll_pwait" },
	{ "epoll_pwait2_enter", "sys_enter_epoll_pwait2" },
	{ "mmap_exit", "sys_exit_mmap" },
};

/* raw tracepoints: their names are in the program's section */
static const char *const raw_programs[] = { "fork_done", "exec_done", "exit_begin" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *load_remedy(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return "run as root, or grant CAP_BPF, CAP_PERFMON and what else probe names; "
		       "under kernel lockdown \"confidentiality\" tracing is impossible";
	case -ENOMEM:
		return "free memory, or raise the limit of locked memory (ulimit -l)";
	case -ESRCH:
	case -ENOENT:
		return "this kernel has no BTF (/sys/kernel/btf/vmlinux) or lacks a field that "
		       "we read; spanstitch needs a kernel of 6.6 or newer with BTF";
	case -EINVAL:
		return "this kernel refuses the programs; spanstitch needs 6.6 or newer "
		       "(-v shows what the verifier says)";
	default:
		return "-v shows libbpf's own messages";
	}
}

static int on_libbpf_message(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text, *line, *rest;

	(void)level;
	if (vasprintf(&text, format, args) < 0)
		return 0;
	/* a verifier's log is one message of many lines */
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		log_debug("%s", line);
	free(text);
	return 0;
}

static int open_skeleton(struct load *l, const struct load_opts *opts)
{
	struct bpf_program *prog;
	struct knobs *knobs;
	int err;

	l->skel = spanstitch_bpf__open();
	if (!l->skel)
		return -errno;
	knobs = (void *)&l->skel->rodata->knobs;
	*knobs = opts->knobs;
	if (!knobs->wake_bytes)
		knobs->wake_bytes = LOAD_WAKE_BYTES;
	err = bpf_map__set_max_entries(l->skel->maps.ring,
				       opts->ring_bytes ? opts->ring_bytes : LOAD_RING_BYTES);
	if (err)
		return err;
	bpf_object__for_each_program(prog, l->skel->obj) {
		err = bpf_program__set_autoload(prog, true);
		if (err)
			return err;
	}
	return spanstitch_bpf__load(l->skel);
}

int load_new(struct load **ret, const struct load_opts *opts)
{
	struct load *l;
	int err;

	libbpf_set_print(on_libbpf_message);
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->events_fd = -1;
	l->cpus = libbpf_num_possible_cpus();
	if (l->cpus < 1) {
		err = l->cpus < 0 ? l->cpus : -EINVAL;
		goto fail;
	}
	l->per_cpu = calloc(l->cpus, sizeof(*l->per_cpu));
	if (!l->per_cpu) {
		err = -ENOMEM;
		goto fail;
	}
	err = open_skeleton(l, opts);
	if (err)
		goto fail;
	*ret = l;
	return 0;

fail:
	log_error("load of the kernel programs: %s; nothing is traced: %s", strerror(-err),
		  load_remedy(err));
	load_free(l);
	return err;
}

/*
 * tracefs, wherever it is mounted; else a mount of our own that has no place in any tree and ends
 * with its descriptor: nobody else sees it. Needs CAP_SYS_ADMIN then.
 */
static int open_events(void)
{
	static const char *const places[] = { "/sys/kernel/tracing/events",
					      "/sys/kernel/debug/tracing/events" };
	int fs, mount_fd, fd, err;
	size_t i;

	for (i = 0; i < COUNT(places); i++) {
		fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && !faccessat(fd, "syscalls", F_OK, 0))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) {
		err = -errno;
		close(fs);
		return err;
	}
	mount_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	err = -errno;
	close(fs);
	if (mount_fd < 0)
		return err;
	fd = openat(mount_fd, "events", O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = -errno;
	close(mount_fd);	/* the open folder keeps the mount */
	return fd < 0 ? err : fd;
}

int load_keep_link(struct load *l, struct bpf_link *link)
{
	if (!link)
		return -errno;
	l->owners[l->link_count] = l->owner;
	l->links[l->link_count++] = link;
	return 0;
}

static int event_id(int events_fd, const char *event, uint64_t *ret)
{
	char path[128], text[EVENT_ID_MAX + 1];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "syscalls/%s/id", event);
	fd = openat(events_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, EVENT_ID_MAX);
	close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	*ret = strtoull(text, NULL, 10);
	return 0;
}

/* Not bpf_program__attach_tracepoint(): it looks for tracefs in its usual places only. */
static int attach_event(struct load *l, struct bpf_program *prog, const char *event)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr) };
	uint64_t id = 0;
	int fd, err;

	err = event_id(l->events_fd, event, &id);
	if (err)
		return err;
	attr.config = id;
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = load_keep_link(l, bpf_program__attach_perf_event(prog, fd));
	if (err)
		close(fd);
	return err;
}

static int attach_raw(struct load *l, struct bpf_program *prog)
{
	return load_keep_link(l, bpf_program__attach(prog));
}

int load_attach_base(struct load *l)
{
	struct bpf_program *prog;
	size_t before = l->link_count, i;
	int err, first_err = 0;

	for (i = 0; i < COUNT(raw_programs); i++) {
		prog = bpf_object__find_program_by_name(l->skel->obj, raw_programs[i]);
		err = attach_raw(l, prog);
		if (err)
			log_error("tracepoint %s: %s, left out: %s",
				  bpf_program__section_name(prog), strerror(-err),
				  load_remedy(err));
		first_err = first_err ? first_err : err;
	}
	l->events_fd = open_events();
	if (l->events_fd < 0) {
		log_error("tracefs: %s, so HTTP is not traced: mount it on /sys/kernel/tracing, or "
			  "run as root", strerror(-l->events_fd));
		first_err = first_err ? first_err : l->events_fd;
	}
	for (i = 0; l->events_fd >= 0 && i < COUNT(events); i++) {
		prog = bpf_object__find_program_by_name(l->skel->obj, events[i].program);
		err = attach_event(l, prog, events[i].event);
		if (err)
			log_error("tracepoint syscalls/%s: %s, left out: %s", events[i].event,
				  strerror(-err), load_remedy(err));
		first_err = first_err ? first_err : err;
	}
	return l->link_count > before ? 0 : first_err;
}

/* One multi link: all sites of a file, all processes that map it. */
int load_attach_sites(struct load *l, struct bpf_program *prog, const char *path,
		      struct bpf_uprobe_multi_opts *opts)
{
	int err;

	if (l->link_count == LOAD_LINKS_MAX) {
		log_error("%s on %s: %d probes are attached already, left out",
			  bpf_program__name(prog), path, LOAD_LINKS_MAX);
		return -E2BIG;
	}
	err = load_keep_link(l, bpf_program__attach_uprobe_multi(prog, -1, path, NULL, opts));
	if (err)
		log_error("%s on %s: %s, left out: %s", bpf_program__name(prog), path,
			  strerror(-err), load_remedy(err));
	return err;
}

/* Ends the links made since @from; a file is probed whole or not at all. */
void load_detach_from(struct load *l, size_t from)
{
	while (l->link_count > from)
		bpf_link__destroy(l->links[--l->link_count]);
}

static int attach_return(void *ctx, const char *path, uint64_t offset)
{
	struct load *l = ctx;
	unsigned long at = offset;
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = &at, .cnt = 1, .retprobe = true);

	return load_attach_sites(l, l->skel->progs.python_copy_return, path, &opts);
}

/* Once a run; the verdict stays. */
int load_allow_returns(struct load *l)
{
	size_t before = l->link_count;

	if (l->canary_tried)
		return l->canary_err;
	l->canary_tried = true;
	l->canary_err = canary_try(attach_return, l);
	load_detach_from(l, before);
	if (l->canary_err)
		log_error("return probe on a test process of our own: %s, so none is used: "
			  "Python's tasks and the outcome of transactions are not told",
			  strerror(-l->canary_err));
	return l->canary_err;
}

int load_attach_python(struct load *l, const char *path, uint64_t offset)
{
	int err;

	err = load_allow_returns(l);
	return err ? err : attach_return(l, path, offset);
}

void load_set_owner(struct load *l, uint32_t owner)
{
	l->owner = owner;
}

void load_detach(struct load *l, uint32_t owner)
{
	size_t i, kept = 0;

	for (i = 0; i < l->link_count; i++) {
		if (l->owners[i] == owner) {
			bpf_link__destroy(l->links[i]);
			continue;
		}
		l->owners[kept] = l->owners[i];
		l->links[kept++] = l->links[i];
	}
	l->link_count = kept;
	load_kafka_forget(l, owner);
}

int load_target_set(struct load *l, uint32_t tgid, const struct target_knobs *knobs)
{
	return bpf_map__update_elem(l->skel->maps.targets, &tgid, sizeof(tgid), knobs,
				    sizeof(*knobs), BPF_ANY);
}

int load_target_get(struct load *l, uint32_t tgid, struct target_knobs *ret)
{
	return bpf_map__lookup_elem(l->skel->maps.targets, &tgid, sizeof(tgid), ret, sizeof(*ret),
				    0);
}

int load_target_remove(struct load *l, uint32_t tgid)
{
	return bpf_map__delete_elem(l->skel->maps.targets, &tgid, sizeof(tgid), 0);
}

int load_process_start(struct load *l, uint32_t tgid, uint64_t *ret)
{
	union bpf_iter_link_info info = { .task = { .tid = tgid } };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	struct bpf_link *link;
	uint64_t start_ns;
	ssize_t n;
	int fd, err;

	link = bpf_program__attach_iter(l->skel->progs.process_start, &opts);
	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	err = -errno;
	bpf_link__destroy(link);
	if (fd < 0)
		return err;
	n = read(fd, &start_ns, sizeof(start_ns));
	err = n < 0 ? -errno : -ESRCH;
	close(fd);
	if (n != sizeof(start_ns))
		return err;
	*ret = start_ns;
	return 0;
}

int load_ring_map_fd(const struct load *l)
{
	return bpf_map__fd(l->skel->maps.ring);
}

int load_read_counters(struct load *l, struct counters *c)
{
	uint32_t id;
	uint64_t sum;
	int cpu, err;

	for (id = 0; id < COUNTER_KERNEL_MAX; id++) {
		err = bpf_map__lookup_elem(l->skel->maps.counters, &id, sizeof(id), l->per_cpu,
					   l->cpus * sizeof(*l->per_cpu), 0);
		if (err)
			return err;
		for (sum = 0, cpu = 0; cpu < l->cpus; cpu++)
			sum += l->per_cpu[cpu];
		c->value[id] = sum;
	}
	return 0;
}

void load_free(struct load *l)
{
	if (!l)
		return;
	load_detach_from(l, 0);
	load_kafka_done(l);
	if (l->events_fd >= 0)
		close(l->events_fd);
	spanstitch_bpf__destroy(l->skel);
	free(l->per_cpu);
	free(l);
}
