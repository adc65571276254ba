"""lines: what the plugin and the exerciser wrote, as messages: each with its whole fate.

A Sent is a message that librdkafka took, with its acknowledgement if there was one. A Taken is a
message that was handed to the application, with the call that did so. A Call is one call of a
receiving function, of the exerciser's; programs that write none have each Taken alone.
"""

import bisect
import collections
import json
import re

CONTEXT = re.compile(rb"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")
CONTEXT_HEADER = b"traceparent"
BATCH_CALLS = ("consume_batch", "consume_batch_queue")
ASKING_CALLS = ("commit", "commit_transaction", "abort_transaction", "produce")  # receive nothing
RETRYING = "retry-"                     # of such clients all messages go in one request
STATUS = ("no", "possibly", None)       # persisted, by librdkafka's number; None: it is
NO_ERROR = "NO_ERROR"


class Sent:
    def __init__(self, line):
        self.line = line
        self.t = line["t"]
        self.pid, self.tid = line["pid"], line["tid"]
        self.topic = line["topic"]
        self.client_id = line["client_id"]
        self.context = context_of(line["headers"])
        self.ack = None
        self.request = self.response = None     # lines of the last Produce request with it
        self.retries = 0        # the plugin cannot know: for who makes them to say
        self.span = None                        # the judge's

    @property
    def partition(self):
        return (self.ack or self.line)["partition"]

    @property
    def offset(self):
        """librdkafka counts on from -1001 where the broker gave no first offset, and from -1 where
        it refused: such numbers may look like an offset, and are none."""
        if not self.ack or self.ack["error"] != NO_ERROR or self.persisted:
            return -1
        return self.ack["offset"]

    @property
    def error(self):
        """The name of the error without what librdkafka marks its own by; None: none."""
        if not self.ack:
            return "process_exit"
        return None if self.ack["error"] == NO_ERROR else self.ack["error"].lstrip("_")

    @property
    def persisted(self):
        return STATUS[self.ack["status"]] if self.ack else None

    def __repr__(self):
        return "send %s of %s at %d" % (self.topic, self.client_id, self.t)


class Taken:
    def __init__(self, line):
        self.line = line
        self.t = line["t"]
        self.pid, self.tid = line["pid"], line["tid"]
        self.topic = line["topic"]
        self.client_id = line["client_id"]
        self.group = line.get("group")
        self.partition, self.offset = line["partition"], line["offset"]
        self.context = context_of(line["headers"])
        self.call = None
        self.ends = []          # times at which its processing may be said to end
        self.producer = None    # a Sent
        self.lag = None         # messages behind it in the partition; None: nobody said

    def __repr__(self):
        return "process %s:%d:%d of %s" % (self.topic, self.partition, self.offset, self.client_id)


class Call:
    def __init__(self, line):
        self.line = line
        self.t, self.end = line["t"], line["end"]
        self.pid, self.tid = line["pid"], line["tid"]
        self.client_id = line["client_id"]
        self.api, self.n = line["api"], line["n"]
        self.taken = []

    @property
    def is_batch(self):
        return self.api in BATCH_CALLS and len(self.taken) > 1

    def __repr__(self):
        return "%s of %s, %d messages" % (self.api, self.client_id, len(self.taken))


def context_of(headers):
    """(trace id, span id) of the last traceparent header; None where it is not valid."""
    values = [value for name, value in headers
              if bytes.fromhex(name).lower() == CONTEXT_HEADER]
    if not values or values[-1] is None:
        return None
    m = CONTEXT.match(bytes.fromhex(values[-1]))
    if not m or m.group(1) == b"ff" or not int(m.group(2), 16) or not int(m.group(3), 16):
        return None
    return m.group(2).decode(), m.group(3).decode()


