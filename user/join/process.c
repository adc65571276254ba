/*
 * process: who each process is (the resource of its spans), and the executions of processes
 * that a trace caused: a pod's process hangs on the request whose answer named the pod's
 * uid, a child on its parent's execution, any process on the TRACEPARENT it was given.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "join/core.h"
#include "join/span_make.h"
#include "target/runtime.h"

#define PODS_MAX 65536		/* pods remembered between their creation and their start */
#define ANCESTORS_MAX 8		/* looked at for one that is part of a trace */
#define UID_BYTES 36		/* 8-4-4-4-12 hex digits */
#define START_TICK_NS 10000000ULL	/* a start that was read from /proc is cut to 1/100 s */

struct process {
	UT_hash_handle hh;
	uint32_t tgid, parent_tgid;
	uint64_t start_ns;		/* 0: not known */
	bool is_threadless;
	struct resource *resource;	/* counted */
	struct node *execution;		/* counted; NULL: not part of a trace */
};

struct pod {
	struct fifo_entry entry;	/* key: uid */
	struct node *request;		/* counted: the create request that was answered */
	bool from_server;
};

static void pod_drop(void *ctx, struct fifo_entry *e)
{
	struct core *c = ctx;

	node_put(c->as, ((struct pod *)e)->request);
	free(e);
}

void core_process_init(struct core *c)
{
	fifo_init(&c->pods, PODS_MAX, pod_drop, c);
}

static void process_free(struct core *c, struct process *p)
{
	HASH_DELETE(hh, c->processes, p);
	resource_put(p->resource);
	node_put(c->as, p->execution);
	free(p);
}

void core_process_done(struct core *c)
{
	struct process *p, *tmp;

	HASH_ITER(hh, c->processes, p, tmp)
		process_free(c, p);
	fifo_done(&c->pods);
}

/* --- who a process is ------------------------------------------------------------------------- */

static struct process *process_find(struct core *c, uint32_t tgid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &tgid, sizeof(tgid), p);
	return p;
}

static struct resource *new_resource(struct core *c, const char *service, uint32_t tgid)
{
	struct resource *r = resource_new(service);

	if (!r)
		return NULL;
	attrs_set_int(&r->attrs, "process.pid", tgid);
	if (c->host_name)
		attrs_set_str(&r->attrs, "host.name", c->host_name);
	attrs_set_str(&r->attrs, "telemetry.sdk.name", "spanstitch");
	attrs_set_str(&r->attrs, "telemetry.sdk.version", VERSION);
	return r;
}

static struct process *process_new(struct core *c, uint32_t tgid, uint64_t start_ns,
				   const char *service)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->resource = new_resource(c, service, tgid);
	if (!p->resource) {
		free(p);
		return NULL;
	}
	p->tgid = tgid;
	p->start_ns = start_ns;
	HASH_ADD(hh, c->processes, tgid, sizeof(p->tgid), p);
	return p;
}

/* Whether a process that starts at @a starts after one at @b; as far as both are known. */
static bool is_later(uint64_t a, uint64_t b)
{
	return a && b && a > b + START_TICK_NS;
}

/* A pid that starts at another time is another process; the exit of the first was lost. */
static struct process *process_get(struct core *c, uint32_t tgid, uint64_t start_ns,
				   uint64_t now_ns)
{
	struct process *p = process_find(c, tgid);

	if (p && (is_later(start_ns, p->start_ns) || is_later(p->start_ns, start_ns))) {
		if (p->execution)
			node_end_unseen(c->as, p->execution, now_ns);
		process_free(c, p);
		p = NULL;
	}
	if (!p)
		return process_new(c, tgid, start_ns, "unknown_service");
	if (!p->start_ns)
		p->start_ns = start_ns;
	return p;
}

struct resource *core_resource(struct core *c, const struct msg *m)
{
	struct process *p = process_get(c, m->tgid, m->start_ns, m->ts_ns);

