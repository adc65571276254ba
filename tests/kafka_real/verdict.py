"""verdict: compares what a tracer made of a scenario with what its clients were told.

Every span is recognized by the process and by the captured header "id" (a batch by where its
messages lay), never by its ids, its parent or the fields that are judged then. Findings are
sentences under "missing", "wrong" and "orphans".
"""

import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../acceptance"), os.path.join(HERE, "../e2e/platform")]

import session  # noqa: E402
import trees  # noqa: E402

ID = "test.id"
CLOCKS_APART_NS = 5000000   # the tracer's idea of the wall clock and ours
RETRIED = re.compile(r"\|MSGSET\|.* (\S+) \[(\d+)\]: MessageSet with (\d+) message\(s\) "
                     r"\(MsgId (\d+), .*encountered error: (.*) \(actions ([^)]*)\)")
CHILD_OF = ("opentracing.ref_type", "child_of")


class Span:
    def __init__(self, fields):
        self.__dict__.update(fields)
        self.attributes = {key: value for key, _, value in fields["attributes"]}
        self.pid = {key: value for key, _, value in fields["resource"]}.get("process.pid")
        self.links = [(link[0], link[1], {key: value for key, _, value in link[4]})
                      for link in fields["links"]]
        self.event_names = [(name, {key: value for key, _, value in attributes})
                            for _, name, attributes in fields["events"]]
        self.is_known = False       # something was wanted of it

    def get(self, name):
        return self.attributes.get(name)

    def __repr__(self):
        return "%s of %s" % (self.name, self.pid)


def read_spans(path):
    return [Span(fields) for spans in trees.read_otlp_file(path).values() for fields in spans]


def retries_told(client):
    """(least, most) retries of all messages together, and the same of each id, by the library's own
    debug lines of a client that has debug=msg and names partitions. A request that a lost connection
    failed may never have been sent, and then it is no attempt: hence two numbers. Messages are
    named in these lines by idempotent producers only; of others the ids stay empty."""
    by_number = collections.defaultdict(list)      # (topic, partition) -> ids, in msgid's order
    for line in client.of("produced"):
        if line["error"] is None:
            by_number[line["topic"], line["partition"]].append(line["id"])
    total, told = [0, 0], collections.defaultdict(lambda: [0, 0])
    for match in RETRIED.finditer(client.said()):
        topic, partition, count, first, error, actions = match.groups()
        is_lost = error == "Local: Broker transport failure"
        # What only waits for a leader, or was never sent, is no attempt.
        if not is_lost and ("Refresh" in actions or "Retry" not in actions or "queue" in error):
            continue
        bounds = [told[i] for i in by_number[topic, int(partition)]
                  [int(first) - 1:int(first) - 1 + int(count)]] if int(first) else []
        for pair, weight in [(total, int(count))] + [(pair, 1) for pair in bounds]:
            pair[0] += 0 if is_lost else weight
            pair[1] += weight
    is_by_id = client.work["options"].get("enable.idempotence")
    return total, {i: told[i] for ids in by_number.values() for i in ids} if is_by_id else {}


