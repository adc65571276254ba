"""judge: compares what a tracer made of a platform run with what truth.py says that it must be.

Each span is first recognized by what it says of itself (process, path, topic and offset, pid) and
by its time, never by its trace, parent or captured ids: those are what is judged then.
"""

import collections
import os
import statistics
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../../acceptance"), os.path.join(HERE, "../../platform")]

import trees  # noqa: E402
import truth  # noqa: E402
from align import align  # noqa: E402

NS_PER_MS = 1000000
TIME_ERROR_MAX_MS = 2       # at the median
WATCH = "/api/v1/namespaces/{namespace}/pods"     # the monitor's list and watch: nobody's work
CATEGORIES = ("missing_spans", "wrong_trace", "wrong_parents", "orphans", "content", "strangers")


class Span:
    """A span of the tracer's, its attributes as a table."""

    def __init__(self, fields):
        self.__dict__.update(fields)
        self.attributes = {key: value for key, _, value in fields["attributes"]}
        self.resource = {key: value for key, _, value in fields["resource"]}
        self.links = [(link[0], link[1]) for link in fields["links"]]
        self.want = None
        for name in ("url.full", "url.path"):
            if name in self.attributes:
                self.path = urllib.parse.urlsplit(self.attributes[name]).path

    def __repr__(self):
        return "%s %s `%s`" % (self.service, self.kind, self.name)


def read_spans(path):
    return [Span(fields) for spans in trees.read_otlp_file(path).values() for fields in spans]


def want_key(want):
    a = want.attributes
    if want.kind == "internal":
        return "pod", a["process.pid"]
    if want.kind in ("producer", "consumer"):
        return (want.service, want.kind, a["messaging.destination.name"],
                a["messaging.destination.partition.id"], a["messaging.kafka.offset"])
    return want.service, want.kind, a["http.request.method"], a.get("url.path", a.get("url.full"))


def span_key(span, services):
    """The same of a span; None for one that nothing can be wanted of."""
    a = span.attributes
    pid = span.resource.get("process.pid")
    if span.kind == "internal":
        return "pod", pid
    if pid not in services:
        return None
    if span.kind in ("producer", "consumer"):
        return (services[pid], span.kind, a.get("messaging.destination.name"),
                a.get("messaging.destination.partition.id"), a.get("messaging.kafka.offset"))
    return services[pid], span.kind, a.get("http.request.method"), getattr(span, "path", None)


def is_automatic_commit(span):
    """librdkafka commits by itself, when it likes: nobody's work, and so a trace of its own."""
    a = span.attributes
    return (span.name == "commit %s" % a.get("messaging.destination.name") and
            span.kind == "client" and not span.parent and not span.links and
            a.get("messaging.operation.type") == "settle" and
            a.get("spanstitch.parent.reason") == "an automatic commit" and
            "error.type" not in a and span.start_ns + 1 == span.end_ns)


