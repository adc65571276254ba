#!/usr/bin/python3
"""kafka-judge: proves that judge.py tells whatever is broken: a tracer that saw everything passes,
and with any one thing changed it does not, under the right name. No root, no tracer, no Kafka."""

import collections
import os
import sys
import tempfile

import run
import judge
import lines
import story
import test_noheader
import wants

checks = run.session.harness.Checks()
BATCH_LINK = {"messaging.kafka.offset": 0, "messaging.message.body.size": 15,
              "messaging.destination.partition.id": "1"}


def verdict_on(told, unacknowledged=judge.WANTED):
    with tempfile.TemporaryDirectory() as directory:
        truth, otlp = (os.path.join(directory, name) for name in ("truth.jsonl", "otlp.json"))
        with open(truth, "w") as f:
            f.write(told.truth())
        with open(otlp, "w") as f:
            f.write(told.otlp())
        read = lines.Lines(truth)
        return read.complaints(), judge.Judge(read, judge.read_spans(otlp), unacknowledged)


def put(label, field, value):
    return lambda told: told.spans[label].__setitem__(field, value)


def attribute(label, name, value):
    return lambda told: told.spans[label]["attributes"].__setitem__(name, value)


def bare_of(label, name):
    return lambda told: told.spans[label]["attributes"].pop(name)


def drop(label):
    return lambda told: told.spans.pop(label)


def double(label, **changed):
    """Once more, with an id of its own unless told otherwise."""
    return lambda told: told.doubles.append(
        {**told.spans[label], "id": "%016x" % 0xdddd, **changed})


def swap(field, one, other):
    def change(told):
        a, b = told.spans[one], told.spans[other]
        a[field], b[field] = b[field], a[field]
    return change


def later(label, field, us):
    def change(told):
        told.spans[label][field] += us * story.US
    return change


def shift(name, us):
    """Of every span that has it."""
    def change(told):
        for span in told.spans.values():
            if name in span["attributes"]:
                span["attributes"][name] += us
    return change


def same_id(told):
    told.doubles.append(dict(told.spans["took bare"]))


def link_lost(told):
    told.spans["batch"]["links"].pop(0)


def link_to_other(told):
    trace, _, attributes = told.spans["batch"]["links"][0]
    told.spans["batch"]["links"][0] = trace, "%016x" % 0xabcd, attributes


def link_other_offset(told):
    told.spans["batch"]["links"][0][2]["messaging.kafka.offset"] = 5


