"""joins: compares the spans of one topic with what the consumer printed of its messages.

The truth is the consumer's own output (partition, offset, key, headers of each message) and the ids
that the test put into the messages; nothing of it comes from the tracer.
"""

import collections
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../acceptance"))

import trees  # noqa: E402

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")

# what a message carried; span: None where its header is shared with other messages, so that no
# producer's span may be expected to have just that id
Message = collections.namedtuple("Message", "n trace span header_span")


class Span:
    def __init__(self, fields):
        self.name = fields["name"]
        self.kind = fields["kind"]
        self.id = (fields["trace"], fields["span"])
        self.parent = fields["parent"] or None
        self.attributes = {key: value for key, _, value in fields["attributes"]}
        self.links = [((link[0], link[1]), {key: value for key, _, value in link[4]})
                      for link in fields["links"]]

    def __repr__(self):
        return "%s %s-%s" % (self.name, *self.id)


def spans_of(request):
    return [Span(fields) for fields in trees.otlp_spans(request)]


def read_spans(path):
    with open(path) as f:
        return [span for line in f for span in spans_of(json.loads(line))]


def place(attributes):
    """(partition, offset); None where either is unknown."""
    partition = attributes.get("messaging.destination.partition.id")
    offset = attributes.get("messaging.kafka.offset")
    return (int(partition), offset) if partition and offset is not None else None


def read_output(path):
    """(partition, offset) -> (key, headers as text), of lines that a consumer printed whole."""
    with open(path) as f:
        lines = [line.rstrip("\n").split(" ", 3) for line in f if line.endswith("\n")]
    return {(int(line[0]), int(line[1])): (line[2], line[3] if len(line) > 3 else "")
            for line in lines}, len(lines)


def truth_of(path, count, header_of):
    """((partition, offset) -> Message, what is wrong with the client itself).

    header_of(n): (traceparent of message n or None, whether other messages carry it too)
    """
    output, lines = read_output(path)
    keys = {"k%d" % n: n for n in range(1, count + 1)}
    truth, wrong = {}, []
    if lines != count:
        wrong.append("%d messages, not %d" % (lines, count))
    for where, (key, text) in output.items():
        n = keys.pop(key, None)
        if n is None:
            wrong.append("key %s is unexpected or came twice, at %s" % (key, where))
            continue
        expected, is_shared = header_of(n)
        found = TRACEPARENT.search(text)
        if (found and found.group(0)) != expected:
            wrong.append("message %d: header %s, not %s" % (n, text, expected))
        trace, span = found.groups() if found else (None, None)
        truth[where] = Message(n, trace, None if is_shared else span, span)
    if keys:
        wrong.append("%d messages never came, as %s" % (len(keys), next(iter(keys))))
    return truth, wrong


class Verdict:
    """How many messages have just one right producer span, just one consumer span, and a right
    edge between them. findings: what is wrong, in sentences, by that word."""

    def __init__(self, truth, spans, topic):
        self.truth = truth
        self.findings = collections.defaultdict(list)
        self.producers, self.consumers = {}, {}
        self.others = []        # spans of the topic that are no message's
        mine = [s for s in spans if s.attributes.get("messaging.destination.name") == topic]
        sent = self._by_message([s for s in mine if s.kind == "producer"], self._places_sent)
        read = self._by_message([s for s in mine if s.kind == "consumer"], self._places_read)
        ids = collections.Counter(s.id for s in mine)
        self.twice = sorted("%s-%s" % id for id, times in ids.items() if times > 1)
        for where, message in truth.items():
            self._judge_producer(where, message, sent[where])
            self._judge_consumer(where, message, read[where])
        self.joined = sum(self._is_joined(where) for where in truth)

    @property
    def produced(self):
        return len(self.producers)

    @property
    def consumed(self):
        return len(self.consumers)

    def _by_message(self, spans, places):
        found = collections.defaultdict(list)
        for span in spans:
            for where in places(span):
                if where in self.truth:
                    found[where].append(span)
                else:
                    self.others.append("%s at %s" % (span, where))
        return found

    @staticmethod
    def _places_sent(span):
        return [place(span.attributes)]

    @staticmethod
    def _places_read(span):
        """A batch's span tells of each message by a link; one that it cannot place counts as
        another's, at None."""
        if "messaging.batch.message_count" not in span.attributes:
            return [place(span.attributes)]
        places = [place(attributes) for _, attributes in span.links]
        unknown = span.attributes["messaging.batch.message_count"] - len(places)
        return places + [None] * unknown

    def _judge_producer(self, where, message, spans):
        said = self.findings["produced"].append
        if len(spans) != 1:
            said("message %d: %d producer spans" % (message.n, len(spans)))
            return
        span = spans[0]
        if message.trace and span.id[0] != message.trace:
            said("message %d: %r, not in the trace of its header" % (message.n, span))
        elif message.span and span.id[1] != message.span:
            said("message %d: %r, not with the id of its header" % (message.n, span))
        elif span.parent not in (None, message.header_span):
            said("message %d: %r has the parent %s" % (message.n, span, span.parent))
        else:
            self.producers[where] = span

    def _judge_consumer(self, where, message, spans):
        if len(spans) != 1:
            self.findings["consumed"].append(
                "message %d: %d consumer spans" % (message.n, len(spans)))
            return
        self.consumers[where] = spans[0]

    def _is_joined(self, where):
        producer, consumer = self.producers.get(where), self.consumers.get(where)
        if not producer or not consumer:
            return False
        if "messaging.batch.message_count" in consumer.attributes:
            links = [id for id, attributes in consumer.links if place(attributes) == where]
            parent, wanted = consumer.parent, None
        else:
            links = [id for id, _ in consumer.links]
            parent, wanted = (consumer.id[0], consumer.parent), producer.id
        wrong = []
        if links != [producer.id]:
            wrong.append("links %s" % links)
        if parent != wanted:
            wrong.append("the parent %s" % (parent,))
        if wrong:
            self.findings["joined"].append("message %d: %r has %s, its producer is %r" % (
                self.truth[where].n, consumer, " and ".join(wrong), producer))
        return not wrong


def relayed(truth, copies, spans, topic):
    """Of messages that a client read and sent again with the same key: (copies with one producer
    span, of these those below their own message's consumer span, those below anything else).

    truth, copies: (partition, offset) -> key, of the topic read and of <topic>-relayed
    """
    reading = {}
    for span in spans:
        if span.kind == "consumer" and span.attributes.get("messaging.destination.name") == topic:
            where = place(span.attributes)
            reading[truth[where] if where in truth else None] = span
    sent = collections.defaultdict(list)
    for span in spans:
        if span.kind == "producer" and \
                span.attributes.get("messaging.destination.name") == topic + "-relayed":
            sent[copies.get(place(span.attributes))].append(span)
    seen = {key: found[0] for key, found in sent.items() if key and len(found) == 1}
    right = {key for key, span in seen.items() if key in reading and
             (span.id[0], span.parent) == reading[key].id}
    wrong = ["%s: %r has the parent %s" % (key, span, span.parent)
             for key, span in seen.items() if span.parent and key not in right]
    return len(seen), len(right), wrong
