/*
 * librdkafka: is this file one, which version, and where it is probed.
 *
 * The hooks are the call points of librdkafka's own interceptors, which run whether or not an
 * interceptor is registered. They are found in the symbol tables, else by the only string
 * that each refers to. Private struct offsets are chosen by version and then held against the
 * code of small exported functions: a contradiction is a refusal, never a guess. What serves
 * a part of the picture only (enum librdkafka_role after KAFKA_CONSUME) may be missing.
 */
#ifndef ATTACH_LIBRDKAFKA_H
#define ATTACH_LIBRDKAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/site.h"
#include "knobs.h"

#define LIBRDKAFKA_POINTS_MAX 48
#define LIBRDKAFKA_OLDEST 0x010000ffU	/* 1.0.0; before it messages were laid out otherwise */

struct elf;
struct load_kafka_sites;
struct reason;

enum librdkafka_role {
	KAFKA_SEND, KAFKA_ACK_QUEUE, KAFKA_CONSUME,	/* needed */
	KAFKA_POLL,
	KAFKA_ACK_CALL, KAFKA_RESPONSE,
	KAFKA_COMMITTED, KAFKA_COMMIT, KAFKA_COMMIT_MESSAGE,
	KAFKA_REBALANCE,
	KAFKA_TXN_BEGIN, KAFKA_TXN_COMMIT, KAFKA_TXN_ABORT,
	KAFKA_REFUSED,
	KAFKA_ROLE_MAX,
};

struct librdkafka_point {
	enum librdkafka_role role;
	const char *name;	/* static */
	struct site site;	/* functions too dear to probe stay, with is_left_out */
	uint8_t is_left_out;
	uint8_t poll_kind;	/* enum kafka_poll_kind */
	uint8_t topic_register;	/* KAFKA_REFUSED: enum kafka_register of its topic */
	uint16_t client_off;	/* from the topic to its client; 0: not known */
};

struct librdkafka {
	uint32_t version;	/* 0xMMmmrrpp as rd_kafka_version() has it */
	const char *found_by;	/* static: "symbol", "string" */
	const char *runtime;	/* static: of the program that holds it: "go", "rust"; "" */
	bool is_foreign;	/* built for another machine: told, never attached */
	struct kafka_knobs knobs;
	struct librdkafka_point points[LIBRDKAFKA_POINTS_MAX];
	size_t count;
};

/* -ENOENT: not librdkafka. Any other error: it is, and @why says why it is not probed. */
int librdkafka_find(struct elf *e, struct librdkafka *ret, struct reason *why);

void librdkafka_sites(const struct librdkafka *k, struct load_kafka_sites *ret);

/* How it was found, what is probed at which cost, and what is missing: a line for people. */
#define LIBRDKAFKA_TEXT_MAX 2048
void librdkafka_describe(const struct librdkafka *k, char *ret, size_t room);

/* What @k lacks and what that costs the user; "" where nothing is missing. */
void librdkafka_missing(const struct librdkafka *k, char *ret, size_t room);

#endif
