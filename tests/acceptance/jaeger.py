#!/usr/bin/python3
"""Asks a real Jaeger for everything that a tracer exported to it, and compares with its own file.

The file (--otlp-file) was written in the same run in which the spans went to Jaeger; the
executions' log was written by the workload. Each execution must be found as a user looks for it:
by its trace id, and by execution.id, user.id and time range for every service in it. A search must
also find nothing else than what the file says. What Jaeger returns of any trace must equal the
file's, field by field, and Jaeger must hold no trace beyond.
"""
import argparse
import collections
import json
import os
import sys
import time

import httpx

import trees

INGEST_S = 60  # Jaeger takes spans in asynchronously: how long until it has them all, by default
POLL_S = 0.2
REQUEST_S = 30
MAX_TRACES = 100000  # as config.yaml has it: a search may answer with all that there is
MAX_TOLD = 10  # failures that are spelled out for each check; the rest are counted
ALL_TIME = (0, 4102444800 * 10**9)  # 1970 to 2100

# A search by time asks for this much from a service's first span on: the whole time of a slow
# execution would return all others in flight, some 5 GB in a run of 200. That the span lies in the
# time that the workload knows is looked up in the file; clocks may differ by SLACK_NS.
RANGE_NS = 10 * 10**6
SLACK_NS = 5 * 10**6

NS = 10**9
US = 1000

TREES_HOW = "fields that differ between --otlp-file and /api, /api/v3, over all its traces"


class Jaeger:
    """The query API, both generations of it; every answer as plain values."""

    def __init__(self, base):
        self.http = httpx.Client(base_url=base, timeout=REQUEST_S)

    def get(self, path, **query):
        """The JSON of an answer; None for 404, by which both APIs say that there is none."""
        answer = self.http.get(path, params=query)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        return answer.json()

    def services(self):
        return [set(self.get("/api/services")["data"] or []),
                set(self.get("/api/v3/services").get("services") or [])]

    def legacy_traces(self, path, **query):
        """{trace id: [span]} in the legacy form."""
        answer = self.get(path, **query) or {"data": []}
        return {trees.hex_id(trace["traceID"], 32): list(trees.legacy_spans(trace))
                for trace in answer["data"]}

    def legacy_search(self, service, **query):
        """The ids of the traces that /api/traces finds."""
        answer = self.get("/api/traces", service=service, limit=MAX_TRACES, **query)
        return {trees.hex_id(trace["traceID"], 32) for trace in answer["data"]}

    def v3_traces(self, path, **query):
        """{trace id: [span]} in the otlp form. Raw: what Jaeger does to a trace to show it would
        hide spans that came twice, and in this version it stays in the memory store."""
        answer = self.get(path, **query)
        return trees.by_trace(trees.otlp_spans(answer["result"])) if answer else {}

    def v3_trace(self, trace):
        return self.v3_traces(f"/api/v3/traces/{trace}", raw_traces="true").get(trace, [])

    def v3_search(self, start_ns, end_ns, **query):
        """What starts in a time range; of all services unless service_name is given."""
        query = {f"query.{key}": value for key, value in query.items()}
        return self.v3_traces("/api/v3/traces", **query, **{
            "query.start_time_min": rfc3339(start_ns), "query.start_time_max": rfc3339(end_ns),
            "query.num_traces": MAX_TRACES, "query.raw_traces": "true"})


def rfc3339(time_ns):
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_ns // NS))
    return f"{seconds}.{time_ns % NS:09d}Z"


class Told:
    """What a look at one thing found wrong; counts all, spells out the first few."""

    def __init__(self):
        self.wrong = []

    def expect(self, ok, sentence):
        if not ok:
            self.wrong.append(sentence)
        return ok

    def same_ids(self, got, want, what):
        less, more = sorted(want - got), sorted(got - want)
        return self.expect(not less and not more,
                           f"{what}: misses {less[:3]}, has beyond it {more[:3]}")


class Report:
    """A line a check, a row of results a figure, and the sum at the end."""

    def __init__(self, path):
        self.path, self.passed, self.failed = path, 0, 0
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)

    def check(self, name, ok, detail, told):
        print(f"{'ok  ' if ok else 'FAIL'} {name}: {detail}", flush=True)
        for sentence in told.wrong[:MAX_TOLD]:
            print(f"       {sentence}")
        if len(told.wrong) > MAX_TOLD:
            print(f"       and {len(told.wrong) - MAX_TOLD} more")
        if ok:
            self.passed += 1
        else:
            self.failed += 1

    def figure(self, name, value, unit, goal, how, told=None):
        """A check whose figure has a name of its own; @goal is a number that it must equal."""
        ok = value == goal
        row = {"name": name, "value": value, "unit": unit, "goal": f"== {goal}", "ok": ok,
               "how": how}
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps(row), file=file)
        self.check(name, ok, f"{value} {unit} (goal {row['goal']}): {how}", told or Told())

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, 0 skipped")
        return 1 if self.failed else 0


