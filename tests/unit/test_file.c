/* file: one request a line; a trace is in the file whole or not at all. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "send/file.h"
#include "send/request.h"
#include "traces.h"

static char path[64];
static const struct request_opts no_opts;

static void make_path(void)
{
	int fd;

	strcpy(path, "/tmp/spanstitch-file-XXXXXX");
	fd = mkstemp(path);
	check(fd >= 0, "temporary file");
	check_eq(write(fd, "old\n", 4), 4, "old content");
	close(fd);
}

/* Lines of the file that are JSON objects with resourceSpans; -1: one is not. */
static int count_lines(void)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	int n = 0;

	check(f, "open");
	while (n >= 0 && getline(&line, &room, f) > 0) {
		cJSON *root = cJSON_Parse(line);
		bool is_whole = cJSON_IsArray(cJSON_GetObjectItem(root, "resourceSpans"));

		n = is_whole && strchr(line, '\n') ? n + 1 : -1;
		cJSON_Delete(root);
	}
	free(line);
	fclose(f);
	return n;
}

TEST(one_request_a_line)
{
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };
	struct trace *small = traces_numbered(0, 5, resources);
	struct trace *large = traces_numbered(1, 1100, resources);
	struct file *f;

	make_path();
	check_eq(file_new(&f, path), 0, "open");
	check_eq(count_lines(), 0, "what was there is gone");
	check_eq(file_feed(f, small, &no_opts), 0, "small");
	check_eq(count_lines(), 1, "readable at once");
	check_eq(file_feed(f, large, &no_opts), 0, "large");
	check_eq(count_lines(), 4, "1100 spans in pieces of 512");
	file_free(f);
	unlink(path);
	traces_free(small);
	traces_free(large);
	traces_resource_free(r);
}

TEST(a_trace_is_there_whole_or_not_at_all)
{
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };
	struct trace *small = traces_numbered(0, 5, resources);
	struct trace *large = traces_numbered(1, 1100, resources);
	struct rlimit old, tight = { 100 * 1024, RLIM_INFINITY };
	struct file *f;

	make_path();
	signal(SIGXFSZ, SIG_IGN);
	check_eq(file_new(&f, path), 0, "open");
	check_eq(file_feed(f, small, &no_opts), 0, "small fits");
	getrlimit(RLIMIT_FSIZE, &old);
	tight.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &tight);
	check_eq(file_feed(f, large, &no_opts), -EFBIG, "large does not fit");
	check_eq(count_lines(), 1, "nothing of it is left");
	check_eq(file_feed(f, small, &no_opts), 0, "small still fits");
	setrlimit(RLIMIT_FSIZE, &old);
	check_eq(count_lines(), 2, "and stands on a line of its own");
	file_free(f);
	unlink(path);
	traces_free(small);
	traces_free(large);
	traces_resource_free(r);
}

TEST(errors_name_the_cause)
{
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };
	struct trace *t = traces_numbered(0, 5, resources);
	struct file *f = NULL;

	check_eq(file_new(&f, "/nowhere/at/all"), -ENOENT, "no such directory");
	check(!f, "untouched");
	check_eq(file_new(&f, "/dev/full"), 0, "open");
	check_eq(file_feed(f, t, &no_opts), -ENOSPC, "full");
	file_free(f);
	file_free(NULL);
	traces_free(t);
	traces_resource_free(r);
}

RUN_TESTS(cmocka_unit_test(one_request_a_line),
	  cmocka_unit_test(a_trace_is_there_whole_or_not_at_all),
	  cmocka_unit_test(errors_name_the_cause))
