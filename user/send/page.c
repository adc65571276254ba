/* page: see page.h. */
#include "send/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "join/span.h"
#include "send/bar.h"
#include "send/notes.h"
#include "send/print.h"
#include "send/text.h"
#include "send/tree.h"

#define SERVICE_CELLS_MAX 18
#define DURATION_CELLS 9
#define MARK_CELLS 2
#define GAP 2			/* cells between columns */
#define NAME_CELLS_MIN 20
#define TITLE_CELLS 40		/* a path is shortened to make a title no longer than this */
#define NOTES_CELLS 24		/* kept free for notes, where the terminal is wide enough */
#define COUNT_CELLS 10		/* "(depth) " or "27 more " before a title */
#define BAR_CELLS_MAX 32
#define BAR_CELLS_MIN 10
#define HEX_BYTES 33		/* a trace id as hex, with its NUL */

#define RESET "\033[0m"
#define DIM "\033[2m"
#define BOLD "\033[1m"
#define RED "\033[1;31m"

/* No red: that is for errors. */
static const char *const palette[] = { "\033[36m", "\033[33m", "\033[35m", "\033[32m",
				       "\033[34m", "\033[96m", "\033[95m", "\033[93m" };

#define PALETTE_SIZE (sizeof(palette) / sizeof(palette[0]))

struct page {
	FILE *to;
	const struct print_opts *opts;
	struct services *services;
	const struct trace *trace;
	struct tree tree;
	struct scale scale;
	size_t service_cells, name_cells, notes_cells;
	bool is_last[PRINT_DEPTH_MAX + 1];	/* of the nodes on the way to this one, by depth */
};

struct signs {			/* what differs between UTF-8 and other terminals */
	const char *branch, *last, *pass, *error, *link, *event, *more, *left_out, *from;
};

static const struct signs utf8_signs = { "├ ", "└ ", "│ ", "✗ ", "~ ", "· ", "⋮ ", "… ", "↖ " };
static const struct signs ascii_signs = { "|-", "`-", "| ", "! ", "~ ", "- ", ": ", "... ", "^ " };

static const struct signs *signs(const struct page *p)
{
	return p->opts->is_utf8 ? &utf8_signs : &ascii_signs;
}

static void color(const struct page *p, const char *code)
{
	if (p->opts->has_color)
		fputs(code, p->to);
}

static void colored(const struct page *p, const char *code, const char *s, size_t cells)
{
	color(p, code);
	text_put(p->to, s, cells, p->opts->is_utf8);
	color(p, RESET);
}

static const char *service_of(const struct span *sp)
{
	return sp->resource && sp->resource->service ? sp->resource->service : "?";
}

static size_t service_index(struct services *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		if (!strcmp(s->names[i], name))
			return i;
	if (i == SERVICES_MAX)
		return i - 1;
	s->names[i] = strdup(name);
	s->count += !!s->names[i];
	return i;
}

static const char *service_color(const struct page *p, const struct span *sp)
{
	return palette[service_index(p->services, service_of(sp)) % PALETTE_SIZE];
}

