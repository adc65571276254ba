#!/usr/bin/python3
"""Tests verdict.py by a made-up scenario: it passes what is whole, and each thing that is broken is
found under the word that names it."""

import collections
import unittest
import unittest.mock

import verdict

T = 1_700_000_000_000_000_000       # when it all began, ns
MS = 1_000_000
TOPIC, PID, READER = "t", 7, 8
HEADER = "00-%s-%s-01" % ("ab" * 16, "cd" * 8)


class Client:
    def __init__(self, pid, lines, said="", **work):
        self.pid, self.lines, self.text = pid, lines, said
        self.name = work["name"]
        self.work = {"topic": TOPIC, "options": {}, **work}

    def of(self, event):
        return [line for line in self.lines if line["event"] == event]

    def said(self):
        return self.text


class Scenario:
    name, how, complaints = "s", "made up", ()

    def __init__(self, *clients):
        self.clients = clients

    def producers(self):
        return [c for c in self.clients if c.work["role"] == "produce"]

    def consumers(self):
        return [c for c in self.clients if c.work["role"] == "consume"]


def produced(n, **more):
    return {"event": "produced", "id": "p-%d" % n, "begin": T + n * MS, "end": T + n * MS + 1000,
            "error": None, "n": n, "topic": TOPIC, "partition": 0, "bytes": 9, "traceparent": None,
            **more}


def delivered(n, offset, error=None):
    return {"event": "delivered", "id": "p-%d" % n, "ts": T + 50 * MS, "error": error,
            "topic": TOPIC, "partition": 0, "offset": offset}


def consumed(n, offset, call):
    return {"event": "consumed", "id": "p-%d" % n, "ts": T + 60 * MS, "call": call, "topic": TOPIC,
            "partition": 0, "offset": offset, "bytes": 9}


def span(pid, kind, name, own, attributes, **more):
    common = {"messaging.client.id": "p" if pid == PID else "c"}
    if pid == READER:
        common["messaging.consumer.group.name"] = "g"
    return verdict.Span({
        "trace": "%032x" % own, "span": "%016x" % own, "parent": "", "kind": kind, "name": name,
        "start_ns": T + 5 * MS, "end_ns": T + 40 * MS, "status": "unset", "links": [],
        "events": [], "resource": [("process.pid", "int64", pid)],
        "attributes": [(k, "", v) for k, v in {**common, **attributes}.items()], **more})


def send(n, offset, own, **more):
    attributes = {verdict.ID: "p-%d" % n, "messaging.operation.type": "send",
                  "messaging.destination.name": TOPIC, "messaging.message.body.size": 9,
                  "messaging.destination.partition.id": "0", "messaging.kafka.offset": offset,
                  "spanstitch.kafka.retries": 1 if n == 0 else None}
    if offset < 0:
        attributes["messaging.kafka.offset"] = None
        attributes["error.type"] = "MSG_TIMED_OUT"
        more["status"] = "error"
    return span(PID, "producer", "send " + TOPIC, own, attributes, start_ns=T + n * MS, events=[
        (T, "transaction.commit", [("spanstitch.kafka.outcome", "", "ok")])] if n == 0 else [],
        **more)


def link(own, *attributes):
    trace, one = ("ab" * 16, "cd" * 8) if own is None else ("%032x" % own, "%016x" % own)
    return (trace, one, "", 0, [(k, "", v) for k, v in attributes])


def whole():
    """p-0 and p-1 are read alone, p-2 and p-3 in a batch, p-4 timed out."""
    at = lambda offset: (("messaging.destination.partition.id", "0"),
                         ("messaging.kafka.offset", offset))
    process = {"messaging.destination.partition.id": "0", "messaging.message.body.size": 9}
    lines = [produced(0), produced(1, traceparent=HEADER), produced(2), produced(3), produced(4),
             *[delivered(n, n) for n in range(4)], delivered(4, -1001, "MSG_TIMED_OUT"),
             {"event": "transaction", "ids": ["p-0"], "outcome": "commit", "error": None}]
    read = [consumed(0, 0, 1), consumed(1, 1, 2), consumed(2, 2, 3), consumed(3, 3, 3),
            {"event": "commit", "error": None, "begin": T + 70 * MS, "end": T + 72 * MS,
             "positions": [[TOPIC, 0, 4, None]]}]
    said = "%7|1.0|MSGSET|p#producer-1| [thrd:b]: b: t [0]: MessageSet with 1 message(s) " \
           "(MsgId 1, BaseSeq 0) encountered error: Local: Timed out (actions Retry,X)\n"
    options = {"debug": "msg", "enable.idempotence": True}
    spans = {
        "p-0": send(0, 0, 10),
        "p-1": send(1, 1, 11, trace="ab" * 16, span="cd" * 8),
        "p-2": send(2, 2, 12), "p-3": send(3, 3, 13), "p-4": send(4, -1, 14),
        "c-0": span(READER, "consumer", "process t", 20, {
            verdict.ID: "p-0", "messaging.kafka.offset": 0, **process}, trace="%032x" % 10,
            parent="%016x" % 10, links=[link(10, verdict.CHILD_OF)]),
        "c-1": span(READER, "consumer", "process t", 21, {
            verdict.ID: "p-1", "messaging.kafka.offset": 1, **process}, trace="ab" * 16,
            parent="cd" * 8, links=[link(None, verdict.CHILD_OF)]),
        "batch": span(READER, "consumer", "process t", 22, {"messaging.batch.message_count": 2},
                      links=[link(12, *at(2)), link(13, *at(3))]),
        "commit": span(READER, "client", "commit t", 23, {
            "messaging.destination.partition.id": "0", "messaging.kafka.offset": 4},
            start_ns=T + 70 * MS, end_ns=T + 71 * MS)}
    return (Scenario(Client(PID, lines, said, role="produce", name="p", options=options),
                     Client(READER, read, role="consume", name="c", group="g")), spans)


