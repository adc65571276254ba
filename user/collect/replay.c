/* replay: see replay.h. */
#include "collect/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collect/record.h"
#include "util/count.h"

#define BUFFER_BYTES (256U << 10)
#define HEAD_MAX 4096		/* bytes; a later version may have a longer head */

struct replay {
	FILE *file;
	struct counters *counters;
	record_next_fn next;
	void *ctx;
	struct record_info info;
	union {
		struct wire_head head;
		unsigned char bytes[WIRE_RECORD_MAX];
	} rec;
};

/* 0; -ENODATA: fewer bytes were left, @ret_none tells if none; -EIO and such */
static int get(struct replay *r, void *data, size_t size, bool *ret_none)
{
	size_t n;

	n = fread_unlocked(data, 1, size, r->file);
	*ret_none = n == 0;
	if (n == size)
		return 0;
	return ferror_unlocked(r->file) ? (errno ? -errno : -EIO) : -ENODATA;
}

static int skip(struct replay *r, size_t size)
{
	for (; size; size--)
		if (getc_unlocked(r->file) == EOF)
			return -EBADMSG;
	return 0;
}

static int read_head(struct replay *r)
{
	struct record_head head;
	bool none;
	int err;

	err = get(r, &head, sizeof(head), &none);
	if (err)
		return err == -ENODATA ? -EBADMSG : err;
	if (memcmp(head.magic, RECORD_MAGIC, RECORD_MAGIC_BYTES))
		return -EBADMSG;
	if (head.version != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (head.size < sizeof(head) || head.size > HEAD_MAX)
		return -EBADMSG;
	if (!memchr(head.info.host, '\0', sizeof(head.info.host)))
		return -EBADMSG;
	r->info = head.info;
	return skip(r, head.size - sizeof(head));
}

/* Takes @file over, also on failure. */
static int new_from(struct replay **ret, FILE *file, struct counters *counters)
{
	struct replay *r;
	int err;

	r = calloc(1, sizeof(*r));
	if (!r) {
		fclose(file);
		return -ENOMEM;
	}
	r->file = file;
	r->counters = counters;
	setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
	err = read_head(r);
	if (err) {
		replay_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

int replay_new(struct replay **ret, const char *path, struct counters *counters,
	       record_next_fn next, void *ctx)
{
	FILE *file;
	int err;

	file = fopen(path, "re");
	if (!file)
		return -errno;
	err = new_from(ret, file, counters);
	if (!err)
		replay_set_next(*ret, next, ctx);
	return err;
}

int replay_new_memory(struct replay **ret, const void *data, size_t size,
		      struct counters *counters)
{
	FILE *file;

	if (!size)
		return -EBADMSG;
	file = fmemopen((void *)data, size, "r");
	return file ? new_from(ret, file, counters) : -errno;
}

void replay_set_next(struct replay *r, record_next_fn next, void *ctx)
{
	r->next = next;
	r->ctx = ctx;
}

const struct record_info *replay_info(const struct replay *r)
{
	return &r->info;
}

int replay_step(struct replay *r)
{
	struct wire_head *head = &r->rec.head;
	bool none;
	int err;

	err = get(r, head, sizeof(*head), &none);
	if (err == -ENODATA && none)
		return 0;
	if (err)
		return err;
	if (head->len < sizeof(*head) || head->len > WIRE_RECORD_MAX)
		return -EBADMSG;
	if (head->len > sizeof(*head)) {
		err = get(r, r->rec.bytes + sizeof(*head), head->len - sizeof(*head), &none);
		if (err)
			return err;
	}
	counter_add(r->counters, RECORDS_SEEN, 1);
	if (!record_is_sane(head, sizeof(r->rec)))
		counter_add(r->counters, RECORDS_REJECTED, 1);
	else if (r->next)
		r->next(r->ctx, head);
	return 1;
}

void replay_free(struct replay *r)
{
	if (!r)
		return;
	if (r->file)
		fclose(r->file);
	free(r);
}