static void hex(char *to, const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sprintf(to + 2 * i, "%02x", bytes[i]);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t indent_cells(size_t depth)
{
	return 2 * least(depth, PRINT_DEPTH_MAX);
}

/* The tree's lines left of a name; for a link or event below its span, those that go on. */
static void put_indent(const struct page *p, const struct tree_node *node, bool is_below)
{
	size_t depth = least(node->depth, PRINT_DEPTH_MAX), level;
	const char *own = p->is_last[depth] ? signs(p)->last : signs(p)->branch;

	color(p, DIM);
	for (level = 1; level < depth + is_below; level++)
		fputs(p->is_last[level] ? "  " : signs(p)->pass, p->to);
	if (is_below)
		fputs(node->is_leaf ? "  " : signs(p)->pass, p->to);
	else if (depth)
		fputs(own, p->to);
	color(p, RESET);
}

static void put_gap(const struct page *p)
{
	fprintf(p->to, "%*s", GAP, "");
}

static void put_time(const struct page *p, uint64_t start_ns, uint64_t end_ns, const char *code)
{
	char duration[DURATION_MAX];

	put_gap(p);
	color(p, code);
	bar_put(p->to, &p->scale, start_ns, end_ns);
	color(p, RESET);
	duration_text(duration, end_ns > start_ns ? end_ns - start_ns : 0);
	fprintf(p->to, "  %*s", DURATION_CELLS, duration);
}

static void put_notes(const struct page *p, const struct tree_node *node)
{
	const struct span *sp = node->span;
	const char *evidence = notes_evidence(sp);
	char notes[NOTES_MAX], tag[NOTES_MAX] = "";
	size_t room = p->notes_cells, used;

	notes_text(notes, sp);
	if (evidence)
		snprintf(tag, sizeof(tag), "by %s", evidence);
	if (*notes) {
		put_gap(p);
		colored(p, sp->status == STATUS_ERROR ? RED : "", notes, room);
		used = text_cells(notes, room, p->opts->is_utf8) + GAP;
		room -= least(room, used);
	}
	if (*tag && text_cells(tag, room, p->opts->is_utf8) + GAP <= room) {
		put_gap(p);
		colored(p, DIM, tag, room);
	}
}

/* @title of @cells at most, below or beside the tree's lines. */
static void put_title(const struct page *p, const struct tree_node *node)
{
	bool is_error = node->span->status == STATUS_ERROR;
	char title[NOTES_MAX], deep[NOTES_MAX + 24];
	size_t room = p->name_cells - least(p->name_cells, indent_cells(node->depth));

	notes_title(title, node->span, room);
	if (node->depth > PRINT_DEPTH_MAX)
		snprintf(deep, sizeof(deep), "(%zu) %s", node->depth, title);
	put_indent(p, node, false);
	color(p, is_error ? RED : node->depth ? "" : BOLD);
	text_put_padded(p->to, node->depth > PRINT_DEPTH_MAX ? deep : title, room,
			p->opts->is_utf8);
	color(p, is_error || !node->depth ? RESET : "");
}

static void put_service(const struct page *p, const struct span *sp)
{
	color(p, service_color(p, sp));
	text_put_padded(p->to, service_of(sp), p->service_cells, p->opts->is_utf8);
	color(p, RESET);
	put_gap(p);
}

static void put_span(struct page *p, const struct tree_node *node)
{
	const struct span *sp = node->span;
	bool is_error = sp->status == STATUS_ERROR;

	p->is_last[least(node->depth, PRINT_DEPTH_MAX)] = node->is_last;
	if (is_error)
		colored(p, RED, signs(p)->error, MARK_CELLS);
	else
		fprintf(p->to, "%*s", MARK_CELLS, "");
	put_service(p, sp);
	put_title(p, node);
	put_time(p, sp->start_ns, sp->end_ns, is_error ? RED : service_color(p, sp));
	put_notes(p, node);
	fputc('\n', p->to);
}

/* The start of a line that belongs to the span above it. */
static void put_below(const struct page *p, const struct tree_node *node)
{
	fprintf(p->to, "%*s", (int)(MARK_CELLS + p->service_cells + GAP), "");
	put_indent(p, node, true);
}

static size_t below_room(const struct page *p, const struct tree_node *node)
{
	size_t used = MARK_CELLS + p->service_cells + GAP + indent_cells(node->depth) + 2;

	return p->opts->width > used + NAME_CELLS_MIN ? p->opts->width - used : NAME_CELLS_MIN;
}

/* In a late batch that is usual, and the head says it. */
static void put_stranger(const struct page *p, const struct tree_node *node)
{
	char id[HEX_BYTES], line[NOTES_MAX];

	if (!node->is_orphan || p->trace->is_late)
		return;
	hex(id, node->span->parent_id, sizeof(node->span->parent_id));
	snprintf(line, sizeof(line), "%sits parent %s is not here", signs(p)->from, id);
	put_below(p, node);
	colored(p, DIM, line, below_room(p, node));
	fputc('\n', p->to);
}

/* A link to the parent says nothing new: consumers have one to each message that they take. */
static bool is_told_by_tree(const struct page *p, const struct span *sp, const struct span_link *l)
{
	return sp->has_parent && !memcmp(l->span_id, sp->parent_id, sizeof(l->span_id)) &&
	       !memcmp(l->trace_id, p->trace->trace_id, sizeof(l->trace_id));
}

static void link_text(const struct page *p, char ret[NOTES_MAX], const struct span_link *l)
{
	const struct span *to = NULL;
	char id[HEX_BYTES], title[NOTES_MAX];

	if (memcmp(l->trace_id, p->trace->trace_id, sizeof(l->trace_id))) {
		hex(id, l->trace_id, sizeof(l->trace_id));
		snprintf(ret, NOTES_MAX, "%slink to trace %s", signs(p)->link, id);
		return;
	}
	to = tree_find(&p->tree, l->span_id);
	hex(id, l->span_id, sizeof(l->span_id));
	if (to)
		notes_title(title, to, TITLE_CELLS);
	snprintf(ret, NOTES_MAX, "%slink to %.400s", signs(p)->link, to ? title : id);
}

static void put_links(const struct page *p, const struct tree_node *node)
{
	const struct span *sp = node->span;
	char line[NOTES_MAX];
	size_t i, shown = 0;

	for (i = 0; i < sp->link_count; i++) {
		if (is_told_by_tree(p, sp, &sp->links[i]))
			continue;
		if (shown++ == PRINT_EXTRAS_MAX)
			snprintf(line, sizeof(line), "%sand up to %zu links more", signs(p)->link,
				 sp->link_count - i);
		else
			link_text(p, line, &sp->links[i]);
		put_below(p, node);
		colored(p, DIM, line, below_room(p, node));
		fputc('\n', p->to);
		if (shown > PRINT_EXTRAS_MAX)
			return;
	}
}

static void event_text(const struct page *p, char ret[NOTES_MAX], const struct span_event *e,
		       const struct span *sp)
{
	char after[DURATION_MAX], value[128];
	size_t len, i;

	duration_text(after, e->ts_ns > sp->start_ns ? e->ts_ns - sp->start_ns : 0);
	len = snprintf(ret, NOTES_MAX, "%s%.100s after %s", signs(p)->event, e->name, after);
	for (i = 0; i < e->attrs.count && len < NOTES_MAX; i++) {
		notes_value(value, sizeof(value), &e->attrs.list[i]);
		len += snprintf(ret + len, NOTES_MAX - len, "  %s=%s", e->attrs.list[i].key, value);
	}
}

static void put_events(const struct page *p, const struct tree_node *node)
{
	const struct span *sp = node->span;
	char line[NOTES_MAX];
	size_t i;

	for (i = 0; i < sp->event_count && i <= PRINT_EXTRAS_MAX; i++) {
		if (i == PRINT_EXTRAS_MAX)
			snprintf(line, sizeof(line), "%sand %zu events more", signs(p)->event,
				 sp->event_count - i);
		else
			event_text(p, line, &sp->events[i], sp);
		put_below(p, node);
		colored(p, DIM, line, below_room(p, node));
		fputc('\n', p->to);
	}
}

static bool is_alike(const struct tree_node *a, const struct tree_node *b)
{
	char notes_a[NOTES_MAX], notes_b[NOTES_MAX];

	if (!a->is_leaf || !b->is_leaf || a->depth != b->depth ||
	    a->span->status != b->span->status || a->span->event_count || b->span->event_count)
		return false;
	if (strcmp(service_of(a->span), service_of(b->span)))
		return false;
	notes_title(notes_a, a->span, NOTES_MAX);
	notes_title(notes_b, b->span, NOTES_MAX);
	return !strcmp(notes_a, notes_b);
}

/* How many nodes from @i on are leaves in a row that look like it; at least 1. */
static size_t count_alike(const struct page *p, size_t i)
{
	size_t end = i + 1;

	while (end < p->tree.count && !p->tree.nodes[end - 1].is_last &&
	       is_alike(&p->tree.nodes[i], &p->tree.nodes[end]))
		end++;
	return end - i;
}

/* @count leaves from @first on as one line. */
static void put_folded(struct page *p, const struct tree_node *first, size_t count)
{
	struct tree_node node = first[count - 1];
	uint64_t end_ns = 0;
	char title[NOTES_MAX], line[NOTES_MAX + 48];
	size_t i, room = p->name_cells - least(p->name_cells, indent_cells(node.depth));

	for (i = 0; i < count; i++)
		if (first[i].span->end_ns > end_ns)
			end_ns = first[i].span->end_ns;
	p->is_last[least(node.depth, PRINT_DEPTH_MAX)] = node.is_last;
	notes_title(title, node.span, TITLE_CELLS);
	snprintf(line, sizeof(line), "%s%zu more %s", signs(p)->more, count, title);
	fprintf(p->to, "%*s", MARK_CELLS, "");
	put_service(p, node.span);
	put_indent(p, &node, false);
	color(p, DIM);
	text_put_padded(p->to, line, room, p->opts->is_utf8);
	color(p, RESET);
	put_time(p, first->span->start_ns, end_ns, DIM);
	fputs("  in all\n", p->to);
}

static void put_rows(struct page *p)
{
	size_t i = 0, lines = 0, alike, shown, n;

	while (i < p->tree.count && lines < PRINT_LINES_MAX) {
		alike = count_alike(p, i);
		shown = alike > PRINT_REPEATS_MAX + 1 ? PRINT_REPEATS_MAX : alike;
		for (n = 0; n < shown; n++) {
			put_span(p, &p->tree.nodes[i + n]);
			put_stranger(p, &p->tree.nodes[i + n]);
			put_events(p, &p->tree.nodes[i + n]);
			put_links(p, &p->tree.nodes[i + n]);
		}
		if (alike > shown)
			put_folded(p, &p->tree.nodes[i + shown], alike - shown);
		lines += shown + (alike > shown);
		i += alike;
	}
	if (i < p->tree.count)
		fprintf(p->to, "%*s%s%zu more spans are not printed: the OTLP outputs have them\n",
			MARK_CELLS, "", signs(p)->left_out, p->tree.count - i);
}

/* What the head says of the trace beside its id. */
struct gist {
	size_t errors, services;
	struct services seen;
};

static void count_gist(const struct page *p, struct gist *g)
{
	size_t i;

	*g = (struct gist){ 0 };
	for (i = 0; i < p->trace->count; i++) {
		g->errors += p->trace->spans[i]->status == STATUS_ERROR;
		service_index(&g->seen, service_of(p->trace->spans[i]));
	}
	g->services = g->seen.count;
	services_done(&g->seen);
}

static void put_count(const struct page *p, size_t n, const char *noun)
{
	fprintf(p->to, "%zu %s%s", n, noun, n == 1 ? "" : "s");
}

/* The first value of each of these in the trace: whose execution it is. */
static void put_identity(const struct page *p)
{
	static const char *const keys[] = { "execution.id", "user.id", "code.language" };
	const struct attr *at;
	char value[NOTES_MAX];
	size_t k, i;

	for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		for (at = NULL, i = 0; i < p->trace->count && !at; i++)
			at = attrs_get(&p->trace->spans[i]->attrs, keys[k]);
		if (!at)
			continue;
		notes_value(value, sizeof(value), at);
		put_gap(p);
		color(p, DIM);
		fprintf(p->to, "%s ", keys[k]);
		color(p, RESET);
		text_put(p->to, value, p->opts->width / 2, p->opts->is_utf8);
	}
}

