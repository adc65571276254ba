#!/usr/bin/python3
"""kafka: every produce and consume function of the system's librdkafka, as the plugin saw it.

Each message must have its span, with every field that the plugin knows, in full mode, in light mode
(kafka.light.*), and where the tracer goes from one to the other and back meanwhile (kafka.switch.*).
test_exact.py MODE... takes only these.
"""

import concurrent.futures
import os
import sys

import judge
import run

MEDIAN_MAX_US = 1000     # of the median time error: more, and spans are not where they were
checks = run.session.harness.Checks()


AT_ONCE = 3             # they wait more than they work
SEEN_LIGHT = "light mode: the producing thread is not known"

# name -> (options, section kafka, whether what was never acknowledged has a span)
MODES = {
    "full": (["--kafka-mode", "full"], "", judge.WANTED),
    "light": (["--kafka-mode", "light"], "", judge.NEVER),
    "switch": ([], "mode: auto, light_above: 200", judge.EITHER),
}


def judge_run(figures, name, exercise, unacknowledged=judge.WANTED):
    """The checks of one run, and its three figures under kafka.@name."""
    checks.check("%s: the exercise itself" % name, exercise.complaints(),
                 "librdkafka %s, %d messages sent, %d taken" % (
                     exercise.version, len(exercise.lines().sent), len(exercise.lines().taken)))
    counters = exercise.counters()
    checks.check("%s: nothing is lost, every sum agrees" % name,
                 counters.disagree() or counters.lost())
    j = exercise.judged(unacknowledged)
    how = "spans of one run of the exerciser against the interceptor plugin's lines"
    figures.add("kafka.%s.recall" % name, j.recall, "", ">= 1", how,
                [f for f in j.findings if f.startswith("missing")])
    figures.add("kafka.%s.precision" % name, j.precision, "", ">= 1", how,
                [f for f in j.findings if f.startswith("of nothing")])
    figures.add("kafka.%s.field_errors" % name, j.field_errors, "fields", "<= 0", how,
                ["%s: %d" % item for item in j.wrong.items()] +
                [f for f in j.findings if not f.startswith(("missing", "of nothing"))])
    return j


def check_mode(mode, j):
    """That it was in this mode: of messages without a context the spans say how they were seen."""
    bare = [want.span for want in j.wants if want.span and want.operation == "send" and
            not getattr(want.of, "context", True)]
    light = sum(span.attributes.get("spanstitch.parent.reason") == SEEN_LIGHT for span in bare)
    share = {"full": light == 0, "light": light == len(bare), "switch": 0 < light < len(bare)}
    checks.check("%s: it was in this mode" % mode, not share[mode] and "%d of %d light" % (
        light, len(bare)), "%d of %d seen light" % (light, len(bare)))


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
    modes = sys.argv[1:] or list(MODES)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {mode: pool.submit(run.Exercise(os.path.join(directory, mode), None,
                                               *MODES[mode][:2]).go) for mode in modes}
    for mode, done in runs.items():
        exercise = done.result()
        checks.check("%s: every scenario is possible" % mode, run.impossible(exercise),
                     "%d of them" % (len(exercise.told) - 1))
        j = judge_run(figures, mode, exercise, MODES[mode][2])
        check_mode(mode, j)
        times(figures, mode, j)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
