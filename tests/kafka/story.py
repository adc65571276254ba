"""story: a small exercise, made up: what the plugin and the exerciser would write, and the spans of
a tracer that saw everything. Told message by message; judge.py and lines.py have no part in it.
"""

import json

WALL = 1_700_000_000_000_000_000
US = 1000
PID, PRODUCING, CONSUMING, BROKER = 77, 77, 77, 80
KINDS = {"client": 3, "producer": 4, "consumer": 5}
WORDS = {"send": ("producer", "send"), "process": ("consumer", "process"),
         "poll": ("client", "receive"), "commit": ("client", "settle")}


def attribute(key, value):
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": value}}


def hexed(text):
    return None if text is None else text.encode("latin-1").hex()


class Story:
    def __init__(self):
        self.now = 1_000_000 * US
        self.lines = []
        self.spans = {}         # label -> a span; "twice" may add more of one
        self.doubles = []
        self.made = 0
        self.producers = {}     # (partition, offset) -> span
        self.contents = {}
        self.last = {}          # partition -> its last offset
        self.write("client", client="made-up#producer-1", client_id="p", version="2.0.2",
                   type="producer", wall_offset=WALL)
        self.send("headed", 0, 0, "key", 10, "a" * 32, "b" * 16)
        self.send("bare", 0, 1, None, 11)
        self.send("null", 0, 2, "k\xff", None)
        self.send("unacked", 0, -1001, "key", 13, status=1)
        self.send("failed", -1, -1001, "key", 14, error=(-192, "_MSG_TIMED_OUT"), status=0)
        self.send("one", 1, 0, "x", 15)
        self.send("two", 2, 0, "y", 16, "c" * 32, "d" * 16)
        self.take("took headed", 0, 0)
        self.take("took bare", 0, 1)
        self.take("took again", 0, 1, client="c2", group="g2")
        self.batch("batch", [(1, 0), (2, 0)])
        self.take("first", 1, 0, client="read-group", group="g3")
        self.spans["first"]["events"] = [("rebalance", {
            "spanstitch.kafka.rebalance": "assign", "spanstitch.kafka.partitions": 4})]
        self.commit("commit", [(0, 2)], asked=True)
        self.commit("commits", [(1, 1), (2, 1)], asked=False)
        self.send("in txn", 3, 0, "z", 17, client="txn")
        self.transaction("in txn", ("commit", "NO_ERROR"))
        self.send("in another txn", 3, 2, "z", 17, client="txn")
        self.transaction("in another txn", ("commit", "_TIMED_OUT"), ("abort", "NO_ERROR"))
        self.send("retried", 3, 1, "z", 18, client="retry-1", retries=2)
        self.refused("refused")
        self.unheard("unheard")

    def write(self, role, tid=PRODUCING, **fields):
        self.lines.append({"role": role, "t": self.now, "pid": PID, "tid": tid, **fields})

    def pass_us(self, us):
        self.now += us * US
        return self.now + WALL

    def span(self, label, operation, topic, client, **attributes):
        """With ids of its own, and in nobody's trace."""
        self.made += 1
        kind, word = WORDS[operation]
        self.spans[label] = span = {
            "trace": "%032x" % (0xe000 + self.made), "id": "%016x" % (0xf000 + self.made),
            "parent": "", "kind": kind, "name": operation, "links": [],
            "start": self.now + WALL, "end": self.now + WALL, "error": False, "events": [],
            "attributes": {
                "messaging.system": "kafka", "messaging.operation.name": operation,
                "messaging.operation.type": word, "messaging.client.id": client, **attributes}}
        if topic:
            span["name"] += " " + topic
            span["attributes"]["messaging.destination.name"] = topic
        return span

    @staticmethod
    def content(key, size):
        """As attributes."""
        told = {}
        if key is not None:
            told["messaging.kafka.message.key"] = hexed(key) if max(key) > "\x7f" else key
        if size is None:
            told["messaging.kafka.message.tombstone"] = True
        else:
            told["messaging.message.body.size"] = size
        return told

    def send(self, label, partition, offset, key, size, trace=None, parent=None, status=2,
             error=(0, "NO_ERROR"), client="p", retries=0):
        headers = [["6b", "00"]]
        if trace:
            text = "00-%s-%s-01" % (trace, parent)
            headers.append([hexed("traceparent"), hexed(text)])
        span = self.span(label, "send", "t", client, **self.content(key, size))
        if trace:
            span["trace"], span["id"] = trace, parent
        common = {"client": "made-up#producer-1", "client_id": client, "topic": "t",
                  "msg": hex(0x1000 + self.made)}
        self.write("send", partition=partition, offset=0, key=hexed(key), size=size,
                   headers=headers, **common)
        self.pass_us(100)
        request = {"client": "made-up#producer-1", "client_id": client, "broker": 1,
                   "corrid": self.made}
        for _ in range(retries):
            self.write("request", BROKER, **request)
            self.pass_us(100)
            span["attributes"]["spanstitch.kafka.retries"] = retries
        self.write("request", BROKER, **request)
        self.pass_us(200)
        if not error[0]:
            self.write("response", BROKER, rtt_us=200, err=0, error="NO_ERROR",
                       **{**request, "corrid": 0})
            span["attributes"]["spanstitch.kafka.queue_us"] = 100 * (retries + 1)
            span["attributes"]["spanstitch.kafka.broker_us"] = 200
        self.write("ack", BROKER, partition=partition, offset=offset, err=error[0],
                   error=error[1], status=status, **common)
        span["end"] = self.now + WALL
        self.placed(span, partition, offset)
        if status < 2:
            span["attributes"]["spanstitch.kafka.persisted"] = ("no", "possibly")[status]
        if error[0]:
            span["error"] = True
            span["attributes"]["error.type"] = error[1].lstrip("_")
        if offset >= 0:
            self.producers[partition, offset] = span
            self.contents[partition, offset] = key, size, headers
            self.last[partition] = offset
        self.pass_us(50)

    @staticmethod
    def placed(span, partition, offset):
        if partition >= 0:
            span["attributes"]["messaging.destination.partition.id"] = str(partition)
        if offset >= 0:
            span["attributes"]["messaging.kafka.offset"] = offset

    def consume_line(self, partition, offset, client, group):
        key, size, headers = self.contents[partition, offset]
        self.write("consume", CONSUMING, client=client + "#consumer-1", client_id=client,
                   group=group, msg="0x1", topic="t", partition=partition, offset=offset, err=0,
                   error="NO_ERROR",
                   timestamp=(self.now + WALL) // (1000 * US) - 30, key=hexed(key), size=size, headers=headers)

    def call(self, api, n, begin, client="c", **fields):
        """The plugin's lines stand before it, as it is written when it returns."""
        self.lines.append({"role": "call", "t": begin, "end": self.now, "pid": PID,
                           "tid": CONSUMING, "client_id": client, "api": api, "n": n, **fields})

    def poll_in_vain(self, client):
        self.pass_us(300)
        self.call("consumer_poll", 0, self.now, client)
        return self.now + WALL

    def take(self, label, partition, offset, client="c", group="g"):
        begin = self.now
        self.pass_us(10)
        key, size, _ = self.contents[partition, offset]
        span = self.span(label, "process", "t", client, **self.content(key, size),
                         **{"messaging.consumer.group.name": group, "spanstitch.kafka.wait_ms": 30,
                            "spanstitch.kafka.lag": self.last[partition] - offset})
        self.placed(span, partition, offset)
        producer = self.producers[partition, offset]
        span["trace"], span["parent"] = producer["trace"], producer["id"]
        span["links"] = [(producer["trace"], producer["id"],
                          {"opentracing.ref_type": "child_of"})]
        self.consume_line(partition, offset, client, group)
        self.call("consumer_poll", 1, begin, client)
        span["end"] = self.poll_in_vain(client)
        self.pass_us(20)

    def batch(self, label, places):
        begin = self.now
        self.pass_us(10)
        span = self.span(label, "process", "t", "c", **{
            "messaging.consumer.group.name": "g", "messaging.batch.message_count": len(places)})
        for partition, offset in places:
            self.consume_line(partition, offset, "c", "g")
            producer = self.producers[partition, offset]
            size = self.contents[partition, offset][1]
            span["links"].append((producer["trace"], producer["id"], {
                "messaging.kafka.offset": offset, "messaging.message.body.size": size,
                "messaging.destination.partition.id": str(partition)}))
            self.pass_us(1)
        self.call("consume_batch_queue", len(places), begin)
        poll = self.span("poll", "poll", "t", "c", **{
            "messaging.consumer.group.name": "g", "messaging.batch.message_count": len(places)})
        poll.update(start=begin + WALL, end=self.now - US + WALL, links=list(span["links"]))
        span["end"] = self.poll_in_vain("c")

    def commit(self, label, places, asked):
        begin = self.now
        span = self.span(label, "commit", "t", "c", **{"messaging.consumer.group.name": "g"})
        self.pass_us(40)
        self.write("commit", BROKER, client="c#consumer-1", client_id="c", group="g", err=0,
                   error="NO_ERROR", partitions=[
                       {"partition": p, "offset": o, "topic": "t", "err": 0, "error": "NO_ERROR"}
                       for p, o in places])
        span["end"] = self.now + WALL
        if asked:
            self.call("commit", 0, begin)
        else:
            span["start"] = self.now + WALL
        if len(places) == 1:
            self.placed(span, *places[0])
        else:
            span["events"] = [("commit.partition", {
                "messaging.destination.name": "t", "messaging.kafka.offset": o,
                "messaging.destination.partition.id": str(p)}) for p, o in places]
        self.pass_us(50)

    def transaction(self, label, *ends):
        """Ends as often as asked: (function's first word, error or NO_ERROR)."""
        for word, error in ends:
            begin = self.now
            self.pass_us(30)
            self.call(word + "_transaction", 0, begin, "txn", error=error)
            self.spans[label]["events"].append(("transaction." + word, {
                "spanstitch.kafka.outcome": "ok" if error == "NO_ERROR" else error.lstrip("_")}))

    def unheard(self, label):
        """A message that was never acknowledged."""
        span = self.span(label, "send", "t", "p", **{
            "error.type": "process_exit", "messaging.message.body.size": 19})
        self.write("send", client="made-up#producer-1", client_id="p", topic="t", msg="0x9",
                   partition=-1, offset=0, key=None, size=19, headers=[])
        span["end"] = self.pass_us(900)
        span["error"] = True

    def refused(self, label):
        """A message that was none."""
        span = self.span(label, "send", "p", "p", **{"error.type": "QUEUE_FULL"})
        span["error"] = True
        self.call("produce", 0, self.now, "p", error="_QUEUE_FULL")
        self.pass_us(100)

    # -- as files ---------------------------------------------------------------------------------

    def truth(self):
        return "".join(json.dumps(line) + "\n" for line in self.lines)

    @staticmethod
    def otlp_span(span):
        return {
            "traceId": span["trace"], "spanId": span["id"], "parentSpanId": span["parent"],
            "name": span["name"], "kind": KINDS[span["kind"]],
            "startTimeUnixNano": str(span["start"]), "endTimeUnixNano": str(span["end"]),
            "status": {"code": 2} if span["error"] else {},
            "attributes": [attribute(k, v) for k, v in span["attributes"].items()],
            "events": [{"timeUnixNano": str(span["end"]), "name": name, "attributes":
                        [attribute(k, v) for k, v in attributes.items()]}
                       for name, attributes in span["events"]],
            "links": [{"traceId": trace, "spanId": target,
                       "attributes": [attribute(k, v) for k, v in attributes.items()]}
                      for trace, target, attributes in span["links"]]}

    def otlp(self):
        resource = {"attributes": [attribute("service.name", "made-up"),
                                   attribute("process.pid", PID)]}
        return "".join(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [
            {"scope": {"name": "spanstitch/kafka"}, "spans": [self.otlp_span(span)]}]}]}) + "\n"
            for span in [*self.spans.values(), *self.doubles])
