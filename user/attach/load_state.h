/* load_state: what the files of load share. Only load*.c see it. */
#ifndef ATTACH_LOAD_STATE_H
#define ATTACH_LOAD_STATE_H

#include <bpf/libbpf.h>

#include "attach/load.h"

struct spanstitch_bpf;

struct kafka_slot {
	bool is_used;
	uint32_t owner;
	int fd;				/* of the probed file: on_send may be attached again */
	uint64_t send;			/* its site */
	struct bpf_link *send_link;	/* NULL in light mode */
	struct kafka_knobs knobs;
};

struct load {
	struct spanstitch_bpf *skel;
	struct bpf_link *links[LOAD_LINKS_MAX];
	uint32_t owners[LOAD_LINKS_MAX];
	uint32_t owner;		/* of links that are attached now */
	size_t link_count;
	struct kafka_slot kafka[KAFKA_FILES_MAX];
	bool kafka_starts_light;
	bool canary_tried;	/* canary_err is its verdict on return probes */
	int canary_err;
	int events_fd;		/* tracefs, folder events; -1: not opened */
	int cpus;
	uint64_t *per_cpu;	/* room to read one counter of all CPUs */
};

const char *load_remedy(int err);	/* what a user may do about it; static */
int  load_keep_link(struct load *l, struct bpf_link *link);
int  load_attach_sites(struct load *l, struct bpf_program *prog, const char *path,
		       struct bpf_uprobe_multi_opts *opts);
void load_detach_from(struct load *l, size_t from);	/* ends the links made since */
int  load_allow_returns(struct load *l);	/* once a run; the verdict stays */

void load_kafka_forget(struct load *l, uint32_t owner);
void load_kafka_done(struct load *l);

#endif
