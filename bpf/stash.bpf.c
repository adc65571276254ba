/* stash: owner of the sends in flight: what their entry saw and their exit reports. */
#include "core.bpf.h"

#define STASH_MAX 16384		/* threads that are inside a traced send at one time */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STASH_MAX);
	__type(key, __u64);			/* tgid, tid */
	__type(value, struct io);
} sends SEC(".maps");

__hidden void stash_put(const struct io *io)
{
	__u64 key = bpf_get_current_pid_tgid();

	if (bpf_map_update_elem(&sends, &key, io, BPF_ANY))
		count(FAIL_STASH_FULL);
}

__hidden int stash_take(struct io *ret)
{
	__u64 key = bpf_get_current_pid_tgid();
	struct io *io;

	io = bpf_map_lookup_elem(&sends, &key);
	if (!io)
		return -ENOENT;
	*ret = *io;
	bpf_map_delete_elem(&sends, &key);
	return 0;
}

__hidden void stash_forget(__u32 tgid, __u32 tid)
{
	__u64 key = (__u64)tgid << 32 | tid;

	bpf_map_delete_elem(&sends, &key);
}