	return p ? p->resource : NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void set_if(struct attrs *a, const char *key, const char *value)
{
	if (value && *value)
		attrs_set_str(a, key, value);
}

bool core_process_is_threadless(struct core *c, uint32_t tgid)
{
	struct process *p = process_find(c, tgid);

	return p && p->is_threadless;
}

static void describe(struct process *p, const struct msg_process *mp)
{
	struct attrs *a = &p->resource->attrs;

	if (mp->exe && *mp->exe) {
		attrs_set_str(a, "process.executable.path", mp->exe);
		attrs_set_str(a, "process.executable.name", base_name(mp->exe));
	}
	set_if(a, "container.id", mp->container_id);
	set_if(a, "k8s.pod.uid", mp->pod_uid);
	set_if(a, "telemetry.sdk.language", mp->runtime);
	if (mp->runtime && *mp->runtime)
		p->is_threadless = runtime_is_threadless(mp->runtime);
	if (mp->parent_tgid) {
		p->parent_tgid = mp->parent_tgid;
		attrs_set_int(a, "process.parent_pid", mp->parent_tgid);
	}
}

/* --- executions ------------------------------------------------------------------------------- */

/*
 * Lists, watches and reads name pods, too: only a POST makes one, and of those the first. Its
 * server takes the place of its client: it is nearer.
 */
void core_pod_named(struct core *c, struct node *request, const struct attrs *attrs)
{
	const char *method = attrs_get_str(&request->span->attrs, "http.request.method");
	const char *uid = attrs_get_str(attrs, "k8s.pod.uid");
	bool from_server = request->span->kind == SPAN_SERVER;
	struct pod *pod;

	if (!uid || strlen(uid) != UID_BYTES || !method || strcmp(method, "POST"))
		return;
	pod = fifo_find(&c->pods, uid, UID_BYTES);
	if (!pod) {
		pod = calloc(1, sizeof(*pod));
		if (!pod)
			return;
		fifo_add(&c->pods, uid, UID_BYTES, &pod->entry);
	} else if (pod->from_server || !from_server ||
		   node_assembly(pod->request) != node_assembly(request)) {
		return;
	}
	node_put(c->as, pod->request);
	pod->request = node_get(request);
	pod->from_server = from_server;
}

static struct pod *find_pod(struct core *c, const char *uid)
{
	if (!uid || strlen(uid) != UID_BYTES)
		return NULL;
	return fifo_find(&c->pods, uid, UID_BYTES);
}

/* The nearest ancestor whose execution is part of a trace. */
static struct node *ancestor_execution(struct core *c, const struct process *p)
{
	uint64_t start_ns = p->start_ns;
	int depth;

	for (depth = 0; depth < ANCESTORS_MAX && p->parent_tgid; depth++) {
		p = process_find(c, p->parent_tgid);
		/* A parent that began after its child is another process with its pid. */
		if (!p || is_later(p->start_ns, start_ns))
			return NULL;
		if (p->execution && p->execution->is_open)
			return p->execution;
	}
	return NULL;
}

static struct node *execution_new(struct core *c, struct process *p, const struct msg *m)
{
	struct span_facts facts = {
		.ts_ns = m->ts_ns, .start_ns = m->start_ns, .tgid = m->tgid,
		.kind = SPAN_INTERNAL,
	};
	struct node *n = node_new(c->as, &facts, p->resource);

	if (n)
		n->span->scope = "process";
	return n;
}

static void name_execution(struct node *n, const struct msg_process *mp)
{
	struct attrs *a = &n->span->attrs;

	span_set_name(n->span, "%s", mp->exe ? base_name(mp->exe) : "process");
	set_if(a, "process.executable.path", mp->exe);
	if (mp->exe)
		attrs_set_str(a, "process.executable.name", base_name(mp->exe));
}

static void start_execution(struct core *c, struct process *p, const struct msg *m,
			    struct node *parent)
{
	struct node *n = execution_new(c, p, m);

