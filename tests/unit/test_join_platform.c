/*
 * join on the platform's whole execution, in each propagation mode: one trace, every parent
 * right and by the right evidence, also with 32 executions in flight.
 */
#include "story.h"

/* --- what must come of it --------------------------------------------------------------------- */

struct wanted {
	const char *what, *name;
	enum span_kind kind;
	const char *parent;		/* NULL: an ancestor, as the mode has it */
	enum evidence evidence;
};

#define LOG "GET /api/v1/namespaces/{namespace}/pods/{name}/log"
#define DELETE "DELETE /api/v1/namespaces/{namespace}/pods/{name}"
#define RESULT "POST /executions/{id}/result"

static const struct wanted wanted[] = {
	{ "api.send", "send executions", SPAN_PRODUCER, "api.execute", EVIDENCE_TASK_PYTHON },
	{ "worker.process", "process executions", SPAN_CONSUMER, "api.send",
	  EVIDENCE_KAFKA_OFFSET },
	{ "create1.client", CREATE, SPAN_CLIENT, "worker.process", EVIDENCE_THREAD },
	{ "create1.server", CREATE, SPAN_SERVER, "create1.client", EVIDENCE_SOCKET_SEQUENCE },
	{ "create2.client", CREATE, SPAN_CLIENT, "worker.process", EVIDENCE_THREAD },
	{ "create2.server", CREATE, SPAN_SERVER, "create2.client", EVIDENCE_SOCKET_SEQUENCE },
	{ "create3.client", CREATE, SPAN_CLIENT, "worker.process", EVIDENCE_THREAD },
	{ "create3.server", CREATE, SPAN_SERVER, "create3.client", EVIDENCE_SOCKET_SEQUENCE },
	{ "worker.send", "send pods", SPAN_PRODUCER, "worker.process", EVIDENCE_THREAD },
	{ "monitor.started", "send pod-events", SPAN_PRODUCER, NULL, EVIDENCE_MAX },
	{ "processor.started", "process pod-events", SPAN_CONSUMER, "monitor.started",
	  EVIDENCE_KAFKA_OFFSET },
	{ "monitor.ended", "send pod-events", SPAN_PRODUCER, NULL, EVIDENCE_MAX },
	{ "processor.ended", "process pod-events", SPAN_CONSUMER, "monitor.ended",
	  EVIDENCE_KAFKA_OFFSET },
	{ "log.client", LOG, SPAN_CLIENT, "processor.ended", EVIDENCE_THREAD },
	{ "log.server", LOG, SPAN_SERVER, "log.client", EVIDENCE_SOCKET_SEQUENCE },
	{ "result.client", RESULT, SPAN_CLIENT, "processor.ended", EVIDENCE_THREAD },
	{ "result.server", RESULT, SPAN_SERVER, "result.client", EVIDENCE_SOCKET_SEQUENCE },
	{ "delete.client", DELETE, SPAN_CLIENT, "processor.ended", EVIDENCE_THREAD },
	{ "delete.server", DELETE, SPAN_SERVER, "delete.client", EVIDENCE_SOCKET_SEQUENCE },
};

/* Beside the rows above: the api's server span and the pod's process. */
#define SPANS_OF_TREE (ARRAY_COUNT(wanted) + 2)

static const struct seen *seen_of(const struct scene *s, struct execution *e, const char *what)
{
	return span_of(s, tag_of(e, what));
}

static void check_wanted(const struct scene *s, struct execution *e, const struct wanted *w)
{
	/* A header without a span's id, or none: the trace's root. */
	const char *ancestor = e->mode == TRACEPARENT ? "api.send" :
			       e->has_traced_client ? "client.execute" : "api.execute";
	enum evidence by = e->mode == NONE ? EVIDENCE_CORRELATION : EVIDENCE_HEADER;
	const struct seen *parent = seen_of(s, e, w->parent ? w->parent : ancestor);
	const struct seen *sn = seen_of(s, e, w->what);
	enum evidence evidence = w->parent ? w->evidence : by;

	/* The first receiver's header names the very span that sent it. */
	if (!strcmp(w->what, "worker.process") && e->mode == TRACEPARENT)
		evidence = EVIDENCE_HEADER;
	check_child(sn, parent, evidence, w->what);
	check_str(sn->span.name, w->name, w->what);
	check_eq(sn->span.kind, w->kind, w->what);
	check_str(attrs_get_str(&sn->span.attrs, "spanstitch.parent.confidence"),
		  evidence == EVIDENCE_CORRELATION ? "configured" : "exact", w->what);
}

