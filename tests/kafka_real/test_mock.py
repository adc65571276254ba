#!/usr/bin/python3
"""mock: what goes wrong between a client and its broker, quickly: librdkafka's mock cluster is told
to go away, to refuse, to move its leaders. All scenarios run at once, each on a cluster of its own,
under one tracer; judged as test_faults.py's are. --light: the tracer is in light mode, where a message
that is never acknowledged is never seen; all else is the same."""

import argparse
import contextlib
import sys
import time

import scenario
import verdict

PARTITIONS = 4
BEGIN_S = 1
PRODUCE, NOT_ENOUGH_REPLICAS, TOO_LARGE, TIMED_OUT, FORBIDDEN = 0, 19, 10, 7, 29
session = scenario.session
checks = session.harness.Checks()


def after(*steps):
    """A fault of several steps: seconds to wait, or a call."""
    def fault():
        for step in steps:
            if callable(step):
                step()
            else:
                time.sleep(step)
    return fault


def producer(name, count, rate, **more):
    return {"name": name + "-p1", "count": count, "rate": rate, "partitions": PARTITIONS, **more}


def group(name, number=1, **more):
    return {"name": "%s-g%d" % (name, number), "group": "%s-%d" % (name, number), **more}


def errors(mock, *codes):
    return [lambda code=code: mock.command("errors %d 2 %d" % (PRODUCE, code)) for code in codes]


def spaced(steps, seconds):
    return after(*[one for step in steps for one in (seconds, step)])


def scenarios(mocks):
    """Name -> (how, producers, consumers, fault) of each."""
    def down(name):
        return lambda: mocks[name].command("down 1")

    def up(name):
        return lambda: mocks[name].command("up 1")

    def leader(number):
        return lambda: [mocks["leader"].command("leader leader %d %d" % (p, number))
                        for p in range(PARTITIONS)]

    debug = {"debug": "msg", "retry.backoff.ms": 50}
    return {
        "plain": ("no fault; one group reads in batches",
                  [producer("plain", 200, 100)],
                  [group("plain"), group("plain", 2, batch=20, commit=100)], None),
        "refused": ("the broker refuses some requests, and nothing is retried",
                    [producer("refused", 200, 100, options={"retries": 0})], [],
                    spaced(errors(mocks["refused"], NOT_ENOUGH_REPLICAS, TOO_LARGE, FORBIDDEN), 0.4)),
        "retried": ("the broker refuses some requests, and they are sent again",
                    [producer("retried", 200, 100, options=debug, must_retry=True)], [group("retried")],
                    spaced(errors(mocks["retried"], NOT_ENOUGH_REPLICAS, TIMED_OUT), 0.5)),
        "timeout": ("the broker is away for longer than message.timeout.ms",
                    [producer("timeout", 200, 50, options={"message.timeout.ms": 500,
                                                           "reconnect.backoff.max.ms": 200})],
                    [group("timeout")], after(BEGIN_S, down("timeout"), 1.2, up("timeout"))),
        "leader": ("the partitions move to another broker and back",
                   [producer("leader", 200, 50, options=debug)], [group("leader")],
                   after(BEGIN_S, leader(2), BEGIN_S, leader(1))),
        "acks0": ("acks=0: no offset is told",
                  [producer("acks0", 100, 100, options={"acks": 0})], [group("acks0")], None),
        "abroad": ("every fifth message goes to a partition that is none",
                   [producer("abroad", 200, 100, abroad=5)], [], None),
        "local": ("the local queue is full, what is in it is purged",
                  [producer("local", 100, 0, hold="purge", options={
                      "queue.buffering.max.messages": 50})], [], None),
        "exit": ("the process ends and was not answered",
                 [producer("exit", 200, 100, hold="exit")], [], after(1.5, down("exit"))),
        "transactions": ("transactions that are committed, and every third aborted",
                         [producer("transactions", 150, 150, transaction=25, abort=3,
                                   options={"transactional.id": "t"})],
                         [], None),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--light", action="store_true")
    is_light = parser.parse_args().light
    lacking = session.missing()
    if lacking:
        checks.skip("mock", lacking)
        return checks.end()
    suite = "kafka-mock-light" if is_light else "kafka-mock"
    figures = session.Figures(suite, checks)
    names = ["plain", "refused", "retried", "timeout", "leader", "acks0", "abroad", "local",
             "transactions"] + ([] if is_light else ["exit"])
    with contextlib.ExitStack() as stack:
        mocks = {name: stack.enter_context(session.harness.Broker(
            "--brokers", "2" if name == "leader" else "1", "--partitions", str(PARTITIONS), name))
            for name in names}
        mocks["local"].command("down 1")
        known = scenarios(mocks)
        run = scenario.Run(session.work_directory(suite), [
            scenario.Scenario(name, how, mocks[name].address, makers, consumers, fault)
            for name in names for how, makers, consumers, fault in [known[name]]],
            ["--kafka-mode", "light" if is_light else "full"])
        verdict.report(run.go(), figures, suite.replace("-", "."))
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
