"""run: the exerciser on one librdkafka, with the plugin in it and a tracer at it."""

import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "../.."))
sys.path.append(os.path.join(ROOT, "tests/e2e/platform"))
sys.path.append(os.path.join(ROOT, "tests/platform"))

import judge  # noqa: E402
import lines  # noqa: E402
import session  # noqa: E402

TOOLS = os.path.join(ROOT, "build/release/tools")
EXERCISER = os.path.join(TOOLS, "kafka/exerciser")
PLUGIN = os.path.join(TOOLS, "kafka/truth.so")
SYSTEM_LIBRARY = "librdkafka.so.1"      # as the loader finds it
CONFIG = "kafka: {message_key: true%s}\n"  # keys are told only to who wants them
RUN_S = 120
QUIET_S = 0.3


def missing():
    """What this machine lacks; None when nothing."""
    if os.geteuid() != 0:
        return "not root: nothing can be traced"
    for path in (session.SPANSTITCH, session.harness.BROKER, EXERCISER, PLUGIN):
        if not os.path.exists(path):
            return "%s is not built" % os.path.relpath(path, ROOT)
    return None


class Library:
    """A librdkafka to be exercised."""

    def __init__(self, path=SYSTEM_LIBRARY, loader=None):
        """loader: the dynamic linker of the root that the library comes from; None: ours."""
        self.path = path
        self.loader = loader

    def command(self):
        folder = os.path.dirname(self.path)
        if not self.loader:
            return [EXERCISER, self.path]
        return [self.loader, "--library-path", folder, EXERCISER, self.path]

    def environment(self):
        """A wheel's library has others beside it, which old ones do not know how to find."""
        folder = os.path.dirname(self.path)
        return {"LD_LIBRARY_PATH": folder} if folder and not self.loader else {}


class Exercise:
    """One run: what the plugin wrote, and what the tracer made. Its files stay in directory."""

    def __init__(self, directory, library=None, tracer=(), config=""):
        """tracer: options of it; config: more of its section kafka."""
        self.directory = directory
        self.library = library or Library()
        self.version = None             # what the library says that it is
        self.told = []                  # the exerciser's lines
        self.tracer = None
        self.tracer_options = list(tracer)
        self.config = config
        self.codes = []
        os.makedirs(directory, exist_ok=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def go(self):
        with session.harness.Broker() as broker:
            with open(self.path("exerciser.err"), "wb") as errors:
                process = subprocess.Popen(
                    [*self.library.command(), broker.address, "--plugin", PLUGIN],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                    env={**os.environ, **self.library.environment(),
                         "SPANSTITCH_TRUTH": self.path("truth.jsonl")})
            limit = threading.Timer(RUN_S, process.kill)
            limit.start()
            try:
                self._traced(process, broker)
            finally:
                limit.cancel()
                if self.tracer:
                    self.tracer.kill()
                if process.poll() is None:
                    process.kill()
                process.wait()
        return self

    def _traced(self, process, broker):
        ready = process.stdout.readline().split()
        if not ready:
            raise RuntimeError("the exerciser did not start: " + self.errors())
        self.version = ready[1]
        config = self.path("config.yaml")
        with open(config, "w") as f:
            f.write(CONFIG % (self.config and ", " + self.config))
        self.tracer = session.Tracer(
            self.directory, "tracer", "trace", "--pid", str(process.pid), "--config", config,
            "--otlp-file", self.path("otlp.json"), *self.tracer_options).start()
        answer = "go\n"
        while answer:
            process.stdin.write(answer)
            process.stdin.flush()
            answer = self._listen(process, broker)
        process.communicate()
        time.sleep(QUIET_S)
        self.codes = [process.returncode, self.tracer.stop()]

    def _listen(self, process, broker):
        """Until it asks for something: the answer. None when it has ended."""
        for line in process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word == "ask":
                broker.command(rest)
                return "ok\n"
            self.told.append(line.split())
        return None

    def errors(self):
        with open(self.path("exerciser.err"), errors="replace") as f:
            return f.read().strip()

    def complaints(self):
        """What is wrong with the exercise itself."""
        bad = []
        if self.codes != [0, 0]:
            bad.append("the exerciser and the tracer end with %s: %s" % (
                self.codes, self.errors()))
        if not self.told or self.told[-1][0] != "done":
            bad.append("the exerciser did not come to its end: %s" % self.errors())
        return bad + self.lines().complaints()

    def lines(self):
        if not hasattr(self, "_lines"):
            self._lines = lines.Lines(self.path("truth.jsonl"))
        return self._lines

    def judged(self, unacknowledged=judge.WANTED):
        return judge.Judge(self.lines(), judge.read_spans(self.path("otlp.json")), unacknowledged)

    def counters(self):
        return session.Counters(self.tracer.said())


def impossible(exercise):
    """Scenarios that this release has no function or codec for."""
    return [name for name, what, _ in exercise.told if what == "impossible"]
