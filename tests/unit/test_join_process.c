/* join of processes: who they are, and which execution hangs on what. */
#include "scene.h"

#define UID "00000000-1111-2222-3333-444444444444"

static const struct who kube = { 30, 30, 1 }, worker = { 20, 20, 1 };
static const struct who pod = { 70, 70, 70 }, child = { 71, 71, 71 };

static struct msg forked(const struct who *w, const struct who *to)
{
	struct msg m = message(MSG_PROC_FORK, w);

	m.process.child_tgid = to->tgid;
	m.process.child_start_ns = to->start_ns;
	return m;
}

static struct msg executed(const struct who *w, const struct who *parent, const char *exe,
			   const char *pod_uid)
{
	struct msg m = message(MSG_PROC_EXEC, w);

	m.process.exe = exe;
	m.process.parent_tgid = parent->tgid;
	m.process.pod_uid = pod_uid;
	return m;
}

static struct msg exited(const struct who *w, int code, int sig)
{
	struct msg m = message(MSG_PROC_EXIT, w);

	m.process.exit_code = code;
	m.process.exit_signal = sig;
	return m;
}

static struct msg target(const struct who *w, const char *service)
{
	struct msg m = message(MSG_PROC_TARGET, w);

	m.process.service = service;
	return m;
}

/* The worker's create request, with both ends seen, and answered. */
static void create(struct scene *s, uint32_t line, const char *client, const char *server)
{
	feed(s, tagged(request(&worker, HTTP_CLIENT, line, 1, "POST /pods"), client));
	feed(s, tagged(request(&kube, HTTP_SERVER, line, 1, "POST /pods"), server));
	feed(s, with(later(MSG_HTTP_ATTRS, &kube, HTTP_SERVER, line, 1), "k8s.pod.uid", UID));
	answer(s, &kube, HTTP_SERVER, line, 201);
	feed(s, with(later(MSG_HTTP_ATTRS, &worker, HTTP_CLIENT, line, 1), "k8s.pod.uid", UID));
	answer(s, &worker, HTTP_CLIENT, line, 201);
}

static void start_pod(struct scene *s)
{
	feed(s, forked(&kube, &pod));
	feed(s, executed(&pod, &kube, "/usr/bin/main", UID));
}

/* The one execution span of a process. */
static const struct seen *execution_of(const struct scene *s, const struct who *w)
{
	const struct seen *found = NULL;
	size_t i;

	for (i = 0; i < s->count; i++) {
		if (s->seen[i].span.kind != SPAN_INTERNAL ||
		    int_of(&s->seen[i], "process.pid") != w->tgid)
			continue;
		check(!found, "one execution a process");
		found = &s->seen[i];
	}
	check(found, "an execution span");
	return found;
}

static size_t executions(const struct scene *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->count; i++)
		n += s->seen[i].span.kind == SPAN_INTERNAL;
	return n;
}

TEST(process_pod_hangs_on_the_server_that_made_it)
{
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	create(&s, 1, "client", "server");
	start_pod(&s);
	feed(&s, exited(&pod, 3, 0));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	sn = execution_of(&s, &pod);
	check_child(sn, span_of(&s, "server"), EVIDENCE_EXEC, "by the pod's uid");
	check_eq(int_of(sn, "process.exit.code"), 3, "exit code");
	check_eq(sn->span.status, STATUS_ERROR, "failed");
	check_eq(sn->span.end_ns - sn->span.start_ns, MS, "from exec to exit");
	check_str(sn->service, "main", "named by its program");
	check_eq(s.batches, 1, "one trace, when the pod has ended");
	scene_done(&s);
}

TEST(process_pod_hangs_on_the_client_where_the_server_is_not_seen)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(request(&worker, HTTP_CLIENT, 1, 1, "POST /pods"), "client"));
	feed(&s, with(later(MSG_HTTP_ATTRS, &worker, HTTP_CLIENT, 1, 1), "k8s.pod.uid", UID));
	answer(&s, &worker, HTTP_CLIENT, 1, 201);
	start_pod(&s);
	scene_flush(&s);
	check_child(execution_of(&s, &pod), span_of(&s, "client"), EVIDENCE_EXEC, "client");
	scene_done(&s);
}

