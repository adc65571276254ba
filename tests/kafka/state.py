"""state: what the tracer does not tell yet of what the contract promises. Each row is to go."""

import wants

NOT_YET = frozenset({
    wants.BATCH,        # a batch is still one span a message
    wants.GROUP,
    wants.ALONE,        # such a message keeps its span until the process ends
    wants.QUEUE_US,
    wants.BROKER_US,
    wants.LARGE_HEADERS,
    wants.POLL,
    wants.COMMIT,
    wants.REFUSED,
    wants.TRANSACTION,
    wants.REBALANCE,
    wants.RETRIES,
    "end of read-callback",     # the next message of a call that has a callback is not told apart
    "end of read-callbackqueue",
    "end of read-cb",           # rd_kafka_queue_poll_callback is not probed
    "end of read-batchqueue",   # the wheels' 2.0.2 to 2.3.0 have no cheap site at its start,
    "end of read-event",        # nor has sid's 2.14.2 of rd_kafka_queue_poll
    "end of read-eventarray",
})

MODES = ("full",)       # and light, switch: once there is a light mode