class Lines:
    def __init__(self, path):
        with open(path) as f:
            self.all = [json.loads(line) for line in f]
        self.all.sort(key=lambda line: line["t"])
        self.sent, self.taken, self.calls, self.asked, self.commits = [], [], [], [], []
        self.stray_acks = []            # of no message that we know
        self.clients = []
        self.wall_offset = None         # ns from monotonic to the wall clock
        self.version = ()               # of librdkafka: numbers
        self._read()
        self._call()
        self._commit()
        self._join()
        self._retry()

    def _with_before(self):
        """Each line, with the one before it of its thread; of the first, itself."""
        last = {}
        for line in self.all:
            thread = line["pid"], line["tid"]
            yield last.get(thread, line), line
            last[thread] = line

    def _read(self):
        open_sends = {}                 # (pid, address) -> Sent
        waiting = collections.defaultdict(collections.deque)    # (pid, client, broker) -> lines
        last_response = {}              # (pid, tid) -> line
        for before, line in self._with_before():
            role = line["role"]
            if role == "client":
                self.clients.append(line)
                if self.wall_offset is None:
                    self.wall_offset = line["wall_offset"]
                    self.version = tuple(int(n) for n in re.findall(r"\d+", line["version"])[:3])
            elif role == "send":
                open_sends[line["pid"], line["msg"]] = sent = Sent(line)
                self.sent.append(sent)
            elif role == "ack":
                sent = open_sends.pop((line["pid"], line["msg"]), None)
                if not sent:
                    self.stray_acks.append(line)
                    continue
                sent.ack = line
                # Acknowledgements with nothing else of their thread in between are of one batch.
                is_same = "batch" in before and all(
                    line[k] == before[k] for k in ("client", "topic", "partition", "err"))
                line["batch"] = before["batch"] if is_same else line["t"]
                response = last_response.get((line["pid"], line["tid"]))
                if response and sent.offset >= 0:       # without acks nothing answers
                    sent.response, sent.request = response, response["request"]
            elif role == "consume":
                self.taken.append(Taken(line))
            elif role == "commit":
                self.commits.append(line)
            elif role == "call":
                call = Call(line)
                (self.asked if call.api in ASKING_CALLS else self.calls).append(call)
            else:
                of = waiting[line["pid"], line["client"], line["broker"]]
                if role == "request":
                    of.append(line)
                elif of:
                    # A broker answers in order; librdkafka tells no correlation id of a response.
                    line["request"] = of.popleft()
                    last_response[line["pid"], line["tid"]] = line

    def _call(self):
        """Which call gave a message, and when its processing ends: at the thread's next call, or,
        where a callback is given them one after another, at the next message."""
        by_thread = collections.defaultdict(list)
        for call in self.calls:
            by_thread[call.pid, call.tid].append(call)
        for taken in self.taken:
            calls = by_thread[taken.pid, taken.tid]
            i = bisect.bisect_right([c.t for c in calls], taken.t) - 1
            if i < 0:
                continue
            taken.call = calls[i]
            if taken.call.taken and "callback" in taken.call.api:
                taken.call.taken[-1].ends = [taken.t]
            taken.call.taken.append(taken)
            if i + 1 < len(calls):
                taken.ends.append(calls[i + 1].t)

    def _commit(self):
        """A commit names the call that asked for it, and may end its message's processing."""
        for line in self.commits:
            line["asked"] = next((call for call in self.asked if call.api == "commit" and
                                  call.client_id == line["client_id"] and
                                  call.t <= line["t"] <= call.end), None)
        for taken in self.taken:
            for line in self.commits:
                if line["asked"] and line["asked"].tid == taken.tid and taken.ends and \
                        taken.t < line["t"] < taken.ends[-1]:
                    taken.ends[:0] = [line["asked"].t, line["t"]]

    def _retry(self):
        times = [line["t"] for line in self.all if line["role"] == "request" and
                 line["client_id"].startswith(RETRYING)]
        for sent in self.sent:
            if sent.client_id.startswith(RETRYING):
                sent.retries = sum(sent.t < t < sent.ack["t"] for t in times) - 1

    def _join(self):
        by_place = {(s.topic, s.partition, s.offset): s for s in self.sent if s.offset >= 0}
        stored = collections.defaultdict(list)      # (topic, partition) -> acknowledgements
        for sent in by_place.values():
            stored[sent.topic, sent.partition].append(sent.ack)
        for taken in self.taken:
            taken.producer = by_place.get((taken.topic, taken.partition, taken.offset))
            offsets = [ack["offset"] for ack in stored[taken.topic, taken.partition]
                       if ack["t"] < taken.t]
            taken.lag = max(offsets) - taken.offset if offsets else None

    def complaints(self):
        """What is wrong with the truth itself: then nothing can be judged."""
        bad = ["an acknowledgement of nothing: %s" % line for line in self.stray_acks]
        if any(line["role"] == "response" for line in self.all):
            bad += ["%r: of no request" % sent for sent in self.sent
                    if sent.offset >= 0 and not sent.request]
        for call in self.calls:
            if call.n != len(call.taken):
                bad.append("%s: the call says %d" % (call, call.n))
        for taken in self.taken:
            if not taken.producer:
                bad.append("%r: nobody sent it" % taken)
            elif any(taken.line[k] != taken.producer.line[k] for k in ("key", "size", "headers")):
                bad.append("%r: not as it was sent" % taken)
        return bad