# what is changed: its name, the change, then what must be told: (missing, strangers, fields)
CHANGES = (
    ("a producer span is missing", drop("bare"), 1, 0, {"parent", "links"}),
    ("a failed one is missing", drop("failed"), 1, 0, set()),
    ("a consumer span is missing", drop("took headed"), 1, 0, set()),
    ("the batch is missing", drop("batch"), 1, 0, set()),
    ("a producer span is doubled", double("headed"), 0, 1, set()),
    ("a consumer span is doubled", double("took bare"), 0, 1, set()),
    ("one without a place is doubled", double("failed"), 0, 1, set()),
    ("one is doubled, with its id", same_id, 0, 1, {"span id"}),
    ("the batch is doubled", double("batch"), 0, 1, set()),
    ("the poll is missing", drop("poll"), 1, 0, set()),
    ("a commit is missing", drop("commit"), 1, 0, set()),
    ("a refused one is missing", drop("refused"), 1, 0, set()),
    ("a commit is doubled", double("commits"), 0, 1, set()),
    ("a poll as a commit", attribute("poll", "messaging.operation.name", "commit"), 1, 1, set()),
    ("a poll of one more", attribute("poll", wants.COUNT, 3), 0, 0, {wants.COUNT}),
    ("a poll without links", put("poll", "links", []), 0, 0, {"links"}),
    ("a poll that ends late", later("poll", "end", 60_000), 0, 0, {"end"}),
    ("a commit of another offset", attribute("commit", wants.OFFSET, 3), 0, 0, {wants.OFFSET}),
    ("a commit that failed", attribute("commit", wants.ERROR, "FAIL"), 0, 0, {wants.ERROR}),
    ("a commit of another type", attribute("commit", "messaging.operation.type", "send"), 0, 0,
     {"messaging.operation.type"}),
    ("a commit without its partitions", put("commits", "events", []), 0, 0, {"events"}),
    ("a transaction without an end", put("in txn", "events", []), 0, 0, {"events"}),
    ("an abort that was a commit", put("in txn", "events", [
        ("transaction.abort", {wants.OUTCOME: "ok"})]), 0, 0, {"events"}),
    ("a commit that failed as if it had not", put("in another txn", "events", [
        ("transaction.commit", {wants.OUTCOME: "ok"}),
        ("transaction.abort", {wants.OUTCOME: "ok"})]), 0, 0, {"events"}),
    ("no abort after a commit that failed", put("in another txn", "events", [
        ("transaction.commit", {wants.OUTCOME: "TIMED_OUT"})]), 0, 0, {"events"}),
    ("an event of another's transaction", put("headed", "events", [
        ("transaction.commit", {wants.OUTCOME: "ok"})]), 0, 0, {"events"}),
    ("no word of an assignment", put("first", "events", []), 0, 0, {"events"}),
    ("an assignment that was none", put("took again", "events", [
        ("rebalance", {"spanstitch.kafka.rebalance": "assign"})]), 0, 0, {"events"}),
    ("retries that nobody counts", bare_of("retried", wants.RETRIES), 0, 0, {wants.RETRIES}),
    ("one retry too few", attribute("retried", wants.RETRIES, 1), 0, 0, {wants.RETRIES}),
    ("another refusal", attribute("refused", wants.ERROR, "FAIL"), 0, 0, {wants.ERROR}),
    ("another name", put("bare", "name", "send u"), 0, 0, {"name"}),
    ("another topic", attribute("failed", "messaging.destination.name", "u"), 0, 0,
     {"messaging.destination.name"}),
    ("another partition", attribute("bare", wants.PARTITION, "3"), 0, 0, {wants.PARTITION}),
    ("another offset", attribute("took again", wants.OFFSET, 9), 0, 0, {wants.OFFSET}),
    ("an offset where there is none", attribute("unacked", wants.OFFSET, 0), 0, 0,
     {wants.OFFSET}),
    ("no partition", bare_of("two", wants.PARTITION), 0, 0, {wants.PARTITION}),
    ("another size", attribute("one", wants.SIZE, 1), 0, 0, {wants.SIZE}),
    ("a size of a null value", attribute("null", wants.SIZE, 0), 0, 0, {wants.SIZE}),
    ("no tombstone", bare_of("null", wants.TOMBSTONE), 0, 0, {wants.TOMBSTONE}),
    ("a tombstone too many", attribute("took bare", wants.TOMBSTONE, True), 0, 0,
     {wants.TOMBSTONE}),
    ("another key", attribute("headed", wants.KEY, "kez"), 0, 0, {wants.KEY}),
    ("a binary key as text", attribute("null", wants.KEY, "k?"), 0, 0, {wants.KEY}),
    ("a key of a null key", attribute("bare", wants.KEY, ""), 0, 0, {wants.KEY}),
    ("another client", attribute("bare", "messaging.client.id", "q"), 1, 1,
     {"parent", "links"}),
    ("another group", attribute("took again", wants.GROUP, "g"), 0, 0, {wants.GROUP}),
    ("another wait", attribute("took bare", wants.WAIT_MS, 90), 0, 0, {wants.WAIT_MS}),
    ("no wait", bare_of("took headed", wants.WAIT_MS), 0, 0, {wants.WAIT_MS}),
    ("another lag", attribute("took headed", wants.LAG, 0), 0, 0, {wants.LAG}),
    ("no lag", bare_of("took again", wants.LAG), 0, 0, {wants.LAG}),
    ("another error", attribute("failed", wants.ERROR, "MSG_TIMEOUT"), 0, 0, {wants.ERROR}),
    ("an error that was none", attribute("bare", wants.ERROR, "FAIL"), 0, 0, {wants.ERROR}),
    ("no error status", put("failed", "error", False), 0, 0, {"status"}),
    ("an error status", put("bare", "error", True), 0, 0, {"status"}),
    ("another persistence", attribute("unacked", wants.PERSISTED, "no"), 0, 0,
     {wants.PERSISTED}),
    ("a persistence too many", attribute("bare", wants.PERSISTED, "no"), 0, 0,
     {wants.PERSISTED}),
    ("a retry that was none", attribute("bare", wants.RETRIES, 1), 0, 0, {wants.RETRIES}),
    ("no queue time", bare_of("bare", wants.QUEUE_US), 0, 0, {wants.QUEUE_US}),
    ("another broker time", attribute("bare", wants.BROKER_US, 60_000), 0, 0, {wants.BROKER_US}),
    ("a time that all have in the queue and more", shift(wants.QUEUE_US, 1_500), 0, 0,
     {wants.QUEUE_US}),
    ("a time that all have at the broker and more", shift(wants.BROKER_US, 1_500), 0, 0,
     {wants.BROKER_US}),
    ("one that waits 9 ms longer than the plugin saw", attribute("bare", wants.QUEUE_US, 9_000), 0,
     0, set()),
    ("a producer in another trace", put("headed", "trace", "9" * 32), 0, 0, {"trace"}),
    ("a producer with another id", put("headed", "id", "9" * 16), 0, 0, {"span id"}),
    ("a producer with a parent", put("bare", "parent", "9" * 16), 0, 0, {"parent"}),
    ("a consumer with another parent", put("took headed", "parent", "9" * 16), 0, 0, {"parent"}),
    ("a consumer with another parent, by offset", put("took bare", "parent", "9" * 16), 0, 0,
     {"parent"}),
    ("a consumer without a parent", put("took again", "parent", ""), 0, 0, {"parent"}),
    ("a consumer in another trace", put("took again", "trace", "9" * 32), 0, 0, {"trace"}),
    ("a consumer without a link", put("took headed", "links", []), 0, 0, {"links"}),
    ("two producers by offset trade places", swap("id", "bare", "one"), 0, 0,
     {"parent", "links"}),
    ("a batch with a parent", put("batch", "parent", "9" * 16), 0, 0, {"parent"}),
    ("a batch of one less", attribute("batch", wants.COUNT, 1), 0, 0, {wants.COUNT}),
    ("a batch without one link", link_lost, 0, 0, {"links"}),
    ("a batch with a link to another", link_to_other, 0, 0, {"links"}),
    ("a batch with a link of another offset", link_other_offset, 0, 0, {"links"}),
    ("a start 60 ms off", later("took bare", "start", 60_000), 0, 0,
     {"start", "end", wants.WAIT_MS}),
    ("all spans of a client end 2 ms off", later("took again", "end", 2_000), 0, 0, {"end"}),
    ("an end 60 ms off", later("headed", "end", 60_000), 0, 0, {"end"}),
)


