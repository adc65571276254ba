#!/usr/bin/python3
"""kafka-noheader: 100,000 messages without a header, read by two groups: one reads along while they
are written, the other once all are there. Each message that was read must have its one link to the
span of the message that was written, which the interceptor plugin says which it was.
"""

import bisect
import collections
import json
import os
import subprocess
import sys
import time

import judge
import run

MESSAGES = 100_000
PARTITIONS = 4
GROUPS = ("along", "after")
TOPIC = "bare"
RUN_S = 180
SETTLE_S = 1
checks = run.session.harness.Checks()


class Client:
    """An exerciser process that waits to be told to go."""

    def __init__(self, directory, broker, bare, messages):
        self.bare = bare
        plugin = ["--plugin", run.PLUGIN] if bare == "send" else []
        self.errors = open(os.path.join(directory, bare + ".err"), "wb")
        self.process = subprocess.Popen(
            [run.EXERCISER, run.SYSTEM_LIBRARY, broker.address, "--bare", bare, "--messages",
             str(messages), *plugin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True,
            env={**os.environ, "SPANSTITCH_TRUTH": os.path.join(directory, "truth.jsonl")})
        self.process.stdout.readline()      # ready

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """What is wrong with its end, as a list."""
        self.process.communicate(timeout=RUN_S)
        self.errors.close()
        return ["%s ends with %d" % (self.bare, self.process.returncode)] \
            if self.process.returncode else []

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def exercise(directory, messages):
    """Returns (complaints, the tracer)."""
    with run.session.harness.Broker("--partitions", str(PARTITIONS), TOPIC) as broker:
        sender, along, after = clients = [Client(directory, broker, bare, messages)
                                          for bare in ("send", *GROUPS)]
        tracer = run.session.Tracer(
            directory, "tracer", "trace", "--kafka-mode", "full",
            *run.session.pid_options([c.process.pid for c in clients]),
            "--otlp-file", os.path.join(directory, "otlp.json"))
        try:
            tracer.start()
            along.go()
            sender.go()
            bad = sender.end()
            after.go()
            bad += along.end() + after.end()
            time.sleep(SETTLE_S)
            code = tracer.stop()
        finally:
            tracer.kill()
            for client in clients:
                client.kill()
    return bad + (["the tracer ends with %s" % code] if code else []), tracer


def written(directory):
    """Of each message (partition, offset): its number in the order of sending; the times of
    sending, by number."""
    numbers, times, places = {}, [], {}
    offset = None
    with open(os.path.join(directory, "truth.jsonl")) as f:
        for line in map(json.loads, f):
            if line["role"] == "client":
                offset = line["wall_offset"]
            elif line["role"] == "send":
                numbers[line["msg"]] = len(times)
                times.append(line["t"] + offset)
            elif line["role"] == "ack" and not line["err"]:
                places[line["partition"], line["offset"]] = numbers[line["msg"]]
    return places, times


def read(directory, times):
    """(number of a message -> its producer spans' ids,
    (group, partition, offset) -> the links of its spans). By the time of sending alone: a probe
    stands before the plugin, so a span begins between the plugin's line before and its own."""
    producers, consumers = collections.defaultdict(list), collections.defaultdict(list)
    with open(os.path.join(directory, "otlp.json")) as f:
        for span in (span for line in f for span in judge.trees.otlp_spans(json.loads(line))):
            attributes = {key: value for key, _, value in span["attributes"]}
            if attributes.get("messaging.destination.name") != TOPIC:
                continue
            if span["kind"] == "producer":
                i = bisect.bisect_left(times, span["start_ns"])
                producers[i].append((span["trace"], span["span"]))
            elif span["kind"] == "consumer":
                consumers[place(attributes)].append([link[:2] for link in span["links"]])
    return producers, consumers


def place(attributes):
    return (attributes["messaging.client.id"],
            int(attributes["messaging.destination.partition.id"]),
            attributes["messaging.kafka.offset"])


def count(places, producers, consumers):
    """(joins, wrong, missing), and some sentences on what is not right."""
    joins, wrong, missing, findings = 0, 0, 0, []
    for (partition, offset), number in places.items():
        for group in GROUPS:
            spans = consumers.pop((group, partition, offset), [])
            if len(spans) == 1 and len(producers[number]) == 1 and spans[0] == producers[number]:
                joins += 1
            elif not spans or not spans[0] or not producers[number]:
                missing += 1
                findings.append("%s %d:%d: links %s, producer %s" % (
                    group, partition, offset, spans, producers[number]))
            else:
                wrong += 1
                findings.append("%s %d:%d: links %s, not %s" % (
                    group, partition, offset, spans, producers[number]))
    for spans in consumers.values():
        wrong += len(spans)
        findings.append("of nothing: %s" % spans)
    return (joins, wrong, missing), findings


def main():
    lacking = run.missing()
    if lacking:
        checks.skip("kafka-noheader", lacking)
        return checks.end()
    messages = int(sys.argv[1]) if sys.argv[1:] else MESSAGES
    directory = run.session.work_directory("kafka-noheader")
    figures = run.session.Figures("kafka-noheader", checks)
    bad, tracer = exercise(directory, messages)
    checks.check("the exercise itself", bad)
    counters = run.session.Counters(tracer.said())
    checks.check("nothing is lost, every sum agrees", counters.disagree() or counters.lost())
    places, times = written(directory)
    checks.check("every message was acknowledged", len(places) != messages and
                 "%d, not %d" % (len(places), messages), len(places))
    (joins, wrong, missing), findings = count(places, *read(directory, times))
    how = "links of consumer spans against the plugin's partition and offset of each message"
    figures.add("kafka.noheader.joins", joins, "joins", ">= %d" % (len(GROUPS) * messages), how)
    figures.add("kafka.noheader.wrong", wrong, "joins", "== 0", how, findings)
    figures.add("kafka.noheader.missing", missing, "joins", "== 0", how)
    for name in ("truth.jsonl", "otlp.json", "tracer.out"):   # hundreds of megabytes: only a failure's are kept
        if not findings:
            os.unlink(os.path.join(directory, name))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
