/*
 * file: traces as OTLP/JSON, one request a line, in a file or on standard output.
 *
 * The format of the OpenTelemetry Collector's file exporter. A trace is written whole and at
 * once, so a reader never waits for it; one that cannot be written whole is taken back.
 */
#ifndef SEND_FILE_H
#define SEND_FILE_H

struct file;
struct request_opts;
struct trace;

/*
 * Creates or empties @path; NULL: standard output. 0 or -errno. On success *ret is the
 * caller's, to be ended with file_free(); untouched on failure.
 */
int file_new(struct file **ret, const char *path);

/* 0: every span of @t is in the file; -errno: none is. */
int file_feed(struct file *f, const struct trace *t, const struct request_opts *opts);

void file_free(struct file *f);		/* NULL is fine */

#endif
