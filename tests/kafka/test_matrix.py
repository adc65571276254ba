#!/usr/bin/python3
"""kafka-matrix: test_exact.py's exercise on every release of scripts/backends/librdkafka/releases.

test_matrix.py NAME... takes only these. Two run at a time, each with a broker and tracer of its own.
"""

import concurrent.futures
import os
import subprocess
import sys

import run
import test_exact

FETCH = os.path.join(run.ROOT, "scripts/backends/librdkafka/fetch")
AT_ONCE = 2
RELEASES_MIN = 12


def fetch(names):
    """name -> Library"""
    done = subprocess.run([FETCH, *names], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {}
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: run.Library(path, None if loader == "-" else loader)
            for name, path, loader in rows}


def exercised(directory, library):
    """The run; what stopped it, as a sentence, when it came to no end."""
    exercise = run.Exercise(directory, library)
    try:
        return exercise.go(), None
    except (RuntimeError, subprocess.TimeoutExpired) as e:
        return exercise, str(e)


def main():
    checks = test_exact.checks
    lacking = run.missing()
    if lacking:
        checks.skip("kafka-matrix", lacking)
        return checks.end()
    libraries = fetch(sys.argv[1:])
    checks.check("the releases are there", not libraries and "fetch failed",
                 "%d of them" % len(libraries))
    figures = run.session.Figures("kafka-matrix", checks)
    directory = run.session.work_directory("kafka-matrix")
    whole, apart = set(), {"start": [], "end": []}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {name: pool.submit(exercised, os.path.join(directory, name), library)
                for name, library in libraries.items()}
        for name, done in runs.items():
            exercise, stopped = done.result()
            if stopped:
                checks.check(name, stopped)
                continue
            j = test_exact.judge_run(figures, "matrix." + name, exercise)
            if run.impossible(exercise):
                print("         not in %s: %s" % (exercise.version,
                                                  " ".join(run.impossible(exercise))))
            if not j.findings and not exercise.complaints():
                whole.add(exercise.version)
            for which in apart:
                apart[which].append(j.median_us(which))
    for which, medians in apart.items():
        figures.add("kafka.matrix.%s_error_us" % which, round(max(medians, default=0), 1), "us",
                    "<= %d" % test_exact.MEDIAN_MAX_US, "worst of the releases' medians")
    wanted = min(RELEASES_MIN, len(sys.argv) - 1) if sys.argv[1:] else RELEASES_MIN
    figures.add("kafka.matrix.releases", len(whole), "releases", ">= %d" % wanted,
                "versions that the libraries tell of themselves, without any finding")
    return checks.end()


sys.exit(main())
