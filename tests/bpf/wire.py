"""wire: records of include/wire.h, read a second time and independently of the agent; and Watch,
which drives build/release/tools/bpf/watch."""

import collections
import os
import struct
import subprocess
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
WATCH = os.path.join(ROOT, "build/release/tools/bpf/watch")
FILE_HEAD = 112

NAMES = ("", "io", "close", "send", "ack", "consume", "poll", "fork", "exec", "exit", "map", "target", "counters",
         "delivered", "client", "commit", "rebalance", "txn", "refused")
LABELS = {0: None, 1: "http", 2: "kafka"}
ROLES = {0: None, 1: "server", 2: "client"}
LOOP_THREAD = 1
IO_TCP_SEQ, IO_EOF, IO_ERROR = 1, 2, 4
RAW_HEADERS, LIST_HEADERS, CUT_HEADERS, NULL_KEY, NULL_VALUE = 1, 2, 4, 8, 16
BATCH_POLL, CALLBACK_POLL = 32, 64

Label = collections.namedtuple("Label", "id op kind")


class Record:
    """Fields by the names of wire.h; the tail's parts as bytes."""

    def __init__(self, kind, **fields):
        self.kind = kind
        self.__dict__.update(fields)

    def __repr__(self):
        return "%s(%s)" % (self.kind, ", ".join("%s=%r" % i for i in self.__dict__.items() if i[0] != "kind"))


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, layout):
        size = struct.calcsize("<" + layout)
        values = struct.unpack_from("<" + layout, self.data, self.at)
        self.at += size
        return values if len(values) > 1 else values[0]

    def bytes(self, n):
        part = self.data[self.at:self.at + n]
        if len(part) != n:
            raise ValueError("a tail that is shorter than it says")
        self.at += n
        return bytes(part)

    def label(self):
        ident, op, kind = self.take("QII")
        return Label(ident, op, LABELS[kind])


def parse_io(r, f):
    f["thread"], f["task"], f["task_id"] = r.label(), r.label(), r.take("Q")
    f["ino"], f["local"], f["peer"] = r.take("Q"), r.bytes(16), r.bytes(16)
    f["local_port"], f["peer_port"], f["family"], role = r.take("HHHH")
    f["role"] = ROLES[role]
    (f["stream_off"], f["op"], f["tcp_seq"], f["bytes"], f["captured"], f["err"], f["dir"], f["io_flags"]) = \
        r.take("QIIIIiHH")
    f["data"] = r.bytes(f["captured"])


def parse_kafka(r, f):
    f["thread"], f["task"], f["task_id"] = r.label(), r.label(), r.take("Q")
    f["msg"], f["client_address"], f["offset"], f["timestamp_ms"], f["enqueued_us"] = r.take("QQqqQ")
    f["polled_ns"], f["queue"], f["high"] = r.take("QQq")
    f["partition"], f["err"], f["key_len"], f["value_len"], f["headers_len"] = r.take("iiIII")
    topic, client, key, headers, f["kafka_flags"] = r.take("HHHHI")
    f["topic"], f["client"], f["key"] = r.bytes(topic), r.bytes(client), r.bytes(key)
    f["headers"] = r.bytes(headers)


def parse_entry(r):
    """Each begins at a multiple of 8, as the record's end does."""
    r.at = r.at + 7 & ~7
    e = dict(zip(("msg", "offset", "timestamp_ms", "enqueued_us", "partition", "err", "key_len", "value_len",
                  "headers_len", "retries", "status"), r.take("QqqQiiIIIIH")))
    key, headers, e["kafka_flags"] = r.take("HHH")
    e["key"], e["headers"] = r.bytes(key), r.bytes(headers)
    return e


