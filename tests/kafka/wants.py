"""wants: the spans that must be there, of what lines.py says that happened.

Every value that the truth knows is wanted, and what must be absent is wanted as None.
"""

from lines import NO_ERROR

KEY_MAX = 64                    # bytes of a key that is told

# What a Want may say.
PARTITION = "messaging.destination.partition.id"
OFFSET = "messaging.kafka.offset"
SIZE = "messaging.message.body.size"
TOMBSTONE = "messaging.kafka.message.tombstone"
KEY = "messaging.kafka.message.key"
GROUP = "messaging.consumer.group.name"
COUNT = "messaging.batch.message_count"
ERROR = "error.type"
PERSISTED = "spanstitch.kafka.persisted"
RETRIES = "spanstitch.kafka.retries"
QUEUE_US, BROKER_US = "spanstitch.kafka.queue_us", "spanstitch.kafka.broker_us"
WAIT_MS, LAG = "spanstitch.kafka.wait_ms", "spanstitch.kafka.lag"
POLL, COMMIT = "poll", "commit"

# operation -> (kind, operation's type)
OPERATIONS = {"send": ("producer", "send"), "process": ("consumer", "process"),
              POLL: ("client", "receive"), COMMIT: ("client", "settle")}
OUTCOME = "spanstitch.kafka.outcome"
JOINING = "read-group"      # such clients are their group's only member: all partitions are theirs
PARTITIONS = 4              # of the topic that they read


class Want:
    """One span that must be there. attributes: None: must be absent."""

    def __init__(self, operation, of, wall_offset):
        self.operation = operation
        self.of = of                    # a Sent, a Taken, or a Call
        self.pid, self.client_id = of.pid, of.client_id
        self.start = of.t + wall_offset
        self.ends = []                  # any of them will do
        self.topic = None
        self.attributes = {}
        self.error = None
        self.taken = []                 # of a consumer or poll
        self.events = []                # (name, attributes); None: not known
        self.span = None

    def place(self):
        offset, partition = self.attributes.get(OFFSET), self.attributes.get(PARTITION)
        if offset is None or partition is None:
            return None
        return self.operation, self.pid, self.client_id, self.topic, partition, offset

    def __repr__(self):
        return repr(self.of)


def key_of(line):
    """A key as the contract writes it; None where it is not told."""
    if line["key"] is None or len(line["key"]) > 2 * KEY_MAX:
        return None
    raw = bytes.fromhex(line["key"])
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.hex()


def content(line):
    return {SIZE: line["size"], TOMBSTONE: True if line["size"] is None else None,
            KEY: key_of(line)}


def want_sent(sent, wall_offset):
    want = Want("send", sent, wall_offset)
    want.topic = sent.topic
    # All of a batch end at once; that the plugin is told one by one is its own affair.
    want.ends = [sent.ack["batch"] + wall_offset] if sent.ack else []
    want.error = sent.error
    want.attributes = {
        PARTITION: str(sent.partition) if sent.partition >= 0 else None,
        OFFSET: sent.offset if sent.offset >= 0 else None,
        PERSISTED: sent.persisted, RETRIES: sent.retries or None, **content(sent.line)}
    return want


def want_taken(taken, wall_offset):
    want = Want("process", taken, wall_offset)
    want.topic, want.taken = taken.topic, [taken]
    want.ends = [end + wall_offset for end in taken.ends]
    want.attributes = {PARTITION: str(taken.partition), OFFSET: taken.offset, COUNT: None,
                       GROUP: taken.group, **content(taken.line)}
    if taken.lag is not None:
        want.attributes[LAG] = taken.lag
    return want


def want_batch(call, wall_offset):
    first = call.taken[0]
    want = want_taken(first, wall_offset)
    want.of, want.taken = call, call.taken
    want.ends = [call.taken[-1].ends[-1] + wall_offset] if call.taken[-1].ends else []
    one = len({t.partition for t in call.taken}) == 1
    want.attributes = {COUNT: len(call.taken), GROUP: first.group, OFFSET: None, KEY: None,
                       PARTITION: str(first.partition) if one else None}
    return want


