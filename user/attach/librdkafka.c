/* librdkafka: see librdkafka.h */
#include "attach/librdkafka.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>

#include "attach/code.h"
#include "attach/elf.h"
#include "attach/load.h"
#include "attach/reason.h"

#define ACCESSOR_LOOK 48		/* instructions of an accessor that are looked at */
#define OFFSETS_MAX 32			/* memory displacements kept of one accessor */
#define REFERENCES_MAX 16		/* uses of a string, or callers of a function */
#define TOPIC_NAME_OFF_OLD 80		/* rd_kafka_topic_s.rkt_topic before 1.5.0 */
#define TOPIC_NAME_OFF 88
#define VERSION_MAGIC 0x010500ffU	/* 1.5.0: topics begin with a magic word */

/* what is looked up by name; the order is the order of names[] */
enum name {
	NAME_VERSION, NAME_NAME, NAME_TOPIC, NAME_STATUS, NAME_TIMESTAMP, NAME_HEADERS,
	NAME_ON_SEND, NAME_ON_ACK, NAME_ON_CONSUME,
	NAME_POLL_FIRST,
	NAME_MAX = NAME_POLL_FIRST + 8,
};

static const char *const names[NAME_MAX] = {
	"rd_kafka_version",
	"rd_kafka_name",
	"rd_kafka_topic_name",
	"rd_kafka_message_status",
	"rd_kafka_message_timestamp",
	"rd_kafka_message_headers",
	"rd_kafka_interceptors_on_send",
	"rd_kafka_interceptors_on_acknowledgement_queue",
	"rd_kafka_interceptors_on_consume",
	"rd_kafka_consumer_poll",
	"rd_kafka_consume",
	"rd_kafka_consume_queue",
	"rd_kafka_consume_batch",
	"rd_kafka_consume_batch_queue",
	"rd_kafka_consume_callback",
	"rd_kafka_consume_callback_queue",
	"rd_kafka_queue_poll",
};

/* displacements that an accessor's code must hold; 0 ends the row */
static const struct accessor {
	enum name name;
	uint32_t since;
	uint16_t offsets[3];
} accessors[] = {
	{ NAME_STATUS, LIBRDKAFKA_OLDEST, { 112 } },
	{ NAME_TIMESTAMP, LIBRDKAFKA_OLDEST, { 92, 96 } },
	{ NAME_HEADERS, LIBRDKAFKA_OLDEST, { 104 } },
	{ NAME_TOPIC, VERSION_MAGIC, { TOPIC_NAME_OFF, 24, 8 } },
	{ NAME_TOPIC, 0, { TOPIC_NAME_OFF_OLD, 8 } },
};

struct search {
	struct elf *e;
	struct elf_symbol symbols[NAME_MAX];
	struct librdkafka *k;
	struct reason *why;
};

struct offsets {
	int64_t seen[OFFSETS_MAX];
	size_t count, looked;
};

static int collect_offsets(void *ctx, const cs_insn *in)
{
	struct offsets *o = ctx;
	const cs_x86 *x = &in->detail->x86;
	int i;

	for (i = 0; i < x->op_count && o->count < OFFSETS_MAX; i++)
		if (x->operands[i].type == X86_OP_MEM && x->operands[i].mem.base != X86_REG_RIP)
			o->seen[o->count++] = x->operands[i].mem.disp;
	return ++o->looked == ACCESSOR_LOOK;
}

static bool has_offset(const struct offsets *o, int64_t offset)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		if (o->seen[i] == offset)
			return true;
	return false;
}

/* `mov $imm32, %eax` of rd_kafka_version(), possibly after endbr64 */
static int take_version(void *ctx, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	uint32_t *version = ctx;

	if (in->id == X86_INS_ENDBR64)
		return 0;
	if (in->id != X86_INS_MOV || x->op_count != 2 || x->operands[0].reg != X86_REG_EAX ||
	    x->operands[1].type != X86_OP_IMM)
		return -EINVAL;
	*version = (uint32_t)x->operands[1].imm;
	return 1;
}

/* `lea off(%rdi), %rax` of rd_kafka_name() */
static int take_name_off(void *ctx, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	uint32_t *off = ctx;

	if (in->id == X86_INS_ENDBR64)
		return 0;
	if (in->id != X86_INS_LEA || x->op_count != 2 || x->operands[0].reg != X86_REG_RAX ||
	    x->operands[1].mem.base != X86_REG_RDI || x->operands[1].mem.disp <= 0 ||
	    x->operands[1].mem.disp > UINT16_MAX)
		return -EINVAL;
	*off = (uint32_t)x->operands[1].mem.disp;
	return 1;
}

static struct elf_range range_of(struct search *s, enum name n)
{
	return code_range(s->e, s->symbols[n].addr, s->symbols[n].size);
}