static const struct seen *process_of(const struct scene *s, const struct execution *e)
{
	const struct seen *found = NULL;
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (s->seen[i].span.kind != SPAN_INTERNAL ||
		    int_of(&s->seen[i], "process.pid") != pod_of(e).tgid)
			continue;
		check(!found, "one process span a pod");
		found = &s->seen[i];
	}
	check(found, "the pod's process span");
	return found;
}

static void check_process(const struct scene *s, struct execution *e)
{
	const struct seen *process = process_of(s, e);
	const char *signal = attrs_get_str(&process->span.attrs, "process.exit.signal");

	check_child(process, seen_of(s, e, "create3.server"), EVIDENCE_EXEC, "pod's process");
	check_str(process->span.name, "python3", "its program");
	check_str(signal, e->number % 2 ? "SIGSEGV" : NULL, "signal");
	check_eq(int_of(process, "process.exit.code"), e->number % 2 ? 139 : 3, "exit code");
	check_eq(process->span.status, STATUS_ERROR, "it failed");
}

static void check_resends(const struct scene *s, struct execution *e)
{
	static const char *const key = "http.request.resend_count";

	check_eq(int_of(seen_of(s, e, "create1.client"), key), -1, "the first is none");
	check_eq(int_of(seen_of(s, e, "create2.client"), key), 1, "after one refusal");
	check_eq(int_of(seen_of(s, e, "create3.client"), key), 2, "after two");
	check_eq(int_of(seen_of(s, e, "create3.server"), key), -1, "the server does not know");
	check_eq(int_of(seen_of(s, e, "log.client"), key), -1, "another request");
}

static void check_spread(const struct scene *s, struct execution *e)
{
	const struct seen *root = seen_of(s, e, "api.execute");
	size_t i, n = 0;

	for (i = 0; i < s->count; i++) {
		if (!is_same_trace(&s->seen[i], root))
			continue;
		n++;
		check_str(attrs_get_str(&s->seen[i].span.attrs, "execution.id"), e->id,
			  "execution.id on every span");
		check_str(attrs_get_str(&s->seen[i].span.attrs, "user.id"), "ada",
			  "user.id on every span");
	}
	check_eq(n, SPANS_OF_TREE + e->has_traced_client, "no span more, no span less");
}

static void check_look(const struct scene *s, struct execution *e)
{
	const struct seen *root = seen_of(s, e, e->has_traced_client ? "client.execute" :
						"api.execute");
	const struct seen *look = seen_of(s, e, "api.look");

	check(!is_same_trace(look, root), "a look is no part of the execution");
	check(has_link(look, root), "it has a link to the execution's root");
	check_eq(look->span.link_count, 1, "and to nothing else");
	check_eq(look->span.has_parent, e->has_traced_client, "its parent");
	if (e->has_traced_client)
		check_child(look, seen_of(s, e, "client.look"), EVIDENCE_SOCKET_SEQUENCE, "look");
}

static void check_execution(const struct scene *s, struct execution *e)
{
	const struct seen *root = seen_of(s, e, "api.execute");
	struct context published = context_of(e->number, 1000 + e->number);
	const struct wanted *w;

	check_eq(root->span.has_parent, e->has_traced_client, "the api's server span");
	check_eq(root->span.kind, SPAN_SERVER, "kind");
	if (e->mode != NONE)
		check(is_trace(root, e->number), "in the trace whose id the api published");
	if (e->mode == TRACEPARENT)
		check(!memcmp(seen_of(s, e, "api.send")->span.span_id, published.span_id, 8),
		      "the producer has the span id of the wire");
	for_each(w, wanted)
		check_wanted(s, e, w);
	check_process(s, e);
	check_resends(s, e);
	check_spread(s, e);
	check_look(s, e);
}

/* --- tests ------------------------------------------------------------------------------------ */

#define EXECUTIONS_MAX 32

