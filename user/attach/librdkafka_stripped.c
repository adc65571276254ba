/*
 * librdkafka_stripped: a program that holds the library and lost its names. What strings do not
 * tell is known by its neighbors: the small accessors stand together in one object file.
 */
#include "attach/librdkafka_search.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "attach/track.h"

#define STRIPPED_REACH (8U << 20)	/* the version stands this near to the interceptors */
#define VERSIONS_MAX 16			/* functions that look like rd_kafka_version() */
#define NEIGHBORS_REACH (256U << 10)	/* accessors stand this near to the version */
#define NEIGHBORS_MAX 8192		/* functions that are looked at there */
#define CB_EVENT 4			/* RD_KAFKA_Q_CB_EVENT: how rd_kafka_queue_poll() pops */
#define LOOK_MAX 64			/* instructions of a function that are looked at */
#define RESULT_X86 6			/* registers of results, as code.h numbers them */
#define RESULT_ARM64 0

struct version_search {
	struct search *s;
	uint64_t near;		/* an interceptor's address */
	uint64_t found[VERSIONS_MAX];
	uint32_t values[VERSIONS_MAX];
	size_t count;
};

static bool is_version(uint32_t v)
{
	return v >> 24 >= 1 && v >> 24 <= 9 && (v >> 16 & 0xff) < 100 && (v >> 8 & 0xff) < 100 &&
	       (v & 0xff) == 0xff;
}

/* Bytes that can begin such a function; the decoder has the last word. */
static bool may_begin_version(const uint8_t *b)
{
	if (!memcmp(b, "\xf3\x0f\x1e\xfa", 4))
		b += 4;
	if (b[0] == 0xb8 && b[1] == 0xff && b[4] && b[4] < 10)
		return true;			/* mov $0x0?????ff, %eax */
	return (b[0] & 0x1f) == 0 && b[3] == 0x52;	/* mov w0, #half */
}

static int find_versions(void *ctx, const struct elf_chunk *c)
{
	struct version_search *v = ctx;
	size_t align = elf_machine(v->s->e) == EM_AARCH64 ? 4 : 16, i;

	for (i = (size_t)(-c->addr & (align - 1)); i + 16 <= c->len && i < c->own; i += align) {
		uint64_t addr = c->addr + i;
		uint32_t value;

		if (addr + STRIPPED_REACH < v->near || addr > v->near + STRIPPED_REACH ||
		    !may_begin_version(c->bytes + i) ||
		    !librdkafka_version_at(v->s, addr, &value) || !is_version(value))
			continue;
		if (v->count && v->values[v->count - 1] == value && v->found[v->count - 1] == addr)
			continue;
		if (v->count == VERSIONS_MAX)
			return -E2BIG;
		v->found[v->count] = addr;
		v->values[v->count++] = value;
	}
	return 0;
}

/* A stripped program: the only function near the interceptors that returns such a number. */
int librdkafka_stripped_version(struct search *s, uint32_t *ret)
{
	struct version_search v = { .s = s };
	struct elf_range send[2];

	if (search_string(s, "on_send", send, 2) != 1)
		return reason_set(s->why, -ENOTSUP, "librdkafka is linked into a stripped program "
				  "whose functions cannot be told apart (no unwind table?)");
	v.near = send[0].start;
	if (elf_scan(s->e, ELF_CODE, 16, find_versions, &v) || v.count != 1)
		return reason_set(s->why, -ENOTSUP, "librdkafka is linked into a stripped "
				  "program: %zu functions could tell its version, one should",
				  v.count);
	s->symbols[NAME_VERSION].addr = v.found[0];
	*ret = v.values[0];
	return 0;
}

struct look {
	struct search *s;
	struct track track;
	size_t looked, last;
	uint64_t text;
	struct callee callee;
};

static int go_on(struct look *l, const struct code_step *s)
{
	track_step(&l->track, s);
	return ++l->looked == LOOK_MAX ? -ENOENT : 0;
}

static bool looks_like(struct search *s, const struct elf_range *r, code_step_fn fn)
{
	struct look l = { .s = s };

	track_begin(&l.track);
	return code_steps(s->e, r, fn, &l) == 1;
}

