/* join of HTTP exchanges: whose work a call is, both ends of one request, ends and errors. */
#include "scene.h"

static const struct who server = { 100, 100, 1 }, backend = { 200, 200, 2 };

static void serve(struct scene *s, uint32_t n, const char *tag)
{
	feed(s, tagged(request(&server, HTTP_SERVER, 1, n, "GET /in"), tag));
}

static void finish(struct scene *s, uint32_t n)
{
	feed(s, response(&server, HTTP_SERVER, 1, n, 200));
	feed(s, end(&server, HTTP_SERVER, 1, n));
}

/* A call on a line of its own: HTTP exchanges of one line are numbered. */
static void call(struct scene *s, uint32_t line, struct msg_labels labels, const char *tag)
{
	struct msg m = tagged(request(&server, HTTP_CLIENT, line, 1, "GET /out"), tag);

	m.labels = labels;
	feed(s, m);
	answer(s, &server, HTTP_CLIENT, line, 200);
}

static struct msg_labels thread_of(uint32_t line, uint32_t op)
{
	return (struct msg_labels){ .thread = http_label(line, op) };
}

static const char *reason_of(const struct scene *s, const char *tag)
{
	return attrs_get_str(&span_of(s, tag)->span.attrs, "spanstitch.parent.reason");
}

TEST(http_thread_label)
{
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "in");
	call(&s, 2, thread_of(1, 1), "out");
	call(&s, 3, thread_of(1, 4), "after the body's reads");
	finish(&s, 1);
	scene_flush(&s);
	check_parent(&s, "out", "in", EVIDENCE_THREAD);
	check_parent(&s, "after the body's reads", "in", EVIDENCE_THREAD);
	check(!span_of(&s, "out")->span.parent_is_remote, "of the same process");
	check_eq(s.counters.value[JOIN_STALE], 0, "none stale");
	scene_done(&s);
}

TEST(http_label_of_answered_request_is_stale)
{
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "in");
	finish(&s, 1);
	call(&s, 2, thread_of(1, 1), "out");
	scene_flush(&s);
	check_root(&s, "out");
	check_str(reason_of(&s, "out"), "the work of its label had ended", "reason");
	check_eq(s.counters.value[JOIN_STALE], 1, "counted");
	scene_done(&s);
}

TEST(http_label_is_of_its_request_on_a_kept_connection)
{
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "first");
	finish(&s, 1);
	serve(&s, 5, "second");		/* its head began with the connection's 5th read */
	call(&s, 2, thread_of(1, 4), "of the first");
	call(&s, 3, thread_of(1, 5), "of the second");
	call(&s, 4, thread_of(1, 6), "of the second's body");
	finish(&s, 5);
	scene_flush(&s);
	check_root(&s, "of the first");
	check_parent(&s, "of the second", "second", EVIDENCE_THREAD);
	check_parent(&s, "of the second's body", "second", EVIDENCE_THREAD);
	check_eq(s.counters.value[JOIN_STALE], 1, "the first's");
	scene_done(&s);
}

TEST(http_pipelined_requests_are_told_apart_by_their_reads)
{
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "first");
	serve(&s, 2, "second");
	call(&s, 2, thread_of(1, 1), "of the first");
	call(&s, 3, thread_of(1, 2), "of the second");
	scene_flush(&s);
	check_parent(&s, "of the first", "first", EVIDENCE_THREAD);
	check_parent(&s, "of the second", "second", EVIDENCE_THREAD);
	scene_done(&s);
}

TEST(http_two_requests_of_one_read_have_no_label)
{
	struct msg m = tagged(request(&server, HTTP_SERVER, 1, 2, "GET /in"), "second");
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "first");
	m.http.first_op = 1;
	feed(&s, m);
	call(&s, 2, thread_of(1, 1), "out");
	finish(&s, 1);
	call(&s, 3, thread_of(1, 1), "when one is left");
	scene_flush(&s);
	check_root(&s, "out");
	check_str(reason_of(&s, "out"), "several requests came in one read", "reason");
	check_parent(&s, "when one is left", "second", EVIDENCE_THREAD);
	scene_done(&s);
}

TEST(http_label_of_another_process_means_nothing)
{
	struct msg m = tagged(request(&backend, HTTP_CLIENT, 2, 1, "GET /out"), "out");
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "in");
	feed(&s, by_thread(m, http_label(1, 1)));
	scene_flush(&s);
	check_root(&s, "out");
	scene_done(&s);
}

