#!/usr/bin/python3
"""client: an ordinary program with confluent-kafka, that writes what it was told of each message.

    client.py JSON      one producer or one consumer; what the JSON may say stands at DEFAULTS

Prints "ready", waits for a line, works. Its log, JSON lines, is the truth that a tracer is held to:
what the delivery reports and the consumed messages said, with the wall-clock times (ns) around each
call. A message is known by its header "id"; its key and value are for the broker's sake. A producer
ends by itself, once every message is reported; a consumer at the next line or the input's end.
"""

import json
import os
import select
import sys
import time

DEFAULTS = {
    "role": None,           # "produce" | "consume"
    "name": None,           # client.id, and the beginning of each id
    "log": None,            # file
    "bootstrap": None,
    "topic": None,
    "options": {},          # librdkafka's
    # producers
    "count": 0,
    "rate": 200,            # messages/s; 0: as fast as it goes
    "partitions": 0,        # > 0: message n goes to n modulo this; 0: the library's choice
    "value_bytes": 100,
    "headers": 2,           # every such message carries a traceparent; 0: none does
    "abroad": 0,            # > 0: every such message goes to a partition that is none
    "transaction": 0,       # messages in each
    "abort": 0,             # every such transaction
    "hold": "",             # "purge": at the end, instead of a flush; "exit": end without either
    "must_retry": False,    # for who judges: the library's log has to tell of a retry
    # consumers
    "group": None,
    "batch": 1,             # messages asked for at once
    "commit": 0,            # by hand after so many; 0: automatically
}
FLUSH_S = 60                # more than any message timeout here
PAUSE_S = 0.02              # between looks while nothing is to do
NO_OFFSET = -1001
NO_PARTITION = 9999
TOMBSTONE, KEYLESS = 10, 7  # every such message has no value, no key


class Log:
    """One write a line: what was written stays, whatever ends the process."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)

    def write(self, event, **fields):
        os.write(self.fd, (json.dumps({"event": event, **fields}) + "\n").encode())


def error_name(error):
    """librdkafka's enum name, as tracers spell it: without its prefix and leading underscores."""
    return error.name().lstrip("_") if error else None


