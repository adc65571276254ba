#!/usr/bin/python3
"""clients: unmodified Kafka clients of several languages produce and consume under the tracer, and
each message has one producer span and one consumer span below it.

    test_clients.py [--quick] [CLIENT...]

Each client first runs alone, which proves that the test's truth holds without a tracer; then traced;
then with a tracer that dies by SIGKILL in the midst. --quick: those of Debian's packages only, and
fewer messages.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../e2e/platform"))

import session  # noqa: E402

import joins  # noqa: E402
import programs  # noqa: E402

PLAIN, QUICK, KILLED = 10000, 1000, 50000       # messages
QUICK_CLIENTS = ("kcat", "python_debian")
KCAT_KILLED = 5000      # one process for so few messages each: it would take a minute
CONSUMER_S = 1          # until a consumer has loaded its librdkafka and asks the broker
ATTACH_S = 2            # the same, and until the tracer has found it
JOIN_S = 4              # until the mock cluster has given the group its partitions
UNTIL_KILL_S = 0.1      # from the producer's start
DONE_S = 120
BATCH_LEAST = 10        # messages in a batch, on average; the client asks for up to 500
QUIET_S = 0.5           # for the last acknowledgements and commits
checks = session.harness.Checks()


class Pair:
    """A producer and a consumer; the producer waits until it is let go."""

    def __init__(self, client, built, run):
        self.client = client
        self.run = run
        self.producing, self.consuming = programs.commands(client, built, run)
        self.output = os.path.join(run.directory, "consumed")
        self.producer = self.consumer = None

    def start(self):
        self.start_consumer()
        self.start_producer()

    def start_consumer(self):
        with open(self.output, "wb") as out:
            self.consumer = subprocess.Popen(self.consuming, stdin=subprocess.DEVNULL, stdout=out)

    def start_producer(self):
        """A shell that becomes it: its pid is known before it does anything."""
        self.producer = subprocess.Popen(
            ["/bin/sh", "-c", 'read go; exec "$@" </dev/null', "sh", *self.producing],
            stdin=subprocess.PIPE)

    def let_go(self):
        self.producer.stdin.write(b"go\n")
        self.producer.stdin.close()

    def wait(self):
        """What is wrong with their ends; None: nothing."""
        codes = [self._code(self.consumer)]
        if self.client.is_daemon:
            self.producer.terminate()
        codes.append(self._code(self.producer))
        return codes != [0, 0] and "consumer and producer ended with %s" % codes or None

    @staticmethod
    def _code(process):
        try:
            return process.wait(DONE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "none in %d s" % DONE_S

    def kill(self):
        for process in (self.producer, self.consumer):
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def script(self):
        """Both in one shell, for a tracer that starts it: its code is that of the first to fail."""
        return ["/bin/sh", "-c", '"%s" "$@" >%s & sleep %d; %s && wait $!' % (
            self.consuming[0], self.output, ATTACH_S, " ".join(self.producing)),
            "sh", *self.consuming[1:]]

    def truth(self):
        return joins.truth_of(self.output, self.run.count, self._header)

    def _header(self, n):
        if self.client.headers == "none":
            return None, True
        if self.client.headers == "process":
            first = n - (n - 1) % programs.KCAT_MESSAGES
            return programs.traceparent(self.run.id, first), True
        return programs.traceparent(self.run.id, n), False


def new_run(brokers, client, count, directory):
    os.makedirs(directory)
    return programs.Run(brokers, "t-" + client.name, count, secrets.token_hex(4), directory)


def run_alone(client, built, count, directory):
    with session.harness.Broker("t-" + client.name) as broker:
        pair = Pair(client, built, new_run(broker.address, client, count, directory))
        try:
            pair.start()
            pair.let_go()
            ended = pair.wait()
        finally:
            pair.kill()
    _, wrong = pair.truth()
    checks.check(client.name + ": untraced, it does what the test believes",
                 ended or wrong, "%d messages" % count)
    return not ended and not wrong


class Traced:
    """A pair under a tracer that finds it as the client's row says."""

    def __init__(self, client, built, run):
        self.client = client
        self.pair = Pair(client, built, run)
        self.spans_file = os.path.join(run.directory, "otlp.json")
        self.options = ["trace", "--otlp-file", self.spans_file]
        self.directory = run.directory
        self.tracer = None
        self.ended = self.code = None

    def go(self):
        try:
            {"pid": self._by_pid, "exe": self._by_path, "cmd": self._as_child}[
                self.client.attach]()
        finally:
            self.pair.kill()
            if self.tracer:
                self.tracer.kill()
        return self

    def start(self, *how):
        self.tracer = session.Tracer(self.directory, "tracer", *self.options, *how)
        self.tracer.start()

    def _by_pid(self):
        self.pair.start()
        time.sleep(CONSUMER_S)
        self.start("--pid", str(self.pair.consumer.pid), "--pid", str(self.pair.producer.pid))
        self.pair.let_go()
        self._end()

    def _by_path(self):
        self.start("--exe", os.path.realpath(self.pair.producing[0]))
        self.pair.start()
        time.sleep(ATTACH_S)
        self.pair.let_go()
        self._end()

    def _as_child(self):
        self.tracer = session.Tracer(self.directory, "tracer", *self.options, "--",
                                     *self.pair.script())
        self.tracer.spawn()
        self.code = self.pair._code(self.tracer.process)
        self.ended = self.code != 0 and "the command and its tracer ended with %s" % self.code

    def _end(self):
        self.ended = self.pair.wait()
        time.sleep(QUIET_S)
        self.code = self.tracer.stop()


