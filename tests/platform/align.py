"""align: which of the things that happened, and which of the spans, are the same, by time alone."""

APART_MAX_NS = 500_000_000      # a span that begins further from a thing is not of it
PAIRS_MAX = 4_000_000           # that are tried; with more, nothing is paired and all is missing


def align(wants, spans, begin_of):
    """Pairs of a want and a span, both in the order of time, that are least apart in all.

    begin_of(want): when it began, on the clock of a span's start_ns
    """
    if len(wants) * len(spans) > PAIRS_MAX:
        return
    wants = sorted(wants, key=begin_of)
    spans = sorted(spans, key=lambda s: s.start_ns)
    gap = APART_MAX_NS // 2
    cost = [[(i + j) * gap for j in range(len(spans) + 1)] for i in range(len(wants) + 1)]
    for i, want in enumerate(wants, 1):
        row, above, begin = cost[i], cost[i - 1], begin_of(want)
        for j, span in enumerate(spans, 1):
            row[j] = min(above[j - 1] + abs(begin - span.start_ns), above[j] + gap,
                         row[j - 1] + gap)
    i, j = len(wants), len(spans)
    while i and j:
        if cost[i][j] == cost[i - 1][j] + gap:
            i -= 1
        elif cost[i][j] == cost[i][j - 1] + gap:
            j -= 1
        else:
            i, j = i - 1, j - 1
            yield wants[i], spans[j]
