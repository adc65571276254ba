#!/usr/bin/python3
"""joins: what is broken is told. Spans made up here, right ones and ones with one defect each."""

import copy
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../platform"))

import harness  # noqa: E402

import joins  # noqa: E402
import programs  # noqa: E402

COUNT, TOPIC, RUN = 6, "t", "0badcafe"
PARTITIONS = 2
PRODUCER, CONSUMER = 4, 5       # as OTLP numbers them
checks = harness.Checks()


def attribute(key, value):
    return {"key": key, "value": {"intValue" if isinstance(value, int) else "stringValue":
                                  str(value)}}


def where(n):
    return n % PARTITIONS, n // PARTITIONS


def at(n):
    partition, offset = where(n)
    return [attribute("messaging.destination.name", TOPIC),
            attribute("messaging.destination.partition.id", str(partition)),
            attribute("messaging.kafka.offset", offset)]


def ids(n):
    return {"traceId": "%s%024x" % (RUN, n), "spanId": "%s%08x" % (RUN, n)}


def producer(n):
    return {**ids(n), "name": "send t", "kind": PRODUCER, "attributes": at(n)}


def consumer(n):
    return {**ids(n), "spanId": "c%015x" % n, "parentSpanId": ids(n)["spanId"],
            "name": "process t", "kind": CONSUMER, "attributes": at(n), "links": [ids(n)]}


def batch(numbers):
    return {"traceId": "b" * 32, "spanId": "b" * 16, "name": "process t", "kind": CONSUMER,
            "attributes": [attribute("messaging.destination.name", TOPIC),
                           attribute("messaging.batch.message_count", len(numbers))],
            "links": [{**ids(n), "attributes": at(n)} for n in numbers]}


def spans_of(raw):
    return joins.spans_of({"resourceSpans": [{"scopeSpans": [{"spans": raw}]}]})


def output(lines):
    with tempfile.NamedTemporaryFile("w", suffix=".out", delete=False) as f:
        f.writelines(lines)
    return f.name


def line(n):
    return "%d %d k%d n=%d,traceparent=%s\n" % (*where(n), n, n, programs.traceparent(RUN, n))


def truth_of(lines, is_shared=False):
    path = output(lines)
    try:
        return joins.truth_of(path, COUNT, lambda n: (programs.traceparent(RUN, n), is_shared))
    finally:
        os.unlink(path)


NUMBERS = range(1, COUNT + 1)
RIGHT = [make(n) for make in (producer, consumer) for n in NUMBERS]
LINES = [line(n) for n in NUMBERS]
FIRST_READ = COUNT      # of RIGHT: the consumer span of message 1


def changed(index, **fields):
    spans = copy.deepcopy(RIGHT)
    spans[index].update(fields)
    return spans


# name, spans, (produced, consumed, joined), others and twice
CASES = [
    ("all is right", RIGHT, (6, 6, 6), 0),
    ("a batch", RIGHT[:COUNT] + [batch(NUMBERS)], (6, 6, 6), 0),
    ("a batch and single ones", RIGHT[:COUNT + 2] + [batch(NUMBERS[2:])], (6, 6, 6), 0),
    ("no producer span", RIGHT[1:], (5, 6, 5), 0),
    ("no consumer span", RIGHT[:-1], (6, 5, 5), 0),
    ("two consumer spans", RIGHT + changed(-1, spanId="d" * 16)[-1:], (6, 5, 5), 0),
    ("one id twice", RIGHT + RIGHT[:1], (5, 6, 5), 1),
    ("another trace", changed(0, traceId="a" * 32), (5, 6, 5), 0),
    ("another id", changed(0, spanId="a" * 16), (5, 6, 5), 0),
    ("a producer with a parent", changed(0, parentSpanId="a" * 16), (5, 6, 5), 0),
    ("no parent", changed(FIRST_READ, parentSpanId=""), (6, 6, 5), 0),
    ("another's child", changed(FIRST_READ, parentSpanId=ids(2)["spanId"]), (6, 6, 5), 0),
    ("no link", changed(FIRST_READ, links=[]), (6, 6, 5), 0),
    ("another's link", changed(FIRST_READ, links=[ids(2)]), (6, 6, 5), 0),
    ("two links", changed(FIRST_READ, links=[ids(1), ids(2)]), (6, 6, 5), 0),
    ("another place", changed(FIRST_READ, attributes=at(7)), (6, 5, 5), 1),
    ("a batch with a parent", RIGHT[:COUNT] + [{**batch(NUMBERS), "parentSpanId": "a" * 16}],
     (6, 6, 0), 0),
    ("a batch that lacks a link", RIGHT[:COUNT] + [{**batch(NUMBERS), "links":
                                                    batch(NUMBERS)["links"][1:]}], (6, 5, 5), 1),
    ("nothing", [], (0, 0, 0), 0),
]


def check_verdicts():
    truth, wrong = truth_of(LINES)
    checks.check("the truth of a good run", wrong or len(truth) != COUNT and "%s" % truth)
    for name, spans, counts, left in CASES:
        v = joins.Verdict(truth, spans_of(spans), TOPIC)
        seen = (v.produced, v.consumed, v.joined), len(v.others) + len(v.twice)
        checks.check(name, seen != (counts, left) and "%s, not %s" % (seen, (counts, left)))


def check_truth():
    for name, lines in (("a message that never came", LINES[1:]),
                        ("a message that came twice", LINES + [line(1).replace(" 0 ", " 9 ", 1)]),
                        ("an unknown key", LINES[1:] + [line(1).replace(" k1 ", " k9 ")]),
                        ("a header that is another's", LINES[1:] + [
                            line(1).replace(programs.traceparent(RUN, 1),
                                            programs.traceparent(RUN, 2))]),
                        ("a line cut short", LINES[:-1] + [LINES[-1][:-1]])):
        _, wrong = truth_of(lines)
        checks.check("untraced, told: " + name, not wrong and "nothing")
    truth, _ = truth_of(LINES, is_shared=True)
    v = joins.Verdict(truth, spans_of(changed(0, spanId="a" * 16)), TOPIC)
    checks.check("of a shared header the trace alone counts", v.produced != COUNT and v.produced)


def check_relayed():
    keys = {where(n): "k%d" % n for n in NUMBERS}
    topic = {"attributes": [attribute("messaging.destination.name", "t-relayed")] + at(1)[1:]}
    sent = {**producer(1), **topic, "spanId": "e" * 16}
    for name, parent, wanted in (("no parent", None, (1, 0, 0)),
                                 ("its own message", consumer(1)["spanId"], (1, 1, 0)),
                                 ("another message", consumer(2)["spanId"], (1, 0, 1))):
        spans = RIGHT + [{**sent, "parentSpanId": parent or ""}]
        seen, right, wrong = joins.relayed(keys, keys, spans_of(spans), TOPIC)
        checks.check("sent again below " + name, (seen, right, len(wrong)) != wanted and
                     "%s" % ((seen, right, wrong),))


check_truth()
check_verdicts()
check_relayed()
sys.exit(checks.end())