static void put_clock(const struct page *p)
{
	time_t seconds = p->scale.start_ns / 1000000000;
	unsigned int ms = p->scale.start_ns / 1000000 % 1000;
	struct tm tm;
	char text[32];

	if (!localtime_r(&seconds, &tm))
		return;
	strftime(text, sizeof(text), "%F %T", &tm);
	put_gap(p);
	color(p, DIM);
	fprintf(p->to, "%s.%03u", text, ms);
	color(p, RESET);
}

static void put_head(const struct page *p)
{
	const struct span *root = p->tree.nodes[0].span;
	char id[HEX_BYTES], title[NOTES_MAX], duration[DURATION_MAX];
	struct gist g;

	count_gist(p, &g);
	hex(id, p->trace->trace_id, sizeof(p->trace->trace_id));
	duration_text(duration, p->scale.end_ns - p->scale.start_ns);
	notes_title(title, root, TITLE_CELLS);
	color(p, BOLD);
	fprintf(p->to, "%s %s", p->trace->is_late ? "late, of trace" : "trace", id);
	put_gap(p);
	text_put(p->to, title, p->opts->width / 3, p->opts->is_utf8);
	fprintf(p->to, "  %s", duration);
	color(p, RESET);
	put_gap(p);
	put_count(p, p->trace->count, "span");
	fputs(" in ", p->to);
	put_count(p, g.services, "service");
	if (g.errors) {
		fputs(", ", p->to);
		color(p, RED);
		put_count(p, g.errors, "error");
		color(p, RESET);
	}
	fputc('\n', p->to);
	put_clock(p);
	put_identity(p);
	fputc('\n', p->to);
}

