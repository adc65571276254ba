"""state: what the tracer does not tell yet of what docs/kafka.md promises. Each row is to go."""

import wants

NOT_YET = frozenset({
    wants.GROUP,            # of a client at the address of an earlier one: not told at once
    wants.LARGE_HEADERS,    # more than WIRE_HEADERS_MAX is cut, and the context with it
    wants.REFUSED,          # no probe tells it
    "end of read-cb",       # rd_kafka_queue_poll_callback is not probed
})
MODES = ("full", "light", "switch")
