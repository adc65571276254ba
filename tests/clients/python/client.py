#!/usr/bin/python3
"""client.py: a Kafka client as one is written with confluent-kafka; it knows nothing of tracing.

    client.py produce|consume|consume-batches|relay BROKERS TOPIC COUNT RUN

RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group. consume
prints a line a message: partition, offset, key, traceparent. relay produces, for each message that
it reads, one without headers and with the same key to TOPIC-relayed.
"""

import sys

import confluent_kafka

QUIET_S = 60        # a consumer that gets nothing for so long gives up
BATCH = 500         # messages at once, and how long to wait until there are so many
BATCH_S = 0.2


def traceparent(run, n):
    """Each message has a trace and a span of its own."""
    return "00-%s%024x-%s%08x-01" % (run, n, run, n)


def produce(brokers, topic, count, run):
    failed = []
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "client.id": "maker"})
    for n in range(1, count + 1):
        producer.produce(topic, key="k%d" % n, value="value %d" % n,
                         headers=[("n", str(n)), ("traceparent", traceparent(run, n))],
                         on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    left = producer.flush(QUIET_S)
    return "%d failed, the first: %s" % (len(failed), failed[0]) if failed else \
        "%d not delivered" % left if left else None


def read(brokers, topic, count, run, batch=None):
    """The messages, one by one, or as many at once as there are, up to batch."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "client.id": "reader", "group.id": run,
        "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    consumer.subscribe([topic])
    n = 0
    while n < count:
        messages = consumer.consume(batch, BATCH_S) if batch else [consumer.poll(QUIET_S)]
        for message in messages:
            if message is None or message.error():
                raise RuntimeError(message.error() if message else "only %d messages" % n)
            n += 1
            yield message
    consumer.close()


def consume(brokers, topic, count, run, batch=None):
    for message in read(brokers, topic, count, run, batch):
        headers = dict(message.headers() or [])
        print(message.partition(), message.offset(), message.key().decode(),
              headers.get("traceparent", b"-").decode())


def consume_batches(*args):
    return consume(*args, BATCH)


def relay(brokers, topic, count, run):
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "client.id": "maker"})
    for message in read(brokers, topic, count, run):
        producer.produce(topic + "-relayed", key=message.key(), value=message.value())
        producer.poll(0)
    left = producer.flush(QUIET_S)
    return "%d not delivered" % left if left else None


def main():
    _, verb, brokers, topic, count, run = sys.argv
    return {"produce": produce, "consume": consume, "consume-batches": consume_batches,
            "relay": relay}[verb](brokers, topic, int(count), run)


sys.exit(main())