static void measure_time(struct page *p)
{
	size_t i;

	p->scale = (struct scale){ .start_ns = UINT64_MAX, .is_utf8 = p->opts->is_utf8 };
	for (i = 0; i < p->trace->count; i++) {
		const struct span *sp = p->trace->spans[i];

		if (sp->start_ns < p->scale.start_ns)
			p->scale.start_ns = sp->start_ns;
		if (sp->end_ns > p->scale.end_ns)
			p->scale.end_ns = sp->end_ns;
	}
	if (p->scale.end_ns < p->scale.start_ns)
		p->scale.end_ns = p->scale.start_ns;
}

/* Columns as wide as their widest cell, within what the terminal has. */
static void measure_columns(struct page *p)
{
	size_t i, cells, fixed, room, width = p->opts->width;
	char title[NOTES_MAX];

	for (i = 0; i < p->tree.count && i < PRINT_LINES_MAX; i++) {
		const struct tree_node *node = &p->tree.nodes[i];

		cells = text_cells(service_of(node->span), SERVICE_CELLS_MAX, p->opts->is_utf8);
		if (cells > p->service_cells)
			p->service_cells = least(cells, SERVICE_CELLS_MAX);
		notes_title(title, node->span, TITLE_CELLS);
		cells = text_cells(title, width, p->opts->is_utf8) + indent_cells(node->depth);
		if (node->depth > PRINT_DEPTH_MAX || (i && is_alike(node - 1, node)))
			cells += COUNT_CELLS;
		if (cells > p->name_cells)
			p->name_cells = cells;
	}
	p->scale.cells = width / 4;
	if (p->scale.cells > BAR_CELLS_MAX)
		p->scale.cells = BAR_CELLS_MAX;
	if (p->scale.cells < BAR_CELLS_MIN)
		p->scale.cells = BAR_CELLS_MIN;
	fixed = MARK_CELLS + p->service_cells + GAP + GAP + p->scale.cells + GAP + DURATION_CELLS;
	room = width > fixed + NOTES_CELLS ? width - fixed - NOTES_CELLS : 0;
	p->name_cells = least(p->name_cells, room > NAME_CELLS_MIN ? room : NAME_CELLS_MIN);
	fixed += p->name_cells + GAP;
	p->notes_cells = width > fixed ? width - fixed : 0;
}

void services_done(struct services *s)
{
	while (s->count)
		free(s->names[--s->count]);
}

int page_put(FILE *to, const struct print_opts *opts, struct services *services,
	     const struct trace *t)
{
	struct page p = { .to = to, .opts = opts, .services = services, .trace = t };
	int err = tree_init(&p.tree, t);

	if (err)
		return err;
	measure_time(&p);
	measure_columns(&p);
	put_head(&p);
	put_rows(&p);
	fputc('\n', to);
	tree_done(&p.tree);
	return 0;
}