/* Watches, lists and reads of a pod name its uid, too; none of them made it. */
TEST(process_pod_does_not_hang_on_who_only_looked)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(request(&kube, HTTP_SERVER, 8, 1, "GET /pods"), "watch"));
	feed(&s, with(later(MSG_HTTP_ATTRS, &kube, HTTP_SERVER, 8, 1), "k8s.pod.uid", UID));
	create(&s, 1, "client", "server");
	feed(&s, tagged(request(&kube, HTTP_SERVER, 9, 1, "POST /pods/{name}/eviction"), "post"));
	feed(&s, with(later(MSG_HTTP_ATTRS, &kube, HTTP_SERVER, 9, 1), "k8s.pod.uid", UID));
	start_pod(&s);
	scene_flush(&s);
	check_child(execution_of(&s, &pod), span_of(&s, "server"), EVIDENCE_EXEC, "who made it");
	scene_done(&s);
}

TEST(process_without_a_trace_has_no_span)
{
	struct scene s;

	scene_init(&s);
	feed(&s, forked(&kube, &pod));
	feed(&s, executed(&pod, &kube, "/usr/bin/main", NULL));
	feed(&s, forked(&pod, &child));
	feed(&s, executed(&child, &pod, "/bin/sh", UID));
	feed(&s, exited(&child, 0, 0));
	feed(&s, exited(&pod, 0, 0));
	scene_flush(&s);
	check_eq(s.count, 0, "none");
	scene_done(&s);
}

/* runc's init runs in the container before the container's command does. */
TEST(process_two_programs_in_one_process)
{
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	create(&s, 1, "client", "server");
	feed(&s, forked(&kube, &pod));
	feed(&s, executed(&pod, &kube, "/usr/bin/runc", UID));
	feed(&s, executed(&pod, &kube, "/app/main", UID));
	feed(&s, tagged(sent(&pod, 1, "t", "k"), "send"));
	feed(&s, exited(&pod, 0, 0));
	scene_flush(&s);
	sn = execution_of(&s, &pod);
	check_str(sn->span.name, "main", "the command's name");
	check_str(attrs_get_str(&sn->span.attrs, "process.executable.path"), "/app/main", "path");
	check_str(sn->service, "main", "service");
	check_str(span_of(&s, "send")->service, "main", "service of what it does");
	check_eq(sn->span.status, STATUS_UNSET, "exit code 0");
	check_eq(int_of(sn, "process.exit.code"), 0, "exit code");
	scene_done(&s);
}

TEST(process_child_of_a_pods_process)
{
	static const struct who clone = { 72, 72, 72 };
	struct scene s;

	scene_init(&s);
	create(&s, 1, "client", "server");
	start_pod(&s);
	feed(&s, forked(&pod, &clone));		/* executes nothing */
	feed(&s, forked(&clone, &child));
	feed(&s, executed(&child, &clone, "/bin/sh", UID));
	feed(&s, exited(&child, 0, 9));
	feed(&s, exited(&clone, 0, 0));
	feed(&s, exited(&pod, 0, 0));
	scene_flush(&s);
	check_child(execution_of(&s, &child), execution_of(&s, &pod), EVIDENCE_EXEC,
		    "the nearest that executed");
	check_str(attrs_get_str(&execution_of(&s, &child)->span.attrs, "process.exit.signal"),
		  "SIGKILL", "signal");
	check_eq(int_of(execution_of(&s, &child), "process.exit.code"), 137, "as a shell says");
	check_eq(executions(&s), 2, "a fork alone is none");
	scene_done(&s);
}

/* --- pids ------------------------------------------------------------------------------------- */

