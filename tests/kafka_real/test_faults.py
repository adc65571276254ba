#!/usr/bin/python3
"""faults: a real Apache Kafka that restarts, dies, pauses, changes leaders, while clients with
confluent-kafka go on; every message's producer and consumer spans are held to what those clients
were told. --only NAME... runs those scenarios."""

import argparse
import os
import signal
import sys
import time

import scenario
import verdict

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts/backends/kafka"))

import cluster as kafka  # noqa: E402

PARTITIONS = 4
BEGIN_S = 1.5               # of undisturbed work before a fault
PAUSE_S = 1.5               # that a broker does not answer
DOWN_S = 3                  # longer than the message timeout of who is to see one
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
session = scenario.session
checks = session.harness.Checks()


def two_groups(name, **more):
    """One consumer that reads all, and two that share."""
    return [{"name": name + "-g1", "group": name + "-1", "commit": 100, **more},
            {"name": name + "-g2a", "group": name + "-2", **more},
            {"name": name + "-g2b", "group": name + "-2", **more}]


def producers(name, count, rate, **more):
    return [{"name": "%s-p%d" % (name, n), "count": count, "rate": rate, **more} for n in (1, 2)]


def plain(bootstrap):
    """No fault: each codec, each kind of acknowledgement, transactions."""
    def make(name, how, makers, consumers):
        return scenario.Scenario(name, how, bootstrap, makers, consumers)

    isolation = {"isolation.level": "read_uncommitted"}
    return [
        make("plain", "2 producers, 2 groups", producers("plain", 400, 200), two_groups("plain")),
        make("codecs", "a producer for each codec that librdkafka has, and a group that reads in "
             "batches",
             [{"name": "codecs-" + codec, "count": 100, "rate": 0, "value_bytes": 500,
               "options": {"compression.type": codec, "linger.ms": 20}} for codec in CODECS],
             [{"name": "codecs-g1", "group": "codecs-1", "batch": 20}]),
        make("acks0", "acks=0: no offset is told",
             [{"name": "acks0-p1", "count": 200, "rate": 100, "options": {"acks": 0}}],
             [{"name": "acks0-g1", "group": "acks0-1"}]),
        make("transactions", "transactional producer, every third aborted, one group that reads "
             "what is committed and one that reads all",
             [{"name": "txn-p1", "count": 300, "rate": 150, "transaction": 50, "abort": 3,
               "options": {"transactional.id": "txn-p1"}}],
             [{"name": "txn-g1", "group": "txn-1"},
              {"name": "txn-g2", "group": "txn-2", "options": isolation}]),
    ]


def faults(one):
    """Scenarios on the one broker, each alone, for the fault is everybody's."""
    broker = one.nodes[0]

    def restart(number, down_s=0):
        def fault():
            time.sleep(BEGIN_S)
            broker.stop(number)
            time.sleep(down_s)
            one.restart(broker)
        return fault

    def pause(times):
        def fault():
            for _ in range(times):
                time.sleep(BEGIN_S)
                broker.send(signal.SIGSTOP)
                time.sleep(PAUSE_S)
                broker.send(signal.SIGCONT)
        return fault

    def make(name, how, fault, options=None, count=900, rate=150, **more):
        return scenario.Scenario(name, how, one.bootstrap,
                                 producers(name, count, rate, options=options or {}, **more),
                                 two_groups(name), fault)

    quick = {"reconnect.backoff.max.ms": 500}
    impatient = {"socket.timeout.ms": 500, "retry.backoff.ms": 100, "debug": "msg", **quick}
    return [
        make("restart", "the broker ends by SIGTERM and starts again", restart(signal.SIGTERM),
             quick),
        make("kill", "the broker is killed and starts again", restart(signal.SIGKILL), quick),
        make("timeout", "the broker is away for longer than message.timeout.ms",
             restart(signal.SIGTERM, DOWN_S), {"message.timeout.ms": 1500, **quick}),
        make("retries", "the broker pauses twice for longer than socket.timeout.ms",
             pause(2), impatient, partitions=PARTITIONS, must_retry=True),
        make("idempotent", "an idempotent producer while the broker pauses twice",
             pause(2), {"enable.idempotence": True, **impatient}, partitions=PARTITIONS,
             must_retry=True),
    ]


def leaders(two):
    """A controller and two brokers, every partition on both: one broker goes and comes again."""
    def lose(number):
        def fault():
            time.sleep(BEGIN_S)
            two.nodes[1].stop(number)
            time.sleep(DOWN_S)
            two.restart(two.nodes[1])
        return fault

    options = {"acks": "all", "reconnect.backoff.max.ms": 500,
               "topic.metadata.refresh.interval.ms": 1000}
    return [scenario.Scenario(name, how, two.bootstrap,
                              producers(name, 1200, 150, options=options), two_groups(name),
                              lose(number))
            for name, how, number in (
                ("leader", "leadership moves from a broker that ends by SIGTERM", signal.SIGTERM),
                ("leader-kill", "a broker that leads is killed", signal.SIGKILL))]


def create_topics(cluster, names):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    topics = [NewTopic(name, PARTITIONS, cluster.replicas) for name in names]
    for future in admin.create_topics(topics).values():
        future.result(scenario.READY_S)


def run_on(brokers, groups, only, figures):
    """A cluster of so many brokers, and on it the runs that @groups(cluster) gives."""
    directory = session.work_directory("faults-%d" % brokers)
    with kafka.Cluster(os.path.join(directory, "kafka"), brokers) as cluster:
        runs = [[s for s in group if not only or s.name in only] for group in groups(cluster)]
        create_topics(cluster, [s.name for group in runs for s in group] or ["none"])
        for group in filter(None, runs):
            run = scenario.Run(os.path.join(directory, group[0].name), group)
            verdict.report(run.go(), figures, "kafka.real")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[])
    only = parser.parse_args().only
    lacking = session.missing()
    if lacking:
        checks.skip("faults", lacking)
        return checks.end()
    figures = session.Figures("kafka-real", checks)
    run_on(1, lambda one: [plain(one.bootstrap), *([s] for s in faults(one))], only, figures)
    run_on(2, lambda two: [[s] for s in leaders(two)], only, figures)
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
