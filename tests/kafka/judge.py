"""judge: compares the spans of a traced run with what lines.py says that happened.

A span is recognized by its place (topic, partition, offset, client), where it says one, else by its
time among those of its client; by its ids never: those are judged. What a message should have made
is a Want. Every value that the truth knows is compared, and what must be absent must be absent.
"""

import collections
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../acceptance"), os.path.join(HERE, "../platform")]

import trees  # noqa: E402
from align import align  # noqa: E402
from lines import Sent  # noqa: E402
from wants import (  # noqa: E402
    BROKER_US, ERROR, LAG, OFFSET, OPERATIONS, PARTITION, QUEUE_US, SIZE, WAIT_MS, wants_of)

TIME_MAX_NS = 50_000_000        # of a single time, on a machine that does other things too
TIME_MEDIAN_MAX_NS = 1_000_000  # of all of one client: further, and another moment is meant
SPLIT_MAX_US = 50_000           # of a single queue_us or broker_us, on such a machine
SPLIT_MEDIAN_MAX_US = 1_000     # of all of them: of all clients, for one's may be of one request
WAIT_MAX_MS = 1                 # of wait_ms: both ends are cut to milliseconds

# Since when the way to a partition's high watermark is proven, so that the lag is always told;
# before, it is told where an acknowledgement was seen.
WATERMARK_SINCE = (1, 6)

WANTED, NEVER, EITHER = "wanted", "never", "either"


class Span:
    def __init__(self, fields):
        self.__dict__.update(fields)
        self.attributes = {key: value for key, _, value in fields["attributes"]}
        self.resource = {key: value for key, _, value in fields["resource"]}
        self.pid = self.resource.get("process.pid")
        self.topic = self.attributes.get("messaging.destination.name")
        self.client_id = self.attributes.get("messaging.client.id")
        self.operation = {"producer": "send", "consumer": "process"}.get(
            self.kind, self.attributes.get("messaging.operation.name"))
        self.told = sorted(((name, {k: v for k, _, v in attributes})
                            for _, name, attributes in fields["events"]), key=repr)
        self.targets = sorted(((trace, span), dict((k, v) for k, _, v in attributes))
                              for trace, span, _, _, attributes in fields["links"])

    def place(self):
        """What it says of where its message lies; None: nothing."""
        offset, partition = self.attributes.get(OFFSET), self.attributes.get(PARTITION)
        if offset is None or partition is None:
            return None
        return self.operation, self.pid, self.client_id, self.topic, partition, offset

    def __repr__(self):
        return "`%s` %s of %s at %d" % (self.name, self.span, self.client_id, self.start_ns)


def read_spans(path):
    """Those of Kafka alone."""
    spans = [Span(fields) for trace in trees.read_otlp_file(path).values() for fields in trace]
    return [s for s in spans if "messaging.system" in s.attributes]


def tell_apart(pairs):
    """Spans that begin in the same microsecond, as those of one produce_batch() do when they are
    seen at their acknowledgement, have no order in time: of them each message has the likest."""
    ties = collections.defaultdict(list)
    for want, span in pairs:
        ties[span.start_ns].append((want, span))
    for tied in ties.values():
        spans = [span for _, span in tied]
        for want, _ in tied:
            best = max(spans, key=lambda span: sum(
                span.attributes.get(k) == v for k, v in want.attributes.items()))
            spans.remove(best)
            yield want, best


