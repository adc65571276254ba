/*
 * settings: where and how to export, from --otlp and the OTEL_* variables of the agent.
 *
 * As the OpenTelemetry specification has it: an empty variable is unset, a _TRACES_ variant
 * wins, a bad number or word is ignored with a warning. docs/decisions/004-export.md lists
 * the defaults that differ, and why.
 */
#ifndef SEND_SETTINGS_H
#define SEND_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "send/fault.h"
#include "send/otlp.h"
#include "util/attrs.h"

#define SETTINGS_HEADERS_MAX 32
#define SETTINGS_WARNINGS_MAX 8		/* more are left out */
#define SETTINGS_TIMEOUT_MS 10000	/* one request */
#define SETTINGS_TOTAL_MS 300000	/* one batch with its retries, as the Collector's own */
#define SETTINGS_DELAY_MS 1000		/* a trace is seen soon; the SDKs' default is 5000 */
#define SETTINGS_QUEUE_SPANS 65536	/* a flush or a replay comes at once; bytes bound it too */

struct settings {
	char *url;		/* takes the POST; NULL: no export */
	enum otlp_form form;
	bool is_gzip;
	char *headers[SETTINGS_HEADERS_MAX];	/* "name: value" */
	size_t header_count;
	char *ca_file, *key_file, *cert_file;	/* NULL: the system's, none, none */
	uint32_t timeout_ms, total_ms;		/* 0: no limit */
	uint32_t delay_ms, queue_spans, batch_spans;
	char *service;		/* OTEL_SERVICE_NAME; NULL: not set */
	struct attrs resource;	/* OTEL_RESOURCE_ATTRIBUTES */
	struct fault warnings[SETTINGS_WARNINGS_MAX];
	size_t warning_count;
};

typedef char *(*settings_getenv_fn)(const char *name);	/* as getenv() */

/*
 * 0, -ENOMEM, or -EINVAL with @why set: export was asked for and cannot be. @url is that of
 * --otlp, NULL where it was not given. On success *ret is ended with settings_done().
 */
int settings_read(struct settings *ret, const char *url, settings_getenv_fn get,
		  struct fault *why);
void settings_done(struct settings *s);

#endif
