/* kafka: begin and end of what join knows of Kafka; the kinds of messages have files each. */
#include <stdlib.h>

#include "join/kafka.h"

#define PROCESSES_MAX 65536	/* that use Kafka; the end of one that was forgotten is not seen */

static void process_drop(void *ctx, struct fifo_entry *e)
{
	(void)ctx;
	free(e);
}

void kafka_note_process(struct core *c, uint32_t tgid)
{
	struct fifo_entry *e = fifo_find(&c->kafka_processes, &tgid, sizeof(tgid));

	if (e)
		return;
	e = calloc(1, sizeof(*e));
	if (e)
		fifo_add(&c->kafka_processes, &tgid, sizeof(tgid), e);
}

int core_kafka_init(struct core *c)
{
	fifo_init(&c->kafka_processes, PROCESSES_MAX, process_drop, c);
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
	fifo_done(&c->kafka_processes);
	rebalance_done(c);
	commit_done(c);
}

void core_kafka_flush(struct core *c)
{
	consume_flush(c);
	produce_flush(c);
}

/*
 * What a process had in hand when it ended: messages in processing, and never acknowledged. It
 * is looked for in all that is open, so the end of one that never used Kafka must not get there.
 */
void core_kafka_exit(struct core *c, const struct msg *m)
{
	struct fifo_entry *e = fifo_find(&c->kafka_processes, &m->tgid, sizeof(m->tgid));

	if (!e)
		return;
	fifo_remove(&c->kafka_processes, e);
	free(e);
	consume_exit(c, m);
	produce_exit(c, m);
	client_exit(c, m->tgid);
	rebalance_exit(c, m->tgid);
}
