/*
 * span: what samplers and exporters see: finished spans, grouped into traces.
 * Names, kinds and attributes follow OpenTelemetry semantic conventions 1.44.0.
 */
#ifndef JOIN_SPAN_H
#define JOIN_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/attrs.h"

#define SPAN_LINKS_MAX 1024	/* one a message of a batch */
#define SPAN_EVENTS_MAX 128

/* numbers as in the OTLP protocol */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER, SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER };
enum span_status { STATUS_UNSET, STATUS_OK, STATUS_ERROR };

/* how the parent was found; best first (design, section 6) */
enum evidence {
	EVIDENCE_HEADER,
	EVIDENCE_TASK_PYTHON,
	EVIDENCE_THREAD,
	EVIDENCE_KAFKA_OFFSET,
	EVIDENCE_SOCKET_SEQUENCE,
	EVIDENCE_EXEC,
	EVIDENCE_CORRELATION,
	EVIDENCE_NONE,
	EVIDENCE_MAX,
};

const char *evidence_name(enum evidence e);	/* "header", "task:python", ... */

struct span_link {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	struct attrs attrs;
};

struct span_event {
	uint64_t ts_ns;		/* since the epoch */
	char *name;
	struct attrs attrs;
};

/* the process that a span ran in; shared by its spans, counted */
struct resource {
	int refs;
	char *service;		/* service.name */
	struct attrs attrs;	/* service.name, process.*, container.*, k8s.*, telemetry.* */
};

struct span {
	uint8_t trace_id[16];
	uint8_t span_id[8];
	uint8_t parent_id[8];
	bool has_parent;
	bool parent_is_remote;	/* the parent ran in another process */
	uint8_t flags;		/* W3C trace flags */
	char *tracestate;	/* NULL: none */
	char *name;
	enum span_kind kind;
	uint64_t start_ns, end_ns;	/* since the epoch; end >= start */
	struct attrs attrs;
	struct span_event *events;
	size_t event_count;
	size_t dropped_events;
	struct span_link *links;
	size_t link_count;
	size_t dropped_links;		/* beyond SPAN_LINKS_MAX, or without memory */
	enum span_status status;
	enum evidence evidence;
	const char *scope;	/* static: probe family, "http", "kafka", "process" */
	struct resource *resource;
};

/*
 * One batch of a trace: normally the whole trace, when it has been quiet for a while;
 * spans that end later come as a further batch of the same id (is_late).
 */
struct trace {
	uint8_t trace_id[16];
	struct span **spans;	/* by start, then by span id */
	size_t count;
	bool is_late;
};

/* @t is borrowed: valid until the callback returns. */
typedef void (*trace_next_fn)(void *ctx, const struct trace *t);

#endif
