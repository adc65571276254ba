/*
 * execution: one execution of the platform as a synthetic trace, for tests of what is shown:
 * an api publishes, a worker creates a pod (refused twice), the pod's process fails, a monitor
 * and a result processor bring the news back.
 */
#ifndef TESTS_EXECUTION_H
#define TESTS_EXECUTION_H

#include "traces.h"

enum {
	EXECUTION_API,
	EXECUTION_WORKER,
	EXECUTION_KUBE,
	EXECUTION_POD,
	EXECUTION_MONITOR,
	EXECUTION_RESULT,
	EXECUTION_SERVICES,
};

#define EXECUTION_SPANS 22

struct execution {
	struct trace trace;
	struct span *spans[EXECUTION_SPANS];
	struct resource *resources[EXECUTION_SERVICES];
};

static const struct execution_row {
	int service;
	const char *name, *path;
	enum span_kind kind;
	int parent;		/* index; -1: none */
	enum evidence evidence;
	int start_us, end_us;
	int status;		/* HTTP status; 0: none */
	const char *topic;
	int offset;
} execution_rows[EXECUTION_SPANS] = {
	{ EXECUTION_API, "POST /execute", "/execute", SPAN_SERVER, -1, EVIDENCE_NONE, 0, 8400, 202,
	  NULL, 0 },
	{ EXECUTION_API, "send executions", NULL, SPAN_PRODUCER, 0, EVIDENCE_TASK_PYTHON, 2100,
	  7900, 0, "executions", 17 },
	{ EXECUTION_WORKER, "process executions", NULL, SPAN_CONSUMER, 1, EVIDENCE_HEADER, 9300,
	  412000, 0, "executions", 17 },
	{ EXECUTION_WORKER, "POST", "/api/v1/namespaces/default/pods", SPAN_CLIENT, 2,
	  EVIDENCE_THREAD, 12000, 21000, 503, NULL, 0 },
	{ EXECUTION_KUBE, "POST", "/api/v1/namespaces/default/pods", SPAN_SERVER, 3,
	  EVIDENCE_SOCKET_SEQUENCE, 13100, 20100, 503, NULL, 0 },
	{ EXECUTION_WORKER, "POST", "/api/v1/namespaces/default/pods", SPAN_CLIENT, 2,
	  EVIDENCE_THREAD, 122000, 131000, 503, NULL, 0 },
	{ EXECUTION_KUBE, "POST", "/api/v1/namespaces/default/pods", SPAN_SERVER, 5,
	  EVIDENCE_SOCKET_SEQUENCE, 123000, 130200, 503, NULL, 0 },
	{ EXECUTION_WORKER, "POST", "/api/v1/namespaces/default/pods", SPAN_CLIENT, 2,
	  EVIDENCE_THREAD, 332000, 371000, 201, NULL, 0 },
	{ EXECUTION_KUBE, "POST", "/api/v1/namespaces/default/pods", SPAN_SERVER, 7,
	  EVIDENCE_SOCKET_SEQUENCE, 333000, 370000, 201, NULL, 0 },
	{ EXECUTION_POD, "python3", NULL, SPAN_INTERNAL, 8, EVIDENCE_EXEC, 391000, 1243000, 0, NULL,
	  0 },
	{ EXECUTION_WORKER, "send pods", NULL, SPAN_PRODUCER, 2, EVIDENCE_THREAD, 373000, 379000, 0,
	  "pods", 16 },
	{ EXECUTION_MONITOR, "process pods", NULL, SPAN_CONSUMER, 10, EVIDENCE_KAFKA_OFFSET, 380000,
	  381000, 0, "pods", 16 },
	{ EXECUTION_MONITOR, "send pod-events", NULL, SPAN_PRODUCER, 11, EVIDENCE_CORRELATION,
	  402000, 405000, 0, "pod-events", 51 },
	{ EXECUTION_RESULT, "process pod-events", NULL, SPAN_CONSUMER, 12, EVIDENCE_HEADER, 406000,
	  407000, 0, "pod-events", 51 },
	{ EXECUTION_MONITOR, "send pod-events", NULL, SPAN_PRODUCER, 11, EVIDENCE_CORRELATION,
	  1245000, 1250000, 0, "pod-events", 52 },
	{ EXECUTION_RESULT, "process pod-events", NULL, SPAN_CONSUMER, 14, EVIDENCE_HEADER, 1251000,
	  1290000, 0, "pod-events", 52 },
	{ EXECUTION_RESULT, "GET", "/api/v1/namespaces/default/pods/exec-8f2c/log", SPAN_CLIENT, 15,
	  EVIDENCE_THREAD, 1252000, 1266000, 200, NULL, 0 },
	{ EXECUTION_KUBE, "GET", "/api/v1/namespaces/default/pods/exec-8f2c/log", SPAN_SERVER, 16,
	  EVIDENCE_SOCKET_SEQUENCE, 1253000, 1265000, 200, NULL, 0 },
	{ EXECUTION_RESULT, "POST", "/executions/8f2c/result", SPAN_CLIENT, 15, EVIDENCE_THREAD,
	  1270000, 1286000, 200, NULL, 0 },
	{ EXECUTION_API, "POST /executions/{id}/result", "/executions/8f2c/result", SPAN_SERVER, 18,
	  EVIDENCE_HEADER, 1271000, 1284900, 200, NULL, 0 },
	{ EXECUTION_RESULT, "DELETE", "/api/v1/namespaces/default/pods/exec-8f2c", SPAN_CLIENT, 15,
	  EVIDENCE_THREAD, 1286500, 1289500, 200, NULL, 0 },
	{ EXECUTION_KUBE, "DELETE", "/api/v1/namespaces/default/pods/exec-8f2c", SPAN_SERVER, 20,
	  EVIDENCE_SOCKET_SEQUENCE, 1287000, 1289000, 200, NULL, 0 },
};