TEST(process_id_used_again)
{
	static const struct who next = { 70, 70, 5000 * MS };
	struct scene s;

	scene_init(&s);
	feed(&s, target(&pod, "old"));
	create(&s, 1, "client", "server");
	start_pod(&s);			/* its exit is lost */
	feed(&s, tagged(sent(&pod, 1, "t", "k"), "old"));
	feed(&s, acked(&pod, 1, 0, 1));
	feed(&s, tagged(sent(&next, 2, "t", "k"), "new"));
	feed(&s, acked(&next, 2, 0, 2));
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_str(span_of(&s, "old")->service, "main", "old");
	check_str(span_of(&s, "new")->service, "unknown_service", "another process");
	check(attrs_get(&execution_of(&s, &pod)->span.attrs, "spanstitch.end_not_seen"),
	      "ended, its end not seen");
	scene_done(&s);
}

/* A parent that is gone, and whose id a pod's process has now, is not the parent. */
TEST(process_parents_id_used_again)
{
	static const struct who parent = { 70, 70, 5 }, orphan = { 80, 80, 10 };
	static const struct who later_pod = { 70, 70, 5000 * MS };
	struct scene s;

	scene_init(&s);
	feed(&s, forked(&parent, &orphan));
	feed(&s, exited(&parent, 0, 0));
	create(&s, 1, "client", "server");
	feed(&s, forked(&kube, &later_pod));
	feed(&s, executed(&later_pod, &kube, "/usr/bin/main", UID));
	feed(&s, executed(&orphan, &parent, "/bin/sh", NULL));
	scene_flush(&s);
	check_eq(executions(&s), 1, "the pod's alone");
	scene_done(&s);
}

/* A start that was read from /proc is cut to the clock's tick of 10 ms. */
TEST(process_start_by_proc_is_the_same_process)
{
	static const struct who exact = { 90, 90, 1234567890 }, cut = { 90, 90, 1230000000 };
	struct scene s;

	scene_init(&s);
	feed(&s, target(&cut, "shop"));
	feed(&s, tagged(sent(&exact, 1, "t", "k"), "send"));
	feed(&s, acked(&exact, 1, 0, 1));
	scene_flush(&s);
	check_str(span_of(&s, "send")->service, "shop", "as the target said");
	scene_done(&s);
}

TEST(process_child_has_its_parents_name_until_it_executes)
{
	struct scene s;

	scene_init(&s);
	feed(&s, target(&pod, "shop"));
	feed(&s, forked(&pod, &child));
	feed(&s, tagged(sent(&child, 1, "t", "k"), "forked"));
	feed(&s, executed(&child, &pod, "/bin/tool", NULL));
	feed(&s, tagged(sent(&child, 2, "t", "k"), "executed"));
	feed(&s, target(&child, "named"));
	feed(&s, tagged(sent(&child, 3, "t", "k"), "targeted"));
	scene_flush(&s);
	check_str(span_of(&s, "forked")->service, "shop", "as its parent");
	check_str(span_of(&s, "executed")->service, "named", "one process, one name");
	check_str(span_of(&s, "targeted")->service, "named", "as target says");
	scene_done(&s);
}

/* --- TRACEPARENT in the environment */

TEST(process_context_of_its_environment)
{
	struct context c = context_of(1, 11);
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	feed(&s, carrying(target(&pod, "job"), c));
	feed(&s, exited(&pod, 0, 0));
	scene_flush(&s);
	sn = execution_of(&s, &pod);
	check(is_trace(sn, 1), "its trace");
	check(!memcmp(sn->span.parent_id, c.span_id, 8), "its parent");
	check_eq(sn->span.evidence, EVIDENCE_EXEC, "evidence");
	check_eq(s.counters.value[JOIN_EXEC], 1, "counted as such");
	scene_done(&s);
}

