/* print: the waterfall tells the story, fits the terminal, and does not trust any string. */
#include "check.h"

#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "execution.h"
#include "send/bar.h"
#include "send/notes.h"
#include "send/print.h"
#include "send/text.h"
#include "send/tree.h"

static char *text_of(const struct trace *t, const struct print_opts *opts)
{
	struct print *p;
	char *text;
	size_t len;

	check_eq(print_new(&p, opts), 0, "new");
	check_eq(print_text(p, t, &text, &len), 0, "text");
	check_eq(strlen(text), len, "no NUL inside");
	print_free(p);
	return text;
}

static const struct print_opts wide = { .width = 140, .is_utf8 = true };

TEST(text_is_harmless_and_measured)
{
	static const struct {
		const char *name, *in;
		size_t cells;
		bool is_utf8;
		const char *want;
		size_t want_cells;
	} cases[] = {
		{ "plain", "abc", 10, true, "abc", 3 },
		{ "fits exactly", "abc", 3, true, "abc", 3 },
		{ "cut", "abcd", 3, true, "ab…", 3 },
		{ "cut in ASCII", "abcd", 3, false, "ab~", 3 },
		{ "no room", "abc", 0, true, "", 0 },
		{ "escape sequence", "\x1b[31mred", 20, true, "\\x1b[31mred", 11 },
		{ "line break", "a\nb", 10, true, "a\\nb", 4 },
		{ "C1 control", "a\xc2\x9b" "b", 10, true, "a\\x9bb", 6 },
		{ "bidirectional override", "\xe2\x80\xae" "x", 10, true, "\\u202ex", 7 },
		{ "an escape is not cut in two", "ab\x01", 5, true, "ab…", 3 },
		{ "wide characters", "日本", 10, true, "日本", 4 },
		{ "half of a wide one", "日本", 3, true, "日…", 3 },
		{ "other letters in ASCII", "é", 5, false, "?", 1 },
		{ "invalid UTF-8", "a\xff" "b", 5, true, "a?b", 3 },
	}, *c;

	for_each(c, cases) {
		char *text;
		size_t len, used;
		FILE *to = open_memstream(&text, &len);

		used = text_put(to, c->in, c->cells, c->is_utf8);
		fclose(to);
		check_str(text, c->want, c->name);
		check_eq(used, c->want_cells, c->name);
		free(text);
	}
}

TEST(bars_show_when_and_how_long)
{
	static const struct {
		const char *name;
		uint64_t start, end;
		bool is_utf8;
		const char *want;
	} cases[] = {
		{ "all of it", 100, 180, false, "==========" },
		{ "first half", 100, 140, false, "=====     " },
		{ "second half", 140, 180, false, "     =====" },
		{ "a moment", 140, 140, false, "     =    " },
		{ "the last moment", 180, 180, false, "         =" },
		{ "before and after", 0, 1000, false, "==========" },
		{ "all, in blocks", 100, 180, true, "██████████" },
		{ "three eighths", 100, 103, true, "▍         " },
		{ "a cell and a half", 108, 120, true, " █▌       " },
		{ "from half a cell", 104, 116, true, "▐█        " },
		{ "a moment, in blocks", 148, 148, true, "      ▏   " },
	}, *c;

	for_each(c, cases) {
		struct scale scale = { 100, 180, 10, c->is_utf8 };
		char *text;
		size_t len;
		FILE *to = open_memstream(&text, &len);

		bar_put(to, &scale, c->start, c->end);
		fclose(to);
		/* "three eighths" of 8 ns a cell: 3 parts of 8 */
		check_str(text, c->want, c->name);
		free(text);
	}
}

TEST(durations_have_three_digits)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} cases[] = {
		{ 0, "0 ns" },
		{ 950, "950 ns" },
		{ 1230, "1.23 us" },
		{ 12340000, "12.3 ms" },
		{ 123400000, "123 ms" },
		{ 1284000000, "1.28 s" },
		{ 59900000000, "59.9 s" },
		{ 123000000000, "2 min 03 s" },
		{ 7380000000000, "2 h 03 min" },
	}, *c;
	char text[DURATION_MAX];

	for_each(c, cases) {
		duration_text(text, c->ns);
		check_str(text, c->want, c->want);
	}
}

