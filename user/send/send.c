/* send: see send.h. */
#include "send/send.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "send/file.h"
#include "send/http.h"
#include "send/print.h"
#include "send/request.h"
#include "send/settings.h"
#include "util/count.h"

struct send {
	struct counters *counters;
	struct settings settings;
	struct request_opts request;
	char *file_path;
	struct file *file, *json;	/* NULL: not asked for */
	struct print *print;
	struct http *http;
	int file_err, stdout_err;	/* the last that was told; 0: none */
	struct fault file_note, stdout_note;
	size_t warnings_told;
};

static int open_outputs(struct send *s, const struct send_opts *opts, struct fault *why)
{
	struct http_opts http = { .settings = &s->settings, .is_patient = opts->is_patient };
	struct print_opts print;
	int err;

	if (opts->file_path) {
		s->file_path = strdup(opts->file_path);
		err = s->file_path ? file_new(&s->file, opts->file_path) : -ENOMEM;
		if (err) {
			fault_set(why, "cannot create %s: %s", opts->file_path, strerror(-err));
			return err;
		}
	}
	if (opts->has_json) {
		err = file_new(&s->json, NULL);
		if (err)
			return err;
	}
	if (opts->has_waterfall) {
		print_opts_detect(&print, STDOUT_FILENO);
		err = print_new(&s->print, &print);
		if (err)
			return err;
	}
	return s->settings.url ? http_new(&s->http, &http, why) : 0;
}

int send_new(struct send **ret, const struct send_opts *opts, struct fault *why)
{
	struct send *s = calloc(1, sizeof(*s));
	int err;

	fault_set(why, "no memory for the outputs");
	if (!s)
		return -ENOMEM;
	s->counters = opts->counters;
	err = settings_read(&s->settings, opts->otlp_url, getenv, why);
	if (!err)
		err = open_outputs(s, opts, why);
	if (err) {
		send_free(s);
		return err;
	}
	s->request = (struct request_opts){
		.service = s->settings.service,
		.resource = &s->settings.resource,
	};
	*why = (struct fault){ "" };
	*ret = s;
	return 0;
}

/* One line for each new error; the counters tell how many spans it cost. */
static void note_error(struct fault *note, int *told, int err, const char *what)
{
	if (err && err != *told)
		fault_set(note, "cannot write to %s: %s: traces are missing there", what,
			  strerror(-err));
	*told = err;
}

/* False: an output on this machine could not take the trace. */
static bool feed_local(struct send *s, const struct trace *t)
{
	int file_err = 0, json_err = 0, print_err = 0;

	if (s->file)
		file_err = file_feed(s->file, t, &s->request);
	if (s->json)
		json_err = file_feed(s->json, t, &s->request);
	if (s->print)
		print_err = print_feed(s->print, t);
	note_error(&s->file_note, &s->file_err, file_err, s->file_path);
	note_error(&s->stdout_note, &s->stdout_err, json_err ? json_err : print_err,
		   "standard output");
	return !file_err && !json_err && !print_err;
}

void send_feed(void *send, const struct trace *t)
{
	struct send *s = send;
	bool is_written = feed_local(s, t);

	if (!is_written)
		counter_add(s->counters, SPANS_DROPPED_WRITE, t->count);
	if (s->http)
		http_feed(s->http, t, &s->request, !is_written);
	else if (is_written)
		counter_add(s->counters, SPANS_SENT, t->count);
}

void send_tick(struct send *s)
{
	struct http_counts c;

	if (!s->http)
		return;
	c = http_take_counts(s->http);
	counter_add(s->counters, SPANS_SENT, c.sent);
	counter_add(s->counters, SPANS_DROPPED_QUEUE, c.queue_full);
	counter_add(s->counters, SPANS_DROPPED_REJECTED, c.rejected);
	counter_add(s->counters, SPANS_DROPPED_UNREACHABLE, c.unreachable);
}

void send_flush(struct send *s, uint64_t limit_ms)
{
	if (s->http)
		http_flush(s->http, limit_ms);
	send_tick(s);
}

uint64_t send_waiting(struct send *s)
{
	return s->http ? http_waiting(s->http) : 0;
}

static bool take(struct fault *note, struct fault *ret)
{
	if (!*note->text)
		return false;
	*ret = *note;
	*note = (struct fault){ "" };
	return true;
}

bool send_take_note(struct send *s, struct fault *ret)
{
	if (s->warnings_told < s->settings.warning_count) {
		*ret = s->settings.warnings[s->warnings_told++];
		return true;
	}
	return take(&s->file_note, ret) || take(&s->stdout_note, ret) ||
	       (s->http && http_take_note(s->http, ret));
}

void send_free(struct send *s)
{
	if (!s)
		return;
	http_free(s->http);
	print_free(s->print);
	file_free(s->json);
	file_free(s->file);
	free(s->file_path);
	settings_done(&s->settings);
	free(s);
}