def parse_rest(kind, r, f):
    if kind == "close":
        f["ino"] = r.take("Q")
    elif kind == "ack":
        f["client_address"], f["sent_ns"], f["batch_count"], count = r.take("QQII")
        f["acked"] = [dict(zip(("msg", "offset", "partition", "err", "retries", "status"), r.take("QqiiII")))
                      for _ in range(count)]
    elif kind == "client":
        f["client_address"], f["group_handle"], name, cluster, group, _ = r.take("QQHHHH")
        f["name"], f["cluster"], f["group"] = r.bytes(name), r.bytes(cluster), r.bytes(group)
    elif kind == "delivered":
        f["client_address"], f["sent_ns"], f["batch_count"], count, topic, client, _ = r.take("QQIIHHI")
        f["topic"], f["client"] = r.bytes(topic), r.bytes(client)
        f["entries"] = [parse_entry(r) for _ in range(count)]
        r.at = r.at + 7 & ~7
    elif kind == "refused":
        f["thread"], f["task"], f["task_id"] = r.label(), r.label(), r.take("Q")
        f["client_address"], f["err"], topic, client = r.take("QiHH")
        f["topic"], f["client"] = r.bytes(topic), r.bytes(client)
    elif kind == "poll":
        f["ended"], f["queue"] = r.label(), r.take("Q")
    elif kind == "fork":
        f["child_start_ns"], f["child_tgid"], _ = r.take("QII")
    elif kind == "exec":
        f["cgroup_id"], f["parent_tgid"], name, leaf, parent, *_ = r.take("QIHHH3H")
        f["filename"], f["leaf"], f["parent"] = r.bytes(name), r.bytes(leaf), r.bytes(parent)
    elif kind == "exit":
        f["code"], _ = r.take("iI")


def parse(data):
    r = Reader(data)
    f = {}
    length, kind, f["flags"], f["ts"], f["tgid"], f["tid"], f["start_ns"] = r.take("IHHQIIQ")
    kind = NAMES[kind]
    if kind == "io":
        parse_io(r, f)
    elif kind in ("send", "consume"):
        parse_kafka(r, f)
    else:
        parse_rest(kind, r, f)
    if r.at != length:
        raise ValueError("%s: %d bytes are used of %d" % (kind, r.at, length))
    return Record(kind, **f)


def each_message(r):
    """A batch as one record a message."""
    parts = getattr(r, "acked", None) or getattr(r, "entries", None)
    if not parts:
        return [r]
    return [Record(**{**r.__dict__, **one}) for one in parts]


def parse_heads(data):
    """Records of a recording's bytes after its head: kind and whose they are, tails unread."""
    at = 0
    while at < len(data):
        length, kind, flags, ts, tgid, tid, start_ns = struct.unpack_from("<IHHQIIQ", data, at)
        if length < 32 or at + length > len(data):
            raise ValueError("a record of %d bytes at %d of %d" % (length, at, len(data)))
        yield Record(NAMES[kind], flags=flags, ts=ts, tgid=tgid, tid=tid, start_ns=start_ns)
        at += length


def list_headers(block):
    """WIRE_KAFKA_LIST_HEADERS -> [(name, value)]"""
    r, found = Reader(block), []
    while r.at < len(block):
        name, value = r.take("HH")
        found.append((r.bytes(name), None if value == 0xffff else r.bytes(value)))
    return found


def varint(r):
    value, shift = 0, 0
    while True:
        byte = r.take("B")
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1)


def raw_headers(block):
    """WIRE_KAFKA_RAW_HEADERS, whole -> [(name, value)]"""
    r, found = Reader(block), []
    for _ in range(varint(r)):
        name = r.bytes(varint(r))
        n = varint(r)
        found.append((name, None if n < 0 else r.bytes(n)))
    return found


class Watch:
    """The kernel half, loaded. Records come by drain(), in the order of time."""

    def __init__(self, *options):
        fd, self.path = tempfile.mkstemp(prefix="spanstitch-watch-")
        os.close(fd)
        self.process = subprocess.Popen([WATCH, *options, self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.read_to = FILE_HEAD
        self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        os.unlink(self.path)

    def reply(self):
        line = self.process.stdout.readline()
        if not line.startswith("ok"):
            raise RuntimeError("watch said %r" % line)
        return line.split()[1:]

    def tell(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.reply()

    def drain(self):
        self.tell("drain")
        with open(self.path, "rb") as f:
            f.seek(self.read_to)
            data = f.read()
        self.read_to += len(data)
        records, at = [], 0
        while at < len(data):
            length = struct.unpack_from("<I", data, at)[0]
            records += each_message(parse(data[at:at + length]))
            at += length
        return records

    def counters(self):
        return collections.Counter({k: int(v) for k, v in (w.split("=") for w in self.tell("counters"))})