TEST(titles_keep_the_end_of_a_path)
{
	static const struct {
		const char *name, *url;
		size_t cells;
		const char *want;
	} cases[] = {
		{ "GET /a/b/{c}", NULL, 40, "GET /a/b/{c}" },
		{ "GET /a/b/{c}", NULL, 12, "GET /a/b/{c}" },
		{ "GET /a/b/{c}", NULL, 11, "GET .../{c}" },
		{ "GET /a/b/{c}", NULL, 3, "GET .../{c}" },
		{ "GET", "http://h:80/a/b/c?q=/x#f", 40, "GET /a/b/c" },
		{ "GET", "http://h:80/a/b/c?q=/x#f", 9, "GET .../c" },
		{ "GET", "http://h:80", 40, "GET" },
		{ "GET", NULL, 40, "GET" },
		{ "GET /route", "http://h/path", 40, "GET /route" },
		{ "send a/b", NULL, 3, "send a/b" },
		{ "", NULL, 3, "" },
	}, *c;
	char got[NOTES_MAX];

	for_each(c, cases) {
		struct span *sp = traces_span(c->name, SPAN_CLIENT, 1, 2);

		if (c->url)
			attrs_set_str(&sp->attrs, "url.full", c->url);
		notes_title(got, sp, c->cells);
		check_str(got, c->want, c->name);
		traces_span_free(sp);
	}
}

/* Spans 1 to n; parents[i] is the parent's number, 0: none, 99: not in the batch. */
static void tree_of(const int *parents, size_t count, struct tree *tree, struct trace **ret)
{
	struct resource *none[3] = { 0 };
	struct trace *t = traces_numbered(0, count, none);
	size_t i;

	for (i = 0; i < count; i++) {
		traces_put_number(t->spans[i]->span_id, 8, i + 1);
		t->spans[i]->has_parent = parents[i] != 0;
		traces_put_number(t->spans[i]->parent_id, 8, parents[i]);
	}
	check_eq(tree_init(tree, t), 0, "tree");
	*ret = t;
}

TEST(trees_are_in_parent_order)
{
	static const struct {
		const char *name;
		int parents[6];
		size_t count;
		const char *want;	/* number, depth; ! for an orphan */
	} cases[] = {
		{ "one", { 0 }, 1, "1:0 " },
		{ "children by start", { 0, 1, 1, 2, 1, 2 }, 6, "1:0 2:1 4:2 6:2 3:1 5:1 " },
		{ "parent after its child", { 3, 3, 0 }, 3, "3:0 1:1 2:1 " },
		{ "two roots", { 0, 0, 1 }, 3, "1:0 3:1 2:0 " },
		{ "parent elsewhere", { 0, 99, 2 }, 3, "1:0 2:0! 3:1 " },
		{ "its own parent", { 1, 1 }, 2, "1:0! 2:1 " },
		{ "a ring of three", { 2, 3, 1, 1 }, 4, "1:0! 3:1 2:2 4:1 " },
	}, *c;

	for_each(c, cases) {
		struct trace *t;
		struct tree tree;
		char got[128] = "";
		size_t i;

		tree_of(c->parents, c->count, &tree, &t);
		for (i = 0; i < tree.count; i++)
			sprintf(got + strlen(got), "%d:%zu%s ", tree.nodes[i].span->span_id[7],
				tree.nodes[i].depth, tree.nodes[i].is_orphan ? "!" : "");
		check_str(got, c->want, c->name);
		tree_done(&tree);
		traces_free(t);
	}
}

/* What each line must hold, in this order; the story as it is written in execution.h. */
TEST(the_waterfall_tells_the_story)
{
	static const char *const lines[][5] = {
		{ "trace 00000000000000004bf92f3577b34da6", "POST /execute", "1.29 s",
		  "22 spans in 6 services", "5 errors" },
		{ "22:13:20.000", "execution.id 8f2c", "user.id alice", "code.language python" },
		{ "  api ", " POST /execute", "8.40 ms", "202" },
		{ "  api ", " └ send executions", "5.80 ms", "executions[0]@17" },
		{ "  worker ", "   └ process executions", "403 ms", "executions[0]@17" },
		{ "✗ worker ", "     ├ POST ", "9.00 ms", "503" },
		{ "✗ kube ", "     │ └ POST ", "7.00 ms", "503" },
		{ "✗ worker ", "     ├ POST ", "9.00 ms", "503", "resend 1" },
		{ "✗ kube ", "     │ └ POST ", "7.20 ms", "503" },
		{ "  worker ", "     ├ POST ", "39.0 ms", "201", "resend 2" },
		{ "  kube ", "     │ └ POST ", "37.0 ms", "201" },
		{ "✗ pod exec-8f2c ", "     │   └ python3", "852 ms", "exit 3" },
		{ "  worker ", "     └ send pods", "6.00 ms", "pods[0]@16" },
		{ "  pod-monitor ", "       └ process pods", "1.00 ms", "pods[0]@16" },
		{ "  pod-monitor ", "         ├ send pod-events", "3.00 ms", "pod-events[0]@51" },
		{ "  result-processor ", "         │ └ process pod-events", "1.00 ms" },
		{ "  pod-monitor ", "         └ send pod-events", "5.00 ms", "pod-events[0]@52" },
		{ "  result-processor ", "           └ process pod-events", "39.0 ms" },
		{ "  result-processor ", "             ├ GET ", "pods/exec-8f2c/log", "200" },
		{ "  kube ", "             │ └ GET ", "pods/exec-8f2c/log", "12.0 ms" },
		{ "  result-processor ", "             ├ POST /executions/8f2c/result", "16.0 ms" },
		{ "  api ", "             │ └ POST /executions/{id}/result", "13.9 ms", "200" },
		{ "  result-processor ", "             └ DELETE ", "pods/exec-8f2c", "3.00 ms" },
		{ "  kube ", "               └ DELETE ", "pods/exec-8f2c", "2.00 ms" },
		{ "" },
	};
	struct execution *x = execution_new();
	char *text = text_of(&x->trace, &wide), *line = text, *end;
	size_t i, j;

	for (i = 0; i < ARRAY_COUNT(lines); i++, line = end + 1) {
		const char *at = line;

		end = strchr(line, '\n');
		check(end, lines[i][0]);
		*end = '\0';
		for (j = 0; j < 5 && lines[i][j]; j++) {
			at = strstr(at, lines[i][j]);
			if (!at)
				fail_msg("\"%s\" has no \"%s\" in its place", line, lines[i][j]);
			at += strlen(lines[i][j]);
		}
		if (*lines[i][0])
			check(!strncmp(line, lines[i][0], strlen(lines[i][0])) || i == 1, line);
	}
	check_eq(*line, '\0', "nothing more");
	free(text);
	execution_free(x);
}

