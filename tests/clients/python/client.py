#!/usr/bin/python3
"""client.py: a Kafka client as one is written with confluent-kafka; it knows nothing of tracing.

    client.py produce|consume BROKERS TOPIC COUNT RUN

RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group. consume
prints a line a message: partition, offset, key, traceparent.
"""

import sys

import confluent_kafka

QUIET_S = 60        # a consumer that gets nothing for so long gives up


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


def consume(brokers, topic, count, run):
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": brokers, "client.id": "reader", "group.id": run,
        "auto.offset.reset": "earliest", "session.timeout.ms": 6000})
    consumer.subscribe([topic])
    for n in range(count):
        message = consumer.poll(QUIET_S)
        if message is None:
            return "only %d messages" % n
        if message.error():
            return str(message.error())
        headers = dict(message.headers() or [])
        print(message.partition(), message.offset(), message.key().decode(),
              headers.get("traceparent", b"-").decode())
    consumer.close()
    return None


def main():
    _, verb, brokers, topic, count, run = sys.argv
    return {"produce": produce, "consume": consume}[verb](brokers, topic, int(count), run)


sys.exit(main())
