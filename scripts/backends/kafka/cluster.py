#!/usr/bin/python3
"""A Kafka cluster on loopback under a test's control: one node that is broker and controller, or a
controller and brokers apart, so that each broker can be stopped, killed, paused and started again.

    with Cluster(directory, brokers=2) as cluster:
        ... cluster.bootstrap ... cluster.nodes[0].stop(signal.SIGKILL) ... cluster.nodes[0].start()

    cluster.py [--brokers N] --dir DIR    for a person: prints the bootstrap list, holds the cluster
                                          until its standard input ends or SIGTERM

Everything lies in @directory: properties, data and log of each node. The ports are free ones, unless
given. A node ends with the thread that started it, by SIGKILL. Needs build.sh's jars and Java.
"""

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../../tests/acceptance"))

import ports as loopback  # noqa: E402

CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk"   # any 22 characters of base64; fixed, so that runs are alike
READY_S = 90                            # a start takes 3 s on an idle machine with 2 cores
STOP_S = 30                             # a controlled shutdown moves the leaders first
PR_SET_PDEATHSIG = 1
CONTROLLER = 1                          # node ids: the controller, then the brokers
# One compiler tier and one collector thread: a broker of a test lives for a minute.
JAVA = ("java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
        "-Dlog4j.configuration=file:" + os.path.join(HERE, "log4j.properties"))
COMMON = {
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "num.network.threads": 2,
    "num.io.threads": 2,
    "num.recovery.threads.per.data.dir": 1,
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": 16777216,
    "min.insync.replicas": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    # A broker that is killed loses its leadership after this long; 9 s by default.
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,
    "replica.lag.time.max.ms": 3000,
}


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Node:
    """One Java process; may be started again after its end, with the data that it left."""

    def __init__(self, directory, name, port, properties):
        self.name = name
        self.port = port
        self.data = os.path.join(directory, "data-" + name)
        self.properties = os.path.join(directory, name + ".properties")
        self.log = os.path.join(directory, name + ".log")
        self.process = None
        with open(self.properties, "w") as f:
            for key, value in {**COMMON, **properties, "log.dirs": self.data}.items():
                f.write("%s=%s\n" % (key, value))

    def java(self, libs, *arguments):
        return subprocess.Popen([*JAVA, "-cp", libs + "/*", *arguments],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=open(self.log, "ab"), preexec_fn=end_with_parent)

    def format(self, libs):
        """The storage of a new node; for it to be waited for."""
        return self.java(libs, "kafka.tools.StorageTool", "format", "--ignore-formatted",
                         "-t", CLUSTER_ID, "-c", self.properties)

    def start(self, libs):
        self.process = self.java(libs, "kafka.Kafka", self.properties)

    def wait_listening(self):
        wrong = loopback.wait(self.process.pid, [self.port], READY_S)
        if wrong:
            raise RuntimeError("node %s: %s; its log is %s" % (self.name, wrong, self.log))

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """SIGTERM: moves its leaders and ends by itself. SIGKILL: as in an accident."""
        if not self.is_running():
            return
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cluster:
    """@brokers 1: one node is all. More: a controller apart, and self.nodes are the brokers."""

    def __init__(self, directory, brokers=1, ports=()):
        self.directory = os.path.abspath(directory)
        self.libs = subprocess.run([os.path.join(HERE, "build.sh")], stdout=subprocess.PIPE,
                                   text=True, check=True).stdout.strip()
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        taken = list(ports) or loopback.free(brokers + 1)
        self.voter, taken = taken[0], taken[1:]
        self.replicas = brokers
        self.controller = None if brokers == 1 else self.node(
            "controller", self.voter, CONTROLLER, "controller")
        self.nodes = [self.node("broker-%d" % n, port, CONTROLLER + n,
                                "broker" if self.controller else "broker,controller")
                      for n, port in enumerate(taken, 1 if self.controller else 0)]
        self.bootstrap = ",".join("127.0.0.1:%d" % node.port for node in self.nodes)

    def node(self, name, port, number, roles):
        listeners = []
        if "broker" in roles:
            listeners.append("PLAINTEXT://127.0.0.1:%d" % port)
        if "controller" in roles:
            listeners.append("CONTROLLER://127.0.0.1:%d" % self.voter)
        properties = {
            "process.roles": roles,
            "node.id": number,
            "controller.quorum.voters": "%d@127.0.0.1:%d" % (CONTROLLER, self.voter),
            "listeners": ",".join(listeners),
            "default.replication.factor": self.replicas,
            "offsets.topic.replication.factor": self.replicas,
            "transaction.state.log.replication.factor": self.replicas,
        }
        if "broker" in roles:
            properties["advertised.listeners"] = listeners[0]
            properties["inter.broker.listener.name"] = "PLAINTEXT"
        return Node(self.directory, name, port, properties)

    def all(self):
        """The brokers first: one that ends wants to tell the controller."""
        return self.nodes + ([self.controller] if self.controller else [])

    def __enter__(self):
        try:
            for node in self.all():
                node.formatting = node.format(self.libs)
            for node in self.all():
                if node.formatting.wait(READY_S):
                    raise RuntimeError("node %s cannot be formatted: %s" % (node.name, node.log))
            for node in reversed(self.all()):
                node.start(self.libs)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """At once: what the brokers hold is of no use after the test."""
        for node in self.all():
            if node.process:
                node.stop(signal.SIGKILL)

    def restart(self, node):
        node.start(self.libs)
        self.wait_ready()

    def wait_ready(self):
        """Until every node listens and the controller has every broker that runs."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        running = [node for node in self.all() if node.is_running()]
        for node in running:
            node.wait_listening()
        wanted = {node.port for node in self.nodes if node in running}
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        end = time.monotonic() + READY_S
        while True:
            try:
                found = {broker.port for broker in admin.list_topics(timeout=1).brokers.values()}
            except KafkaException:
                found = set()
            if found >= wanted:
                return
            if time.monotonic() > end:
                raise RuntimeError("brokers at %s, wanted at %s" % (sorted(found), sorted(wanted)))
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dir", required=True, help="what is in it is removed")
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--ports", type=int, nargs="+", default=(),
                        help="of the controller, then of each broker; free ones by default")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Cluster(args.dir, args.brokers, args.ports) as cluster:
        print(cluster.bootstrap, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
