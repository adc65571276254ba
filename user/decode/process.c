/* process: see process.h. */
#include "decode/process.h"

#include <errno.h>

#include "decode/context.h"
#include "decode/stage.h"
#include "target/cgroup.h"

int process_feed_fork(struct decode *d, const struct wire_head *rec)
{
	const struct wire_fork *f = (const struct wire_fork *)rec;
	struct msg m;

	stage_msg(d, &m, MSG_PROC_FORK, rec);
	m.process = (struct msg_process){
		.child_tgid = f->child_tgid,
		.child_start_ns = f->child_start_ns,
	};
	stage_send(d, &m);
	return 0;
}

int process_feed_exec(struct decode *d, const struct wire_head *rec)
{
	const struct wire_exec *e = (const struct wire_exec *)rec;
	struct slice tail = slice_of(e + 1, rec->len - sizeof(*e));
	struct cgroup_names names;
	const char *leaf, *parent;
	struct msg m;

	if (tail.len < (size_t)e->filename_captured + e->leaf_captured + e->parent_captured)
		return -EINVAL;
	stage_msg(d, &m, MSG_PROC_EXEC, rec);
	m.process = (struct msg_process){ .parent_tgid = e->parent_tgid };
	m.process.exe = stage_string(d, &tail, e->filename_captured);
	leaf = stage_string(d, &tail, e->leaf_captured);
	parent = stage_string(d, &tail, e->parent_captured);
	cgroup_names_parse(&names, leaf ? leaf : "", parent ? parent : "");
	m.process.pod_uid = names.pod_uid;
	m.process.container_id = names.container_id;
	stage_send(d, &m);
	return 0;
}

int process_feed_exit(struct decode *d, const struct wire_head *rec)
{
	const struct wire_exit *e = (const struct wire_exit *)rec;
	struct msg m;

	stage_msg(d, &m, MSG_PROC_EXIT, rec);
	m.process = (struct msg_process){
		.exit_code = (e->code >> 8) & 0xff,
		.exit_signal = e->code & 0x7f,
	};
	stage_send(d, &m);
	return 0;
}

int process_feed_target(struct decode *d, const struct wire_head *rec)
{
	const struct wire_target *t = (const struct wire_target *)rec;
	struct slice tail = slice_of(t + 1, rec->len - sizeof(*t));
	struct msg m;

	if (tail.len < (size_t)t->service_len + t->exe_len + t->container_len + t->pod_len +
			       t->runtime_len + t->traceparent_len)
		return -EINVAL;
	stage_msg(d, &m, MSG_PROC_TARGET, rec);
	m.process = (struct msg_process){ .parent_tgid = t->parent_tgid };
	m.process.service = stage_string(d, &tail, t->service_len);
	m.process.exe = stage_string(d, &tail, t->exe_len);
	m.process.container_id = stage_string(d, &tail, t->container_len);
	m.process.pod_uid = stage_string(d, &tail, t->pod_len);
	m.process.runtime = stage_string(d, &tail, t->runtime_len);
	if (t->traceparent_len &&
	    context_from_traceparent(tail.at, t->traceparent_len, &m.process.context))
		counter_add(d->counters, CONTEXT_INVALID, 1);
	stage_send(d, &m);
	return 0;
}