/* rd_kafka_name(): an address within its argument, nothing else */
static int see_name(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->op == CODE_RETURN)
		return l->last ? 1 : -ENOENT;
	if (s->op == CODE_ADDRESS && track_is_arg(&l->track, s->base, 0, 0) && s->value > 0)
		l->last++;
	else if (s->op != CODE_OTHER || s->writes || s->has_memory)
		return -ENOENT;
	return l->last > 1 ? -ENOENT : go_on(l, s);
}

/* rd_kafka_type(): four bytes of its argument, nothing else */
static int see_type(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;

	if (s->op == CODE_RETURN)
		return l->last ? 1 : -ENOENT;
	if (s->op == CODE_LOAD && s->width == 4 && track_is_arg(&l->track, s->base, 0, 0))
		l->last++;
	else if (s->op != CODE_OTHER || s->writes || s->has_memory)
		return -ENOENT;
	return l->last > 1 ? -ENOENT : go_on(l, s);
}

/* A function's address, or the linker's word that holds it. */
static bool is_callback(struct search *s, const struct track_value *v)
{
	if (v->kind == TRACK_SLOT)
		return true;
	return (v->kind == TRACK_PLACE || v->kind == TRACK_CONSTANT) &&
	       elf_is_code(s->e, (uint64_t)v->value);
}

/* rd_kafka_queue_poll() pops from its argument's queue with CB_EVENT and a callback */
static int see_queue_poll(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value queue = track_get(&l->track, 0), how = track_get(&l->track, 3);
	struct track_value call = track_get(&l->track, 4), opaque = track_get(&l->track, 5);

	if ((s->op == CODE_CALL || s->op == CODE_JUMP) && queue.kind == TRACK_FIELD &&
	    !queue.arg && !queue.value && how.kind == TRACK_CONSTANT && how.value == CB_EVENT &&
	    is_callback(l->s, &call) && opaque.kind == TRACK_CONSTANT && !opaque.value)
		return 1;
	return go_on(l, s);
}

struct neighbors {
	size_t queue_polls, names, marks;
	struct elf_range last;
};

/* Keeps what only one function can be: two that look alike are none. */
static void take(struct search *s, enum name n, size_t *count, const struct elf_range *r)
{
	s->symbols[n].addr = (*count)++ ? 0 : r->start;
	s->symbols[n].size = r->end - r->start;
}

static void look_at(struct search *s, struct neighbors *n, const struct elf_range *r)
{
	if (looks_like(s, r, see_queue_poll))
		take(s, NAME_QUEUE_POLL, &n->queue_polls, r);
	if (n->last.end && looks_like(s, &n->last, see_name) && looks_like(s, r, see_type))
		take(s, NAME_NAME, &n->names, &n->last);
	if (librdkafka_is_watermarks(s, r))
		take(s, NAME_WATERMARKS, &n->marks, r);
}

/* In the source, and so in the code: name, type, memberid, clusterid. */
static void find_after_name(struct search *s)
{
	struct elf_range type, member, cluster;

	if (!s->symbols[NAME_NAME].addr ||
	    elf_function_after(s->e, s->symbols[NAME_NAME].addr, &type) ||
	    elf_function_after(s->e, type.start, &member) ||
	    elf_function_after(s->e, member.start, &cluster) ||
	    !librdkafka_is_member(s, &member) || !librdkafka_is_cluster(s, &cluster))
		return;
	s->symbols[NAME_MEMBER].addr = member.start;
	s->symbols[NAME_CLUSTER].addr = cluster.start;
}

/* A public function first tells its name to the one that guards the transaction's state. */
static int see_guard(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value text = track_get(&l->track, 1);

	if (s->op == CODE_CALL)
		return track_is_arg(&l->track, 0, 0, 0) && (uint64_t)text.value == l->text &&
		       (text.kind == TRACK_PLACE || text.kind == TRACK_CONSTANT) ? 1 : -ENOENT;
	return go_on(l, s);
}