TEST(http_labels_in_an_event_loop)
{
	static const struct msg_labels loop = {
		.loop_thread = true, .has_task = true,
	};
	struct msg_labels labels = loop;
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "in");
	feed(&s, tagged(request(&server, HTTP_SERVER, 9, 1, "GET /in"), "other"));
	labels.thread = http_label(9, 1);
	call(&s, 2, labels, "thread only");
	labels.task = http_label(1, 1);
	call(&s, 3, labels, "task and thread");
	labels.loop_thread = false;	/* the task is right where no loop was seen, too */
	call(&s, 4, labels, "task of a plain thread");
	finish(&s, 1);
	call(&s, 5, labels, "stale task");
	scene_flush(&s);
	check_root(&s, "thread only");
	check_str(reason_of(&s, "thread only"), "its task has no label", "reason");
	check_parent(&s, "task and thread", "in", EVIDENCE_TASK_PYTHON);
	check_parent(&s, "task of a plain thread", "in", EVIDENCE_TASK_PYTHON);
	check_root(&s, "stale task");	/* and not the thread's */
	check_eq(s.counters.value[JOIN_STALE], 1, "one");
	scene_done(&s);
}

/* --- both ends -------------------------------------------------------------------------------- */

TEST(http_sequence_joins_both_ends)
{
	static const struct end_case {
		const char *name;
		uint16_t port;
		uint32_t seq;
		bool has_seq, is_joined;
	} cases[] = {
		{ "the same",        10001, 4000001000U, true,  true },
		{ "another port",    10002, 4000001000U, true,  false },
		{ "another request", 10001, 4000001001U, true,  false },
		{ "no sequence",     10001, 4000001000U, false, false },
	}, *c;

	for_each(c, cases) {
		struct msg m = tagged(request(&backend, HTTP_SERVER, 1, 1, "GET /x"), "server");
		struct scene s;

		scene_init(&s);
		feed(&s, tagged(request(&server, HTTP_CLIENT, 1, 1, "GET /x"), "client"));
		m.http.endpoint.peer_port = c->port;
		m.http.tcp_seq = c->seq;
		m.http.has_seq = c->has_seq;
		feed(&s, m);
		scene_flush(&s);
		if (c->is_joined)
			check_parent(&s, "server", "client", EVIDENCE_SOCKET_SEQUENCE);
		else
			check_root(&s, "server");
		check_eq(scene_traces(&s), c->is_joined ? 1 : 2, c->name);
		scene_done(&s);
	}
}

/* The older of two clients with one 4-tuple and sequence never met its server. */
TEST(http_sequence_of_the_newer_client)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(request(&server, HTTP_CLIENT, 1, 1, "GET /x"), "old"));
	answer(&s, &server, HTTP_CLIENT, 1, 200);
	feed(&s, tagged(request(&server, HTTP_CLIENT, 1, 1, "GET /x"), "new"));
	feed(&s, tagged(request(&backend, HTTP_SERVER, 1, 1, "GET /x"), "server"));
	scene_flush(&s);
	check_parent(&s, "server", "new", EVIDENCE_SOCKET_SEQUENCE);
	check_root(&s, "old");
	scene_done(&s);
}

TEST(http_server_before_its_client_is_another_connection)
{
	struct scene s;

	scene_init(&s);
	feed(&s, tagged(request(&backend, HTTP_SERVER, 1, 1, "GET /x"), "server"));
	answer(&s, &backend, HTTP_SERVER, 1, 200);
	feed(&s, tagged(request(&server, HTTP_CLIENT, 1, 1, "GET /x"), "client"));
	scene_flush(&s);
	check_root(&s, "server");
	scene_done(&s);
}

/* --- ends and errors -------------------------------------------------------------------------- */

