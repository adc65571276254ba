"""state: what the tracer does not tell yet of what docs/kafka.md promises. Each row is to go."""

import wants

NOT_YET = frozenset()
MODES = ("full", "light", "switch")
