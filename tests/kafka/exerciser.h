/*
 * exerciser: what its parts share. A scenario is one client that does one thing; its name is its
 * topic and its client id, so that a judge can tell whose a message is.
 */
#ifndef KAFKA_EXERCISER_H
#define KAFKA_EXERCISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library.h"

#define HEADERS_MAX 66
#define WAIT_MS 15000		/* what a test waits at most for anything */

struct exercise {
	const char *brokers;
	const char *plugin;	/* NULL: none */
	const char *only;	/* NULL: all; else what a scenario's name begins with */
	const char *bare;	/* NULL: all scenarios; "send", or the group that reads */
	int messages;		/* a scenario */
};

struct header {
	const char *name;
	const char *value;	/* NULL: a null value */
	ptrdiff_t len;
};

/* Points into itself and into constants: not to be copied. */
struct message {
	const char *key, *value;	/* NULL: null */
	size_t key_len, len;
	int headers_n;
	struct header headers[HEADERS_MAX];
	char key_room[32];
	char context[2][64];		/* of traceparent headers */
};

/* Number @i of a scenario with number @scenario: each kind of message comes round. */
void message_make(struct message *ret, unsigned int scenario, int i);

/* As the last of a scenario: a value of 1 MiB. */
void message_make_large(struct message *ret, unsigned int scenario, int i);

/* Ends the program with a reason when @ok is false: a broken exercise proves nothing. */
void must(bool ok, const char *scenario, const char *what);

/* A configuration with brokers, plugin and client id; @pairs: names and values, ends with NULL.
 * NULL when this build does not have one of the values. */
rd_kafka_conf_t *configure(const struct exercise *ex, const char *name, const char *const *pairs);
rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const char *name);

uint64_t now_ns(void);

/* A line for the judge, beside the plugin's: from @begin_ns to now @api gave @n messages. */
void note_call(const char *scenario, const char *api, uint64_t begin_ns, long n);

/* The same of one that ends a transaction, or of a produce function that made no message: no
 * interceptor is told of these. */
void note_ended(const char *scenario, const char *api, uint64_t begin_ns, rd_kafka_resp_err_t err);

/* A line on stdout: the scenario did what it says, or is not possible with this release. */
void told(const char *scenario, const char *what, long n);

/* Who runs the exerciser makes the broker do @what, which tests/platform/broker.c names. */
void ask(const char *scenario, const char *what);

bool is_wanted(const struct exercise *ex, const char *name);

void produce_all(const struct exercise *ex);
void fail_all(const struct exercise *ex);	/* a part of that */
void consume_all(const struct exercise *ex);

/* Instead of these: many messages without headers. */
void bare_send(const struct exercise *ex);
void bare_read(const struct exercise *ex, const char *group);

#define FEED "feed"		/* the topic that the consumers read, made by produce_all() */

#endif