TEST(lines_fit_the_terminal)
{
	struct execution *x = execution_new();
	size_t width, cells;
	int is_utf8;

	for (is_utf8 = 0; is_utf8 < 2; is_utf8++)
		for (width = 80; width <= 200; width += 7) {
			struct print_opts opts = { .width = width, .is_utf8 = is_utf8 };
			char *text = text_of(&x->trace, &opts), *line, *save = NULL;

			line = strtok_r(text, "\n", &save);	/* the head is never cut */
			line = strtok_r(NULL, "\n", &save);
			while ((line = strtok_r(NULL, "\n", &save))) {
				cells = text_cells(line, 1000, true);
				if (cells > width)
					fail_msg("%zu cells of %zu: %s", cells, width, line);
				check(is_utf8 || text_cells(line, 1000, false) == strlen(line),
				      "ASCII only");
			}
			free(text);
		}
	execution_free(x);
}

TEST(colors_only_where_wanted)
{
	struct print_opts opts = wide;
	struct execution *x = execution_new();
	char *text = text_of(&x->trace, &opts);

	check(!strchr(text, '\033'), "none");
	free(text);
	opts.has_color = true;
	text = text_of(&x->trace, &opts);
	check(strstr(text, "\033[1;31m503"), "errors are red");
	free(text);
	execution_free(x);
}

TEST(no_string_reaches_the_terminal_raw)
{
	static const char evil[] = "\033]0;owned\007\r\n\x9b\xc2\x9b\xe2\x80\xae";
	struct execution *x = execution_new();
	struct span *sp = x->spans[0];
	char *text, *p;

	free(sp->name);
	sp->name = strdup(evil);
	free(x->resources[0]->service);
	x->resources[0]->service = strdup(evil);
	attrs_set_str(&sp->attrs, "execution.id", evil);
	attrs_set_str(&sp->attrs, "error.type", evil);
	attrs_set_str(&sp->attrs, "url.path", evil);
	attrs_set_str(&x->spans[1]->attrs, "messaging.destination.name", evil);
	sp->events = calloc(1, sizeof(*sp->events));
	sp->event_count = 1;
	sp->events[0].name = strdup(evil);
	attrs_set_str(&sp->events[0].attrs, evil, evil);
	text = text_of(&x->trace, &wide);
	for (p = text; *p; p++)
		check((unsigned char)*p >= ' ' || *p == '\n', "no control byte");
	check(!strstr(text, "\xc2\x9b") && !strstr(text, "\xe2\x80\xae"), "no C1, no override");
	check(strstr(text, "\\x1b]0;owned\\x07"), "shown as an escape");
	free(text);
	execution_free(x);
}