def check_joins():
    """kafka-noheader's own counting: (joins, wrong, missing) of two messages and two groups."""
    places = {(0, 0): 0, (1, 0): 1}
    a, b = ("1" * 32, "a" * 16), ("2" * 32, "b" * 16)

    def sums(change):
        producers = collections.defaultdict(list, {0: [a], 1: [b]})
        consumers = collections.defaultdict(list, {
            (group, partition, 0): [[producer]] for group in test_noheader.GROUPS
            for partition, producer in ((0, a), (1, b))})
        change(producers, consumers)
        return test_noheader.count(places, producers, consumers)[0]

    for name, change, wanted in (
            ("joins: all of them", lambda p, c: None, (4, 0, 0)),
            ("joins: one to the other's", lambda p, c: c.update({("along", 0, 0): [[b]]}),
             (3, 1, 0)),
            ("joins: one without a link", lambda p, c: c.update({("after", 0, 0): [[]]}),
             (3, 0, 1)),
            ("joins: one with two links", lambda p, c: c.update({("after", 0, 0): [[a, b]]}),
             (3, 1, 0)),
            ("joins: a consumer span is missing", lambda p, c: c.pop(("along", 1, 0)), (3, 0, 1)),
            ("joins: a consumer span is doubled", lambda p, c: c[("along", 1, 0)].append([b]),
             (3, 1, 0)),
            ("joins: a producer span is missing", lambda p, c: p.pop(0), (2, 0, 2)),
            ("joins: a producer span is doubled", lambda p, c: p[0].append(b), (2, 2, 0)),
            ("joins: a span of no message", lambda p, c: c.update({("after", 3, 9): [[a]]}),
             (4, 1, 0))):
        had = sums(change)
        checks.check(name, had != wanted and "%s, not %s" % (had, wanted), had)


def check_unheard():
    """Of a message that was never acknowledged: (missing, strangers) with its span and without."""
    for word, wanted in ((judge.WANTED, ((0, 0), (1, 0))), (judge.NEVER, ((0, 1), (0, 0))),
                         (judge.EITHER, ((0, 0), (0, 0)))):
        had = []
        for change in (lambda told: None, drop("unheard")):
            told = story.Story()
            change(told)
            j = verdict_on(told, word)[1]
            had.append((len(j.missing), len(j.strangers)))
        checks.check("unheard: " + word, tuple(had) != wanted and "%s, not %s" % (had, wanted),
                     wanted)


def check_lag():
    """A release before 1.6 may leave it out, and may not tell another."""
    for name, change, wanted in (
            ("left out", bare_of("took headed", wants.LAG), set()),
            ("another", attribute("took headed", wants.LAG, 0), {wants.LAG})):
        told = story.Story()
        told.lines[0]["version"] = "1.5.3"
        change(told)
        had = set(verdict_on(told)[1].wrong)
        checks.check("lag of an old release: " + name, had != wanted and "%s" % had, wanted)


def main():
    check_joins()
    check_unheard()
    check_lag()
    told = story.Story()
    complaints, whole = verdict_on(told)
    checks.check("the story's own truth is sound", complaints)
    checks.check("a tracer that saw everything passes", whole.findings, "%d spans" % whole.matched)
    checks.check("in full: recall, precision, times",
                 (whole.recall, whole.precision, whole.median_us("start"),
                  whole.median_us("end")) != (1.0, 1.0, 0.0, 0.0) and "%r" % vars(whole))
    for name, change, missing, strangers, fields in CHANGES:
        told = story.Story()
        change(told)
        _, j = verdict_on(told)
        had = len(j.missing), len(j.strangers), set(j.wrong)
        checks.check(name, had != (missing, strangers, fields) and "told as %s: %s" % (
            had, j.findings), "%s" % (sorted(fields) or "missing or of nothing"))
        if missing and j.recall == 1 or strangers and j.precision == 1:
            checks.check(name + ": in the figures", "recall %s, precision %s" % (
                j.recall, j.precision))
    told = story.Story()
    told.lines = [line for line in told.lines
                  if line["role"] != "send" or line["size"] != 11]
    checks.check("a truth with holes is refused", not verdict_on(told)[0] and "it was not")
    return checks.end()


sys.exit(main())
