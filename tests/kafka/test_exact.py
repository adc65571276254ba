#!/usr/bin/python3
"""kafka: every produce and consume function of the system's librdkafka, as the plugin saw it.

Each message must have its span, with every field that the plugin knows; kafka.exact.* are the
figures.
"""

import sys

import run
import state

MEDIAN_MAX_US = 1000     # of the median time error: more, and spans are not where they were
checks = run.session.harness.Checks()


def judge_run(figures, name, exercise, skip):
    """The checks of one run, and its three figures under kafka.@name."""
    checks.check("%s: the exercise itself" % name, exercise.complaints(),
                 "librdkafka %s, %d messages sent, %d taken" % (
                     exercise.version, len(exercise.lines().sent), len(exercise.lines().taken)))
    counters = exercise.counters()
    checks.check("%s: nothing is lost, every sum agrees" % name,
                 counters.disagree() or counters.lost())
    j = exercise.judged(skip)
    how = "spans of one run of the exerciser against the interceptor plugin's lines"
    figures.add("kafka.%s.recall" % name, j.recall, "", ">= 1", how,
                [f for f in j.findings if f.startswith("missing")])
    figures.add("kafka.%s.precision" % name, j.precision, "", ">= 1", how,
                [f for f in j.findings if f.startswith("of nothing")])
    figures.add("kafka.%s.field_errors" % name, j.field_errors, "fields", "<= 0", how,
                ["%s: %d" % item for item in j.wrong.items()] +
                [f for f in j.findings if not f.startswith(("missing", "of nothing"))])
    return j


def times(figures, name, j):
    for which in ("start", "end"):
        figures.add("kafka.%s.%s_error_us" % (name, which), round(j.median_us(which), 1), "us",
                    "<= %d" % MEDIAN_MAX_US, "median of |span - plugin|; single ones up to 50 ms")


def main():
    lacking = run.missing()
    if lacking:
        checks.skip("kafka", lacking)
        return checks.end()
    figures = run.session.Figures("kafka", checks)
    directory = run.session.work_directory("kafka")
    exercise = run.Exercise(directory).go()
    checks.check("every scenario is possible", run.impossible(exercise),
                 "%d of them" % (len(exercise.told) - 1))
    times(figures, "exact", judge_run(figures, "exact", exercise, state.NOT_YET))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
