/*
 * story: one execution of the platform as the messages that join gets of it, a step each, so
 * that many executions can be told at once. Every message carries a tag "number:what".
 */
#ifndef TESTS_UNIT_STORY_H
#define TESTS_UNIT_STORY_H

#include "scene.h"

enum mode { TRACEPARENT, CUSTOM, NONE };

#define LINES 20		/* HTTP connections that one execution uses */
#define EVENT_STARTED 0
#define EVENT_ENDED 1

struct execution {
	uint32_t number;
	enum mode mode;
	bool has_traced_client;
	size_t act;		/* of acts[] */
	int step;		/* of the act */
	uint64_t consumed_ns;
	char id[16];		/* the execution's */
	char uid[40];		/* the pod's */
	char tag[64];
};

/* services that serve many executions in one process; workers have a thread an execution */
static const struct who api = { 10, 10, 1 }, kube = { 30, 30, 1 };
static const struct who monitor = { 40, 40, 1 };

static inline struct who worker_of(const struct execution *e)
{
	return (struct who){ 20, 2000 + e->number, 1 };
}

static inline struct who processor_of(const struct execution *e)
{
	return (struct who){ 50, 5000 + e->number, 1 };
}

static inline struct who client_of(const struct execution *e)
{
	return (struct who){ 60, 6000 + e->number, 1 };
}

static inline struct who pod_of(const struct execution *e)
{
	return (struct who){ 7000 + e->number, 7000 + e->number, 9 };
}

static inline uint32_t line(const struct execution *e, uint32_t n)
{
	return e->number * LINES + n;
}

static inline uint64_t object(const struct execution *e, uint32_t n)
{
	return 0x10000 + e->number * 16 + n;
}

static inline const char *tag_of(struct execution *e, const char *what)
{
	snprintf(e->tag, sizeof(e->tag), "%u:%s", e->number, what);
	return e->tag;
}

static inline struct msg mark(struct execution *e, struct msg m, const char *what)
{
	return tagged(m, tag_of(e, what));
}

/* What every message of the execution carries: the same header, unchanged, or none. */
static inline struct msg header(const struct execution *e, struct msg m)
{
	if (e->mode == TRACEPARENT)
		return carrying(m, context_of(e->number, 1000 + e->number));
	if (e->mode == CUSTOM)
		return carrying(m, context_of(e->number, 0));
	return m;
}

static inline struct msg keyed(const struct execution *e, struct msg m)
{
	return header(e, identified(m, e->id, IDENTIFY_PARENT));
}

/* --- the story, a step a message -------------------------------------------------------------- */

static inline bool submit(struct scene *s, struct execution *e, int step)
{
	struct who client = client_of(e);
	uint32_t l = line(e, 0);

	switch (step) {
	case 0:
		if (e->has_traced_client)
			feed(s, mark(e, request(&client, HTTP_CLIENT, l, 1, "POST /execute"),
				     "client.execute"));
		return true;
	case 1:
		feed(s, mark(e, request(&api, HTTP_SERVER, l, 1, "POST /execute"),
			     "api.execute"));
		return true;
	case 2:		/* the thread's label is of the request that came last: another's */
		feed(s, mark(e, by_task(keyed(e, sent(&api, object(e, 0), "executions", e->id)),
					http_label(l, 1), http_label(line(e, LINES), 1)),
			     "api.send"));
		return true;
	case 3:
		feed(s, with(identified(later(MSG_HTTP_ATTRS, &api, HTTP_SERVER, l, 1), e->id,
					IDENTIFY_PARENT), "user.id", "ada"));
		return true;
	case 4:
		feed(s, response(&api, HTTP_SERVER, l, 1, 202));
		return true;
	case 5:
		feed(s, end(&api, HTTP_SERVER, l, 1));
		if (e->has_traced_client)
			answer(s, &client, HTTP_CLIENT, l, 202);
		return true;
	}
	return false;
}

/* An outside look at the execution's state, in the middle of it. */
static inline bool look(struct scene *s, struct execution *e, int step)
{
	struct who client = client_of(e);
	uint32_t l = line(e, 1);

	switch (step) {
	case 0:
		if (e->has_traced_client)
			feed(s, mark(e, request(&client, HTTP_CLIENT, l, 1, "GET /executions/{id}"),
				     "client.look"));
		return true;
	case 1:
		feed(s, mark(e, identified(request(&api, HTTP_SERVER, l, 1, "GET /executions/{id}"),
					   e->id, IDENTIFY_LINK), "api.look"));
		return true;
	case 2:
		answer(s, &api, HTTP_SERVER, l, 200);
		if (e->has_traced_client)
			answer(s, &client, HTTP_CLIENT, l, 200);
		return true;
	}
	return false;
}

/* A call of a thread that has one message in hand; @names_pod: its answer has the pod's uid. */
struct call {
	struct who from, to;
	const char *what, *name;
	uint32_t line;
	int status;
	bool names_pod;
};

static inline bool call_step(struct scene *s, struct execution *e, const struct call *c, int step)
{
	uint32_t l = line(e, c->line);
	char tag[40];

	switch (step) {
	case 0:
		snprintf(tag, sizeof(tag), "%s.client", c->name);
		feed(s, mark(e, by_thread(header(e, request(&c->from, HTTP_CLIENT, l, 1, c->what)),
					  kafka_label(e->consumed_ns, &c->from)), tag));
		return true;
	case 1:
		snprintf(tag, sizeof(tag), "%s.server", c->name);
		feed(s, mark(e, header(e, request(&c->to, HTTP_SERVER, l, 1, c->what)), tag));
		return true;
	case 2:
		if (c->names_pod)
			feed(s, with(later(MSG_HTTP_ATTRS, &c->to, HTTP_SERVER, l, 1),
				     "k8s.pod.uid", e->uid));
		answer(s, &c->to, HTTP_SERVER, l, c->status);
		return true;
	case 3:
		if (c->names_pod)
			feed(s, with(later(MSG_HTTP_ATTRS, &c->from, HTTP_CLIENT, l, 1),
				     "k8s.pod.uid", e->uid));
		answer(s, &c->from, HTTP_CLIENT, l, c->status);
		return true;
	}
	return false;
}