def change(name, attribute, value):
    def broken(spans):
        spans[name].attributes[attribute] = value
    return broken


def put(name, field, value):
    def broken(spans):
        setattr(spans[name], field, value)
    return broken


def drop(name):
    return lambda spans: spans.pop(name)


OFFSET, PARTITION = "messaging.kafka.offset", "messaging.destination.partition.id"
BROKEN = [      # what; where it has to be found; how
    ("no producer span", "missing", drop("p-2")),
    ("no consumer span", "missing", drop("c-0")),
    ("no batch", "missing", drop("batch")),
    ("no commit", "missing", drop("commit")),
    ("an offset of another", "wrong", change("p-2", OFFSET, 3)),
    ("an offset of a failure", "wrong", change("p-4", OFFSET, 4)),
    ("another partition", "wrong", change("p-2", PARTITION, "1")),
    ("another error", "wrong", change("p-4", "error.type", "PURGE_QUEUE")),
    ("a failure that looks well", "wrong", put("p-4", "status", "unset")),
    ("a success that looks ill", "wrong", put("p-0", "status", "error")),
    ("another size", "wrong", change("p-0", "messaging.message.body.size", 8)),
    ("another client", "wrong", change("p-0", "messaging.client.id", "q")),
    ("a retry too few", "wrong", change("p-0", "spanstitch.kafka.retries", None)),
    ("a retry too many", "wrong", change("p-2", "spanstitch.kafka.retries", 1)),
    ("a transaction's outcome is not told", "wrong", put("p-0", "event_names", [])),
    ("an id that the header does not say", "wrong", put("p-1", "span", "ee" * 8)),
    ("it starts before its call", "wrong", put("p-0", "start_ns", T - 20 * MS)),
    ("it ends after its report", "wrong", put("p-0", "end_ns", T + 99 * MS)),
    ("a parent of nobody's", "orphans", put("p-0", "parent", "77" * 8)),
    ("another's parent", "wrong", put("c-0", "parent", "%016x" % 12)),
    ("no join", "missing", put("c-0", "parent", "")),
    ("no link beside the parent", "wrong", put("c-0", "links", [])),
    ("another group", "wrong", change("c-0", "messaging.consumer.group.name", "h")),
    ("a batch's links are exchanged", "wrong", lambda spans: setattr(
        spans["batch"], "links", [(spans["batch"].links[1 - i][:2] + link[2:])
                                  for i, link in enumerate(spans["batch"].links)])),
    ("a batch lacks a link", "missing", lambda spans: spans["batch"].links.pop()),
    ("a commit of another offset", "wrong", change("commit", OFFSET, 3)),
    ("a span of nothing", "wrong", lambda spans: spans.update(more=send(9, 9, 30))),
    ("a message's span twice", "wrong", lambda spans: spans.update(more=send(2, 2, 30))),
]


SUMS = "  records 9 = submitted 9 + lost 0: %s\n" \
       "  spans made 9 = sent 9 + held 0 + dropped 0: agrees\n"
Run = collections.namedtuple("Run", "scenarios code counters otlp")


class Figures:
    """What report() finds: names of checks and of rows, without the scenario's."""

    def __init__(self):
        self.checks, self.bad = self, set()

    def check(self, name, bad, _seen=""):
        if bad:
            self.bad.add(name.partition(": ")[2])

    def add(self, name, value, _unit, goal, _how, _findings=()):
        if value != int(goal.split()[1]):
            self.bad.add(name)


def silent(scenario):
    """As a library that logs no retry, and need not have made one."""
    scenario.clients[0].text = ""


REPORTED = [    # what; what has to be found; the counters' sum, the tracer's end, a change
    ("all well", set(), "agrees", 0, None),
    ("a sum that disagrees", {"nothing was lost on the way, every sum agrees"},
     "DISAGREES", 0, None),
    ("a tracer that failed", {"the tracer ends as asked"}, "agrees", 1, None),
    ("no retry where one was meant", {"the workload is as meant"}, "agrees", 0, silent),
]


class Test(unittest.TestCase):
    def found(self, broken):
        scenario, spans = whole()
        broken(spans)
        v = verdict.Verdict(scenario, list(spans.values()))
        return {what: getattr(v, what) for what in ("missing", "wrong", "orphans")}

    def test_whole(self):
        self.assertEqual(self.found(lambda spans: None), {"missing": [], "wrong": [], "orphans": []})

    def test_report(self):
        for what, wanted, word, code, change in REPORTED:
            scenario, spans = whole()
            scenario.clients[0].work["must_retry"] = True
            if change:
                change(scenario)
                spans["p-0"].attributes["spanstitch.kafka.retries"] = None
            figures = Figures()
            with self.subTest(what), unittest.mock.patch.object(
                    verdict, "read_spans", lambda _: list(spans.values())):
                verdict.report(Run([scenario], code, SUMS % word, None), figures, "x")
                self.assertEqual(figures.bad, wanted)

    def test_broken(self):
        for what, where, broken in BROKEN:
            with self.subTest(what):
                self.assertTrue(self.found(broken)[where])


if __name__ == "__main__":
    done = unittest.main(exit=False).result
    bad = len(done.failures) + len(done.errors)
    print("%d passed, %d failed, 0 skipped" % (len(BROKEN) + len(REPORTED) + 1 - bad, bad))
    raise SystemExit(bad > 0)