TEST(process_context_of_its_environment_names_a_known_span)
{
	struct context c = context_of(1, 11);
	struct scene s;

	scene_init(&s);
	feed(&s, carrying(tagged(sent(&worker, 1, "t", "k"), "send"), c));
	feed(&s, carrying(target(&pod, "job"), c));
	scene_flush(&s);
	check_child(execution_of(&s, &pod), span_of(&s, "send"), EVIDENCE_EXEC, "the sender");
	scene_done(&s);
}

/* The environment repeats an ancestor's id, as the pod's maker passed it on: the pod is finer. */
TEST(process_pod_with_a_context)
{
	struct context c = context_of(1, 11);
	struct scene s;

	scene_init(&s);
	feed(&s, carrying(tagged(sent(&worker, 1, "t", "k"), "send"), c));
	create(&s, 1, "client", "server");
	start_pod(&s);
	feed(&s, carrying(target(&pod, "job"), c));
	scene_flush(&s);
	check_child(execution_of(&s, &pod), span_of(&s, "server"), EVIDENCE_EXEC, "the pod's");
	check(is_trace(span_of(&s, "server"), 1), "the trace has the environment's id");
	scene_done(&s);
}

TEST(process_pod_with_the_context_of_another_trace)
{
	struct context c = context_of(2, 12);
	struct scene s;
	const struct seen *sn;

	scene_init(&s);
	feed(&s, carrying(tagged(request(&worker, HTTP_SERVER, 5, 1, "GET /in"), "in"),
			  context_of(1, 11)));
	feed(&s, by_thread(tagged(request(&worker, HTTP_CLIENT, 1, 1, "POST /pods"), "client"),
			   http_label(5, 1)));
	feed(&s, with(later(MSG_HTTP_ATTRS, &worker, HTTP_CLIENT, 1, 1), "k8s.pod.uid", UID));
	start_pod(&s);
	feed(&s, carrying(target(&pod, "job"), c));
	scene_flush(&s);
	sn = execution_of(&s, &pod);
	check_child(sn, span_of(&s, "client"), EVIDENCE_EXEC, "its pod's");
	check_eq(sn->span.link_count, 1, "a link to what the environment names");
	check(!memcmp(sn->span.links[0].span_id, c.span_id, 8), "that one");
	check_eq(s.counters.value[CONTEXT_CONFLICTS], 1, "counted");
	scene_done(&s);
}

/* It was handed on as unfinished, then executes again: a new span, and no memory lost. */
TEST(process_executes_after_its_span_was_handed_on)
{
	struct scene s;

	scene_init(&s);
	create(&s, 1, "client", "server");
	start_pod(&s);
	join_flush(s.join, s.now);
	feed(&s, executed(&pod, &kube, "/usr/bin/second", UID));
	feed(&s, exited(&pod, 0, 0));
	scene_flush(&s);
	check_eq(executions(&s), 2, "two");
	check_eq(scene_traces(&s), 1, "in one trace");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(process_pod_hangs_on_the_server_that_made_it),
	  cmocka_unit_test(process_pod_hangs_on_the_client_where_the_server_is_not_seen),
	  cmocka_unit_test(process_pod_does_not_hang_on_who_only_looked),
	  cmocka_unit_test(process_without_a_trace_has_no_span),
	  cmocka_unit_test(process_two_programs_in_one_process),
	  cmocka_unit_test(process_child_of_a_pods_process),
	  cmocka_unit_test(process_id_used_again),
	  cmocka_unit_test(process_parents_id_used_again),
	  cmocka_unit_test(process_start_by_proc_is_the_same_process),
	  cmocka_unit_test(process_child_has_its_parents_name_until_it_executes),
	  cmocka_unit_test(process_context_of_its_environment),
	  cmocka_unit_test(process_context_of_its_environment_names_a_known_span),
	  cmocka_unit_test(process_pod_with_a_context),
	  cmocka_unit_test(process_pod_with_the_context_of_another_trace),
	  cmocka_unit_test(process_executes_after_its_span_was_handed_on))
