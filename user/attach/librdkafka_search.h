/* librdkafka_search: what the files librdkafka*.c share of one search; for nobody else. */
#ifndef ATTACH_LIBRDKAFKA_SEARCH_H
#define ATTACH_LIBRDKAFKA_SEARCH_H

#include "attach/code.h"
#include "attach/elf.h"
#include "attach/librdkafka.h"
#include "attach/reason.h"

#define LIBRDKAFKA_1_5 0x010500ffU	/* topics begin with a magic word, no shared pointers */
#define LIBRDKAFKA_1_6 0x010600ffU	/* operations hold an error object */
#define LIBRDKAFKA_REFERENCES_MAX 16	/* uses of a string, or callers of a function */

/* what is looked up by name; the order is the order of librdkafka_names[] */
enum name {
	NAME_VERSION, NAME_NAME, NAME_TOPIC, NAME_STATUS, NAME_TIMESTAMP, NAME_HEADERS,
	NAME_CLUSTER, NAME_MEMBER, NAME_WATERMARKS,
	NAME_ON_SEND, NAME_ON_ACK_QUEUE, NAME_ON_CONSUME, NAME_ON_ACK, NAME_ON_RESPONSE,
	NAME_ON_COMMIT,
	NAME_COMMIT, NAME_COMMIT_QUEUE, NAME_COMMIT_MESSAGE,
	NAME_TXN_BEGIN, NAME_TXN_COMMIT, NAME_TXN_ABORT,
	NAME_REBALANCE, NAME_REBALANCE_INCR,
	NAME_MESSAGE_GET, NAME_MESSAGE_NEW,
	NAME_POLL_FIRST,
	NAME_CONSUME_BATCH_QUEUE = NAME_POLL_FIRST + 4,
	NAME_QUEUE_POLL = NAME_POLL_FIRST + 7,
	NAME_MAX = NAME_POLL_FIRST + 10,
};

extern const char *const librdkafka_names[NAME_MAX];

/* a function, and the stub through which other functions may call it; 0: none */
struct callee {
	uint64_t addr, stub;
};

struct search {
	struct elf *e;
	struct elf_symbol symbols[NAME_MAX];	/* filled further as functions are found */
	struct librdkafka *k;
	struct reason *why;
	bool is_stripped;
};

static inline struct elf_range search_range(struct search *s, enum name n)
{
	return code_range(s->e, s->symbols[n].addr, s->symbols[n].size);
}

/* The functions that refer to @text, distinct, in order of address; their count or -errno. */
int search_string(struct search *s, const char *text, struct elf_range *ret, int room);

/* Its stub too where the file exports @n. */
struct callee search_callee(struct search *s, enum name n);
bool search_calls(struct search *s, const struct elf_range *r, const struct callee *c);

/*
 * Decoded places of calls and jumps to @c, through its stub too: their count. What lies in
 * no function that the file tells of is left out.
 */
int search_calls_of(struct search *s, const struct callee *c, uint64_t *ret, size_t room);

/* Adds a point at the function at @addr; a dear site is left out unless @is_rare. */
int search_add(struct search *s, enum librdkafka_role role, enum name n, uint64_t addr,
	       bool is_rare);

/* librdkafka_find.c: version, the needed functions, and what they call */
int librdkafka_find_version(struct search *s);
bool librdkafka_version_at(struct search *s, uint64_t addr, uint32_t *ret);
int librdkafka_find_interceptors(struct search *s);
void librdkafka_find_message_get(struct search *s);

/* librdkafka_layout.c: refuses another layout; fills what it can prove of the rest */
int librdkafka_check_layout(struct search *s);
void librdkafka_find_knobs(struct search *s);
bool librdkafka_is_rebalance(struct search *s, const struct elf_range *r);
/* Do they read what the exported accessor of that name reads? */
bool librdkafka_is_member(struct search *s, const struct elf_range *r);
bool librdkafka_is_cluster(struct search *s, const struct elf_range *r);
bool librdkafka_is_watermarks(struct search *s, const struct elf_range *r);

/* librdkafka_stripped.c: a program that lost its names */
int librdkafka_stripped_version(struct search *s, uint32_t *ret);
void librdkafka_stripped_accessors(struct search *s);
void librdkafka_stripped_polls(struct search *s);

/* librdkafka_refused.c */
void librdkafka_find_refused(struct search *s);

/* librdkafka_points.c: what may be missing */
bool search_add_poll(struct search *s, enum name n, uint64_t addr);
void librdkafka_find_polls(struct search *s);
void librdkafka_find_points(struct search *s);

#endif
