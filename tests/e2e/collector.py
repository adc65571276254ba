"""collector: a stand-in back end for OTLP/HTTP that can misbehave in every way of the book.

It keeps each request: when it came, its headers and its body, decoded into the dictionaries of
OTLP/JSON whichever form it was sent in. The protobuf reader knows field numbers only from the
protocol files, so it shares nothing with the sender.
"""

import gzip
import http.server
import json
import struct
import threading
import time

# message -> field number -> (JSON name, kind, repeated); a kind that is a message names it
SCHEMA = {
    "Request": {1: ("resourceSpans", "ResourceSpans", True)},
    "ResourceSpans": {1: ("resource", "Resource", False), 2: ("scopeSpans", "ScopeSpans", True),
                      3: ("schemaUrl", "text", False)},
    "Resource": {1: ("attributes", "KeyValue", True)},
    "ScopeSpans": {1: ("scope", "Scope", False), 2: ("spans", "Span", True), 3: ("schemaUrl", "text", False)},
    "Scope": {1: ("name", "text", False), 2: ("version", "text", False)},
    "Span": {1: ("traceId", "hex", False), 2: ("spanId", "hex", False), 3: ("traceState", "text", False),
             4: ("parentSpanId", "hex", False), 5: ("name", "text", False), 6: ("kind", "number", False),
             7: ("startTimeUnixNano", "fixed64", False), 8: ("endTimeUnixNano", "fixed64", False),
             9: ("attributes", "KeyValue", True), 11: ("events", "Event", True), 13: ("links", "Link", True),
             15: ("status", "Status", False), 16: ("flags", "fixed32", False)},
    "Event": {1: ("timeUnixNano", "fixed64", False), 2: ("name", "text", False), 3: ("attributes", "KeyValue", True)},
    "Link": {1: ("traceId", "hex", False), 2: ("spanId", "hex", False), 4: ("attributes", "KeyValue", True)},
    "Status": {2: ("message", "text", False), 3: ("code", "number", False)},
    "KeyValue": {1: ("key", "text", False), 2: ("value", "AnyValue", False)},
    "AnyValue": {1: ("stringValue", "text", False), 2: ("boolValue", "bool", False), 3: ("intValue", "int64", False),
                 4: ("doubleValue", "double", False)},
}
SCALARS = {
    "text": lambda v: v.decode(),
    "hex": lambda v: v.hex(),
    "number": lambda v: v,
    "bool": bool,
    "int64": lambda v: str(v - (1 << 64) if v >> 63 else v),
    "fixed64": lambda v: str(struct.unpack("<Q", v)[0]),
    "fixed32": lambda v: struct.unpack("<I", v)[0],
    "double": lambda v: struct.unpack("<d", v)[0],
}


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = varint(data, at)
        else:
            if wire == 2:
                size, at = varint(data, at)
            else:
                size = {1: 8, 5: 4}[wire]
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError("cut")
        yield key >> 3, value


def decode(data, message="Request"):
    out = {}
    for number, value in fields(data):
        name, kind, repeated = SCHEMA[message][number]
        value = decode(value, kind) if kind in SCHEMA else SCALARS[kind](value)
        if repeated:
            out.setdefault(name, []).append(value)
        else:
            out[name] = value
    return out


def spans(request):
    """(resource attributes, scope name, span) of each span of a decoded request."""
    for resource in request["resourceSpans"]:
        attributes = attributes_of(resource["resource"])
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield attributes, scope["scope"]["name"], span


def attributes_of(holder):
    return {pair["key"]: next(iter(pair["value"].values())) for pair in holder.get("attributes", [])}


class Request:
    def __init__(self, handler, body):
        self.at = time.monotonic()
        self.path = handler.path
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.raw = body
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.length = len(body)
        if self.headers.get("content-type") == "application/json":
            self.decoded = json.loads(body)
        else:
            self.decoded = decode(body)
        self.span_count = sum(1 for _ in spans(self.decoded))


class Collector:
    """answer(handler, request, n) answers the n-th request (from 0); see the functions below."""

    def __init__(self, answer, port=0, tls=None):
        self.requests = []
        self.answer = answer
        self.lock = threading.Lock()
        self.ending = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request(self, body)
                with outer.lock:
                    n = len(outer.requests)
                    outer.requests.append(request)
                outer.answer(self, request, n)

            def do_GET(self):
                with outer.lock:
                    outer.requests.append(None)     # nobody should come here: a redirect was followed
                status(200)(self, None, 0)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, address):
                pass                                # clients that hang up are what is tested

        self.server = Server(("127.0.0.1", port), Handler)
        self.scheme = "http"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
            self.scheme = "https"
        self.port = self.server.server_address[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.ending.set()
        self.server.shutdown()
        self.server.server_close()

    def all_spans(self):
        return [s for r in self.requests if r for s in spans(r.decoded)]


def reply(handler, code, body=b"", headers=()):
    handler.send_response(code)
    for name, value in headers:
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


PROTO = ("Content-Type", "application/x-protobuf")


def status(code, body=b"", headers=(PROTO,)):
    return lambda handler, request, n: reply(handler, code, body, headers)


def first(times, then, after=status(200)):
    """@then for the first requests, @after for the others."""
    return lambda handler, request, n: (then if n < times else after)(handler, request, n)


def partial(rejected, message):
    inner = b"\x08" + bytes([rejected]) + b"\x12" + bytes([len(message)]) + message
    return status(200, b"\x0a" + bytes([len(inner)]) + inner)


def hang(seconds):
    """Reads the request and says nothing."""
    def answer(handler, request, n):
        time.sleep(seconds)
        handler.close_connection = True
    return answer


def raw(data, then=None):
    """Bytes that need not be HTTP; @then(handler) may go on."""
    def answer(handler, request, n):
        handler.wfile.write(data)
        if then:
            then(handler)
        handler.close_connection = True
    return answer


def endless(data, pause=0.0):
    """Goes on until the other side hangs up."""
    def go_on(handler):
        try:
            while True:
                handler.wfile.write(data)
                time.sleep(pause)
        except OSError:
            pass
    return go_on
