/* target: owner of the set of traced processes. */
#include "core.bpf.h"

#define TARGETS_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TARGETS_MAX);
	__type(key, __u32);			/* tgid */
	__type(value, struct target_knobs);
} targets SEC(".maps");

static __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

__hidden bool target_is_traced(void)
{
	__u32 tgid = current_tgid();

	if (knobs.trace_all)
		return tgid != knobs.self_tgid;
	return bpf_map_lookup_elem(&targets, &tgid) != NULL;
}

__hidden const struct target_knobs *target_knobs_get(void)
{
	__u32 tgid = current_tgid();

	return bpf_map_lookup_elem(&targets, &tgid);
}

/* The child has its parent's image until it executes another, so the knobs hold for it too. */
__hidden void target_fork(__u32 parent_tgid, __u32 child_tgid)
{
	struct target_knobs copy, *parent;

	if (!knobs.follow)
		return;
	parent = bpf_map_lookup_elem(&targets, &parent_tgid);
	if (!parent)
		return;
	copy = *parent;
	if (bpf_map_update_elem(&targets, &child_tgid, &copy, BPF_ANY))
		count(FAIL_TARGETS_FULL);
}

/* Another image: still a target, but nothing is known of it any more. */
__hidden void target_exec(__u32 tgid)
{
	struct target_knobs *k = bpf_map_lookup_elem(&targets, &tgid);

	if (k)
		__builtin_memset(k, 0, sizeof(*k));
}

__hidden void target_exit(__u32 tgid)
{
	bpf_map_delete_elem(&targets, &tgid);
}
