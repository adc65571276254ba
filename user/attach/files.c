/* files: see files.h. */
#include "attach/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attach/elf.h"
#include "attach/load.h"
#include "util/log.h"

#define MAPS_LINES_MAX 70000	/* vm.max_map_count is 65530 */

int files_each_mapping(pid_t pid, mapping_fn fn, void *ctx)
{
	char path[64], line[512];
	struct mapping m;
	unsigned int major_no, minor_no;
	unsigned long long start, end, offset, inode;
	char perms[5];
	int lines, at;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return -ESRCH;
	for (lines = 0; lines < MAPS_LINES_MAX && fgets(line, sizeof(line), f); lines++) {
		at = 0;
		if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, perms, &offset,
			   &major_no, &minor_no, &inode, &at) < 7 || !inode || perms[2] != 'x')
			continue;
		m = (struct mapping){ .start = start, .end = end, .offset = offset,
				      .key = { makedev(major_no, minor_no), inode } };
		line[strcspn(line, "\n")] = '\0';
		snprintf(m.path, sizeof(m.path), "%.255s", at ? line + at : "");
		fn(ctx, &m);
	}
	fclose(f);
	return 0;
}

/* By the mapping itself, which works for replaced files; else by its path in the process. */
static int open_mapping(pid_t pid, const struct mapping *m)
{
	char path[400];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid,
		 (unsigned long long)m->start, (unsigned long long)m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, m->path);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_ino != m->key.inode) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

static void attach_kafka(struct files *f, struct mapped_file *mf, const char *fd_path)
{
	struct load_kafka_sites sites;
	int err;

	librdkafka_sites(&mf->kafka, &sites);
	err = load_attach_kafka(f->load, fd_path, &sites);
	if (err)
		reason_set(&mf->why, err, "the kernel refuses the probes: %s", strerror(-err));
	mf->is_attached = !err;
}

static void attach_python(struct files *f, struct mapped_file *mf, const char *fd_path)
{
	int err = load_attach_python(f->load, fd_path, mf->python.copy.offset);

	if (err)
		reason_set(&mf->why, err, "no return probe: %s", strerror(-err));
	mf->is_attached = !err;
}

/* One that is probed in each mode. */
static const struct site *lasting_site(const struct librdkafka *k)
{
	size_t i;

	for (i = 0; i < k->count && k->points[i].role != KAFKA_ACK_QUEUE; i++)
		;
	return &k->points[i < k->count ? i : 0].site;
}

/*
 * Is a probe in the process's memory where the file has none? Overlay mounts show one inode
 * under several keys, and a probe on it stands in all of them: a second would count each call
 * twice.
 */
static bool is_probed(const struct mapped_file *mf, pid_t pid, const struct mapping *m, int fd)
{
	const struct site *s = mf->is_kafka ? lasting_site(&mf->kafka) : &mf->python.copy;
	uint64_t addr = m->start - m->offset + s->offset;
	uint8_t in_file, in_memory;
	char path[64];
	bool is_different;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		return false;
	is_different = pread(fd, &in_file, 1, (off_t)s->offset) == 1 &&
		       pread(mem, &in_memory, 1, (off_t)addr) == 1 && in_file != in_memory;
	close(mem);
	return is_different;
}

static struct mapped_file *find_same(struct files *f, const struct mapped_file *mf)
{
	struct mapped_file *other, *tmp;

	HASH_ITER(hh, f->table, other, tmp)
		if (other->owner && mf->build_id_len &&
		    other->build_id_len == mf->build_id_len &&
		    !memcmp(other->build_id, mf->build_id, mf->build_id_len))
			return other;
	return NULL;
}

static void attach(struct files *f, struct mapped_file *mf, int fd)
{
	char fd_path[32];

	snprintf(fd_path, sizeof(fd_path), "/proc/self/fd/%d", fd);
	mf->owner = ++f->last_owner;
	load_set_owner(f->load, mf->owner);
	if (mf->is_kafka)
		attach_kafka(f, mf, fd_path);
	else
		attach_python(f, mf, fd_path);
	load_set_owner(f->load, 0);
}

static void examine(struct mapped_file *mf, int fd, const char *path)
{
	struct elf *e;
	int err;

	if (elf_open(&e, fd))
		return;
	err = librdkafka_find(e, &mf->kafka, &mf->why);
	mf->is_kafka = err != -ENOENT && err != -ENOEXEC;
	if (!err && mf->kafka.is_foreign)
		err = reason_set(&mf->why, -ENOTSUP,
				 "built for another machine than this kernel's");
	if (err) {
		int python_err = mf->is_kafka ? -ENOENT : python_find(e, &mf->python, &mf->why);

		mf->is_python = python_err != -ENOENT && python_err != -ENOEXEC;
		err = mf->is_python ? python_err : err;
	}
	mf->build_id_len = elf_build_id(e, mf->build_id);
	elf_close(e);
	mf->is_usable = !err;
	if (err && (mf->is_kafka || mf->is_python))
		log_warn("%s: not probed: %s", path, mf->why.text);
}

/* Attaches to a file that somebody can use, at its first sight. */
static void begin(struct files *f, struct mapped_file *mf, pid_t pid, const struct mapping *m,
		  int fd)
{
	if (!f->load || !mf->is_usable)
		return;
	if (is_probed(mf, pid, m, fd))
		mf->same = find_same(f, mf);
	if (mf->same) {
		files_hold(mf->same);
		mf->is_attached = mf->same->is_attached;
		return;
	}
	attach(f, mf, fd);
	if (!mf->is_attached)
		log_warn("%s: not probed: %s", m->path, mf->why.text);
}

static void forget_unheld(struct files *f)
{
	struct mapped_file *mf, *tmp;

	HASH_ITER(hh, f->table, mf, tmp) {
		if (mf->holders || mf->is_attached)
			continue;
		HASH_DEL(f->table, mf);
		free(mf);
	}
}

struct mapped_file *files_get(struct files *f, pid_t pid, const struct mapping *m)
{
	struct mapped_file *mf;
	int fd;

	HASH_FIND(hh, f->table, &m->key, sizeof(m->key), mf);
	if (mf)
		return mf;
	fd = open_mapping(pid, m);
	if (fd < 0)
		return NULL;
	if (HASH_COUNT(f->table) >= FILES_MAX)
		forget_unheld(f);
	mf = calloc(1, sizeof(*mf));
	if (mf) {
		mf->key = m->key;
		examine(mf, fd, m->path);
		begin(f, mf, pid, m, fd);
		HASH_ADD(hh, f->table, key, sizeof(mf->key), mf);
	}
	close(fd);
	return mf;
}

void files_hold(struct mapped_file *mf)
{
	mf->holders++;
}

void files_put(struct files *f, struct mapped_file *mf)
{
	if (--mf->holders)
		return;
	if (mf->owner && f->load)
		load_detach(f->load, mf->owner);
	if (mf->same)
		files_put(f, mf->same);
	HASH_DEL(f->table, mf);
	free(mf);
}

void files_done(struct files *f)
{
	struct mapped_file *mf, *tmp;

	HASH_ITER(hh, f->table, mf, tmp) {
		HASH_DEL(f->table, mf);
		free(mf);
	}
}
