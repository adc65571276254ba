#!/usr/bin/python3
"""demo: scripts/demo shows the five stories, right by the services' own logs, in under a minute,
and leaves nothing running, also when it is stopped halfway."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import judge
import session
import truth

DEMO = os.path.join(session.ROOT, "scripts/demo")
RUN = os.path.join(session.ROOT, "build/demo")
ROW = os.path.join(session.ROOT, "build/results/demo.jsonl")
SECONDS_MAX = 60
NOBODY = 65534
STORIES = {         # what the waterfall of each kind must tell
    "fast": (r"exit 0",),
    "slow": (r"\b3(\.\d+)? s +exit 0",),
    "fail": (r"✗.*exit 3",),
    "crash": (r"✗.*SIGSEGV",),
    "retry": (r"✗.* 503\b", r" 503 +resend 1", r" 201 +resend 2", r"exit 0"),
}
checks = session.harness.Checks()


def run_demo():
    return subprocess.run([DEMO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8",
                          timeout=2 * SECONDS_MAX)


def logs():
    """service -> its lines."""
    found = {}
    for path in glob.glob(RUN + "/*.log"):
        with open(path) as f:
            found[os.path.basename(path)[:-4]] = [json.loads(line) for line in f]
    return found


def platform_pids():
    with open(RUN + "/platform.json") as f:
        return {name: s["pid"] for name, s in json.load(f).items()}


def check_stories(text):
    with open(RUN + "/executions.jsonl") as f:
        lines = [json.loads(line) for line in f]
    blocks = [b for b in text.split("\n\n") if b.startswith("trace ")]
    checks.check("five executions, and no polls", (len(lines), len(blocks)) != (5, 5) and
                 "%d executions, %d waterfalls" % (len(lines), len(blocks)))
    for line in lines:
        mine = "\n".join(b for b in blocks if line["id"] in b)
        checks.check("the story of the %s one" % line["kind"],
                     [story for story in STORIES[line["kind"]] if not re.search(story, mine)])
    return lines


def check_truth(lines):
    """The file that the demo leaves, by the same measure as the platform's test."""
    pids = platform_pids()
    pids.pop("broker")
    v = judge.Verdict(truth.Truth("traceparent", logs(), lines),
                      judge.read_spans(RUN + "/traces.json"), pids)
    for category, found in v.findings.items():
        checks.check("no " + category, found)
    checks.check("every execution is whole", v.whole != 5 and "%d" % v.whole, len(v.spans))


def check_gone(name):
    def left():
        return {n: pid for n, pid in platform_pids().items() if session.harness.is_alive(pid)}

    session.harness.wait_until(lambda: not left(), 15)
    checks.check(name + ": nothing is left running", left())


def check_stopped():
    """SIGTERM to the script alone, while the executions run."""
    shutil.rmtree(RUN, ignore_errors=True)
    demo = subprocess.Popen([DEMO], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    submitting = session.harness.wait_until(lambda: os.path.exists(RUN + "/submit.err"), 40)
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(demo.pid)],
                              stdout=subprocess.PIPE, text=True).stdout
    demo.send_signal(signal.SIGTERM)
    code = demo.wait(40)
    checks.check("stopped halfway: it had begun", not submitting and "it had not")
    checks.check("stopped halfway: says so by its exit code", code == 0 and "exit 0")
    check_gone("stopped halfway")
    tracers = [int(line.split()[0]) for line in children.splitlines() if "spanstitch" in line]
    session.harness.wait_until(lambda: not any(map(session.harness.is_alive, tracers)), 10)
    checks.check("stopped halfway: the tracer, too",
                 [p for p in tracers if session.harness.is_alive(p)] or
                 (not tracers and "it was not there"))


def check_wrong_use():
    done = subprocess.run([DEMO, "--nonesuch"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    checks.check("wrong use: one line, exit 2", (done.returncode, done.stdout.count("\n")) != (2, 1)
                 and done.stdout)
    # Its text, for the directory may be closed to others.
    done = subprocess.run(["setpriv", "--reuid=%d" % NOBODY, "--clear-groups", "/bin/bash", "-c",
                           open(DEMO).read()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, cwd=os.path.dirname(DEMO))
    checks.check("without root: says so, exit 2",
                 (done.returncode != 2 or "root" not in done.stdout) and done.stdout)


def main():
    lacking = session.missing()
    if lacking:
        checks.skip("demo", lacking)
        return checks.end()
    check_wrong_use()
    check_stopped()
    if os.path.exists(ROW):
        os.unlink(ROW)
    done = run_demo()
    checks.check("the demo ends well", done.returncode and done.stdout[-500:])
    check_truth(check_stories(done.stdout))
    check_gone("at its end")
    with open(ROW) as f:
        row = json.load(f)
    checks.check("demo.seconds", (row["name"] != "demo.seconds" or
                                  not 0 < row["value"] < SECONDS_MAX) and "%s" % row, row["value"])
    return checks.end()


sys.exit(main())
