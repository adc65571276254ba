"""session: tracers under a test's control, and runs of the platform that they watch."""

import json
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../../.."))
sys.path.insert(0, os.path.join(HERE, "../../platform"))

import harness  # noqa: E402

SPANSTITCH = os.path.join(ROOT, "build/spanstitch")
START_S = 30
STOP_S = 60
SETTLE_S = 20               # for the last pods to be deleted, after the client has its results
QUIET_S = 0.5               # then for the last acknowledgements
SLOW_S = "0.3"              # what a slow execution sleeps
SHOWN_MAX = 10              # findings that are spelled out
RAN = "spanstitch: tracing"


class Figures:
    """Rows of results of one suite, each also a check."""

    def __init__(self, suite, checks):
        self.checks = checks
        self.path = os.path.join(ROOT, "build/results", suite + ".jsonl")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        if os.path.exists(self.path):
            os.unlink(self.path)

    def add(self, name, value, unit, goal, how, findings=()):
        """goal: "== 0", "<= 2" or ">= 12"; none: the figure is told, and no check. findings: what
        is wrong, in sentences."""
        ok = None
        if goal:
            relation, limit = goal.split()
            ok = {"==": operator.eq, "<=": operator.le, ">=": operator.ge}[relation](
                value, float(limit))
        row = {"name": name, "value": value, "unit": unit, "goal": goal or "", "ok": ok, "how": how}
        with open(self.path, "a") as f:
            f.write(json.dumps(row) + "\n")
        if not goal:
            print("       %s: %s %s" % (name, value, unit), flush=True)
            return
        self.checks.check(name, not ok and "%s %s, goal %s" % (value, unit, goal),
                          "%s %s" % (value, unit))
        tell(findings)


def tell(findings):
    for sentence in findings[:SHOWN_MAX]:
        print("         " + sentence)
    if len(findings) > SHOWN_MAX:
        print("         and %d more" % (len(findings) - SHOWN_MAX))


def missing():
    """What this machine lacks; None when nothing."""
    if not os.path.exists(SPANSTITCH):
        return "build/spanstitch is not built"
    return harness.missing()


def pids_of(platform):
    """The services' pids: what is traced."""
    return {name: platform.pids()[name] for name in harness.SERVICES}


def pid_options(pids):
    return [word for pid in pids for word in ("--pid", str(pid))]


class Tracer:
    """spanstitch as a child: its standard output and error lie in directory/name.{out,err}."""

    def __init__(self, directory, name, *arguments):
        self.arguments = [SPANSTITCH, *arguments]
        self.out = os.path.join(directory, name + ".out")
        self.err = os.path.join(directory, name + ".err")
        self.process = None

    def spawn(self):
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=err, preexec_fn=default_signals)

    def start(self):
        """Until it says that it is attached."""
        self.spawn()
        if not harness.wait_until(lambda: self.is_attached() or
                                  self.process.poll() is not None, START_S):
            self.kill()
        if self.process.poll() is not None:
            raise RuntimeError("the tracer did not start: " + self.said())
        return self

    def is_attached(self):
        return any(line.startswith(RAN) for line in self.said().splitlines())

    def stop(self):
        """As a user's ctrl-c; its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return "none: killed after %d s" % STOP_S

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        with open(self.err, errors="replace") as f:
            return f.read()

    def printed(self):
        with open(self.out, errors="replace") as f:
            return f.read()


def default_signals():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Counters:
    """The block of counters that a tracer printed at its end."""

    ROW = re.compile(r"^\s+([a-z][a-z_.]*)\s+(\d+)\b")
    SUM = re.compile(r"^\s+(records|spans made) \d+ = .*: (.*)$")

    def __init__(self, text):
        self.values = {}
        self.sums = {}
        for line in text.splitlines():
            total, row = self.SUM.match(line), self.ROW.match(line)
            if total:
                self.sums[total.group(1)] = total.group(2)
            elif row:
                self.values[row.group(1)] = int(row.group(2))

    def __getitem__(self, name):
        """Counters that are zero are not printed, for the most part."""
        return self.values.get(name, 0)

    def disagree(self):
        """What is wrong with the two sums; None: both are there and agree."""
        if set(self.sums) != {"records", "spans made"}:
            return "a sum is missing: %s" % self.sums
        bad = {name: word for name, word in self.sums.items() if word != "agrees"}
        return "%s" % bad if bad else None

    def lost(self):
        """Records lost between the probes and the joining, by cause."""
        names = [n for n in self.values if n.startswith("kernel.lost.")]
        names += ["records.rejected"]
        return {name: self[name] for name in names if self[name]}


def all_deleted(platform, lines):
    """The last thing of every execution: its pod is deleted, and its message's work is over."""
    logs = platform.logs()
    ids = {line["id"] for line in lines}
    gone = {line["execution"] for line in logs["result-processor"]
            if line["event"] == "http.client" and line["method"] == "DELETE"}
    open_ends = sum({"kafka.produce": 1, "kafka.delivered": -1}.get(line["event"], 0)
                    for service in logs.values() for line in service)
    return ids <= gone and not open_ends


def keep(platform, directory):
    """A copy of the run's logs for a look afterwards."""
    for name in os.listdir(platform.directory):
        if name.endswith((".log", ".err", ".json")):
            shutil.copy(os.path.join(platform.directory, name), directory)


def work_directory(*parts):
    directory = os.path.join(ROOT, "build/e2e", *parts)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    return directory


class Run:
    """One run of the platform with tracers attached: what they wrote, and what the logs say."""

    def __init__(self, mode, executions, concurrency, directory):
        self.mode = mode
        self.executions = executions
        self.concurrency = concurrency
        self.directory = directory
        self.tracers = []
        self.lines = []
        self.complaints = []        # of the workload itself
        self.codes = []             # of the tracers
        self.pids = {}
        self.logs = {}
        self.seconds = 0            # of the load

    def go(self, tracers):
        """tracers(pids): Tracers to be started once the services run, given their pids."""
        with harness.Platform(self.mode) as platform:
            self.pids = pids_of(platform)
            try:
                self.tracers = tracers(self.pids)
                for tracer in self.tracers:
                    tracer.start()
                self._load(platform)
                self.codes = [tracer.stop() for tracer in self.tracers]
            finally:
                for tracer in self.tracers:
                    tracer.kill()
                keep(platform, self.directory)
        self.logs = platform.logs()
        self.complaints += ["%s.err: %s" % item for item in platform.stderr().items()]
        if platform.stopped:
            self.complaints.append("the platform's end: %s" % platform.errors)
        platform.remove()
        return self

    def _load(self, platform):
        begin = time.monotonic()
        code, self.lines = platform.submit(self.executions, self.concurrency, "--slow", SLOW_S)
        self.seconds = time.monotonic() - begin
        if code or len(self.lines) != self.executions:
            self.complaints += [line["error"] for line in self.lines if line["error"]] or \
                ["the client ended with %s" % code]
        if not harness.wait_until(lambda: all_deleted(platform, self.lines), SETTLE_S):
            self.complaints.append("some pod was not deleted in %d s" % SETTLE_S)
        time.sleep(QUIET_S)
        if platform.pids() != {n: p for n, p in platform.pids().items() if harness.is_alive(p)}:
            self.complaints.append("a service has ended")
