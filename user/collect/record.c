/* record: see record.h. */
#include "collect/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (256U << 10)
#define OFFSET_TRIES 8

struct record {
	FILE *file;
	int err;		/* the first error; nothing is written after it */
};

static int64_t clock_now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The offset of the try that was interrupted least. */
static int64_t wall_offset_ns(void)
{
	int64_t before, wall, after, offset = 0, best = INT64_MAX;
	int i;

	for (i = 0; i < OFFSET_TRIES; i++) {
		before = clock_now_ns(CLOCK_MONOTONIC);
		wall = clock_now_ns(CLOCK_REALTIME);
		after = clock_now_ns(CLOCK_MONOTONIC);
		if (after - before >= best)
			continue;
		best = after - before;
		offset = wall - before - best / 2;
	}
	return offset;
}

int record_info_make(struct record_info *ret)
{
	struct record_info info = { .wall_offset_ns = wall_offset_ns() };

	if (getrandom(info.key, sizeof(info.key), 0) != sizeof(info.key))
		return -EIO;
	if (gethostname(info.host, sizeof(info.host) - 1))
		return -errno;
	*ret = info;
	return 0;
}

static int put(struct record *r, const void *data, size_t size)
{
	if (!r->err && fwrite_unlocked(data, size, 1, r->file) != 1)
		r->err = errno ? -errno : -EIO;
	return r->err;
}

int record_new(struct record **ret, const char *path, const struct record_info *info)
{
	struct record_head head = {
		.magic = RECORD_MAGIC,
		.version = WIRE_VERSION,
		.size = sizeof(head),
		.info = *info,
	};
	struct record *r;
	int fd, err;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		goto fail;
	}
	r->file = fdopen(fd, "w");
	if (!r->file) {
		err = -errno;
		close(fd);
		goto fail;
	}
	setvbuf(r->file, NULL, _IOFBF, BUFFER_BYTES);
	err = put(r, &head, sizeof(head));
	if (!err)
		err = record_flush(r);
	if (err)
		goto fail;
	*ret = r;
	return 0;

fail:
	record_free(r);
	return err;
}

int record_feed(struct record *r, const struct wire_head *rec)
{
	return put(r, rec, rec->len);
}

int record_flush(struct record *r)
{
	if (!r->err && fflush_unlocked(r->file))
		r->err = errno ? -errno : -EIO;
	return r->err;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	if (r->file)
		fclose(r->file);
	free(r);
}