#define CREATE "POST /api/v1/namespaces/{namespace}/pods"

static inline bool work(struct scene *s, struct execution *e, int step)
{
	struct who worker = worker_of(e);
	struct call creates[] = {
		{ worker, kube, CREATE, "create1", 2, 503, false },
		{ worker, kube, CREATE, "create2", 3, 503, false },
		{ worker, kube, CREATE, "create3", 4, 201, true },
	};

	if (step == 0) {
		e->consumed_ns = feed(s, mark(e, keyed(e, consumed(&worker, "executions", e->id, 0,
								   e->number)), "worker.process"));
		return true;
	}
	if (step == 1) {	/* after it was read: the broker answers both at once */
		feed(s, acked(&api, object(e, 0), 0, e->number));
		return true;
	}
	if (step < 14)
		return call_step(s, e, &creates[(step - 2) / 4], (step - 2) % 4);
	switch (step) {
	case 14:
		feed(s, mark(e, by_thread(keyed(e, sent(&worker, object(e, 1), "pods", e->id)),
					  kafka_label(e->consumed_ns, &worker)), "worker.send"));
		return true;
	case 15:
		feed(s, acked(&worker, object(e, 1), 0, e->number));
		return true;
	case 16:
		feed(s, polled(&worker));
		return true;
	}
	return false;
}

static inline bool run_pod(struct scene *s, struct execution *e, int step)
{
	struct who pod = pod_of(e);
	struct msg m;

	switch (step) {
	case 0:
		m = message(MSG_PROC_FORK, &kube);
		m.process.child_tgid = pod.tgid;
		m.process.child_start_ns = pod.start_ns;
		feed(s, m);
		return true;
	case 1:
		m = message(MSG_PROC_EXEC, &pod);
		m.process.exe = "/usr/bin/python3";
		m.process.parent_tgid = kube.tgid;
		m.process.pod_uid = e->uid;
		feed(s, m);
		return true;
	}
	return false;
}

static inline bool end_pod(struct scene *s, struct execution *e, int step)
{
	struct who pod = pod_of(e);
	struct msg m = message(MSG_PROC_EXIT, &pod);

	if (step)
		return false;
	if (e->number % 2)
		m.process.exit_signal = 11;
	else
		m.process.exit_code = 3;
	feed(s, m);
	return true;
}

/* pod-monitor has no activity: what it sees comes by a watch that began long ago. */
static inline bool tell(struct scene *s, struct execution *e, int step, int event)
{
	if (step == 0)
		feed(s, mark(e, keyed(e, sent(&monitor, object(e, 2 + event), "pod-events", e->id)),
			     event == EVENT_STARTED ? "monitor.started" : "monitor.ended"));
	else if (step == 1)
		feed(s, acked(&monitor, object(e, 2 + event), 0, 2 * e->number + event));
	else
		return false;
	return true;
}

static inline bool tell_started(struct scene *s, struct execution *e, int step)
{
	return tell(s, e, step, EVENT_STARTED);
}

static inline bool tell_ended(struct scene *s, struct execution *e, int step)
{
	return tell(s, e, step, EVENT_ENDED);
}

static inline bool hear_started(struct scene *s, struct execution *e, int step)
{
	struct who processor = processor_of(e);

	if (step == 0)
		feed(s, mark(e, keyed(e, consumed(&processor, "pod-events", e->id, 0,
						  2 * e->number + EVENT_STARTED)),
			     "processor.started"));
	else if (step == 1)
		feed(s, polled(&processor));
	else
		return false;
	return true;
}

static inline bool hear_ended(struct scene *s, struct execution *e, int step)
{
	struct who processor = processor_of(e);
	struct call calls[] = {
		{ processor, kube, "GET /api/v1/namespaces/{namespace}/pods/{name}/log", "log",
		  5, 200, false },
		{ processor, api, "POST /executions/{id}/result", "result", 6, 200, false },
		{ processor, kube, "DELETE /api/v1/namespaces/{namespace}/pods/{name}", "delete",
		  7, 200, false },
	};

	if (step == 0) {
		e->consumed_ns = feed(s, mark(e, keyed(e, consumed(&processor, "pod-events", e->id,
								   0, 2 * e->number + EVENT_ENDED)),
					      "processor.ended"));
		return true;
	}
	if (step < 13)
		return call_step(s, e, &calls[(step - 1) / 4], (step - 1) % 4);
	if (step == 13) {
		feed(s, polled(&processor));
		return true;
	}
	return false;
}

typedef bool (*act_fn)(struct scene *s, struct execution *e, int step);

static const act_fn acts[] = {
	submit, work, look, run_pod, tell_started, hear_started, end_pod, tell_ended, hear_ended,
};

/* One message, or few, until the last act is over. */
static inline void execution_step(struct scene *s, struct execution *e)
{
	while (e->act < ARRAY_COUNT(acts)) {
		if (acts[e->act](s, e, e->step++))
			return;
		e->act++;
		e->step = 0;
	}
}

static inline void execution_init(struct execution *e, uint32_t number, enum mode mode)
{
	*e = (struct execution){ .number = number, .mode = mode };
	snprintf(e->id, sizeof(e->id), "exec-%u", number);
	snprintf(e->uid, sizeof(e->uid), "00000000-1111-2222-3333-%012u", number);
}

#endif
