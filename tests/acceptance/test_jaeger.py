#!/usr/bin/python3
"""Tests jaeger.py, by a real Jaeger and made-up executions: it passes what is whole, and each
thing that is broken fails in the figures that name it, and in those only."""
import copy
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

import httpx

import counted
import ports
import synthetic

HERE = os.path.dirname(os.path.abspath(__file__))
BACKEND = os.path.join(HERE, "../../scripts/backends/jaeger")
NS = 10**9
STOP_S = 30
INGEST_S = "1"  # in these tests everything is there at once, or never
WHOLE, FEW = 20, 6  # executions

ALL = {"jaeger.executions", "jaeger.by_trace_id", "jaeger.by_execution_id", "jaeger.by_user_id",
       "jaeger.by_time", "jaeger.tree_diffs"}


class Backend:
    """A Jaeger of this test's own, empty when it starts."""

    def __enter__(self):
        query, otlp = ports.free(2)
        self.query, self.otlp = f"http://127.0.0.1:{query}", f"http://127.0.0.1:{otlp}"
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [os.path.join(BACKEND, "start.sh")], stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, "JAEGER_QUERY_PORT": str(query), "JAEGER_OTLP_PORT": str(otlp)})
        wrong = ports.wait(self.process.pid, [query, otlp])
        if wrong:
            self.__exit__()
            raise RuntimeError(f"Jaeger did not start: {wrong}")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def send(self, requests):
        for request in requests:
            httpx.post(f"{self.otlp}/v1/traces", json=request).raise_for_status()


def spans_of(requests, service):
    """The spans of @service; each can be changed in place."""
    name = synthetic.attributes({"service.name": service})[0]
    return [span for request in requests for of_resource in request["resourceSpans"]
            if name in of_resource["resource"]["attributes"]
            for span in of_resource["scopeSpans"][0]["spans"]]


def write_lines(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            print(json.dumps(row), file=file)


class Check(unittest.TestCase):
    def setUp(self):
        self.sent, self.executions = synthetic.requests(time.time_ns() - 60 * NS, FEW)
        self.written = copy.deepcopy(self.sent)

    def rows(self, expect=None):
        """The figures that jaeger.py takes, and what it printed."""
        with tempfile.TemporaryDirectory() as folder, Backend() as backend:
            otlp_file, executions, results = (os.path.join(folder, name) for name in
                                              ("otlp.json", "executions.json", "results.jsonl"))
            backend.send(self.sent)
            write_lines(otlp_file, self.written)
            write_lines(executions, self.executions)
            ran = subprocess.run(
                ["/usr/bin/python3", os.path.join(HERE, "jaeger.py"), "--query", backend.query,
                 "--otlp-file", otlp_file, "--executions", executions, "--results", results,
                 "--ingest", INGEST_S, "--expect", str(expect or len(self.executions))],
                capture_output=True, text=True, check=False)
            with open(results, encoding="utf-8") as lines:
                rows = {row["name"]: row for row in map(json.loads, lines)}
        self.assertEqual(set(rows), ALL, ran.stdout + ran.stderr)
        missed = {name for name, row in rows.items() if not row["ok"]}
        self.assertEqual(ran.returncode, 1 if missed or "FAIL" in ran.stdout else 0, ran.stderr)
        return rows, missed, ran.stdout

    def test_what_is_whole_passes(self):
        self.sent, self.executions = synthetic.requests(time.time_ns() - 60 * NS, WHOLE)
        self.written = self.sent
        rows, missed, out = self.rows()
        self.assertEqual(missed, set(), out)
        self.assertIn("\n7 passed, 0 failed, 0 skipped\n", out)
        for name in ALL - {"jaeger.tree_diffs"}:
            self.assertEqual(rows[name]["value"], WHOLE)
        self.assertEqual(rows["jaeger.tree_diffs"]["value"], 0)

    def test_traces_are_found_without_the_workloads_word(self):
        for execution in self.executions:
            del execution["trace"]
        _, missed, out = self.rows()
        self.assertEqual(missed, set(), out)

    def test_another_parent_is_told_by_both_apis(self):
        span = spans_of(self.written, "worker")[0]
        span["parentSpanId"] = spans_of(self.written, "kube")[0]["spanId"]
        rows, missed, out = self.rows()
        self.assertEqual(missed, {"jaeger.tree_diffs"}, out)
        self.assertEqual(rows["jaeger.tree_diffs"]["value"], 2)

    def test_a_span_that_came_twice_is_told(self):
        again = copy.deepcopy(self.sent[0])
        del again["resourceSpans"][0]["scopeSpans"][0]["spans"][1:]
        self.sent.append(again)
        rows, missed, out = self.rows()
        self.assertEqual(missed, {"jaeger.tree_diffs"}, out)
        self.assertEqual(rows["jaeger.tree_diffs"]["value"], 1)  # /api shows it once

    def test_a_trace_beyond_the_file_is_told(self):
        other, _ = synthetic.requests(time.time_ns() - 3600 * NS, 1, seed=2)
        self.sent += other
        rows, missed, out = self.rows()
        self.assertEqual(missed, {"jaeger.tree_diffs"}, out)
        self.assertEqual(rows["jaeger.tree_diffs"]["value"], 2)  # the execution's and its poll's

    def test_a_lost_service_is_told(self):
        self.sent = [r for r in self.sent if not spans_of([r], "pod-monitor")]
        rows, missed, out = self.rows()
        self.assertEqual(missed, ALL - {"jaeger.executions", "jaeger.by_trace_id"}, out)
        self.assertIn("FAIL jaeger.services", out)
        self.assertEqual(rows["jaeger.by_execution_id"]["value"], 0)

    def test_an_execution_of_which_jaeger_has_nothing_is_told(self):
        lost = self.executions[2]["trace"]
        for of_service in self.sent:
            spans = of_service["resourceSpans"][0]["scopeSpans"][0]["spans"]
            spans[:] = [span for span in spans if span["traceId"] != lost]
        rows, missed, out = self.rows()
        self.assertEqual(missed, ALL - {"jaeger.executions"}, out)
        self.assertEqual(rows["jaeger.by_trace_id"]["value"], FEW - 1)

    def test_a_service_that_cannot_be_searched_is_told(self):
        for key, name in (("execution.id", "jaeger.by_execution_id"),
                          ("user.id", "jaeger.by_user_id")):
            with self.subTest(key):
                self.setUp()
                for requests in (self.sent, self.written):
                    span = spans_of(requests, "kube")[0]
                    span["attributes"] = [a for a in span["attributes"] if a["key"] != key]
                rows, missed, out = self.rows()
                self.assertEqual(missed, {name}, out)
                self.assertEqual(rows[name]["value"], FEW - 1)

    def test_a_service_outside_the_executions_time_is_told(self):
        self.executions[1]["finished"] = self.executions[1]["submitted"] + 20 * synthetic.MS
        _, missed, out = self.rows()
        self.assertEqual(missed, {"jaeger.by_time"}, out)
        self.assertIn("starts between its submission and its end", out)

    def test_two_executions_in_one_trace_are_told(self):
        self.executions[1]["trace"] = self.executions[0]["trace"]
        _, missed, out = self.rows()
        self.assertIn("jaeger.executions", missed, out)

    def test_too_few_executions_are_told(self):
        _, missed, out = self.rows(expect=FEW + 1)
        self.assertEqual(missed, ALL - {"jaeger.tree_diffs"}, out)


if __name__ == "__main__":
    counted.main()
