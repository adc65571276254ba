#!/usr/bin/python3
"""kill9: the tracer dies by SIGKILL at random moments, 20 times under load. No execution fails, no
service ends, and nothing that it attached stays."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import session

KILLS, IN_FLIGHT = 20, 32
BATCH = 64                  # executions that one run of the client submits; it is run until the end
ALIVE_MAX_S = 1             # a tracer lives up to that long, from its start or from its attachment
GONE_S = 20                 # the kernel takes links down some time after their last file is closed
LOOK_S = 0.05
checks = session.harness.Checks()


def bpftool(what):
    program = shutil.which("bpftool") or "/usr/sbin/bpftool"
    return json.loads(subprocess.run([program, "-j", what, "show"], stdout=subprocess.PIPE,
                                     check=True).stdout or b"[]")


def loaded():
    """(what, id) -> name, of programs and links in the kernel."""
    return {(what, row["id"]): row.get("name", row.get("type"))
            for what in ("prog", "link") for row in bpftool(what)}


def held(pid):
    """Programs and links that a process has open."""
    found = set()
    try:
        descriptors = os.listdir("/proc/%s/fd" % pid)
    except OSError:
        return found            # it is gone
    for fd in descriptors:
        try:
            name = os.readlink("/proc/%s/fd/%s" % (pid, fd))
            for what, mark in (("prog", "bpf-prog"), ("link", "bpf_link")):
                if mark in name:
                    with open("/proc/%s/fdinfo/%s" % (pid, fd)) as lines:
                        found.update((what, int(line.split()[1])) for line in lines
                                     if line.startswith(what + "_id:"))
        except OSError:
            pass                # closed meanwhile, or a process that nobody may look into
    return found


def held_by_any():
    return set().union(*(held(pid) for pid in os.listdir("/proc") if pid.isdigit()))


class Load(threading.Thread):
    """The client, again and again until it is told to stop."""

    def __init__(self, platform):
        super().__init__()
        self.platform = platform
        self.lines = []
        self.is_over = False

    def run(self):
        while not self.is_over:
            _, lines = self.platform.submit(BATCH, IN_FLIGHT, "--slow", session.SLOW_S)
            self.lines += lines

    def end(self):
        self.is_over = True
        self.join()


def kill_one(directory, n, pids, dice):
    """Start a tracer, kill it; whether it was attached, and what it held."""
    tracer = session.Tracer(directory, "tracer", "trace", *session.pid_options(pids.values()),
                            "--otlp-file", os.path.join(directory, "otlp-%d.json" % n))
    if n % 2:
        tracer.start()
    else:
        tracer.spawn()      # the moment may be in the midst of attaching
    time.sleep(dice.uniform(0, ALIVE_MAX_S))
    mine = held(tracer.process.pid)
    died = tracer.process.poll()
    attached = tracer.is_attached()
    tracer.kill()
    if died is not None:
        raise RuntimeError("the tracer ended by itself with %d: %s" % (died, tracer.said()))
    return attached, mine


def left_of(mine, before):
    """What of it stays, or is new, open in no process, and stays: others may trace meanwhile, and
    what they have for an instant only may be gone before its holder is looked for."""
    def left():
        now, others = loaded(), held_by_any()
        return {(key, now[key]) for key in now if key in mine or
                (key not in before and key not in others)}

    remaining = left()
    end = time.monotonic() + GONE_S
    while remaining and time.monotonic() < end:
        time.sleep(LOOK_S)
        remaining &= left()
    return sorted(remaining)


def check_kills(platform, directory, seed):
    dice = random.Random(seed)
    pids = session.pids_of(platform)
    left, attached_count, seen = [], 0, 0
    load = Load(platform)
    load.start()
    try:
        for n in range(KILLS):
            before = set(loaded())
            attached, mine = kill_one(directory, n, pids, dice)
            attached_count += attached
            seen += len(mine)
            left += left_of(mine, before)
    finally:
        load.end()
    return load.lines, left, attached_count, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    lacking = session.missing()
    if lacking:
        checks.skip("kill9", lacking)
        return checks.end()
    directory = session.work_directory("kill9")
    figures = session.Figures("kill9", checks)
    with session.harness.Platform("traceparent") as platform:
        before = platform.pids()
        lines, left, attached, seen = check_kills(platform, directory, args.seed)
        alive = {name: pid for name, pid in before.items() if session.harness.is_alive(pid)}
        session.keep(platform, directory)
    how = "kill -9 of a tracer of all services, %d executions in flight; seed %d" % (
        IN_FLIGHT, args.seed)
    failed = [line["error"] for line in lines if line["error"]]
    figures.add("platform.kill9.kills", KILLS, "kills", "== 20", how)
    figures.add("platform.kill9.failed_executions", len(failed), "executions", "== 0",
                how + "; of %d" % len(lines), failed)
    figures.add("platform.kill9.left_attached", len(left), "objects", "== 0",
                how + "; programs and links in the kernel", ["%s" % (item,) for item in left])
    checks.check("the same processes still serve", before != alive and
                 "%s of %s" % (alive, before), "%d processes" % len(alive))
    checks.check("services said nothing on standard error", platform.stderr())
    checks.check("half or more were killed while attached", attached < KILLS // 2 and
                 "%d of %d were attached" % (attached, KILLS), "%d attached" % attached)
    checks.check("what was attached was seen", not seen and "nothing", "%d objects" % seen)
    checks.check("the platform stops as asked", platform.stopped != 0 and platform.errors)
    platform.remove()
    return checks.end()


sys.exit(main())