class Expected:
    """What the file says that searches must find, for each service."""

    def __init__(self, traces):
        self.traces = traces
        self.spans_of = collections.defaultdict(list)
        for spans in traces.values():
            for span in spans:
                self.spans_of[span["service"]].append(span)

    def services(self, trace):
        return sorted({span["service"] for span in self.traces[trace]})

    def tagged(self, service, key, value):
        return {span["trace"] for span in self.spans_of[service]
                if trees.has_attribute(span, key, value)}

    def started(self, service, start_ns, end_ns):
        return {span["trace"] for span in self.spans_of[service]
                if start_ns <= span["start_ns"] <= end_ns}

    def starts(self, trace, service, first_ns, last_ns):
        return sorted(span["start_ns"] for span in self.traces[trace]
                      if span["service"] == service and first_ns <= span["start_ns"] <= last_ns)

    def trace_of(self, execution):
        """The execution's own trace: the workload's word for it, or else the one trace of several
        services that has its execution.id (a client's polls have it too, in traces of their own).
        """
        if "trace" in execution:
            return execution["trace"] if execution["trace"] in self.traces else None
        own = [trace for trace, spans in self.traces.items()
               if len(self.services(trace)) > 1
               and any(trees.has_attribute(s, "execution.id", execution["id"]) for s in spans)]
        return own[0] if len(own) == 1 else None


def own_traces(expected, executions, told):
    """[(execution, trace id)] of those that have exactly one trace in the file."""
    found = []
    for execution in executions:
        trace = expected.trace_of(execution)
        if told.expect(trace, f"execution {execution['id']}: the file has no one trace of it"):
            found.append((execution, trace))
    of_trace = collections.Counter(trace for _, trace in found)
    for execution, trace in found:
        told.expect(of_trace[trace] == 1, f"execution {execution['id']}: shares trace {trace}")
    return [(execution, trace) for execution, trace in found if of_trace[trace] == 1]


def wait_for_spans(jaeger, traces, limit_s):
    """Until Jaeger has as many spans as the file, trace by trace, or the time is over."""
    deadline = time.monotonic() + limit_s
    for trace, spans in traces.items():
        while len(jaeger.v3_trace(trace)) < len(spans) and time.monotonic() < deadline:
            time.sleep(POLL_S)


def check_services(jaeger, expected, report):
    told = Told()
    want = set(expected.spans_of)
    for api, got in zip(("/api", "/api/v3"), jaeger.services()):
        told.same_ids(got, want, f"{api}/services")
    report.check("jaeger.services", not told.wrong, f"{len(want)} services are listed", told)


def check_by_trace_id(jaeger, found, report, goal):
    told, ok = Told(), 0
    for execution, trace in found:
        name = f"execution {execution['id']}"
        legacy = set(jaeger.legacy_traces(f"/api/traces/{trace}"))
        v3 = set(jaeger.v3_traces(f"/api/v3/traces/{trace}", raw_traces="true"))
        ok += (told.same_ids(legacy, {trace}, f"{name}: /api/traces/{trace}")
               & told.same_ids(v3, {trace}, f"{name}: /api/v3/traces/{trace}"))
    report.figure("jaeger.by_trace_id", ok, "executions", goal,
                  "found by trace id in /api and /api/v3", told)


def check_search(look_up, expected, found, told):
    """How many executions look_up(execution, service) finds for every service in their trace; it
    answers with pairs (ids that Jaeger found, ids that the file says)."""
    ok = 0
    for execution, trace in found:
        good = True
        for service in expected.services(trace):
            for got, want in look_up(execution, service):
                what = f"execution {execution['id']} in service {service}"
                good &= told.expect(trace in got, f"{what}: trace {trace} is not found")
                good &= told.same_ids(got, want, what)
        ok += good
    return ok