class Judge:
    def __init__(self, lines, spans, unacknowledged=WANTED):
        """unacknowledged: whether messages of which nothing was heard must have a span."""
        self.lines = lines
        self.is_lag_told = lines.version >= WATERMARK_SINCE
        self.spans = [s for s in spans if s.operation in OPERATIONS]
        self.wants = wants_of(lines)
        if unacknowledged == NEVER:
            self.wants = [w for w in self.wants if not self._is_unheard(w)]
        self.wrong = collections.Counter()      # field -> how often
        self.findings = []
        self.apart = {"start": [], "end": []}   # ns, absolute
        self.apart_of = collections.defaultdict(list)   # (which, client) -> the same
        self.split_apart = {QUEUE_US: [], BROKER_US: []}    # us, absolute
        self.missing, self.strangers = [], []
        self._recognize()
        if unacknowledged == EITHER:
            self.wants = [w for w in self.wants if w.span or not self._is_unheard(w)]
            self.missing = [w for w in self.missing if not self._is_unheard(w)]
        self.findings = ["missing: %r" % w for w in self.missing]
        self.findings += ["of nothing: %r" % s for s in self.strangers]
        for want in self.wants:
            if want.span and want.operation == "send":
                want.of.span = want.span
        for want in self.wants:
            if want.span:
                self._compare(want)
        self._unique()
        self._medians()
        self.matched = len(self.wants) - len(self.missing)
        self.recall = self.matched / len(self.wants) if self.wants else 0.0
        self.precision = self.matched / len(self.spans) if self.spans else 0.0
        self.field_errors = sum(self.wrong.values())

    # -- which is which ---------------------------------------------------------------------------

    def _recognize(self):
        places = collections.defaultdict(list)
        for span in self.spans:
            places[span.place()].append(span)
        used = set()
        for want in self.wants:
            place = want.place()
            found = places[place] if place else []
            if found:
                want.span = found.pop(0)
                used.add(id(want.span))
        left = collections.defaultdict(lambda: ([], []))
        for want in self.wants:
            if not want.span:
                left[want.operation, want.pid, want.client_id][0].append(want)
        for span in self.spans:
            if id(span) not in used:
                left[span.operation, span.pid, span.client_id][1].append(span)
        for wants, spans in left.values():
            for want, span in tell_apart(align(wants, spans, lambda w: w.start)):
                want.span = span
                used.add(id(span))
        self.missing = [w for w in self.wants if not w.span]
        self.strangers = [s for s in self.spans if id(s) not in used]

    @staticmethod
    def _is_unheard(want):
        return isinstance(want.of, Sent) and not want.of.ack

    def _unique(self):
        ids = collections.Counter((s.trace, s.span) for s in self.spans)
        for (_, span), n in ids.items():
            if n > 1:
                self._say("span id", "span id %s is given %d times", span, n)

    def _medians(self):
        for (which, client), apart in self.apart_of.items():
            median = statistics.median(apart)
            if median > TIME_MEDIAN_MAX_NS:
                self._say(which, "half of %s is more than %.3f ms off", client, median / 1e6)
        for name, apart in self.split_apart.items():
            if apart and statistics.median(apart) > SPLIT_MEDIAN_MAX_US:
                self._say(name, "half of all is more than %d us off", statistics.median(apart))

    # -- fields -----------------------------------------------------------------------------------

    def _say(self, field, sentence, *args):
        self.wrong[field] += 1
        self.findings.append(field + ": " + sentence % args)

    def _is(self, field, want, had, wanted):
        if had != wanted:
            self._say(field, "%r: %r, not %r", want, had, wanted)

    def _compare(self, want):
        span, (kind, word) = want.span, OPERATIONS[want.operation]
        self._is("kind", want, span.kind, kind)
        self._is("name", want, span.name, " ".join(filter(None, (want.operation, want.topic))))
        for name, value in {"messaging.system": "kafka",
                            "messaging.operation.name": want.operation,
                            "messaging.operation.type": word,
                            "messaging.destination.name": want.topic,
                            "messaging.client.id": want.client_id, ERROR: want.error,
                            **want.attributes}.items():
            if name != LAG or name in span.attributes or self.is_lag_told:
                self._is(name, want, span.attributes.get(name), value)
        self._is("status", want, span.status, "error" if want.error else "unset")
        self._times(want)
        self._events(want)
        if isinstance(want.of, Sent):
            self._sender_ids(want)
            self._split(want)
        elif want.operation == "process" and len(want.taken) == 1:
            self._single_ids(want)
        elif want.taken:
            self._batch_ids(want)
        else:
            self._is("links", want, span.targets, [])

    def _events(self, want):
        self._is("events", want, want.span.told, sorted(want.events, key=repr))

    def _times(self, want):
        span = want.span
        self._time("start", want, span.start_ns - want.start)
        if want.ends:
            self._time("end", want, min((span.end_ns - end for end in want.ends), key=abs))
        if span.end_ns < span.start_ns:
            self._say("end", "%r ends before it starts", want)

    def _time(self, which, want, apart):
        self.apart[which].append(abs(apart))
        self.apart_of[which, want.client_id].append(abs(apart))
        if abs(apart) > TIME_MAX_NS:
            self._say(which, "%r is %.3f ms off", want, apart / 1e6)

    def _split(self, want):
        """Time in librdkafka's queue and at the broker, as its own requests tell it."""
        sent, had = want.of, want.span.attributes
        if not sent.request:
            return
        for name, ns in ((QUEUE_US, sent.request["t"] - sent.t),
                         (BROKER_US, sent.response["t"] - sent.request["t"])):
            if name not in had:
                self._say(name, "%r has none", want)
                continue
            apart = abs(had[name] - ns // 1000)
            self.split_apart[name].append(apart)
            if apart > SPLIT_MAX_US:
                self._say(name, "%r: %d, not %d", want, had[name], ns // 1000)

    def _wait(self, want):
        """From the message's timestamp to its hand-over, which the span's start is judged for."""
        line, had = want.of.line, want.span.attributes.get(WAIT_MS)
        wanted = want.span.start_ns // 1_000_000 - line["timestamp"]
        if had is None or abs(had - wanted) > WAIT_MAX_MS:
            self._say(WAIT_MS, "%r: %r, not %r", want, had, wanted)

    def _sender_ids(self, want):
        """A message's span has the ids that the message carries."""
        span, context = want.span, want.of.context
        self._is("parent", want, span.parent, "")
        if context:
            self._is("trace", want, span.trace, context[0])
            self._is("span id", want, span.span, context[1])

    @staticmethod
    def _producer_ids(taken):
        """(trace, span) of a message's producer; None: not known to the tracer."""
        if taken.context:
            return taken.context
        span = taken.producer and taken.producer.span
        return (span.trace, span.span) if span else None

    def _single_ids(self, want):
        self._wait(want)
        span, producer = want.span, self._producer_ids(want.taken[0])
        if not producer:
            self._is("parent", want, span.parent, "")
            self._is("links", want, [target for target, _ in span.targets], [])
            return
        self._is("trace", want, span.trace, producer[0])
        self._is("parent", want, span.parent, producer[1])
        self._is("links", want, span.targets,
                 [(producer, {"opentracing.ref_type": "child_of"})])

    def _batch_ids(self, want):
        span = want.span
        wanted = []
        for taken in want.taken:
            producer = self._producer_ids(taken)
            if not producer:
                continue
            attributes = {OFFSET: taken.offset, PARTITION: str(taken.partition)}
            size = taken.line["size"]
            wanted.append((producer, attributes if size is None else {**attributes, SIZE: size}))
        self._is("parent", want, span.parent, "")
        self._is("links", want, sorted(span.targets, key=repr),
                 sorted(wanted, key=repr))

    # -- sums -------------------------------------------------------------------------------------

    def median_us(self, which):
        return statistics.median(self.apart[which]) / 1000 if self.apart[which] else 0.0