class Verdict:
    """@spans: all of the run; those of the scenario's processes are judged."""

    def __init__(self, scenario, spans):
        self.scenario = scenario
        self.missing, self.wrong, self.orphans = [], [], []
        self.complaints = list(scenario.complaints)     # of the workload
        self.figures = collections.Counter()
        self.ids = {(s.trace, s.span) for s in spans}
        pids = {c.pid for c in scenario.clients}
        self.spans = [s for s in spans if s.pid in pids]
        self.by_id = collections.defaultdict(list)
        for span in self.spans:
            if span.get(ID):
                self.by_id[span.pid, span.kind, span.get(ID)].append(span)
        self.delivered, self.produced = {}, {}
        self.producer_of = {}       # id -> its producer span
        for client in scenario.producers():
            self.judge_producer(client)
        for client in scenario.consumers():
            self.judge_consumer(client)
        self.judge_rest()

    def expect(self, span, what, wanted, seen):
        if wanted != seen:
            self.wrong.append("%r %s: %s is %r, not %r" % (
                span, span.get(ID), what, seen, wanted))

    # -- producers --------------------------------------------------------------------------------

    def judge_producer(self, client):
        ended = {line["id"]: line for line in client.of("delivered")}
        self.delivered.update(ended)
        total, retries = retries_told(client) if "debug" in client.work["options"] else ((0, 0), {})
        self.figures["retries_least"] += total[0]
        self.figures["retries_most"] += total[1]
        if client.work.get("must_retry") and not total[1]:
            self.complaints.append("client %s: the library's log tells no retry" % client.name)
        refused = collections.Counter()
        for line in client.of("produced"):
            self.produced[line["id"]] = line
            spans = self.by_id[client.pid, "producer", line["id"]]
            if line["error"] and not spans:
                refused[line["error"]] += 1     # refused before the library had a message
                continue
            if not spans:
                self.missing.append("send of %s: %s" % (line["id"], ended.get(line["id"])))
                continue
            if len(spans) > 1:
                self.wrong.append("%d producer spans of %s" % (len(spans), line["id"]))
            for span in spans:
                span.is_known = True
            self.producer_of[line["id"]] = spans[0]
            self.judge_message(spans[0], client, line)
            self.judge_end(spans[0], line, ended.get(line["id"]))
            self.judge_retries(spans[0], retries.get(line["id"]))
        self.judge_refused(client, refused)
        self.judge_transactions(client)

    def judge_message(self, span, client, line):
        """What is known at the call, and the ids."""
        topic = client.work["topic"]
        for what, wanted, seen in (
                ("name", "send " + topic, span.name),
                ("topic", topic, span.get("messaging.destination.name")),
                ("client", client.name, span.get("messaging.client.id")),
                ("operation", "send", span.get("messaging.operation.type")),
                ("tombstone", True if line["bytes"] is None else None,
                 span.get("messaging.kafka.message.tombstone")),
                ("size", line["bytes"], span.get("messaging.message.body.size"))):
            self.expect(span, what, wanted, seen)
        self.expect(span, "parent", "", span.parent)
        if line["traceparent"]:
            _, trace, own, _ = line["traceparent"].split("-")
            self.expect(span, "ids", (trace, own), (span.trace, span.span))
        if not line["begin"] - CLOCKS_APART_NS <= span.start_ns <= line["end"] + CLOCKS_APART_NS:
            self.wrong.append("%r %s starts %d us after its call, that lasts %d us" % (
                span, line["id"], (span.start_ns - line["begin"]) // 1000,
                (line["end"] - line["begin"]) // 1000))

    def judge_end(self, span, line, end):
        if end is None and line["error"] is None:       # its process ended first
            end = {"error": "process_exit", "partition": None, "offset": -1, "ts": None}
        elif end is None:                               # refused at the call
            end = {"error": line["error"], "partition": None, "offset": -1, "ts": line["end"]}
        self.figures["errors"] += bool(end["error"])
        self.expect(span, "error", end["error"], span.get("error.type"))
        self.expect(span, "status", "error" if end["error"] else "unset", span.status)
        if end["partition"] is not None:
            self.expect(span, "partition", str(end["partition"]) if end["partition"] >= 0 else None,
                        span.get("messaging.destination.partition.id"))
        self.expect(span, "offset", end["offset"] if end["offset"] >= 0 and not end["error"]
                    else None, span.get("messaging.kafka.offset"))
        if span.end_ns < span.start_ns or end["ts"] and \
                span.end_ns > end["ts"] + CLOCKS_APART_NS:
            self.wrong.append("%r %s ends %s us after its report" % (
                span, line["id"], end["ts"] and (span.end_ns - end["ts"]) // 1000))

    def judge_retries(self, span, told):
        seen = span.get("spanstitch.kafka.retries") or 0
        self.figures["retries"] += seen
        if told is not None and not told[0] <= seen <= told[1]:
            self.wrong.append("%r %s: retries %s, not %s to %s" % (span, span.get(ID), seen, *told))

    def judge_refused(self, client, refused):
        """Their spans have no id: the library never made a message."""
        for error, count in refused.items():
            spans = [s for s in self.spans if s.pid == client.pid and s.kind == "producer" and
                     not s.get(ID) and s.get("error.type") == error]
            self.figures["errors"] += len(spans)
            for span in spans:
                span.is_known = True
                self.expect(span, "status", "error", span.status)
            if len(spans) < count:
                self.missing += ["send that ended with %s" % error] * (count - len(spans))
            elif len(spans) > count:
                self.wrong.append("%d refusals with %s, not %d" % (len(spans), error, count))

    def judge_transactions(self, client):
        for line in client.of("transaction"):
            name = "transaction." + line["outcome"]
            for i in line["ids"]:
                span = self.producer_of.get(i)
                if not span:
                    continue        # told already
                self.figures["transaction_events"] += 1
                outcomes = [a.get("spanstitch.kafka.outcome") for n, a in span.event_names
                            if n == name]
                self.expect(span, name, [line["error"] or "ok"], outcomes)

    # -- consumers --------------------------------------------------------------------------------

    def judge_consumer(self, client):
        calls = collections.defaultdict(list)
        for line in client.of("consumed"):
            calls[line["call"]].append(line)
        alone = []
        for lines in calls.values():
            if len(lines) > 1:
                self.judge_batch(client, lines)
            else:
                alone += lines
        wanted = collections.Counter((line["id"], line["partition"], line["offset"])
                                     for line in alone)
        lines = {(line["id"], line["partition"], line["offset"]): line for line in alone}
        for key, count in wanted.items():
            self.judge_consumed(client, lines[key], count)
        self.judge_commits(client)

    def judge_consumed(self, client, line, count):
        """One message that was read alone, @count times by this consumer."""
        at = (str(line["partition"]), line["offset"])
        of_id = self.by_id[client.pid, "consumer", line["id"]]
        spans = [s for s in of_id if (s.get("messaging.destination.partition.id"),
                                      s.get("messaging.kafka.offset")) == at]
        if len(spans) != count:
            (self.missing if len(spans) < count else self.wrong).append(
                "%d spans, not %d, of process of %s at %s by %s" % (
                    len(spans), count, line["id"], at, client.name))
        for span in spans:
            span.is_known = True
            self.expect(span, "group", client.work["group"],
                        span.get("messaging.consumer.group.name"))
            for what, wanted, seen in (
                    ("name", "process " + client.work["topic"], span.name),
                    ("client", client.name, span.get("messaging.client.id")),
                    ("tombstone", True if line["bytes"] is None else None,
                     span.get("messaging.kafka.message.tombstone")),
                    ("size", line["bytes"], span.get("messaging.message.body.size")),
                    ("status", "unset", span.status)):
                self.expect(span, what, wanted, seen)
            if span.start_ns > line["ts"] + CLOCKS_APART_NS:
                self.wrong.append("%r %s starts after its hand-over" % (span, line["id"]))
            self.judge_join(span, line)

    def joined_to(self, line):
        """The producer span that a consumed message has to be joined to; None: to none. The second
        says whether it may be all the same: a message that the broker has twice was acknowledged
        at one of its places only."""
        span = self.producer_of.get(line["id"])
        end = self.delivered.get(line["id"], {})
        at = (end.get("partition"), end.get("offset"))
        if self.produced[line["id"]]["traceparent"] or at == (line["partition"], line["offset"]):
            return span, True
        return None, bool(span)

    def judge_join(self, span, line):
        producer, is_allowed = self.joined_to(line)
        links = [(link[0], link[1]) for link in span.links]
        if producer is None:
            own = self.producer_of.get(line["id"])
            allowed = {(own.trace, own.span)} if is_allowed else set()
            if set(links) - allowed or span.parent and (span.trace, span.parent) not in allowed:
                self.wrong.append("%r %s is joined to another's message" % (span, line["id"]))
            return
        self.figures["joins"] += 1
        if not span.parent:
            self.missing.append("join of %r %s" % (span, line["id"]))
            return
        self.expect(span, "parent", (producer.trace, producer.span), (span.trace, span.parent))
        self.expect(span, "links", [(producer.trace, producer.span)], links)
        for link in span.links:
            self.expect(span, "link", CHILD_OF[1], link[2].get(CHILD_OF[0]))

    def judge_batch(self, client, lines):
        """One span for all, and a link for each message whose producer is known."""
        wanted = {}
        for line in lines:
            producer, _ = self.joined_to(line)
            if producer:
                wanted[str(line["partition"]), line["offset"]] = (producer.trace, producer.span)
        self.figures["joins"] += len(wanted)
        spans = [s for s in self.spans if s.pid == client.pid and s.kind == "consumer" and
                 not s.is_known and s.get("messaging.batch.message_count") == len(lines) and
                 wanted.keys() <= places(s)]
        if not spans:
            self.missing += ["process of %s in a batch of %d by %s" % (
                line["id"], len(lines), client.name) for line in lines]
            return
        span = spans[0]
        span.is_known = True
        self.expect(span, "parent", "", span.parent)
        self.expect(span, "group", client.work["group"], span.get("messaging.consumer.group.name"))
        links = {(a.get("messaging.destination.partition.id"), a.get("messaging.kafka.offset")):
                 (trace, own) for trace, own, a in span.links}
        for at, producer in wanted.items():
            if links[at] != producer:
                self.wrong.append("%r: the message at %s is linked to another's" % (span, at))
        if len(span.links) > len(lines):
            self.wrong.append("%r: %d links of %d messages" % (span, len(span.links), len(lines)))

    def judge_commits(self, client):
        """Each that was asked for by hand; the library's own are nobody's word here."""
        name = "commit " + client.work["topic"]
        spans = sorted((s for s in self.spans if s.pid == client.pid and s.name == name),
                       key=lambda s: s.start_ns)
        lines = client.of("commit")
        self.figures["commits"] += len(lines)
        if not lines:
            return
        if len(spans) != len(lines):
            (self.missing if len(spans) < len(lines) else self.wrong).append(
                "%d spans of %d commits by %s" % (len(spans), len(lines), client.name))
            return
        for line, span in zip(lines, spans):
            if not (line["begin"] - CLOCKS_APART_NS <= span.start_ns <= span.end_ns <=
                    line["end"] + CLOCKS_APART_NS):
                self.wrong.append("%r is not from %d to %d" % (span, line["begin"], line["end"]))
            self.expect(span, "error", line["error"], span.get("error.type"))
            self.expect(span, "kind", "client", span.kind)
            self.expect(span, "group", client.work["group"],
                        span.get("messaging.consumer.group.name"))
            if line["error"] is None:
                self.expect(span, "positions", sorted(
                    (str(p[1]), p[2] if p[2] >= 0 else None) for p in line["positions"]),
                    sorted(positions(span)))

    # -- all of them -------------------------------------------------------------------------------

    def judge_rest(self):
        for span in self.spans:
            if span.parent and (span.trace, span.parent) not in self.ids:
                self.orphans.append("%r %s below %s" % (span, span.get(ID), span.parent))
            if not span.is_known and span.kind in ("producer", "consumer"):
                self.wrong.append("%r %s: nothing was done like that" % (span, span.get(ID)))


def positions(commit):
    """What a commit's span says that it committed: of one partition itself, of several an event each."""
    said = [a for name, a in commit.event_names if name == "commit.partition"] or [commit.attributes]
    return [(a.get("messaging.destination.partition.id"), a.get("messaging.kafka.offset"))
            for a in said]


def places(span):
    return {(a.get("messaging.destination.partition.id"), a.get("messaging.kafka.offset"))
            for _, _, a in span.links}


def report(run, figures, prefix):
    """Rows and checks of one run."""
    figures.checks.check("%s: the tracer ends as asked" % run.scenarios[0].name,
                 run.code != 0 and "%s" % run.code)
    counters = session.Counters(run.counters)
    figures.checks.check("%s: nothing was lost on the way, every sum agrees" %
                         run.scenarios[0].name, counters.disagree() or counters.lost())
    spans = read_spans(run.otlp)
    for one in run.scenarios:
        v = Verdict(one, spans)
        how = "%s; %d messages sent, %d read, %d joins" % (
            one.how, len(v.produced), sum(len(c.of("consumed")) for c in one.consumers()),
            v.figures["joins"])
        figures.checks.check("%s: the workload is as meant" % one.name, v.complaints, how)
        for what in ("missing", "wrong", "orphans"):
            findings = getattr(v, what)
            figures.add("%s.%s.%s" % (prefix, one.name, what), len(findings), "findings", "== 0",
                        how, findings)
        reported = {line["id"] for c in one.producers() for line in c.of("delivered")}
        errors = sum(bool(line["error"]) for c in one.producers()
                     for line in c.of("delivered") + c.of("produced"))
        errors += sum(line["id"] not in reported and not line["error"] for c in one.producers()
                      for line in c.of("produced"))     # its process ended first
        figures.add("%s.%s.errors" % (prefix, one.name), v.figures["errors"], "spans",
                    "== %d" % errors, how + "; the goal is what was reported to the clients")
        least, most = v.figures["retries_least"], v.figures["retries_most"]
        if most:
            # Between two figures, so the row's value is how far it is outside.
            seen = v.figures["retries"]
            figures.add("%s.%s.retries" % (prefix, one.name),
                        max(least - seen, seen - most, 0), "retries", "== 0",
                        how + "; what the spans' %d are beside the %d to %d of librdkafka's log" % (
                            seen, least, most))