def want_poll(call, wall_offset):
    """Of a call that gave several messages at once; one with a callback lasts as long as the work."""
    want = Want(POLL, call, wall_offset)
    want.topic, want.taken = call.taken[0].topic, call.taken
    want.ends = [call.taken[-1].t + wall_offset]
    want.attributes = {COUNT: len(call.taken), GROUP: call.taken[0].group}
    return want


class Commit:
    """A line, as others are."""

    def __init__(self, line):
        self.line = line
        self.pid, self.client_id = line["pid"], line["client_id"]
        self.t = line["asked"].t if line["asked"] else line["t"]

    def __repr__(self):
        return "commit of %s at %d" % (self.client_id, self.t)


def want_commit(line, wall_offset):
    want = Want(COMMIT, Commit(line), wall_offset)
    places = line["partitions"]
    topics = {p["topic"] for p in places}
    want.topic = topics.pop() if len(topics) == 1 else None
    want.ends = [line["t"] + wall_offset]
    want.error = line["error"].lstrip("_") if line["err"] else None
    one = places[0] if len(places) == 1 else None
    want.attributes = {GROUP: line["group"], PARTITION: str(one["partition"]) if one else None,
                       OFFSET: one["offset"] if one and one["offset"] >= 0 else None}
    if not one:
        want.events = [("commit.partition", {
            "messaging.destination.name": p["topic"], PARTITION: str(p["partition"]),
            **({OFFSET: p["offset"]} if p["offset"] >= 0 else {})}) for p in places]
    return want


def want_refused(call, wall_offset):
    """librdkafka made no message of it: its content is not known. It is named as its topic."""
    want = Want("send", call, wall_offset)
    want.error = call.line["error"].lstrip("_")
    want.ends = [call.end + wall_offset]
    want.topic = call.client_id
    want.attributes = {PARTITION: None, OFFSET: None, SIZE: None, KEY: None}
    return want


def add_transactions(lines, wants):
    """The outcome is on every message that was sent before it. One that failed ended nothing: the
    next is on the same messages, too."""
    begin = 0
    for call in lines.asked:
        if not call.api.endswith("_transaction"):
            continue
        event = "transaction." + call.api.partition("_")[0]
        error = call.line["error"]
        outcome = "ok" if error == NO_ERROR else error.lstrip("_")
        for want in wants:
            if want.operation == "send" and want.client_id == call.client_id and \
                    begin < want.of.t < call.t:
                want.events.append((event, {OUTCOME: outcome}))
        if outcome == "ok":
            begin = call.t


def add_rebalances(lines, wants):
    """The first message that a client is handed tells what was assigned to it before."""
    told = set()
    for want in sorted(wants, key=lambda w: w.start):
        if want.operation == "process" and want.client_id.startswith(JOINING) and \
                want.client_id not in told:
            told.add(want.client_id)
            want.events.append(("rebalance", {"spanstitch.kafka.rebalance": "assign",
                                              "spanstitch.kafka.partitions": PARTITIONS}))


def wants_of(lines):
    """One span a batch, and one of the call that gave it; else one a message."""
    at = lines.wall_offset
    wants = [want_sent(sent, at) for sent in lines.sent]
    for call in lines.calls:
        if call.is_batch:
            wants += [want_batch(call, at), want_poll(call, at)]
        else:
            wants += [want_taken(taken, at) for taken in call.taken]
    wants += [want_taken(taken, at) for taken in lines.taken if not taken.call]
    wants += [want_commit(line, at) for line in lines.commits]
    wants += [want_refused(call, at) for call in lines.asked if call.api == "produce"]
    add_transactions(lines, wants)
    add_rebalances(lines, wants)
    return wants