static inline void execution_http(struct span *sp, const struct execution_row *row)
{
	char text[128];

	if (row->kind == SPAN_SERVER) {
		attrs_set_str(&sp->attrs, "url.path", row->path);
	} else {
		snprintf(text, sizeof(text), "http://127.0.0.1:8080%s?timeout=30", row->path);
		attrs_set_str(&sp->attrs, "url.full", text);
	}
	attrs_set_int(&sp->attrs, "http.response.status_code", row->status);
	if (row->status < 500)
		return;
	snprintf(text, sizeof(text), "%d", row->status);
	attrs_set_str(&sp->attrs, "error.type", text);
	sp->status = STATUS_ERROR;
}

static inline int execution_by_start(const void *a, const void *b)
{
	const struct span *const *sa = a, *const *sb = b;

	if ((*sa)->start_ns != (*sb)->start_ns)
		return (*sa)->start_ns < (*sb)->start_ns ? -1 : 1;
	return memcmp((*sa)->span_id, (*sb)->span_id, 8);
}

static inline struct execution *execution_new(void)
{
	static const char *const services[] = { "api", "worker", "kube", "pod exec-8f2c",
						"pod-monitor", "result-processor" };
	struct execution *x = calloc(1, sizeof(*x));
	int i;

	for (i = 0; i < EXECUTION_SERVICES; i++)
		x->resources[i] = traces_resource(services[i], 100 + i);
	traces_put_number(x->trace.trace_id, 16, 0x4bf92f3577b34da6);
	for (i = 0; i < EXECUTION_SPANS; i++) {
		const struct execution_row *row = &execution_rows[i];
		struct span *sp = traces_span(row->name, row->kind,
					      TRACES_EPOCH_NS + row->start_us * 1000ull,
					      TRACES_EPOCH_NS + row->end_us * 1000ull);

		x->spans[i] = sp;
		sp->resource = x->resources[row->service];
		memcpy(sp->trace_id, x->trace.trace_id, 16);
		traces_put_number(sp->span_id, 8, 0xa000 + i);
		sp->scope = row->topic ? "kafka" : row->path ? "http" : "process";
		if (row->parent >= 0)
			traces_parent(sp, x->spans[row->parent], row->evidence);
		attrs_set_str(&sp->attrs, "execution.id", "8f2c");
		attrs_set_str(&sp->attrs, "user.id", "alice");
		attrs_set_str(&sp->attrs, "code.language", "python");
		if (row->path)
			execution_http(sp, row);
		if (row->topic) {
			attrs_set_str(&sp->attrs, "messaging.destination.name", row->topic);
			attrs_set_str(&sp->attrs, "messaging.destination.partition.id", "0");
			attrs_set_int(&sp->attrs, "messaging.kafka.offset", row->offset);
		}
	}
	attrs_set_int(&x->spans[5]->attrs, "http.request.resend_count", 1);
	attrs_set_int(&x->spans[7]->attrs, "http.request.resend_count", 2);
	attrs_set_int(&x->spans[9]->attrs, "process.exit.code", 3);
	attrs_set_str(&x->spans[9]->attrs, "error.type", "3");
	x->spans[9]->status = STATUS_ERROR;
	x->trace.spans = calloc(EXECUTION_SPANS, sizeof(*x->trace.spans));
	x->trace.count = EXECUTION_SPANS;
	memcpy(x->trace.spans, x->spans, sizeof(x->spans));
	qsort(x->trace.spans, EXECUTION_SPANS, sizeof(*x->trace.spans), execution_by_start);
	return x;
}

static inline void execution_free(struct execution *x)
{
	int i;

	for (i = 0; i < EXECUTION_SPANS; i++)
		traces_span_free(x->spans[i]);
	for (i = 0; i < EXECUTION_SERVICES; i++)
		traces_resource_free(x->resources[i]);
	free(x->trace.spans);
	free(x);
}

#endif