TEST(links_events_and_strangers_are_told)
{
	struct execution *x = execution_new();
	struct span *consumer = x->spans[2];
	char *text;

	consumer->links = calloc(3, sizeof(*consumer->links));
	consumer->link_count = 3;
	memcpy(consumer->links[0].trace_id, x->trace.trace_id, 16);
	memcpy(consumer->links[0].span_id, consumer->parent_id, 8);
	traces_put_number(consumer->links[1].trace_id, 16, 0xbeef);
	memcpy(consumer->links[2].trace_id, x->trace.trace_id, 16);
	memcpy(consumer->links[2].span_id, x->spans[9]->span_id, 8);
	consumer->events = calloc(1, sizeof(*consumer->events));
	consumer->event_count = 1;
	consumer->events[0].name = strdup("stderr");
	consumer->events[0].ts_ns = consumer->start_ns + 1500000;
	attrs_set_str(&consumer->events[0].attrs, "line", "no such file");
	x->spans[0]->has_parent = true;
	traces_put_number(x->spans[0]->parent_id, 8, 0xabc);
	text = text_of(&x->trace, &wide);
	check(strstr(text, "~ link to trace 0000000000000000000000000000beef\n"), "other trace");
	check(strstr(text, "~ link to python3\n"), "same trace: by name");
	check(!strstr(text, "~ link to send executions"), "the parent is not told twice");
	check(strstr(text, "· stderr after 1.50 ms  line=no such file\n"), "event");
	check(strstr(text, "↖ its parent 0000000000000abc is not here\n"), "parent elsewhere");
	free(text);
	execution_free(x);
}

TEST(late_batches_say_so)
{
	struct execution *x = execution_new();
	char *text;

	x->trace.is_late = true;
	x->trace.count = 2;
	text = text_of(&x->trace, &wide);
	check(!strncmp(text, "late, of trace 00000000000000004bf92f3577b34da6  ", 49), text);
	check(strstr(text, "2 spans in 1 service"), text);
	free(text);
	execution_free(x);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

TEST(equal_leaves_are_folded)
{
	struct resource *r = traces_resource("monitor", 1), *resources[3] = { r, r, r };
	struct trace *t = traces_numbered(0, 31, resources);
	char *text;
	size_t i;

	for (i = 1; i < t->count; i++) {
		traces_parent(t->spans[i], t->spans[0], EVIDENCE_THREAD);
		strcpy(t->spans[i]->name, "GET");
	}
	text = text_of(t, &wide);
	check_eq(count_lines(text), 2 + 1 + PRINT_REPEATS_MAX + 1 + 1, "lines");
	check(strstr(text, "└ ⋮ 27 more GET"), text);
	free(text);
	/* one that failed is told on its own */
	t->spans[15]->status = STATUS_ERROR;
	text = text_of(t, &wide);
	check(strstr(text, "⋮ 11 more GET"), text);
	check(strstr(text, "✗ monitor  ├ GET"), text);
	check(strstr(text, "└ ⋮ 12 more GET"), text);
	free(text);
	traces_free(t);
	traces_resource_free(r);
}

TEST(huge_traces_are_cut_and_cheap)
{
	static const struct {
		const char *name;
		bool is_chain;
	} cases[] = { { "a wide tree", false }, { "ten thousand deep", true } }, *c;
	struct resource *r = traces_resource("svc", 1), *resources[3] = { r, r, r };
	struct timespec before, after;
	char *text, want[64];
	size_t i;

	for_each(c, cases) {
		struct trace *t = traces_numbered(0, 10000, resources);
		int64_t ms;

		for (i = 1; c->is_chain && i < t->count; i++)
			traces_parent(t->spans[i], t->spans[i - 1], EVIDENCE_THREAD);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		text = text_of(t, &wide);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		ms = (after.tv_sec - before.tv_sec) * 1000 +
		     (after.tv_nsec - before.tv_nsec) / 1000000;
		check(ms < 500, c->name);
		check_eq(count_lines(text), 2 + PRINT_LINES_MAX + 1 + 1, c->name);
		snprintf(want, sizeof(want), "… %d more spans are not printed",
			 10000 - PRINT_LINES_MAX);
		check(strstr(text, want), c->name);
		check(!c->is_chain || strstr(text, "(199) op 199"), "depth is told");
		free(text);
		traces_free(t);
	}
	traces_resource_free(r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(text_is_harmless_and_measured),
	cmocka_unit_test(bars_show_when_and_how_long),
	cmocka_unit_test(durations_have_three_digits),
	cmocka_unit_test(titles_keep_the_end_of_a_path),
	cmocka_unit_test(trees_are_in_parent_order),
	cmocka_unit_test(the_waterfall_tells_the_story),
	cmocka_unit_test(lines_fit_the_terminal),
	cmocka_unit_test(colors_only_where_wanted),
	cmocka_unit_test(no_string_reaches_the_terminal_raw),
	cmocka_unit_test(links_events_and_strangers_are_told),
	cmocka_unit_test(late_batches_say_so),
	cmocka_unit_test(equal_leaves_are_folded),
	cmocka_unit_test(huge_traces_are_cut_and_cheap),
};

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");	/* wcwidth() */
	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
