#!/usr/bin/python3
"""platform-check: proves that judge.py tells whatever is broken: a tracer that saw everything
passes, and with any one thing changed it does not, under the right name. No root, no tracer."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../platform"))

import harness  # noqa: E402

import judge  # noqa: E402
import story  # noqa: E402
import truth  # noqa: E402

checks = harness.Checks()


def verdict_on(told):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        f.write(told.otlp())
        f.flush()
        spans = judge.read_spans(f.name)
    return judge.Verdict(truth.Truth(told.mode, told.logs, told.lines), spans, story.PIDS)


def find(told, label):
    span, = [s for s in told.spans if s["label"] == label]
    return span


def put(label, **fields):
    """A change: these fields of the span get other values."""
    return lambda told: find(told, label).update(fields)


def put_attribute(label, key, value):
    return lambda told: find(told, label)["attributes"].__setitem__(key, value)


def drop(label):
    return lambda told: told.spans.remove(find(told, label))


def reparent(label, parent):
    return lambda told: find(told, label).update(parent=find(told, parent)["id"])


def swap(field, one, other):
    """Two spans trade places."""
    def change(told):
        a, b = find(told, one), find(told, other)
        a[field], b[field] = b[field], a[field]
    return change


def move_tree(told):
    """All of one execution's spans in the trace of another."""
    trace = find(told, "a.execute")["trace"]
    for span in told.spans:
        if span["label"].startswith("b.") and span["label"] != "b.poll":
            span["trace"] = trace


def split_tree(told):
    """What comes after the worker is a trace of its own, whole in itself."""
    find(told, "a.started")["parent"] = ""
    for span in told.spans:
        if span["label"].startswith(("a.started", "a.ended", "a.log", "a.result", "a.delete")):
            span["trace"] = "99" * 16


def copy_of(label, **fields):
    return lambda told: told.spans.append(dict(find(told, label), **fields))


def stranger(told):
    told.spans.append(dict(find(told, "watch"), id="%016x" % 1, name="GET /elsewhere"))


def watch_joins(told):
    """The monitor's watch in an execution's trace."""
    find(told, "watch").update(trace=find(told, "a.execute")["trace"])


# what is done, the categories that must tell it, how many executions stay whole of 3
CHANGES = (
    ("a parent is its grandparent", reparent("a.create1.server", "a.work"), {"wrong_parents"}, 2),
    ("a parent is its sibling", reparent("a.pods", "a.create1"), {"wrong_parents"}, 2),
    ("a child has no parent", put("c.work", parent=""), {"wrong_parents"}, 2),
    ("a parent is of another execution", reparent("b.work", "a.send"),
     {"wrong_parents", "orphans"}, 2),
    ("two executions trade a subtree's parents", swap("parent", "a.log", "b.log"),
     {"wrong_parents", "orphans"}, 1),
    ("a process hangs on a refused create", reparent("b.pod", "b.create2.server"),
     {"wrong_parents"}, 2),
    ("the root has a parent", put("a.execute", parent="12" * 8), {"wrong_parents", "orphans"}, 2),
    ("a parent that is nowhere", put("a.result", parent="12" * 8), {"wrong_parents", "orphans"}, 2),
    ("a span in another trace", put("a.pod", trace="12" * 16), {"wrong_trace", "orphans"}, 2),
    ("two spans trade their traces", swap("trace", "a.ended", "c.ended"),
     {"wrong_trace", "orphans"}, 1),
    ("one execution in another's trace", move_tree, {"wrong_trace", "content"}, 2),
    ("an execution in two traces", split_tree, {"wrong_trace", "content"}, 2),
    ("a leaf is missing", drop("a.pod"), {"missing_spans"}, 2),
    ("a middle is missing", drop("b.create2"), {"missing_spans", "orphans"}, 2),
    ("the first of equals is missing", drop("b.create1.server"), {"missing_spans"}, 2),
    ("a span came twice", copy_of("a.send"), {"wrong_trace", "content"}, 2),
    ("a span came twice, with two ids", copy_of("a.pods", id="12" * 8), {"wrong_trace"}, 2),
    ("an id twice", lambda told: find(told, "a.pods").update(id=find(told, "a.pod")["id"]),
     {"content"}, 2),
    ("a poll is missing", lambda told: told.spans.remove(
        [s for s in told.spans if s["label"] == "a.poll"][0]), {"missing_spans"}, 2),
    ("a poll in the execution's trace", lambda told: [s for s in told.spans if s["label"] ==
     "a.poll"][0].update(trace=find(told, "a.execute")["trace"]), {"wrong_trace"}, 2),
    ("a poll without its link", lambda told: [s for s in told.spans if s["label"] ==
     "a.poll"][0].update(links=[]), {"content"}, 2),
    ("a poll with a link to another execution", lambda told: [s for s in told.spans if s["label"] ==
     "a.poll"][0].update(links=[(find(told, "b.execute")["trace"], find(told, "b.execute")["id"])]),
     {"content"}, 2),
    ("the watch in an execution's trace", watch_joins, {"wrong_trace", "orphans"}, 2),
    ("the watch claims an execution", put_attribute("watch", "execution.id", "x"),
     {"wrong_trace"}, 3),
    ("a span that nobody asked for", stranger, {"strangers"}, 3),
    ("another name", put("a.log", name="GET"), {"content"}, 2),
    ("another kind of span", put("a.started", kind="internal"),
     {"missing_spans", "orphans", "wrong_trace"}, 2),
    ("another service", put("a.work", service="api"), {"content"}, 2),
    ("the pod in kube's name", put("a.pod", service="kube"), {"content"}, 2),
    ("a consumer without its link", put("a.ended.process", links=[]), {"content"}, 2),
    ("a failure that is not told", put("c.pod", error=False), {"content"}, 2),
    ("a failure that was none", put("a.create1", error=True), {"content"}, 2),
    ("another execution's id", put_attribute("a.pod", "execution.id", story.EXECUTIONS[1][0]),
     {"content"}, 2),
    ("another user", put_attribute("a.log.server", "user.id", "bob"), {"content"}, 2),
    ("no language", put_attribute("a.execute", "code.language", None), {"content"}, 2),
    ("another topic", put_attribute("a.send", "messaging.destination.name", "pods"),
     {"missing_spans", "wrong_trace"}, 2),
    ("another partition", put_attribute("a.work", "messaging.destination.partition.id", "3"),
     {"missing_spans", "wrong_trace"}, 2),
    ("another offset", put_attribute("a.work", "messaging.kafka.offset", 99),
     {"missing_spans", "wrong_trace"}, 2),
    ("an offset as text", put_attribute("a.work", "messaging.kafka.offset", "0"),
     {"missing_spans", "wrong_trace"}, 2),
    ("another status", put_attribute("b.create1.server", "http.response.status_code", 201),
     {"content"}, 2),
    ("no resend count", put_attribute("b.create3", "http.request.resend_count", None),
     {"content"}, 2),
    ("a resend count too many", put_attribute("a.create1", "http.request.resend_count", 1),
     {"content"}, 2),
    ("another exit code", put_attribute("c.pod", "process.exit.code", 1), {"content"}, 2),
    ("no signal", put_attribute("b.pod", "process.exit.signal", None), {"content"}, 2),
    ("another pod", put("a.pod", resource={"k8s.pod.uid": "x", "container.id": "c0ffee"}),
     {"content"}, 2),
    ("other evidence", put_attribute("a.work", "spanstitch.parent.evidence", "correlation"),
     {"content"}, 2),
    ("unfinished", put_attribute("a.log", "spanstitch.unfinished", 1), {"content"}, 2),
)


