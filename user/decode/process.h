/* process: fork, exec, exit and target records -> process messages. */
#ifndef DECODE_PROCESS_H
#define DECODE_PROCESS_H

struct decode;
struct wire_head;

/* Each: 0, or -EINVAL for a record whose lengths do not fit. */
int process_feed_fork(struct decode *d, const struct wire_head *rec);
int process_feed_exec(struct decode *d, const struct wire_head *rec);
int process_feed_exit(struct decode *d, const struct wire_head *rec);
int process_feed_target(struct decode *d, const struct wire_head *rec);

#endif
