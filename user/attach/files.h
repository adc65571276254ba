/*
 * files: the mapped files of processes, each examined once by (device, inode): is it a
 * librdkafka or a CPython, and where is it probed. Attaches through the open descriptor, so
 * a replaced path or another mount namespace changes nothing. Probes hang on the file and end
 * when the last process that holds it lets go.
 */
#ifndef ATTACH_FILES_H
#define ATTACH_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <uthash.h>

#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/python.h"
#include "attach/reason.h"

#define FILES_MAX 16384		/* files remembered; then those that nobody holds are forgotten */

struct load;

struct file_key {
	uint64_t dev, inode;
};

struct mapped_file {
	UT_hash_handle hh;
	struct file_key key;
	bool is_kafka, is_python;	/* what it is, whether or not it can be probed */
	bool is_usable;			/* resolved: nothing speaks against a probe */
	bool is_attached;
	unsigned int holders;		/* processes that map it and are traced */
	uint32_t owner;			/* of its probes, for load_detach(); 0: none of its own */
	struct mapped_file *same;	/* held: has the probes of this inode under another key */
	uint8_t build_id[ELF_BUILD_ID_MAX];
	size_t build_id_len;
	struct librdkafka kafka;
	struct python python;
	struct reason why;		/* "": nothing against it */
};

struct files {
	struct mapped_file *table;
	struct load *load;		/* NULL: look only */
	uint32_t last_owner;
};

/* one executable mapping of a process */
struct mapping {
	uint64_t start, end, offset;
	struct file_key key;
	char path[256];
};

/* The file behind @m of process @pid, examined and attached at first sight; NULL: gone. */
struct mapped_file *files_get(struct files *f, pid_t pid, const struct mapping *m);
void files_hold(struct mapped_file *mf);
void files_put(struct files *f, struct mapped_file *mf);	/* the last one frees @mf */
void files_done(struct files *f);

typedef void (*mapping_fn)(void *ctx, const struct mapping *m);

/* Each file-backed executable mapping of @pid, in a stream of bounded reads; 0 or -ESRCH. */
int files_each_mapping(pid_t pid, mapping_fn fn, void *ctx);

#endif
