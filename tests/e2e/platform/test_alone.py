#!/usr/bin/python3
"""alone: --pid of the worker gives the worker's spans alone, all of them, and no record of any
other process crosses the ring, whatever the others do at the same time."""

import os
import sys

import judge
import session
import truth

sys.path.insert(0, os.path.join(session.HERE, "../../bpf"))

import wire  # noqa: E402

EXECUTIONS, IN_FLIGHT = 40, 16
WORKER = "worker"
MADE_BY_AGENT = ("target", "counters")      # kinds that never crossed the ring
checks = session.harness.Checks()


def start(directory, pids):
    """One that traces and one that records: two tracers of the same process at once."""
    options = session.pid_options([pids[WORKER]])
    return [session.Tracer(directory, "tracer", "trace", *options, "--otlp-file",
                           os.path.join(directory, "otlp.json")),
            session.Tracer(directory, "recorder", "record", *options, "-o",
                           os.path.join(directory, "run.rec"))]


def check_spans(run):
    spans = judge.read_spans(os.path.join(run.directory, "otlp.json"))
    pid = run.pids[WORKER]
    checks.check("every span is the worker's",
                 [repr(s) for s in spans if (s.service, s.resource.get("process.pid")) !=
                  (WORKER, pid)], "%d spans" % len(spans))
    v = judge.Verdict(truth.Truth(run.mode, run.logs, run.lines), spans, run.pids)
    wants = [want for e in v.facts.executions.values() for want in e.wants.values()
             if want.service == WORKER]
    found = [v.found.get((want.execution, want.role)) for want in wants]
    checks.check("every span of the worker is there",
                 [repr(want) for want, span in zip(wants, found) if not span], len(wants))
    checks.check("and no other", len(spans) != len(wants) and
                 "%d, not %d" % (len(spans), len(wants)))
    checks.check("each in the trace of its header",
                 [repr(w) for w, s in zip(wants, found)
                  if s and s.trace != v.trace_of[w.execution]])

    def parent_of(want):
        """The sender's span was not seen here: its id is known from the header alone."""
        wants_here = v.facts.executions[want.execution].wants
        seen = v.found.get((want.execution, want.parent))
        return seen.span if seen else wants_here[want.parent].span_id

    checks.check("each below its parent, the unseen sender too",
                 [repr(w) for w, s in zip(wants, found) if s and s.parent != parent_of(w)])


def check_records(run):
    with open(os.path.join(run.directory, "run.rec"), "rb") as f:
        f.seek(wire.FILE_HEAD)
        crossed = [r for r in wire.parse_heads(f.read()) if r.kind not in MADE_BY_AGENT]
    pid = run.pids[WORKER]
    checks.check("no record of another process crossed the ring",
                 [repr(r)[:200] for r in crossed if r.tgid != pid], "%d records" % len(crossed))
    kinds = {r.kind for r in crossed}
    checks.check("records of each kind that the worker gives cause for",
                 {"io", "send", "ack", "consume", "poll"} - kinds, sorted(kinds))


def main():
    lacking = session.missing()
    if lacking:
        checks.skip("alone", lacking)
        return checks.end()
    directory = session.work_directory("alone")
    run = session.Run("traceparent", EXECUTIONS, IN_FLIGHT, directory)
    run.go(lambda pids: start(directory, pids))
    checks.check("the workload is undisturbed", run.complaints)
    checks.check("both tracers end as asked", run.codes != [0, 0] and "%s" % run.codes)
    check_spans(run)
    check_records(run)
    return checks.end()


sys.exit(main())