TEST(http_status_and_ends)
{
	static const struct end_case {
		const char *name;
		enum http_role role;
		int status;		/* 0: no response */
		enum http_end end;
		const char *error;	/* NULL: none */
	} cases[] = {
		{ "server 200",    HTTP_SERVER, 200, HTTP_END_COMPLETE, NULL },
		{ "client 200",    HTTP_CLIENT, 200, HTTP_END_COMPLETE, NULL },
		{ "server 404",    HTTP_SERVER, 404, HTTP_END_COMPLETE, NULL },
		{ "client 404",    HTTP_CLIENT, 404, HTTP_END_COMPLETE, "404" },
		{ "server 500",    HTTP_SERVER, 500, HTTP_END_COMPLETE, "500" },
		{ "client 503",    HTTP_CLIENT, 503, HTTP_END_COMPLETE, "503" },
		{ "server closed", HTTP_SERVER, 0,   HTTP_END_CLOSED,   "connection_closed" },
		{ "client closed", HTTP_CLIENT, 0,   HTTP_END_CLOSED,   "connection_closed" },
		{ "server reset",  HTTP_SERVER, 200, HTTP_END_RESET,    "connection_reset" },
		{ "client reset",  HTTP_CLIENT, 0,   HTTP_END_RESET,    "connection_reset" },
		{ "upgrade",       HTTP_SERVER, 101, HTTP_END_UPGRADE,  NULL },
		{ "lost",          HTTP_SERVER, 0,   HTTP_END_LOST,     NULL },
	}, *c;

	for_each(c, cases) {
		struct msg m = end(&server, c->role, 1, 1);
		struct scene s;
		const struct seen *sn;

		scene_init(&s);
		feed(&s, tagged(request(&server, c->role, 1, 1, "GET /x"), "x"));
		if (c->status)
			feed(&s, response(&server, c->role, 1, 1, c->status));
		m.http.end = c->end;
		feed(&s, m);
		scene_wait(&s, 2 * SCENE_LINGER_NS);
		sn = span_of(&s, "x");
		check_eq(sn->span.status, c->error ? STATUS_ERROR : STATUS_UNSET, c->name);
		check_str(attrs_get_str(&sn->span.attrs, "error.type"), c->error, c->name);
		check_eq(int_of(sn, "http.response.status_code"), c->status ? c->status : -1,
			 c->name);
		check_eq(!!attrs_get(&sn->span.attrs, "spanstitch.end_not_seen"),
			 c->end == HTTP_END_LOST, c->name);
		scene_done(&s);
	}
}

TEST(http_lost_end_does_not_hold_the_trace)
{
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "lost");
	serve(&s, 1, "next");	/* the same inode and number: another connection */
	finish(&s, 1);
	scene_wait(&s, 2 * SCENE_LINGER_NS);
	check_eq(s.count, 2, "both are handed on");
	check(attrs_get(&span_of(&s, "lost")->span.attrs, "spanstitch.end_not_seen"), "it says so");
	check_eq(int_of(span_of(&s, "next"), "http.response.status_code"), 200, "status");
	scene_done(&s);
}

static void attempt(struct scene *s, uint32_t line, int status, const char *tag)
{
	feed(s, by_thread(tagged(request(&server, HTTP_CLIENT, line, 1, "POST /out"), tag),
			  http_label(1, 1)));
	answer(s, &server, HTTP_CLIENT, line, status);
}

TEST(http_resends_are_of_failures_only)
{
	static const char *const key = "http.request.resend_count";
	struct scene s;

	scene_init(&s);
	serve(&s, 1, "in");
	attempt(&s, 2, 503, "1");
	attempt(&s, 3, 429, "2");
	attempt(&s, 4, 201, "3");
	attempt(&s, 5, 404, "another");
	attempt(&s, 6, 200, "after not found");
	finish(&s, 1);
	scene_flush(&s);
	check_eq(int_of(span_of(&s, "1"), key), -1, "the first");
	check_eq(int_of(span_of(&s, "2"), key), 1, "one failed");
	check_eq(int_of(span_of(&s, "3"), key), 2, "two failed");
	check_eq(int_of(span_of(&s, "another"), key), -1, "the request before succeeded");
	check_eq(int_of(span_of(&s, "after not found"), key), -1, "404 is an answer");
	scene_done(&s);
}

RUN_TESTS(cmocka_unit_test(http_thread_label),
	  cmocka_unit_test(http_label_of_answered_request_is_stale),
	  cmocka_unit_test(http_label_is_of_its_request_on_a_kept_connection),
	  cmocka_unit_test(http_pipelined_requests_are_told_apart_by_their_reads),
	  cmocka_unit_test(http_two_requests_of_one_read_have_no_label),
	  cmocka_unit_test(http_label_of_another_process_means_nothing),
	  cmocka_unit_test(http_labels_in_an_event_loop),
	  cmocka_unit_test(http_sequence_joins_both_ends),
	  cmocka_unit_test(http_sequence_of_the_newer_client),
	  cmocka_unit_test(http_server_before_its_client_is_another_connection),
	  cmocka_unit_test(http_status_and_ends),
	  cmocka_unit_test(http_lost_end_does_not_hold_the_trace),
	  cmocka_unit_test(http_resends_are_of_failures_only))