class Producer:
    def __init__(self, work, log):
        from confluent_kafka import KafkaException, Producer as Client

        self.work, self.log = work, log
        self.failure = KafkaException
        self.client = Client({
            "bootstrap.servers": work["bootstrap"], "client.id": work["name"],
            "linger.ms": 5, **work["options"]})
        self.open = 0               # produced and not reported
        self.ids = []               # of the transaction

    def on_delivery(self, identity):
        def report(error, message):
            self.open -= 1
            self.log.write("delivered", id=identity, ts=time.time_ns(), error=error_name(error),
                           topic=message.topic(), partition=message.partition(),
                           offset=NO_OFFSET if message.offset() is None else message.offset())
        return report

    def message(self, n):
        identity = "%s-%d" % (self.work["name"], n)
        headers = [("id", identity.encode())]
        if self.work["headers"] and n % self.work["headers"] == 0:
            headers.append(("traceparent",
                            "00-%s-%s-01" % (os.urandom(16).hex(), os.urandom(8).hex())))
        partition = n % self.work["partitions"] if self.work["partitions"] else None
        if self.work["abroad"] and n % self.work["abroad"] == self.work["abroad"] - 1:
            partition = NO_PARTITION
        return identity, partition, {
            "headers": headers,
            "key": None if n % KEYLESS == KEYLESS - 1 else identity,
            "value": None if n % TOMBSTONE == TOMBSTONE - 1 else b"v" * self.work["value_bytes"]}

    def produce(self, n):
        identity, partition, arguments = self.message(n)
        where = {} if partition is None else {"partition": partition}
        headers = dict(arguments["headers"])
        error, begin = None, time.time_ns()
        try:
            self.client.produce(self.work["topic"], on_delivery=self.on_delivery(identity),
                                **where, **arguments)
        except BufferError:
            error = "QUEUE_FULL"
        except self.failure as e:
            error = error_name(e.args[0])
        end = time.time_ns()
        value = arguments["value"]
        self.log.write("produced", id=identity, begin=begin, end=end, error=error, n=n,
                       topic=self.work["topic"], partition=partition,
                       bytes=None if value is None else len(value),
                       traceparent=headers.get("traceparent"))
        if error is None:
            self.open += 1
            self.ids.append(identity)

    def pace(self, begin, n):
        """Serves reports while it is too early for message @n."""
        self.client.poll(0)
        if self.work["rate"]:
            left = begin + n / self.work["rate"] - time.monotonic()
            while left > 0:
                self.client.poll(min(left, PAUSE_S))
                left = begin + n / self.work["rate"] - time.monotonic()

    def end_transaction(self, number):
        """One that fails half-way is aborted, as the library demands of its users."""
        outcome = "abort" if self.work["abort"] and \
            number % self.work["abort"] == self.work["abort"] - 1 else "commit"
        error, begin = None, time.time_ns()
        try:
            if outcome == "commit":
                self.client.commit_transaction()
            else:
                self.client.abort_transaction()
        except self.failure as e:
            error = error_name(e.args[0])
        self.log.write("transaction", ids=self.ids, outcome=outcome, error=error, begin=begin,
                       end=time.time_ns())
        self.ids = []

    def run(self):
        size = self.work["transaction"]
        if size:
            self.client.init_transactions()
        begin = time.monotonic()
        for n in range(self.work["count"]):
            if size and n % size == 0:
                self.client.begin_transaction()
            self.pace(begin, n)
            self.produce(n)
            if size and (n + 1) % size == 0:
                self.end_transaction(n // size)
        if self.work["hold"] == "exit":
            os._exit(0)
        if self.work["hold"] == "purge":
            self.client.purge()
        self.client.flush(FLUSH_S)
        self.log.write("end", open=self.open)


class Consumer:
    def __init__(self, work, log):
        from confluent_kafka import Consumer as Client, KafkaException

        self.work, self.log = work, log
        self.failure = KafkaException
        self.client = Client({
            "bootstrap.servers": work["bootstrap"], "client.id": work["name"],
            "group.id": work["group"], "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50,
            "enable.auto.commit": not work["commit"], **work["options"]})
        self.seen = 0
        self.calls = 0

    def poll(self):
        if self.work["batch"] > 1:
            return self.client.consume(self.work["batch"], PAUSE_S)
        message = self.client.poll(PAUSE_S)
        return [] if message is None else [message]     # a tombstone's length is 0

    def commit(self):
        error, begin = None, time.time_ns()
        try:
            positions = self.client.commit(asynchronous=False)
        except self.failure as e:
            error, positions = error_name(e.args[0]), []
        self.log.write("commit", error=error, begin=begin, end=time.time_ns(),
                       positions=[[p.topic, p.partition, p.offset, error_name(p.error)]
                                  for p in positions or []])

    def take(self, messages, ts):
        self.calls += 1
        for message in messages:
            if message.error():
                self.log.write("consumer_error", ts=ts, error=error_name(message.error()))
                continue
            headers = dict(message.headers() or [])
            self.log.write("consumed", id=headers.get("id", b"").decode(), ts=ts, call=self.calls,
                           topic=message.topic(), partition=message.partition(),
                           offset=message.offset(),
                           bytes=None if message.value() is None else len(message.value()))
            self.seen += 1
            if self.work["commit"] and self.seen % self.work["commit"] == 0:
                self.commit()

    def run(self):
        self.client.subscribe(
            [self.work["topic"]],
            on_assign=lambda _, p: self.log.write("assign", ts=time.time_ns(), count=len(p)),
            on_revoke=lambda _, p: self.log.write("revoke", ts=time.time_ns(), count=len(p)))
        while not select.select([sys.stdin], [], [], 0)[0]:
            messages = self.poll()
            if messages:
                self.take(messages, time.time_ns())
        self.client.close()
        self.log.write("end", seen=self.seen)


def main():
    work = {**DEFAULTS, **json.loads(sys.argv[1])}
    log = Log(work["log"])
    client = (Producer if work["role"] == "produce" else Consumer)(work, log)
    print("ready", flush=True)
    sys.stdin.readline()
    client.run()


if __name__ == "__main__":
    main()
