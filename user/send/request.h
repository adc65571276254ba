/*
 * request: spans as one OTLP ExportTraceServiceRequest, in the structs that protobuf-c
 * generates. Both encodings, protobuf and JSON, are made from it, so they say the same.
 *
 * Keeps back ends safe from us: text is valid UTF-8, no span ends before it starts, no id is
 * empty, every resource has a service.name.
 */
#ifndef SEND_REQUEST_H
#define SEND_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "send/arena.h"
#include "util/attrs.h"

#define SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define SCOPE_PREFIX "spanstitch/"
#define SERVICE_UNKNOWN "unknown_service"	/* as the OpenTelemetry specification names it */

struct span;
struct Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest;

/* What the agent's own environment says of the resources; what was found of a process wins. */
struct request_opts {
	const char *service;		/* name for processes without one; NULL: none given */
	const struct attrs *resource;	/* added to every resource; NULL: nothing */
	size_t spans_max;		/* spans in one request; 0: OTLP_PIECE_SPANS */
	bool is_bare;			/* without events and links: counted as dropped */
};

struct request {
	struct arena arena;
	struct Opentelemetry__Proto__Collector__Trace__V1__ExportTraceServiceRequest *msg;
};

/* 0 or -ENOMEM. Borrows @spans and @opts until request_done(). @count is at least 1. */
int request_init(struct request *r, struct span *const *spans, size_t count,
		 const struct request_opts *opts);
void request_done(struct request *r);

#endif
