"""harness: a platform under a test's control, and what its services' logs say.

For Python tests: `with Platform(mode) as p: lines = p.submit(40, 16)`, then p.logs() after the end.
Imported with tests/platform in sys.path; needs nothing but Python itself.
"""

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import cgroup

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
BROKER = os.path.join(HERE, "../../build/release/tools/platform/broker")    # as make puts it
SERVICES = ("api", "worker", "kube", "pod-monitor", "result-processor")
HEADER = {"traceparent": "traceparent", "custom": "trace-id", "none": None}
START_S = 60
STOP_S = 60


def missing():
    """What this machine lacks to run the platform, as a sentence; None when nothing."""
    if os.geteuid() != 0:
        return "not root: the pods' cgroups cannot be made"
    probe = subprocess.run([PYTHON, "-c", "import fastapi, uvicorn, httpx, kubernetes, "
                            "confluent_kafka"], capture_output=True, text=True)
    if probe.returncode:
        return "/usr/bin/python3 lacks a package: " + probe.stderr.strip().split("\n")[-1]
    where = cgroup.hierarchies()
    if not where or where[0].version != 2:
        return "no cgroup v2 mount"
    if not all(os.access(h.mount, os.W_OK) for h in where):
        return "the cgroup file system is not writable"
    return None


def is_alive(pid):
    """A zombie is not alive: whoever inherited it may take its time."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(predicate, seconds):
    end = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Broker:
    """broker.c's mock cluster, for as long as the block runs."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BROKER, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def command(self, line):
        """One of those that broker.c names."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError("the broker says %r to %r" % (answer, line))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Platform:
    """up.py as a child process, in a run directory of its own."""

    def __init__(self, mode="traceparent", *options):
        self.mode = mode
        self.options = list(options)
        self.directory = tempfile.mkdtemp(prefix="spanstitch-platform-")
        self.process = None
        self.state = {}
        self.stopped = None     # exit code of up.py
        self.errors = ""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, _value, _trace):
        self.stop()

    def start(self):
        with open(self.path("up.err"), "wb") as errors:
            self.process = subprocess.Popen(
                [PYTHON, os.path.join(HERE, "up.py"), "--dir", self.directory,
                 "--propagation", self.mode, *self.options],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        if not wait_until(lambda: self.process.poll() is not None or
                          os.path.exists(self.path("platform.json")), START_S):
            self.stop()
            raise RuntimeError("the platform was not ready in %d s" % START_S)
        if self.process.poll() is not None:
            raise RuntimeError("the platform did not start: " + self.read("up.err"))
        self.state = json.loads(self.read("platform.json"))

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def pids(self):
        return {name: s["pid"] for name, s in self.state.items() if s["pid"]}

    def submit(self, executions, concurrency, *options):
        """Run the client; returns (its exit code, its lines)."""
        done = subprocess.run(
            [PYTHON, os.path.join(HERE, "submit.py"), "--dir", self.directory,
             "-n", str(executions), "-c", str(concurrency), *options],
            stdout=subprocess.PIPE, text=True)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def execute(self, body, seconds=20):
        """One execution of the caller's own code; returns (id, its result or None)."""
        url = "http://%s" % self.state["api"]["address"]
        request = urllib.request.Request(url + "/execute", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            execution = json.load(answer)["id"]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with urllib.request.urlopen(url + "/executions/" + execution, timeout=10) as answer:
                result = json.load(answer)["result"]
            if result:
                return execution, result
            time.sleep(0.1)
        return execution, None

    def stop(self):
        if self.process and self.stopped is None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                self.stopped = self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.stopped = self.process.wait()
            self.errors = self.read("up.err")

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def logs(self):
        """service -> its lines, in the order in which they were written."""
        logs = {}
        for name in SERVICES:
            lines = []
            if os.path.exists(self.path(name + ".log")):
                lines = [json.loads(line) for line in self.read(name + ".log").splitlines()]
            logs[name] = lines
        return logs

    def stderr(self):
        """service -> its standard error, where it said something."""
        found = {}
        for name in SERVICES + ("broker",):
            if os.path.exists(self.path(name + ".err")) and self.read(name + ".err"):
                found[name] = self.read(name + ".err")
        return found

    def left_processes(self):
        """Pids of services and pods that still live."""
        pids = dict(self.pids())
        pids.update(("pod " + line["uid"], line["pid"]) for line in self.logs()["kube"]
                    if line["event"] == "pod.started")
        return {name: pid for name, pid in pids.items() if is_alive(pid)}

    def left_cgroups(self):
        """cgroups of this run's pods that still exist."""
        left = []
        for line in self.logs()["kube"]:
            if line["event"] != "pod.started":
                continue
            for h in cgroup.hierarchies():
                pod = os.path.join(h.mount, os.path.dirname(line["cgroup"]))
                if os.path.exists(pod):
                    left.append(pod)
        return left


def by_execution(lines, event, **wanted):
    """execution -> the lines of that event whose fields are as wanted, in their order."""
    found = collections.defaultdict(list)
    for line in lines:
        if line["event"] == event and all(line.get(k) == v for k, v in wanted.items()):
            found[line["execution"]].append(line)
    return found


def mapped_tracers(pid):
    """Files of tracing libraries that the process maps, or is made to preload."""
    with open("/proc/%d/maps" % pid) as f:
        files = {line.split(None, 5)[5].strip() for line in f if line.count("/")}
    with open("/proc/%d/environ" % pid, "rb") as f:
        preload = [v for v in f.read().decode(errors="replace").split("\0")
                   if v.startswith(("LD_PRELOAD=", "LD_AUDIT=", "OTEL_"))]
    names = re.compile(r"opentelemetry|ddtrace|datadog|jaeger|zipkin|skywalking|newrelic|lttng|"
                       r"elastic.?apm|opencensus|dynatrace|instana", re.I)
    return [f for f in files if names.search(f)] + preload


class Checks:
    """Prints a line a check, and the sum that scripts/test reads."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, bad, seen=""):
        """bad: what is wrong (empty: nothing), as text or a collection of findings."""
        if not bad:
            self.passed += 1
            print("ok     %s%s" % (name, ": " + str(seen) if seen != "" else ""), flush=True)
            return
        self.failed += 1
        text = bad if isinstance(bad, str) else "%d findings, the first: %s" % (
            len(bad), next(iter(bad.items() if isinstance(bad, dict) else bad)))
        print("FAILED %s: %s" % (name, text), flush=True)

    def skip(self, name, reason):
        self.skipped += 1
        print("SKIP   %s: %s" % (name, reason), flush=True)

    def end(self):
        print("%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped))
        return 1 if self.failed else 0