class Verdict:
    """What is wrong, by category; whole: how many executions, with polls, are without."""

    def __init__(self, facts, spans, pids):
        """facts: a truth.Truth; pids: service -> pid."""
        self.facts = facts
        self.spans = spans
        self.services = {pid: name for name, pid in pids.items()}
        self.findings = {name: [] for name in CATEGORIES}
        self.spoiled = set()            # executions with a finding
        self.found = {}                 # (execution, role) -> Span
        self.apart = {"start": collections.defaultdict(list), "end": collections.defaultdict(list)}
        self.trace_of = {}              # execution -> the trace id that it must have
        self._recognize()
        self._traces()
        for execution in facts.executions.values():
            for want in execution.wants.values():
                self._judge(want)
        for want in facts.polls:
            self._judge_poll(want)
        self._judge_rest()
        self.traces = len({s.trace for s in spans if self._is_of_execution(s)})
        self.whole = len(facts.executions) - len(self.spoiled)

    def _say(self, category, execution, sentence, *args):
        self.findings[category].append(sentence % args if args else sentence)
        if execution:
            self.spoiled.add(execution)

    # -- who is who -----------------------------------------------------------------------------

    def _recognize(self):
        wants, spans = collections.defaultdict(list), collections.defaultdict(list)
        for execution in self.facts.executions.values():
            for want in execution.wants.values():
                wants[want_key(want)].append(want)
        for want in self.facts.polls:
            wants[want_key(want)].append(want)
        for span in self.spans:
            spans[span_key(span, self.services)].append(span)
        for key, group in wants.items():
            for want, span in align(group, spans[key], lambda w: w.begin):
                span.want = want
                self.found[want.execution, want.role] = span

    def _is_of_execution(self, span):
        if span.want:
            return not span.want.role.startswith("poll")
        return "execution.id" in span.attributes

    def _traces(self):
        """Where nobody made an id, the trace is that of the root. No two executions share one."""
        owners = {}
        for execution in self.facts.executions.values():
            trace = execution.trace
            if not trace and (execution.id, truth.ROOT) in self.found:
                trace = self.found[execution.id, truth.ROOT].trace
            if trace in owners:
                trace = None
            owners[trace] = execution.id
            self.trace_of[execution.id] = trace
        self.owners = owners

    # -- one span ---------------------------------------------------------------------------------

    def _judge(self, want):
        span = self.found.get((want.execution, want.role))
        if not span:
            self._say("missing_spans", want.execution, "%r: no span", want)
            return
        if span.trace != self.trace_of[want.execution]:
            self._say("wrong_trace", want.execution, "%r: in trace %s, not %s", want, span.trace,
                      self.trace_of[want.execution])
        else:
            self._judge_parent(want, span)
        self._judge_content(want, span)
        self._judge_link(want, span)
        self._measure(want, span)

    def _judge_parent(self, want, span):
        parent = self.found.get((want.execution, want.parent)) if want.parent else None
        if want.parent and not parent:      # it is missing: any other is wrong, none is an orphan
            others = [s.want for s in self.spans if s.span == span.parent and
                      s.trace == span.trace]
            if others or not span.parent:
                self._say("wrong_parents", want.execution, "%r: parent is %s, not %s", want,
                          others or "none", want.parent)
            return
        if span.parent != (parent.span if parent else ""):
            self._say("wrong_parents", want.execution, "%r: parent is %s, not %s", want,
                      [s.want or s for s in self.spans if s.span == span.parent] or
                      span.parent or "none", want.parent or "none")

    def _judge_content(self, want, span):
        def differs(what, got, wanted):
            self._say("content", want.execution, "%r: %s is %r, not %r", want, what, got, wanted)

        status = "error" if want.error else "unset"
        for what, got, wanted in (("name", span.name, want.name), ("kind", span.kind, want.kind),
                                  ("status", span.status, status)):
            if got != wanted:
                differs(what, got, wanted)
        is_service = span.service == want.service if want.service else \
            span.service not in self.services.values()
        if not is_service:
            differs("service", span.service, want.service or "the pod's own")
        if want.span_id and span.span != want.span_id:
            differs("span id", span.span, want.span_id)
        wanted = dict(want.attributes)
        wanted["spanstitch.unfinished"] = None
        evidence = span.attributes.get("spanstitch.parent.evidence")
        if evidence not in (want.evidence if isinstance(want.evidence, tuple) else [want.evidence]):
            differs("evidence", evidence, want.evidence)
        for key, value in wanted.items():
            got = span.attributes.get(key) if key != "url.full" else span.path
            if got != value:
                differs(key, got, value)
        for key, value in want.resource.items():
            if span.resource.get(key) != value:
                differs("the resource's " + key, span.resource.get(key), value)

    def _judge_link(self, want, span):
        target = self.found.get((want.execution, want.link))
        if want.link and target and (target.trace, target.span) not in span.links:
            self._say("content", want.execution, "%r: no link to %s", want, want.link)

    def _measure(self, want, span):
        kind = "%s %s" % (want.service or "pod", want.kind)
        self.apart["start"][kind].append(abs(span.start_ns - want.begin))
        self.apart["end"][kind].append(abs(span.end_ns - want.end))

    def _judge_poll(self, want):
        span = self.found.get((want.execution, want.role))
        if not span:
            self._say("missing_spans", want.execution, "%r: no span", want)
            return
        if span.trace in self.owners:
            self._say("wrong_trace", self.owners[span.trace], "%r: in an execution's trace", want)
        elif span.parent:
            self._say("wrong_parents", want.execution, "%r: has a parent, %s", want, span.parent)
        self._judge_content(want, span)
        self._judge_link(want, span)
        if len(span.links) != 1:
            self._say("content", want.execution, "%r: %d links, not one", want, len(span.links))
        self._measure(want, span)

    # -- all spans --------------------------------------------------------------------------------

    def _judge_rest(self):
        ids = collections.Counter((s.trace, s.span) for s in self.spans)
        size = collections.Counter(s.trace for s in self.spans)
        for span in self.spans:
            owner = self.owners.get(span.trace)
            if span.parent and (span.trace, span.parent) not in ids:
                self._say("orphans", owner, "%r (%s): no span has its parent's id %s", span,
                          span.want, span.parent)
            if ids[span.trace, span.span] > 1:
                self._say("content", owner, "%r: its id %s is given %d times", span, span.span,
                          ids[span.trace, span.span])
            if not span.want:
                self._judge_stranger(span, owner)
            elif span.want.role.startswith("poll") and size[span.trace] > 1:
                self._say("wrong_trace", None, "%r: is not alone in its trace", span.want)

    def _judge_stranger(self, span, owner):
        if owner or "execution.id" in span.attributes:
            self._say("wrong_trace", owner, "%r: no line wants it in trace %s (execution %s)",
                      span, span.trace, span.attributes.get("execution.id"))
            return
        if is_automatic_commit(span):
            return
        place = self.services.get(span.resource.get("process.pid")), span.kind
        if place not in (("pod-monitor", "client"), ("kube", "server")) or \
                span.name != "GET " + WATCH:
            self._say("strangers", None, "%r: no line wants it", span)

    # -- figures --------------------------------------------------------------------------------

    def time_error_ms(self):
        """The worse of the medians of starts and ends, over all spans."""
        medians = [statistics.median(v for values in of_kind.values() for v in values)
                   for of_kind in self.apart.values() if of_kind]
        return max(medians, default=float("inf")) / NS_PER_MS

    def time_table(self):
        """Kind of span -> (median of starts, of ends) in ms."""
        return {kind: tuple(round(statistics.median(self.apart[end][kind]) / NS_PER_MS, 3)
                            for end in ("start", "end")) for kind in sorted(self.apart["start"])}

    def count(self, category):
        return len(self.findings[category])
