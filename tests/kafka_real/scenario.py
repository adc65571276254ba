"""scenario: clients at work on a cluster while something goes wrong there, all under one tracer.

A Scenario names its clients (client.py's words for each) and the fault; Run starts the clients of
several, the tracer on exactly their processes, then all at once, and gathers what both sides said.
"""

import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e/platform"))

import session  # noqa: E402

CONFIG = os.path.join(HERE, "trace.yaml")
CLIENT = os.path.join(HERE, "client.py")
READY_S = 30
WORK_S = 90             # a producer ends by its own flush before that
CATCH_UP_S = 20         # for consumers to read what was acknowledged
QUIET_S = 0.3           # for what was not acknowledged and is there nevertheless
END_S = 30


class Client:
    """One client.py: its words, its process, and its log once it has ended."""

    def __init__(self, directory, work):
        self.name = work["name"]
        self.log = os.path.join(directory, self.name + ".jsonl")
        self.err = os.path.join(directory, self.name + ".err")
        self.work = {**work, "log": self.log}
        self.lines = []
        self.process = None

    def spawn(self):
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [session.harness.PYTHON, CLIENT, json.dumps(self.work)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=err, text=True)
        self.pid = self.process.pid

    def wait_ready(self):
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("client %s did not start: %s" % (self.name, self.said()))

    def tell(self):
        """The word to begin, or for a consumer the word to end."""
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass            # it has ended; wait() tells

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        with open(self.err, errors="replace") as f:
            return f.read()

    def read(self):
        if os.path.exists(self.log):
            with open(self.log) as f:
                self.lines = [json.loads(line) for line in f if line.endswith("\n")]
        return self.lines

    def of(self, event):
        return [line for line in self.lines if line["event"] == event]


class Scenario:
    """@producers, @consumers: tables for client.py; @fault: called once the clients are at work."""

    def __init__(self, name, how, bootstrap, producers, consumers=(), fault=None):
        self.name = name
        self.how = how
        self.fault = fault
        common = {"bootstrap": bootstrap, "topic": name, "options": {}}
        self.works = [{**common, "role": "produce", **p} for p in producers] + \
                     [{**common, "role": "consume", **c} for c in consumers]
        self.clients = []
        self.complaints = []        # of the workload itself: then nothing is judged by it

    def producers(self):
        return [c for c in self.clients if c.work["role"] == "produce"]

    def consumers(self):
        return [c for c in self.clients if c.work["role"] == "consume"]

    def isolation(self):
        """Whether consumers see what was aborted."""
        return {c.work["group"]: c.work["options"].get("isolation.level", "read_committed")
                for c in self.consumers()}

    def wanted(self):
        """What every group has to read, for it was acknowledged: its number, and the (topic,
        partition, offset) of each whose offset is told -> whether it was aborted."""
        aborted = {i for c in self.producers() for line in c.of("transaction")
                   if line["outcome"] == "abort" or line["error"] for i in line["ids"]}
        acknowledged = [d for c in self.producers() for d in c.of("delivered")
                        if d["error"] is None]
        return (sum(d["id"] not in aborted for d in acknowledged),
                {(d["topic"], d["partition"], d["offset"]): d["id"] in aborted
                 for d in acknowledged if d["offset"] >= 0})

    def is_read(self):
        count, wanted = self.wanted()
        for client in self.consumers():
            client.read()
        for group, isolation in self.isolation().items():
            seen = {(line["topic"], line["partition"], line["offset"])
                    for c in self.consumers() if c.work["group"] == group
                    for line in c.of("consumed")}
            if len(seen) < count or any(at not in seen for at, is_aborted in wanted.items()
                                        if not is_aborted or isolation == "read_uncommitted"):
                return False
        return True

    def work(self):
        """From the word to begin until all clients have ended."""
        for client in self.clients:
            client.tell()
        try:
            if self.fault:
                self.fault()
            self.wait_producers()
            if self.consumers() and not session.harness.wait_until(self.is_read, CATCH_UP_S):
                self.complaints.append("%s: the consumers did not read all" % self.name)
            if self.consumers() and not any(c.of("consumed") for c in self.consumers()):
                self.complaints.append("%s: nothing was there to be read" % self.name)
            time.sleep(QUIET_S)
        except Exception as e:      # of the fault's own doing, told with the other complaints
            self.complaints.append("%s: the fault could not be made: %s" % (self.name, e))
        for client in self.consumers():
            client.tell()
        for client in self.consumers():
            self.note_end(client, END_S)
        for client in self.clients:
            client.read()

    def wait_producers(self):
        for client in self.producers():
            self.note_end(client, WORK_S)
            client.read()

    def note_end(self, client, seconds):
        code = client.wait(seconds)
        if code != 0:
            self.complaints.append("client %s: %s: %s" % (
                client.name, "did not end" if code is None else "ended with %s" % code,
                client.said()[-300:]))
            client.kill()


class Run:
    """Scenarios at once under one tracer, whose file and messages lie in @directory."""

    def __init__(self, directory, scenarios, options=()):
        self.directory = directory
        self.scenarios = scenarios
        self.otlp = os.path.join(directory, "otlp.json")
        self.options = options
        self.code = None
        self.counters = ""
        os.makedirs(directory, exist_ok=True)

    def work(self):
        """The last one is this thread's work: a node that a fault starts ends with its thread."""
        threads = [threading.Thread(target=s.work) for s in self.scenarios[:-1]]
        for thread in threads:
            thread.start()
        self.scenarios[-1].work()
        for thread in threads:
            thread.join()

    def go(self):
        clients = []
        tracer = None
        try:
            for scenario in self.scenarios:
                scenario.clients = [Client(self.directory, work) for work in scenario.works]
                clients += scenario.clients
            for client in clients:
                client.spawn()
            for client in clients:
                client.wait_ready()
            tracer = session.Tracer(
                self.directory, "tracer", "trace", "--config", CONFIG, "--otlp-file", self.otlp,
                *session.pid_options([c.pid for c in clients]), *self.options).start()
            self.work()
            self.code = tracer.stop()
            self.counters = tracer.said()
        finally:
            for client in clients:
                client.kill()
            if tracer:
                tracer.kill()
        return self