def missing_half(told):
    """Every second span of all, by a rule that knows nothing of them."""
    told.spans = told.spans[::2]


def check_changes(mode):
    for name, change, categories, whole in CHANGES:
        told = story.Story(mode)
        change(told)
        v = verdict_on(told)
        seen = {c for c in judge.CATEGORIES if v.findings[c]}
        # What hangs below a broken span may be told, too; what was broken must be.
        bad = None
        if not seen or not categories & seen or (seen - categories - {"orphans", "content",
                                                                      "wrong_parents"}):
            bad = "told as %s: %s" % (seen, [v.findings[c][:1] for c in seen])
        elif v.whole != whole:
            bad = "%d executions are whole, not %d" % (v.whole, whole)
        checks.check("%s: %s" % (mode, name), bad)


def check_perfect(mode):
    v = verdict_on(story.Story(mode))
    checks.check(mode + ": a tracer that saw everything",
                 {name: told for name, told in v.findings.items() if told} or
                 ((v.whole, v.traces) != (3, 3) and "%d whole, %d traces" % (v.whole, v.traces)),
                 "%d spans" % len(v.spans))
    checks.check(mode + ": exact times", v.time_error_ms() > 0 and "%s ms" % v.time_error_ms())


def check_counts():
    told = story.Story("custom")
    spans = len(told.spans)
    missing_half(told)
    v = verdict_on(told)
    gone = spans - len(told.spans) - 1      # the watch's server is in neither count
    checks.check("each missing span is counted", v.count("missing_spans") != gone and
                 "%d, not %d" % (v.count("missing_spans"), gone), gone)
    told = story.Story("none")
    split_tree(told)
    checks.check("an execution in two traces is two traces", verdict_on(told).traces != 4 and
                 "%d" % verdict_on(told).traces)
    for end in ("start", "end"):
        told = story.Story("none")
        for span in told.spans:
            span[end] += 3 * story.MS
        v = verdict_on(told)
        checks.check("3 ms late at the %s" % end, v.time_error_ms() != 3 and
                     "%s ms" % v.time_error_ms())


def check_modes():
    """What only one mode demands."""
    told = story.Story("traceparent")
    for span in told.spans:
        for field in ("id", "parent"):
            if span[field] == find(told, "a.send")["id"] and span["label"] != "a.send":
                span[field] = "ab" * 8
        span["links"] = [(t, "ab" * 8 if i == find(told, "a.send")["id"] else i)
                         for t, i in span["links"]]
    find(told, "a.send")["id"] = "ab" * 8
    v = verdict_on(told)
    checks.check("traceparent: the producer has not the wire's id",
                 (v.count("content"), v.whole) != (1, 2) and "%s" % v.findings)
    for mode in ("traceparent", "custom"):
        told = story.Story(mode)
        trace = find(told, "a.execute")["trace"]
        for span in told.spans:
            if span["trace"] == trace:
                span["trace"] = "12" * 16
        v = verdict_on(told)
        checks.check(mode + ": a trace id that the api did not make", v.whole != 2 and
                     "%d whole" % v.whole)
    told = story.Story("traceparent")
    reparent("a.ended", "a.execute")(told)
    v = verdict_on(told)
    checks.check("traceparent: a root where the header names a span",
                 v.count("wrong_parents") != 1 and "%s" % v.findings)


def main():
    for mode in ("traceparent", "custom", "none"):
        check_perfect(mode)
        check_changes(mode)
    check_counts()
    check_modes()
    return checks.end()


sys.exit(main())