def run_traced(client, built, count, directory, add):
    with session.harness.Broker("t-" + client.name) as broker:
        run = new_run(broker.address, client, count, directory)
        traced = Traced(client, built, run).go()
    truth, wrong = traced.pair.truth()
    counters = session.Counters(traced.tracer.said())
    name = client.name + ": "
    checks.check(name + "traced, it does the same", traced.ended or wrong)
    checks.check(name + "the tracer ends as asked, its sums agree, nothing was lost",
                 (traced.code != 0 and "it ended with %s" % traced.code) or counters.disagree() or
                 counters.lost())
    v = joins.Verdict(truth, joins.read_spans(traced.spans_file), run.topic)
    how = "traced by %s; a span counts when partition, offset%s are those of the consumer's own " \
        "output" % ({"pid": "--pid", "cmd": "-- command", "exe": "--exe"}[client.attach], {
            "message": ", trace id and span id", "process": " and trace id (a kcat puts one "
            "header on its %d messages)" % programs.KCAT_MESSAGES,
            "none": " (Debian's omkafka sends no headers; kcat reads)"}[client.headers])
    add(client.name + ".produced", v.produced, how, v.findings["produced"])
    add(client.name + ".consumed", v.consumed, how, v.findings["consumed"])
    add(client.name + ".joined", v.joined, how + "; joined: parent and only link are the "
        "producer's span (a batch: its link)", v.findings["joined"])
    checks.check(name + "no span of no message, no id twice", v.others + v.twice)
    if client.verb == "consume-batches":
        spans = len(set(v.consumers.values()))
        checks.check(name + "a span tells of many messages", spans * BATCH_LEAST > count and
                     "%d spans" % spans, "%d spans" % spans)


def run_killed(client, built, count, directory):
    with session.harness.Broker("t-" + client.name) as broker:
        traced = Traced(client, built, new_run(broker.address, client, count, directory))
        pair = traced.pair
        try:
            pair.start()
            time.sleep(JOIN_S)
            traced.start("--pid", str(pair.consumer.pid), "--pid", str(pair.producer.pid))
            pair.let_go()
            time.sleep(UNTIL_KILL_S)
            were_busy = pair.consumer.poll() is None and pair.producer.poll() is None
            traced.tracer.kill()
            ended = pair.wait()
        finally:
            pair.kill()
            if traced.tracer:
                traced.tracer.kill()
    _, wrong = pair.truth()
    checks.check(client.name + ": it does not suffer when the tracer dies in the midst",
                 ended or wrong or (not were_busy and "it was over before"),
                 "%d messages" % count)