	if (!n)
		return;
	attrs_set_int(&n->span->attrs, "process.pid", m->tgid);
	name_execution(n, &m->process);
	if (parent && !assembly_merge(c->as, parent, n))
		node_add_candidate(n, EVIDENCE_EXEC, parent);
	node_touch(c->as, n, m->ts_ns);
	node_put(c->as, p->execution);	/* handed on as unfinished */
	p->execution = n;
}

void core_process_fork(struct core *c, const struct msg *m)
{
	struct process *parent = process_get(c, m->tgid, m->start_ns, m->ts_ns);
	struct process *child;

	if (!parent)
		return;
	child = process_get(c, m->process.child_tgid, m->process.child_start_ns, m->ts_ns);
	if (!child)
		return;
	child->parent_tgid = m->tgid;
	resource_set_service(child->resource, parent->resource->service);
	attrs_set_int(&child->resource->attrs, "process.parent_pid", m->tgid);
}

/* A new program in the same process: it gets a name of its own, until target/ knows better. */
static void rename_resource(struct core *c, struct process *p, const struct msg_process *mp)
{
	struct resource *r = new_resource(c, mp->exe ? base_name(mp->exe) : "unknown_service",
					  p->tgid);

	if (!r)
		return;
	resource_put(p->resource);
	p->resource = r;
}

void core_process_exec(struct core *c, const struct msg *m)
{
	struct process *p = process_get(c, m->tgid, m->start_ns, m->ts_ns);
	struct pod *pod = find_pod(c, m->process.pod_uid);
	struct node *parent;

	if (!p)
		return;
	if (p->execution && p->execution->span) {
		/* runc's init becomes the container's command: one execution */
		name_execution(p->execution, &m->process);
		if (m->process.exe)
			resource_set_service(p->resource, base_name(m->process.exe));
		describe(p, &m->process);
		return;
	}
	rename_resource(c, p, &m->process);
	describe(p, &m->process);
	parent = ancestor_execution(c, p);
	if (!parent && pod)
		parent = pod->request;
	if (parent)
		start_execution(c, p, m, parent);
}

static void end_execution(struct core *c, struct node *n, const struct msg *m)
{
	int code = m->process.exit_code, sig = m->process.exit_signal;
	char text[32];

	if (!n->span)
		return;
	/* as a shell and the kubelet say it: 128 + signal */
	attrs_set_int(&n->span->attrs, "process.exit.code", sig ? 128 + sig : code);
	if (sig) {
		snprintf(text, sizeof(text), "SIG%s", sigabbrev_np(sig) ? sigabbrev_np(sig) : "?");
		attrs_set_str(&n->span->attrs, "process.exit.signal", text);
		span_set_error(n->span, text);
	} else if (code) {
		snprintf(text, sizeof(text), "%d", code);
		span_set_error(n->span, text);
	}
	node_end(c->as, n, m->ts_ns);
}

void core_process_exit(struct core *c, const struct msg *m)
{
	struct process *p = process_find(c, m->tgid);

	core_kafka_exit(c, m);
	if (!p)
		return;
	if (p->execution)
		end_execution(c, p->execution, m);
	process_free(c, p);
}

/*
 * A process that was given a context is part of that trace. Where its pod or its parent gave it
 * a place, that one stays the parent: the context is an ancestor's, passed on.
 */
static void place_by_environment(struct core *c, struct process *p, const struct msg *m)
{
	const struct context *context = &m->process.context;

	if (!context->has_trace_id || !context->has_span_id)
		return;
	if (!p->execution)
		start_execution(c, p, m, NULL);
	if (!p->execution || !p->execution->span)
		return;
	identity_place_inbound(c->identity, p->execution, context, EVIDENCE_EXEC);
	attrs_set_str(&p->execution->span->attrs, "spanstitch.context.source", "environment");
}

void core_process_target(struct core *c, const struct msg *m)
{
	struct process *p = process_get(c, m->tgid, m->start_ns, m->ts_ns);

	if (!p)
		return;
	describe(p, &m->process);
	if (m->process.service && *m->process.service)
		resource_set_service(p->resource, m->process.service);
	place_by_environment(c, p, m);
}