static int find_version(struct search *s)
{
	struct elf_range r = range_of(s, NAME_VERSION);
	uint32_t version = 0;

	if (code_walk(s->e, &r, take_version, &version) != 1)
		return reason_set(s->why, -ENOTSUP,
				  "librdkafka: rd_kafka_version() is not the code we know");
	if (version < LIBRDKAFKA_OLDEST)
		return reason_set(s->why, -ENOTSUP, "librdkafka %u.%u.%u is older than 1.0.0",
				  version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
	s->k->version = version;
	return 0;
}

/* Each exported accessor must hold the offsets that the version's row promises. */
static int check_layout(struct search *s)
{
	bool is_topic_seen = false;
	size_t i, j;

	for (i = 0; i < sizeof(accessors) / sizeof(accessors[0]); i++) {
		const struct accessor *a = &accessors[i];
		struct offsets o = { .count = 0 };
		struct elf_range r;

		if (s->k->version < a->since || (a->name == NAME_TOPIC && is_topic_seen))
			continue;
		is_topic_seen |= a->name == NAME_TOPIC;
		if (!s->symbols[a->name].addr)
			return reason_set(s->why, -ENOTSUP,
					  "librdkafka: no %s to check the layout by",
					  names[a->name]);
		r = range_of(s, a->name);
		code_walk(s->e, &r, collect_offsets, &o);
		for (j = 0; j < 3 && a->offsets[j]; j++)
			if (!has_offset(&o, a->offsets[j]))
				return reason_set(s->why, -ENOTSUP, "librdkafka: %s does not "
						  "read offset %u: another layout",
						  names[a->name], a->offsets[j]);
	}
	return 0;
}

static void find_knobs(struct search *s)
{
	struct elf_range r = range_of(s, NAME_NAME);

	s->k->knobs.topic_off = s->k->version < VERSION_MAGIC ? TOPIC_NAME_OFF_OLD :
								TOPIC_NAME_OFF;
	if (s->symbols[NAME_NAME].addr)
		code_walk(s->e, &r, take_name_off, &s->k->knobs.name_off);
}

/* The functions that refer to @text, distinct, in order of address; their count or -errno. */
static int functions_of_string(struct elf *e, const char *text, struct elf_range ret[2])
{
	uint64_t text_addr, uses[REFERENCES_MAX];
	int err, i, n, count = 0;

	err = elf_string(e, text, &text_addr);
	if (err)
		return err;
	n = code_references(e, text_addr, uses, REFERENCES_MAX);
	for (i = 0; i < n; i++) {
		struct elf_range r;

		if (elf_function(e, uses[i], &r) || (count && ret[count - 1].start == r.start))
			continue;
		if (count == 2)
			return -E2BIG;
		ret[count++] = r;
	}
	return n < 0 ? n : count;
}

/*
 * The string names the function for one message. The one for a queue follows it and calls
 * it (gcc), or holds a copy of it and so refers to the string too (clang).
 */
static int find_ack_queue(struct search *s, uint64_t *ret)
{
	struct elf_range f[2], queue;
	int n = functions_of_string(s->e, "on_acknowledgement", f);

	if (n == 2) {
		*ret = f[1].start;
		return 0;
	}
	if (n != 1)
		return -ENOENT;
	if (elf_function_after(s->e, f[0].start, &queue) ||
	    !code_calls(s->e, &queue, f[0].start))
		return -ENOENT;
	*ret = queue.start;
	return 0;
}

static int find_single(struct search *s, const char *text, uint64_t *ret)
{
	struct elf_range f[2];

	if (functions_of_string(s->e, text, f) != 1)
		return -ENOENT;
	*ret = f[0].start;
	return 0;
}

static int add_point(struct search *s, enum librdkafka_role role, const char *name, uint64_t addr)
{
	struct librdkafka_point *p;
	int err;

	if (s->k->count == LIBRDKAFKA_POINTS_MAX)
		return -E2BIG;
	p = &s->k->points[s->k->count];
	*p = (struct librdkafka_point){ .role = role, .name = name };
	err = site_find(s->e, addr, 0, &p->site);
	if (err)
		return err;
	p->is_left_out = p->site.kind == SITE_SINGLE_STEP;
	s->k->count++;
	return 0;
}

static int find_interceptors(struct search *s)
{
	static const enum librdkafka_role roles[] = { KAFKA_SEND, KAFKA_ACK_QUEUE, KAFKA_CONSUME };
	uint64_t addrs[3];
	size_t i;
	int err = 0;

	s->k->found_by = "symbol";
	for (i = 0; i < 3; i++)
		addrs[i] = s->symbols[NAME_ON_SEND + i].addr;
	if (!addrs[0] || !addrs[1] || !addrs[2]) {
		s->k->found_by = "string";
		err = find_single(s, "on_send", &addrs[0]);
		if (!err)
			err = find_ack_queue(s, &addrs[1]);
		if (!err)
			err = find_single(s, "on_consume", &addrs[2]);
	}
	if (err)
		return reason_set(s->why, -ENOTSUP,
				  "librdkafka: its interceptor functions cannot be told apart");
	for (i = 0; i < 3; i++) {
		err = add_point(s, roles[i], names[NAME_ON_SEND + i], addrs[i]);
		if (err || s->k->points[s->k->count - 1].is_left_out)
			return reason_set(s->why, -ENOTSUP,
					  "librdkafka: %s has no cheap site for a probe",
					  names[NAME_ON_SEND + i]);
	}
	return 0;
}

static int take_callee(void *ctx, const cs_insn *in)
{
	const cs_x86 *x = &in->detail->x86;
	uint64_t *target = ctx;

	if ((in->id != X86_INS_CALL && in->id != X86_INS_JMP) || x->op_count != 1 ||
	    x->operands[0].type != X86_OP_IMM)
		return 0;
	*target = (uint64_t)x->operands[0].imm;
	return 1;
}

static bool is_in_poll(struct search *s, uint64_t addr)
{
	int n;

	for (n = NAME_POLL_FIRST; n < NAME_MAX; n++) {
		struct elf_range r;

		if (!s->symbols[n].addr)
			continue;
		r = range_of(s, (enum name)n);
		if (addr >= r.start && addr < r.end)
			return true;
	}
	return false;
}

/*
 * A poll function whose own site would be single-stepped may hand over to an inner function:
 * that one is probed instead if nothing but poll functions (and itself) calls it.
 */
static bool find_inner(struct search *s, enum name n, uint64_t *ret)
{
	struct elf_range r = range_of(s, n), inner;
	uint64_t target = 0, callers[REFERENCES_MAX];
	int count, i;

	if (code_walk(s->e, &r, take_callee, &target) != 1 ||
	    (target >= r.start && target < r.end) || !elf_is_code(s->e, target))
		return false;
	inner = code_range(s->e, target, 0);
	count = code_callers(s->e, target, callers, REFERENCES_MAX);
	for (i = 0; i < count; i++)
		if (!is_in_poll(s, callers[i]) &&
		    (callers[i] < inner.start || callers[i] >= inner.end))
			return false;
	if (count < 1)
		return false;
	*ret = target;
	return true;
}

static void find_polls(struct search *s)
{
	uint64_t inner[NAME_MAX - NAME_POLL_FIRST];
	size_t inner_count = 0, i;
	int n;

	for (n = NAME_POLL_FIRST; n < NAME_MAX; n++) {
		uint64_t addr = s->symbols[n].addr, target;
		struct site site;

		if (!addr || site_find(s->e, addr, 0, &site) || site.kind != SITE_SINGLE_STEP ||
		    !find_inner(s, (enum name)n, &target))
			continue;
		for (i = 0; i < inner_count && inner[i] != target; i++)
			;
		if (i < inner_count || add_point(s, KAFKA_POLL, names[n], target))
			continue;
		if (s->k->points[s->k->count - 1].is_left_out)
			s->k->count--;
		else
			inner[inner_count++] = target;
	}
	for (n = NAME_POLL_FIRST; n < NAME_MAX; n++) {
		struct elf_range r;

		if (!s->symbols[n].addr)
			continue;
		r = range_of(s, (enum name)n);
		for (i = 0; i < inner_count && !code_calls(s->e, &r, inner[i]); i++)
			;
		if (i == inner_count)
			add_point(s, KAFKA_POLL, names[n], s->symbols[n].addr);
	}
}

/* A program without the symbol may hold the library and have been stripped. */
static int explain_absence(struct elf *e, struct reason *why)
{
	uint64_t addr;

	if (elf_is_shared(e) || elf_string(e, "on_acknowledgement", &addr))
		return -ENOENT;
	return reason_set(why, -ENOTSUP,
			  "librdkafka is linked into a stripped program: its version is not known");
}

int librdkafka_find(struct elf *e, struct librdkafka *ret, struct reason *why)
{
	struct librdkafka k = { 0 };
	struct search s = { .e = e, .k = &k, .why = why };
	int i, err;

	for (i = 0; i < NAME_MAX; i++)
		s.symbols[i] = (struct elf_symbol){ .name = names[i], .type = ELF_FUNCTION };
	err = elf_symbols(e, s.symbols, NAME_MAX);
	if (err)
		return -ENOENT;		/* odd tables: not a library that somebody loads */
	if (!s.symbols[NAME_VERSION].addr)
		return explain_absence(e, why);
	err = find_version(&s);
	if (!err)
		err = check_layout(&s);
	if (err)
		return err;
	find_knobs(&s);
	err = find_interceptors(&s);
	if (err)
		return err;
	find_polls(&s);
	*ret = k;
	return 0;
}

void librdkafka_sites(const struct librdkafka *k, struct load_kafka_sites *ret)
{
	struct load_kafka_sites sites = { 0 };
	size_t i;

	sites.knobs = k->knobs;
	for (i = 0; i < k->count; i++) {
		const struct librdkafka_point *p = &k->points[i];

		if (p->is_left_out)
			continue;
		switch (p->role) {
		case KAFKA_SEND:
			sites.send = p->site.offset;
			break;
		case KAFKA_ACK_QUEUE:
			sites.ack_queue = p->site.offset;
			break;
		case KAFKA_CONSUME:
			sites.consume = p->site.offset;
			break;
		case KAFKA_POLL:
			if (sites.poll_count < LOAD_KAFKA_POLLS_MAX)
				sites.polls[sites.poll_count++] = p->site.offset;
			break;
		}
	}
	*ret = sites;
}