def check_by_tag(jaeger, expected, found, report, name, key, field, goal):
    answers = {}  # many executions are one user's: the same question is asked once

    def look_up(execution, service):
        value = execution[field]
        if (service, value) not in answers:
            tags = json.dumps({key: value})
            answers[service, value] = jaeger.legacy_search(
                service, tags=tags, start=run[0], end=run[1])
        return [(answers[service, value], expected.tagged(service, key, value))]

    spans = [span for spans in expected.traces.values() for span in spans]
    run = (min(s["start_ns"] for s in spans) // US, max(s["end_ns"] for s in spans) // US + 1)
    told = Told()
    ok = check_search(look_up, expected, found, told)
    report.figure(name, ok, "executions", goal,
                  f"found by {key} for every service in them, and nothing else", told)


def check_by_time(jaeger, expected, found, report, goal):
    def look_up(execution, service):
        first, last = execution["submitted"] - SLACK_NS, execution["finished"] + SLACK_NS
        starts = expected.starts(trace_of[execution["id"]], service, first, last)
        if not told.expect(starts, f"execution {execution['id']}: nothing of service {service}"
                                   " starts between its submission and its end"):
            return [(set(), set())]
        start, end = starts[0], min(last, starts[0] + RANGE_NS)
        start_us, end_us = start // US, -(-end // US)
        legacy = jaeger.legacy_search(service, start=start_us, end=end_us)
        v3 = jaeger.v3_search(start, end, service_name=service)
        return [(legacy, expected.started(service, start_us * US, end_us * US)),
                (set(v3), expected.started(service, start, end))]

    told, trace_of = Told(), {execution["id"]: trace for execution, trace in found}
    ok = check_search(look_up, expected, found, told)
    report.figure("jaeger.by_time", ok, "executions", goal,
                  "found by time range for every service in them, and nothing else", told)


def check_trees(jaeger, expected, report):
    told = Told()
    for trace, spans in expected.traces.items():
        told.wrong += [f"/api/v3: {d}" for d in trees.differences(spans, jaeger.v3_trace(trace))]
        legacy = jaeger.legacy_traces(f"/api/traces/{trace}").get(trace, [])
        want = [trees.to_legacy(span) for span in spans]
        told.wrong += [f"/api: {d}" for d in trees.differences(want, legacy)]
    for trace in sorted(set(jaeger.v3_search(*ALL_TIME)) - set(expected.traces)):
        told.expect(False, f"/api/v3: trace {trace} is not in the file")
    spans = sum(len(spans) for spans in expected.traces.values())
    report.figure("jaeger.tree_diffs", len(told.wrong), "fields", 0,
                  f"{TREES_HOW} ({len(expected.traces)} traces, {spans} spans)", told)


def read_lines(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def made_trace(headers):
    """The trace id in the header that the workload's api made: W3C's, or a uuid of its own."""
    if "traceparent" in headers:
        return headers["traceparent"].split("-")[1]
    return headers["trace-id"].replace("-", "")


def read_executions(path, api_log):
    """The executions, each with its trace's id where the workload made one and logged it."""
    executions = read_lines(path)
    made = {event["execution"]: made_trace(event["headers"])
            for event in (read_lines(api_log) if api_log else [])
            if event["event"] == "trace.made"}
    for execution in executions:
        if execution["id"] in made:
            execution["trace"] = made[execution["id"]]
    return executions


def options(argv):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--query", required=True, help="Jaeger's query address, http://host:port")
    parser.add_argument("--otlp-file", required=True, help="what the tracer wrote")
    parser.add_argument("--executions", required=True,
                        help="JSON lines {id, user, submitted, finished}, times in ns")
    parser.add_argument("--api-log", help="the api's log, which knows the trace ids that it made")
    parser.add_argument("--expect", type=int, help="executions that there must be; default: all")
    parser.add_argument("--ingest", type=float, default=INGEST_S,
                        help="seconds until Jaeger must have all spans")
    parser.add_argument("--results", default="build/results/jaeger.jsonl")
    return parser.parse_args(argv)


def main(argv):
    opts = options(argv)
    jaeger, report = Jaeger(opts.query), Report(opts.results)
    expected = Expected(trees.read_otlp_file(opts.otlp_file))
    executions = read_executions(opts.executions, opts.api_log)
    goal = len(executions) if opts.expect is None else opts.expect

    told = Told()
    found = own_traces(expected, executions, told)
    report.figure("jaeger.executions", len(found), "executions", goal,
                  "with exactly one trace in --otlp-file, sent to Jaeger in the same run", told)
    told = Told()
    if not told.expect(expected.traces and found, "nothing to ask Jaeger for"):
        report.check("jaeger", False, f"{len(expected.traces)} traces in the file", told)
        return report.end()
    wait_for_spans(jaeger, expected.traces, opts.ingest)
    check_services(jaeger, expected, report)
    check_by_trace_id(jaeger, found, report, goal)
    check_by_tag(jaeger, expected, found, report, "jaeger.by_execution_id", "execution.id", "id",
                 goal)
    check_by_tag(jaeger, expected, found, report, "jaeger.by_user_id", "user.id", "user", goal)
    check_by_time(jaeger, expected, found, report, goal)
    check_trees(jaeger, expected, report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
