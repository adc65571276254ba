/* producer: a producing client of a scenario, as produce.c and fault.c use it. */
#ifndef KAFKA_PRODUCER_H
#define KAFKA_PRODUCER_H

#include "exerciser.h"

#define FEW 8			/* messages, where the kind of message makes no difference */

/* One scenario's client and topic. */
struct producer {
	const char *name;
	unsigned int number;		/* of the scenario: for ids */
	rd_kafka_t *rk;
	rd_kafka_topic_t *rkt;
	rd_kafka_queue_t *queue;	/* NULL: no delivery events */
	int32_t partition;
	int sent;			/* the next message's number */
};

enum delivery { DELIVERY_NONE, DELIVERY_CALLBACK, DELIVERY_EVENT };

/* @pairs: more configuration. false: this release cannot, which is told. */
bool producer_new(struct producer *ret, const struct exercise *ex, const char *name,
		  enum delivery delivery, const char *const *pairs);
void producer_drain(struct producer *p);	/* until none is waited for */
void producer_end(struct producer *p);

typedef rd_kafka_resp_err_t (*send_fn)(struct producer *p, const struct message *m);

rd_kafka_resp_err_t send_produce(struct producer *p, const struct message *m);
/* As arguments of producev; of the headers three at most. */
rd_kafka_resp_err_t send_inline(struct producer *p, const struct message *m);
/* A batch of two: the message, and it again with a byte less. */
rd_kafka_resp_err_t send_batch(struct producer *p, const struct message *m);

/* The next @n messages, each of which must be accepted. */
void send_some(struct producer *p, send_fn send, int n);

#endif
