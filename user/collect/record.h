/*
 * record: writes records to a file that replay.h reads back: a struct record_head, then the
 * records as they crossed the ring, end to end, each head.len bytes.
 *
 * The file holds bytes of the traced programs' messages: it is made for its owner's eyes only.
 */
#ifndef COLLECT_RECORD_H
#define COLLECT_RECORD_H

#include <stdint.h>

#include "collect/next.h"

#define RECORD_MAGIC "SPANREC1"
#define RECORD_MAGIC_BYTES 8
#define RECORD_KEY_BYTES 16
#define RECORD_HOST_BYTES 72	/* Linux: 64 at most; ends with a NUL */

/* what a run of the tracer is known by */
struct record_info {
	int64_t wall_offset_ns;		/* CLOCK_REALTIME - CLOCK_MONOTONIC */
	uint8_t key[RECORD_KEY_BYTES];	/* random: ids are a hash of facts under this key */
	char host[RECORD_HOST_BYTES];
};

/* begin of the file, little endian */
struct record_head {
	char magic[RECORD_MAGIC_BYTES];
	uint32_t version;		/* WIRE_VERSION */
	uint32_t size;			/* of this head: records begin there */
	struct record_info info;
};

_Static_assert(sizeof(struct record_head) == 16 + 96, "record_head has hidden padding");

struct record;

int record_info_make(struct record_info *ret);	/* of this machine, now */

/* An existing file is overwritten. @info is copied. */
int record_new(struct record **ret, const char *path, const struct record_info *info);

/* The first error, -errno, is returned by each call after it too. */
int record_feed(struct record *r, const struct wire_head *rec);
int record_flush(struct record *r);	/* to the file; call it last, to learn of errors */
void record_free(struct record *r);	/* flushes; NULL is fine */

#endif