static void find_guarded(struct search *s, enum name n, const char *text)
{
	struct elf_range f[4];
	int i, count = search_string(s, text, f, 4);

	for (i = 0; i < count; i++) {
		struct look l = { .s = s };

		track_begin(&l.track);
		if (!elf_string(s->e, text, &l.text) &&
		    (count == 1 || code_steps(s->e, &f[i], see_guard, &l) == 1))
			s->symbols[n].addr = f[i].start;
	}
}

static void find_texts(struct search *s)
{
	static const struct { enum name name; const char *text; } rows[] = {
		{ NAME_TXN_BEGIN, "begin_transaction" },
		{ NAME_TXN_COMMIT, "commit_transaction" },
		{ NAME_TXN_ABORT, "abort_transaction" },
	};
	struct elf_range f[2];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		find_guarded(s, rows[i].name, rows[i].text);
	if (search_string(s, "manual", f, 2) != 2)
		return;		/* the reason that both give when they commit */
	s->symbols[NAME_COMMIT].addr = f[0].start;
	s->symbols[NAME_COMMIT_QUEUE].addr = f[1].start;
}

void librdkafka_stripped_accessors(struct search *s)
{
	uint64_t version = s->symbols[NAME_VERSION].addr;
	uint64_t at = version > NEIGHBORS_REACH ? version - NEIGHBORS_REACH : 0;
	struct neighbors n = { 0 };
	struct elf_range r;
	size_t i;

	for (i = 0; i < NEIGHBORS_MAX && !elf_function_after(s->e, at, &r) &&
		    r.start < version + NEIGHBORS_REACH; i++) {
		look_at(s, &n, &r);
		n.last = r;
		at = r.start;
	}
	find_after_name(s);
	find_texts(s);
}

/* An event's type is compared before anything is called: no poll function does that. */
static int see_event(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	struct track_value v = track_get(&l->track, s->reg);

	if (s->op == CODE_CALL)
		return -ENOENT;
	if (s->op == CODE_COMPARE && s->has_memory && s->width == 4 && s->value > 0 &&
	    track_is_arg(&l->track, s->base, 0, 0))
		return 1;
	if (s->op == CODE_COMPARE && !s->has_memory && v.kind == TRACK_FIELD && !v.arg &&
	    v.width == 4)
		return 1;
	return go_on(l, s);
}

/* A batch's messages go to the caller's array one by one. */
static int see_batch(void *ctx, const struct code_step *s)
{
	struct look *l = ctx;
	uint8_t result = elf_machine(l->s->e) == EM_AARCH64 ? RESULT_ARM64 : RESULT_X86;

	if (l->last && s->op == CODE_STORE && s->reg == result)
		return 1;
	if (s->op == CODE_CALL)
		l->last = s->target == l->callee.addr || s->target == l->callee.stub;
	return 0;
}

static void add_caller(struct search *s, const struct elf_range *r, const struct callee *get)
{
	struct look l = { .s = s, .callee = *get };
	uint64_t uses[LIBRDKAFKA_REFERENCES_MAX];

	if (code_references(s->e, r->start, uses, LIBRDKAFKA_REFERENCES_MAX) ||
	    looks_like(s, r, see_event))
		return;		/* a callback, or it looks into an event */
	if (code_steps(s->e, r, see_batch, &l) == 1)
		search_add_poll(s, NAME_CONSUME_BATCH_QUEUE, r->start);
	else
		search_add_poll(s, NAME_POLL_FIRST, r->start);
}

void librdkafka_stripped_polls(struct search *s)
{
	struct callee get = search_callee(s, NAME_MESSAGE_GET);
	uint64_t calls[LIBRDKAFKA_REFERENCES_MAX], last = 0;
	int i, n = search_calls_of(s, &get, calls, LIBRDKAFKA_REFERENCES_MAX);

	for (i = 0; i < n; i++) {
		struct elf_range r;

		if (elf_function(s->e, calls[i], &r) || r.start == last || r.start == get.addr)
			continue;
		last = r.start;
		add_caller(s, &r, &get);
	}
	if (s->symbols[NAME_QUEUE_POLL].addr)
		search_add_poll(s, NAME_QUEUE_POLL, s->symbols[NAME_QUEUE_POLL].addr);
}
