#!/usr/bin/python3
"""replay: a recording of a platform run replays, by a user without any privilege, to the spans that
the logs demand, and to the same bytes each time."""

import os
import shutil
import subprocess
import sys
import tempfile

import judge
import session
import truth

MODE, EXECUTIONS, IN_FLIGHT = "none", 200, 32
NOBODY = 65534
REPLAY_S = 120
checks = session.harness.Checks()


def replay(program, recording, otlp):
    """As nobody; what it said."""
    return subprocess.run(
        ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups",
         "--no-new-privs", "--bounding-set=-all", program, "replay", recording,
         "--otlp-file", otlp],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=REPLAY_S, cwd=os.path.dirname(recording))


def check_replays(run, recording):
    """Twice, in a directory that is nobody's own: the build's may be closed to others."""
    with tempfile.TemporaryDirectory() as open_directory:
        program = shutil.copy(session.SPANSTITCH, open_directory)
        mine = shutil.copy(recording, open_directory)
        for path in (open_directory, mine):
            os.chown(path, NOBODY, NOBODY)
        written = []
        for n in ("1", "2"):
            otlp = os.path.join(open_directory, n + ".json")
            done = replay(program, mine, otlp)
            checks.check("replay %s: ends well, without root" % n, done.returncode and
                         "exit %d: %s" % (done.returncode, done.stderr[-500:]))
            if done.returncode:
                return
            with open(otlp, "rb") as f:
                written.append((f.read(), done.stdout))
        checks.check("both replays wrote the same bytes", written[0][0] != written[1][0] and
                     "they differ", "%d bytes" % len(written[0][0]))
        checks.check("both replays printed the same waterfalls", written[0][1] != written[1][1] and
                     "they differ", "%d bytes" % len(written[0][1]))
        shutil.copy(otlp, run.directory)
        check_spans(run, otlp, session.Counters(done.stderr))


def check_spans(run, otlp, counters):
    spans = judge.read_spans(otlp)
    v = judge.Verdict(truth.Truth(run.mode, run.logs, run.lines), spans, run.pids)
    for category, found in v.findings.items():
        checks.check("replayed: no " + category, found)
        session.tell(found)
    checks.check("replayed: every execution whole, each a trace",
                 (v.whole, v.traces) != (run.executions, run.executions) and
                 "%d whole, %d traces" % (v.whole, v.traces), "%d spans" % len(spans))
    checks.check("replayed: nothing was lost, the sums agree",
                 counters.disagree() or counters.lost())


def main():
    lacking = session.missing()
    if lacking:
        checks.skip("replay", lacking)
        return checks.end()
    directory = session.work_directory("replay")
    recording = os.path.join(directory, "run.rec")
    run = session.Run(MODE, EXECUTIONS, IN_FLIGHT, directory)
    run.go(lambda pids: [session.Tracer(directory, "recorder", "record", "-o", recording,
                                        *session.pid_options(pids.values()))])
    checks.check("the workload is undisturbed", run.complaints)
    checks.check("the recorder ends as asked", run.codes != [0] and "%s" % run.codes)
    checks.check("a recording is its owner's alone", os.stat(recording).st_mode & 0o077 and
                 "mode %o" % os.stat(recording).st_mode)
    check_replays(run, recording)
    return checks.end()


sys.exit(main())
