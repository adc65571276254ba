/* librdkafka_find: its version, and the functions that every trace of it needs. */
#include "attach/librdkafka_search.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

struct constants {
	uint32_t value;
	bool is_known;
};

/* rd_kafka_version() sets its result and returns: one constant, on arm64 in two halves */
static int take_version(void *ctx, const struct code_step *s)
{
	struct constants *c = ctx;

	if (s->op == CODE_RETURN)
		return c->is_known ? 1 : -EINVAL;
	if (s->op == CODE_CONSTANT) {
		c->value = (uint32_t)s->constant;
		c->is_known = true;
		return 0;
	}
	return s->op == CODE_OTHER && !c->is_known && !s->writes && !s->has_memory ? 0 : -EINVAL;
}

bool librdkafka_version_at(struct search *s, uint64_t addr, uint32_t *ret)
{
	struct elf_range r = { addr, addr + 16 };
	struct constants c = { 0 };

	if (code_steps(s->e, &r, take_version, &c) != 1)
		return false;
	*ret = c.value;
	return true;
}

int librdkafka_find_version(struct search *s)
{
	uint32_t version = 0;
	int err = 0;

	if (!s->symbols[NAME_VERSION].addr)
		err = librdkafka_stripped_version(s, &version);
	else if (!librdkafka_version_at(s, s->symbols[NAME_VERSION].addr, &version))
		err = reason_set(s->why, -ENOTSUP,
				 "librdkafka: rd_kafka_version() is not the code we know");
	if (err)
		return err;
	if (version < LIBRDKAFKA_OLDEST)
		return reason_set(s->why, -ENOTSUP, "librdkafka %u.%u.%u is older than 1.0.0",
				  version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
	s->k->version = version;
	return 0;
}

int search_string(struct search *s, const char *text, struct elf_range *ret, int room)
{
	uint64_t text_addr, uses[LIBRDKAFKA_REFERENCES_MAX];
	int err, i, n, count = 0;

	err = elf_string(s->e, text, &text_addr);
	if (err)
		return err;
	n = code_references(s->e, text_addr, uses, LIBRDKAFKA_REFERENCES_MAX);
	for (i = 0; i < n; i++) {
		struct elf_range r;

		if (elf_function(s->e, uses[i], &r) ||
		    (count && ret[count - 1].start == r.start))
			continue;
		if (count == room)
			return -E2BIG;
		ret[count++] = r;
	}
	return n < 0 ? n : count;
}

struct callee search_callee(struct search *s, enum name n)
{
	struct callee c = { .addr = s->symbols[n].addr };

	if (code_stub(s->e, librdkafka_names[n], &c.stub))
		c.stub = 0;
	return c;
}

bool search_calls(struct search *s, const struct elf_range *r, const struct callee *c)
{
	return code_calls(s->e, r, c->addr) || code_calls(s->e, r, c->stub);
}

int search_calls_of(struct search *s, const struct callee *c, uint64_t *ret, size_t room)
{
	uint64_t found[LIBRDKAFKA_REFERENCES_MAX];
	const uint64_t targets[2] = { c->addr, c->stub };
	size_t count = 0;
	int i, j, n;

	for (i = 0; i < 2; i++) {
		if (!targets[i])
			continue;
		n = code_callers(s->e, targets[i], found, LIBRDKAFKA_REFERENCES_MAX);
		for (j = 0; j < n; j++) {
			if (!code_is_instruction(s->e, found[j]))
				continue;
			if (count == room)
				return -E2BIG;
			ret[count++] = found[j];
		}
		if (n < 0)
			return n;
	}
	return (int)count;
}

int search_add(struct search *s, enum librdkafka_role role, enum name n, uint64_t addr,
	       bool is_rare)
{
	struct librdkafka_point *p;
	int err;

	if (s->k->count == LIBRDKAFKA_POINTS_MAX)
		return -E2BIG;
	p = &s->k->points[s->k->count];
	*p = (struct librdkafka_point){ .role = role, .name = librdkafka_names[n] };
	err = site_find(s->e, addr, 0, &p->site);
	if (err)
		return err;
	p->is_left_out = p->site.kind == SITE_SINGLE_STEP && !is_rare &&
			 elf_machine(s->e) == EM_X86_64;	/* site_arm64.c says why */
	s->k->count++;
	return 0;
}

/*
 * The string names the function for one message. The one for a queue follows it and calls
 * it (gcc), or holds a copy of it and so refers to the string too (clang).
 */
static int find_ack_queue(struct search *s, uint64_t *ret)
{
	struct elf_range f[2], queue;
	int n = search_string(s, "on_acknowledgement", f, 2);

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

	if (search_string(s, text, f, 2) != 1)
		return -ENOENT;
	*ret = f[0].start;
	return 0;
}

static int find_needed(struct search *s)
{
	struct elf_symbol *f = &s->symbols[NAME_ON_SEND];
	int err;

	s->k->found_by = "symbol";
	if (f[0].addr && f[1].addr && f[2].addr)
		return 0;
	s->k->found_by = "string";
	err = find_single(s, "on_send", &f[0].addr);
	if (!err)
		err = find_ack_queue(s, &f[1].addr);
	if (!err)
		err = find_single(s, "on_consume", &f[2].addr);
	return err;
}

static void find_others(struct search *s)
{
	struct elf_symbol *ack = &s->symbols[NAME_ON_ACK];
	struct elf_range f[2];

	if (!ack->addr && search_string(s, "on_acknowledgement", f, 2) >= 1 &&
	    f[0].start != s->symbols[NAME_ON_ACK_QUEUE].addr)
		ack->addr = f[0].start;
	if (!s->symbols[NAME_ON_RESPONSE].addr)
		find_single(s, "on_response_received", &s->symbols[NAME_ON_RESPONSE].addr);
	if (!s->symbols[NAME_ON_COMMIT].addr)
		find_single(s, "on_commit", &s->symbols[NAME_ON_COMMIT].addr);
}

int librdkafka_find_interceptors(struct search *s)
{
	static const enum librdkafka_role roles[] = { KAFKA_SEND, KAFKA_ACK_QUEUE, KAFKA_CONSUME };
	size_t i;

	if (find_needed(s))
		return reason_set(s->why, -ENOTSUP,
				  "librdkafka: its interceptor functions cannot be told apart");
	for (i = 0; i < 3; i++) {
		enum name n = NAME_ON_SEND + (enum name)i;
		int err = search_add(s, roles[i], n, s->symbols[n].addr, false);

		if (err || s->k->points[s->k->count - 1].is_left_out)
			return reason_set(s->why, -ENOTSUP,
					  "librdkafka: %s has no cheap site for a probe",
					  librdkafka_names[n]);
	}
	find_others(s);
	return 0;
}

/* It makes a message of each operation that is one, and names the others in an assertion. */
void librdkafka_find_message_get(struct search *s)
{
	struct elf_symbol *get = &s->symbols[NAME_MESSAGE_GET];

	if (!get->addr)
		find_single(s, "assert: !*\"unhandled optype\"", &get->addr);
}
