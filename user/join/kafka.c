/* kafka: begin and end of what join knows of Kafka; the kinds of messages have files each. */
#include "join/kafka.h"

int core_kafka_init(struct core *c)
{
	client_init(c);
	offset_init(c);
	return commit_init(c);
}

void core_kafka_done(struct core *c)
{
	produce_done(c);
	consume_done(c);
	fifo_done(&c->offsets);
	fifo_done(&c->highs);
	fifo_done(&c->clients);
	rebalance_done(c);
	commit_done(c);
}

void core_kafka_flush(struct core *c)
{
	consume_flush(c);
	produce_flush(c);
}

/* What a process had in hand when it ended: messages in processing, and never acknowledged. */
void core_kafka_exit(struct core *c, const struct msg *m)
{
	consume_exit(c, m);
	produce_exit(c, m);
	client_exit(c, m->tgid);
	rebalance_exit(c, m->tgid);
}
