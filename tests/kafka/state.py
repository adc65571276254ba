"""state: what the tracer does not tell yet of what the contract promises. Each row is to go."""

import judge

NOT_YET = frozenset({
    judge.BATCH,        # a batch is still one span a message
    judge.SIZE,
    judge.GROUP,
    judge.KEY,          # only with kafka.message_key
    judge.ERROR,        # a message that fails alone keeps its span until the process ends
    judge.PERSISTED,
    judge.QUEUE_US,
    judge.BROKER_US,
    judge.LARGE_HEADERS,
    "end of read-cb",           # rd_kafka_queue_poll_callback is not probed
    "end of read-batchqueue",   # the wheels' 2.0.2 to 2.3.0 have no cheap site at its start,
    "end of read-event",        # nor has sid's 2.14.2 of rd_kafka_queue_poll
    "end of read-eventarray",
})
