#!/usr/bin/python3
"""platform: the main job. In each propagation mode, 200 executions, 32 in flight: every execution
is one whole trace, as the services' own logs say it must be, and nothing is lost.
  test_modes.py [MODE...] [-n EXECUTIONS]"""

import argparse
import os
import sys

import judge
import session
import truth

EXECUTIONS, IN_FLIGHT = 200, 32
MODES = ("traceparent", "custom", "none")
checks = session.harness.Checks()


def judge_run(figures, run, tracer, otlp):
    """All that is demanded of one mode."""
    mode, n = run.mode, run.executions
    how = "%d executions, %d in flight, all services traced" % (n, run.concurrency)
    counters = session.Counters(tracer.said())
    spans = judge.read_spans(otlp)
    v = judge.Verdict(truth.Truth(mode, run.logs, run.lines), spans, run.pids)

    checks.check(mode + ": the tracer ends as asked", run.codes != [0] and "%s: %s" % (
        run.codes, tracer.said()[-500:]), "%.1f s of load" % run.seconds)
    figures.add("platform.%s.executions" % mode, v.whole, "executions", "== %d" % n, how +
                "; those whose tree, with names, kinds, parents, evidence, attributes, is right")
    figures.add("platform.%s.traces" % mode, v.traces, "traces", "== %d" % n, how +
                "; traces that hold a span of an execution")
    for name, sentence in (("orphans", "spans whose parent's id no span has"),
                           ("wrong_trace", "spans in a trace of another execution, or of none"),
                           ("wrong_parents", "spans whose parent is not the one the logs tell"),
                           ("missing_spans", "log lines, of executions and polls, without a span")):
        figures.add("platform.%s.%s" % (mode, name), v.count(name), "spans", "== 0",
                    how + "; " + sentence, v.findings[name])
    figures.add("platform.%s.lost_records" % mode, sum(counters.lost().values()), "records", "== 0",
                how + "; by the tracer's counters")
    figures.add("platform.%s.time_error_ms" % mode, round(v.time_error_ms(), 3), "ms",
                "<= %d" % judge.TIME_ERROR_MAX_MS,
                how + "; span against the service's own log, the worse median of starts and ends")
    for kind, medians in v.time_table().items():
        print("         %-28s start %7.3f ms, end %7.3f ms" % ((kind,) + medians))
    checks.check(mode + ": names, kinds, evidence, attributes, links", v.findings["content"],
                 "%d spans" % len(spans))
    session.tell(v.findings["content"])
    checks.check(mode + ": no span that nobody asked for", v.findings["strangers"])
    checks.check(mode + ": the counters' sums agree", counters.disagree())
    checks.check(mode + ": spans in the file are the spans counted",
                 counters["spans.sent"] != len(spans) and "%d in the file, %d counted" % (
                     len(spans), counters["spans.sent"]), len(spans))
    judge_printed(mode, run, tracer, v)


def judge_printed(mode, run, tracer, v):
    """The waterfalls: one a trace, each of an execution with its id in the head."""
    heads = [block.split("\n", 1)[0].split()[1] for block in tracer.printed().split("\n\n")
             if block.startswith("trace ")]
    bad = [i for i, trace in v.trace_of.items() if heads.count(trace) != 1]
    checks.check(mode + ": one waterfall an execution", bad, len(heads))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modes", nargs="*", default=MODES, metavar="MODE")
    parser.add_argument("-n", "--executions", type=int, default=EXECUTIONS)
    args = parser.parse_args()
    lacking = session.missing()
    if lacking:
        checks.skip("platform", lacking)
        return checks.end()
    figures = session.Figures("platform", checks)
    for mode in args.modes:
        directory = session.work_directory("platform", mode)
        otlp = os.path.join(directory, "otlp.json")
        run = session.Run(mode, args.executions, IN_FLIGHT, directory)
        run.go(lambda pids, d=directory, o=otlp: [session.Tracer(
            d, "tracer", "trace", *session.pid_options(pids.values()), "--otlp-file", o)])
        checks.check(mode + ": the workload is undisturbed", run.complaints)
        judge_run(figures, run, run.tracers[0], otlp)
    return checks.end()


sys.exit(main())