def collect(command, directory):
    """(partition, offset) -> key of all that the command prints."""
    path = os.path.join(directory, command[-1])
    with open(path, "wb") as out:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, timeout=DONE_S, check=True)
    return {where: key for where, (key, _) in joins.read_output(path)[0].items()}


def run_relay(client, built, count, directory, figures):
    """A client that sends again what it reads: nothing of that may get another message for its
    parent, whatever threads of the system have to do with it."""
    with session.harness.Broker("t-" + client.name, "t-%s-relayed" % client.name) as broker:
        run = new_run(broker.address, client, count, directory)
        subprocess.run(programs.call(client, built, "produce", run), check=True, timeout=DONE_S)
        traced = Traced(client, built, run)
        traced.pair.producing = programs.call(client, built, "relay", run)
        try:
            traced.pair.start_producer()
            traced.start("--pid", str(traced.pair.producer.pid))
            traced.pair.let_go()
            code = traced.pair._code(traced.pair.producer)
            time.sleep(QUIET_S)
            traced.tracer.stop()
            truth = collect(programs.kcat_plain(run), directory)
            copies = collect(programs.kcat_plain(run, run.topic + "-relayed"), directory)
        finally:
            traced.pair.kill()
            if traced.tracer:
                traced.tracer.kill()
    checks.check(client.name + ": the relay ends well", code != 0 and "with %s" % code)
    seen, right, wrong = joins.relayed(truth, copies, joins.read_spans(traced.spans_file),
                                       run.topic)
    how = client.relay + ", without headers"
    figures.add("kafka.clients.%s.relay_seen" % client.name, seen, "spans", "== %d" % count, how)
    figures.add("kafka.clients.%s.relay_right" % client.name, right, "spans",
                "== %d" % count if client.is_one_thread else None, how + "; below their own message's span")
    figures.add("kafka.clients.%s.relay_wrong_parents" % client.name, len(wrong), "spans", "== 0",
                how, wrong)


def run_client(client, args, figures):
    count = QUICK if args.quick else PLAIN
    directory = session.work_directory("clients-quick" if args.quick else "clients", client.name)
    prefix = "kafka.clients.quick." if args.quick else "kafka.clients."
    begin = time.monotonic()
    try:
        built = programs.build(client)
    except RuntimeError as error:
        checks.check(client.name + ": it can be built", str(error))
        return
    begin, seconds = time.monotonic(), time.monotonic() - begin
    print("       %s: %s, %d s" % (client.name, built or "Debian's package", seconds), flush=True)

    def add(name, value, how, findings):
        figures.add(prefix + name, value, "messages", "== %d" % count, how, findings)

    if not args.quick and not run_alone(client, built, count, os.path.join(directory, "alone")):
        return
    run_traced(client, built, count, os.path.join(directory, "traced"), add)
    if args.quick:
        return
    run_killed(client, built, KCAT_KILLED if client.headers == "process" else KILLED,
               os.path.join(directory, "killed"))
    if client.relay:
        run_relay(client, built, count, os.path.join(directory, "relay"), figures)
    print("       %s: %d s" % (client.name, time.monotonic() - begin), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("client", nargs="*")
    args = parser.parse_args()
    lacking = session.missing()
    if lacking:
        checks.skip("clients", lacking)
        return checks.end()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    wanted = args.client or (QUICK_CLIENTS if args.quick else
                             [client.name for client in programs.CLIENTS])
    figures = session.Figures("clients-quick" if args.quick else "clients", checks)
    for client in programs.CLIENTS:
        if client.name in wanted:
            run_client(client, args, figures)
    checks.check("every client asked for is there",
                 set(wanted) - {client.name for client in programs.CLIENTS})
    return checks.end()


sys.exit(main())
