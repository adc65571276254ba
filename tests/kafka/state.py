"""state: what the tracer does not tell yet of what docs/kafka.md promises. Each row is to go."""

import wants

NOT_YET = frozenset({
    wants.GROUP,            # of a consumer that joins no group by itself
    wants.LARGE_HEADERS,
    wants.REFUSED,
    wants.REBALANCE,
    "end of read-cb",       # rd_kafka_queue_poll_callback is not probed
})
MODES = ("full", "light", "switch")
