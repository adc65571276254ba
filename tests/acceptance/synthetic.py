"""Executions as the platform and the tracer would leave them, made up: an OTLP/JSON file's
requests and the executions' own log. They exercise the check of Jaeger without a tracer, and hold
every sort of field that a span can have.
"""
import base64
import random

MS = 1_000_000  # ns
LANGUAGES = ("python", "node", "go")
KINDS = ("fast", "slow", "failing", "crashing", "refused")
SERVER, CLIENT, PRODUCER, CONSUMER, INTERNAL = 2, 3, 4, 5, 1
ERROR = 2

# (step, its parent step, service, kind, name, start and end in ms after submission)
STEPS = (
    ("execute", None, "api", SERVER, "POST /execute", 0, 12),
    ("submit", "execute", "api", PRODUCER, "send executions", 4, 9),
    ("take", "submit", "worker", CONSUMER, "process executions", 15, 60),
    ("create", "take", "worker", CLIENT, "POST", 18, 30),
    ("created", "create", "kube", SERVER, "POST", 19, 29),
    ("announce", "take", "worker", PRODUCER, "send pods", 40, 45),
    ("run", "created", "pod", INTERNAL, "python3", 33, 80),
    ("watch", "announce", "pod-monitor", CONSUMER, "process pods", 50, 55),
    ("event", "watch", "pod-monitor", PRODUCER, "send pod-events", 52, 54),
    ("result", "event", "result-processor", CONSUMER, "process pod-events", 82, 99),
)


def value(v):
    """A Python value as an OTLP/JSON AnyValue."""
    if isinstance(v, bool):  # before int, of which it is one
        return {"boolValue": v}
    if isinstance(v, int):
        return {"intValue": str(v)}
    if isinstance(v, float):
        return {"doubleValue": v}
    if isinstance(v, bytes):
        return {"bytesValue": base64.b64encode(v).decode()}
    if isinstance(v, list):
        return {"arrayValue": {"values": [value(x) for x in v]}}
    if isinstance(v, dict):
        return {"kvlistValue": {"values": attributes(v)}}
    return {"stringValue": v}


def attributes(pairs):
    return [{"key": k, "value": value(v)} for k, v in pairs.items()]


class Maker:
    """Makes executions one by one; the same @seed makes the same ones."""

    def __init__(self, start_ns, seed=1):
        self.random = random.Random(seed)
        self.start_ns = start_ns
        self.spans = {}  # service -> its spans in OTLP/JSON
        self.executions = []

    def hex(self, digits):
        return f"{self.random.getrandbits(4 * digits) or 1:0{digits}x}"

    def span(self, step, trace, ids, at_ns, common):
        name, parent, service, kind, title, start, end = step
        return {
            "traceId": trace, "spanId": ids[name], "parentSpanId": ids.get(parent, ""),
            "name": title, "kind": kind, "flags": 0x301 if kind == CONSUMER else 0x101,
            "startTimeUnixNano": str(at_ns + start * MS + self.random.randrange(MS)),
            "endTimeUnixNano": str(at_ns + end * MS + self.random.randrange(MS)),
            "attributes": attributes({**common, "step": name, "spanstitch.evidence": "thread"}),
        }

    def execution(self, number):
        at_ns = self.start_ns + number * 7 * MS
        kind = KINDS[number % len(KINDS)]
        common = {"execution.id": f"x-{number:04d}", "user.id": f"user{number % 4}",
                  "code.language": LANGUAGES[number % len(LANGUAGES)]}
        trace, poll_trace = self.hex(32), self.hex(32)
        ids = {step[0]: self.hex(16) for step in STEPS}
        spans = {step[0]: self.span(step, trace, ids, at_ns, common) for step in STEPS}
        self.decorate(spans, ids, trace, kind)
        for step in STEPS:
            self.spans.setdefault(step[2], []).append(spans[step[0]])
        self.spans["api"].append(self.poll(poll_trace, trace, ids["execute"], at_ns, common))
        self.executions.append({
            "id": common["execution.id"], "user": common["user.id"], "kind": kind,
            "language": common["code.language"], "trace": trace,
            "submitted": at_ns, "finished": at_ns + 100 * MS})

    def decorate(self, spans, ids, trace, kind):
        """What only some spans have: links, errors, events, and each type of attribute."""
        spans["take"]["links"] = [{"traceId": trace, "spanId": ids["submit"], "flags": 0x301}]
        spans["result"]["links"] = [
            {"traceId": trace, "spanId": ids["run"], "attributes": attributes({"why": "pod"})},
            {"traceId": self.hex(32), "spanId": self.hex(16), "traceState": "a=b"}]
        spans["take"]["attributes"] += attributes({
            "messaging.kafka.offset": self.random.randrange(1 << 40), "big": (1 << 62) + 1,
            "lag.ratio": 0.25, "whole": 2.0, "tombstone": False, "raw": b"\x00\xff<",
            "header": ["a <&> b", "\u00e9", 3], "map": {"z": 1, "a": [True]}})
        spans["execute"]["traceState"] = "ot=th:8"
        if kind in ("failing", "crashing"):
            code = {"failing": 3, "crashing": 139}[kind]
            spans["run"]["status"] = {"code": ERROR, "message": f"exit code {code}"}
            spans["run"]["attributes"] += attributes({"process.exit.code": code})
        if kind == "refused":
            spans["create"]["status"] = {"code": 1}
            spans["create"]["events"] = [{
                "timeUnixNano": spans["create"]["startTimeUnixNano"], "name": "retry",
                "attributes": attributes({"http.request.resend_count": 2})}]

    def poll(self, poll_trace, trace, target, at_ns, common):
        """A client that asks for the result: a trace of its own that links to the execution's."""
        step = ("poll", None, "api", SERVER, "GET /executions/{id}", 90, 91)
        span = self.span(step, poll_trace, {"poll": self.hex(16)}, at_ns, common)
        span["links"] = [{"traceId": trace, "spanId": target}]
        return span


def requests(start_ns, executions, batch=16, seed=1):
    """(requests, executions' log): @batch spans a request, so that traces lie across them."""
    maker = Maker(start_ns, seed)
    for number in range(executions):
        maker.execution(number)
    made = []
    for service, spans in maker.spans.items():
        resource = {"attributes": attributes({"service.name": service, "host.name": "here",
                                              "process.pid": 100 + len(service)})}
        scope = {"name": "spanstitch", "version": "0.1"}
        for i in range(0, len(spans), batch):
            made.append({"resourceSpans": [{"resource": resource, "scopeSpans": [
                {"scope": scope, "spans": spans[i:i + batch]}]}]})
    return made, maker.executions