/* The executions in turn, by a fixed sequence that favors now this one, now that. */
static void play(struct scene *s, struct execution *es, size_t n)
{
	size_t left = n, i = 0;
	uint32_t lot = 12345;

	while (left) {
		left = 0;
		for (i = 0; i < n; i++) {
			lot = lot * 1664525 + 1013904223;
			/* not each one's turn */
			if (n == 1 || lot >> 31)
				execution_step(s, &es[i]);
			left += es[i].act < ARRAY_COUNT(acts);
		}
		join_tick(s->join, s->now);
	}
	scene_flush(s);
}

static void run(struct scene *s, enum mode mode, size_t n, bool has_traced_client)
{
	struct execution es[EXECUTIONS_MAX];
	size_t i;

	for (i = 0; i < n; i++) {
		execution_init(&es[i], i + 1, mode);
		es[i].has_traced_client = has_traced_client;
	}
	play(s, es, n);
	for (i = 0; i < n; i++)
		check_execution(s, &es[i]);
	check_eq(s->count, n * (SPANS_OF_TREE + 1 + 2 * has_traced_client), "spans in all");
	check_eq(scene_traces(s), 2 * n, "an execution and a look each");
	check_eq(s->counters.value[JOIN_STALE], 0, "no label was stale");
	check_eq(s->counters.value[CONTEXT_CONFLICTS], 0, "no context contradicted another");
	check_eq(s->counters.value[JOIN_DISAGREE], 0, "no evidence was put aside");
}

TEST(platform_each_mode)
{
	enum mode mode;

	for (mode = TRACEPARENT; mode <= NONE; mode++) {
		struct scene s;

		scene_init(&s);
		run(&s, mode, 1, false);
		check_eq(s.batches, 2, "each trace is handed on once");
		scene_done(&s);
	}
}

TEST(platform_each_mode_32_in_flight)
{
	enum mode mode;

	for (mode = TRACEPARENT; mode <= NONE; mode++) {
		struct scene s;

		scene_init(&s);
		run(&s, mode, EXECUTIONS_MAX, false);
		scene_done(&s);
	}
}

/* The client's span has no header, yet the id that the api publishes later is its trace's too. */
TEST(platform_with_its_client_traced)
{
	enum mode mode;

	for (mode = TRACEPARENT; mode <= NONE; mode++) {
		struct execution first;
		struct scene s;

		scene_init(&s);
		run(&s, mode, EXECUTIONS_MAX, true);
		execution_init(&first, 1, mode);
		check_root(&s, tag_of(&first, "client.execute"));
		check_child(seen_of(&s, &first, "api.execute"),
			    seen_of(&s, &first, "client.execute"), EVIDENCE_SOCKET_SEQUENCE,
			    "by sequence");
		scene_done(&s);
	}
}

static void check_same_spans(const struct scene *a, const struct scene *b)
{
	size_t i;

	check_eq(a->count, b->count, "as many spans");
	for (i = 0; i < a->count; i++) {
		const struct span *x = &a->seen[i].span, *y = &b->seen[i].span;

		check(!memcmp(x->trace_id, y->trace_id, 16), "trace ids");
		check(!memcmp(x->span_id, y->span_id, 8), "span ids and their order");
		check(!memcmp(x->parent_id, y->parent_id, 8), "parent ids");
		check_eq(x->attrs.count, y->attrs.count, "attributes");
		check_str(x->name, y->name, "names");
	}
}

TEST(platform_twice_gives_the_same)
{
	struct scene a, b, other;
	size_t i, same = 0;

	scene_init_key(&a, 7);
	scene_init_key(&b, 7);
	scene_init_key(&other, 8);
	run(&a, NONE, EXECUTIONS_MAX, false);
	run(&b, NONE, EXECUTIONS_MAX, false);
	run(&other, NONE, EXECUTIONS_MAX, false);
	check_same_spans(&a, &b);
	for (i = 0; i < a.count; i++)
		same += !memcmp(a.seen[i].span.span_id, other.seen[i].span.span_id, 8) ||
			!memcmp(a.seen[i].span.trace_id, other.seen[i].span.trace_id, 16);
	check_eq(same, 0, "another key makes other ids");
	scene_done(&a);
	scene_done(&b);
	scene_done(&other);
}

RUN_TESTS(cmocka_unit_test(platform_each_mode), cmocka_unit_test(platform_each_mode_32_in_flight),
	  cmocka_unit_test(platform_with_its_client_traced),
	  cmocka_unit_test(platform_twice_gives_the_same))
