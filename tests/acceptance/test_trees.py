#!/usr/bin/python3
"""Unit test of trees.py: what is broken in one field is told as one difference, in that field."""
import copy
import json
import tempfile
import unittest

import counted
import synthetic
import trees

NOW_NS = 1_750_000_000_123_456_789

# An answer of Jaeger's /api/traces/{id}, written by hand, for the spans in OTLP below.
OTLP = {"resourceSpans": [{
    "resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "worker"}},
        {"key": "process.pid", "value": {"intValue": "42"}}]},
    "scopeSpans": [{
        "scope": {"name": "spanstitch", "version": "0.1"},
        "spans": [{
            "traceId": "00000000000000000AB000000000000C", "spanId": "000000000000000b",
            "parentSpanId": "00000000000000aa", "name": "process executions", "kind": 5,
            "startTimeUnixNano": "1750000000123456789", "endTimeUnixNano": "1750000000125456788",
            "attributes": [
                {"key": "execution.id", "value": {"stringValue": "x-1"}},
                {"key": "big", "value": {"intValue": "4611686018427387905"}},
                {"key": "list", "value": {"arrayValue": {"values": [
                    {"stringValue": "a<b"}, {"intValue": "3"}]}}}],
            "status": {"code": 2, "message": "exit code 3"}, "traceState": "a=b", "flags": 769,
            "events": [{"timeUnixNano": "1750000000124000999", "name": "retry",
                        "attributes": [{"key": "n", "value": {"intValue": 2}}]}],
            "links": [{"traceId": "000000000000000000000000000000dd",
                       "spanId": "00000000000000cc"}]}]}]}]}
LEGACY = {
    "traceID": "ab000000000000c",
    "processes": {"p1": {"serviceName": "worker", "tags": [
        {"key": "process.pid", "type": "int64", "value": 42}]}},
    "spans": [{
        "traceID": "ab000000000000c", "spanID": "000000000000000b", "processID": "p1",
        "operationName": "process executions",
        "startTime": 1750000000123456, "duration": 1999,
        "references": [
            {"refType": "FOLLOWS_FROM", "traceID": "00000000000000dd",
             "spanID": "00000000000000cc"},
            {"refType": "CHILD_OF", "traceID": "0ab000000000000c",
             "spanID": "00000000000000aa"}],
        "tags": [
            {"key": "otel.scope.name", "type": "string", "value": "spanstitch"},
            {"key": "otel.scope.version", "type": "string", "value": "0.1"},
            {"key": "execution.id", "type": "string", "value": "x-1"},
            {"key": "big", "type": "int64", "value": "4611686018427387905"},
            {"key": "list", "type": "string", "value": "[\"a\\u003cb\",3]"},
            {"key": "span.kind", "type": "string", "value": "consumer"},
            {"key": "otel.status_code", "type": "string", "value": "ERROR"},
            {"key": "otel.status_description", "type": "string", "value": "exit code 3"},
            {"key": "error", "type": "bool", "value": True},
            {"key": "w3c.tracestate", "type": "string", "value": "a=b"}],
        "logs": [{"timestamp": 1750000000124000, "fields": [
            {"key": "n", "type": "int64", "value": 2},
            {"key": "event", "type": "string", "value": "retry"}]}],
        "warnings": ["clock skew adjustment disabled; not applying calculated delta of 1ms"]}]}


def span_of(request, service):
    """The last span of @service in a request of its own, to be broken."""
    for of_resource in request["resourceSpans"]:
        if {"key": "service.name", "value": {"stringValue": service}} in \
                of_resource["resource"]["attributes"]:
            return of_resource["scopeSpans"][0]["spans"][-1]
    raise AssertionError(f"no span of {service}")


def resource_of(request):
    return request["resourceSpans"][0]["resource"]["attributes"]


def put(key, value):
    return lambda span: span.__setitem__(key, value)


def nested(key, inner, value):
    return lambda span: span[key].__setitem__(inner, value)


def in_first(key, inner, value):
    return lambda span: span[key][0].__setitem__(inner, value)


# (field that must be told, what is done to the span in OTLP/JSON)
BREAKS = (
    ("parent", put("parentSpanId", "00000000000000ff")),
    ("parent", put("parentSpanId", "")),
    ("name", put("name", "other")),
    ("kind", put("kind", 1)),
    ("start_ns", put("startTimeUnixNano", "1750000000123456790")),
    ("end_ns", put("endTimeUnixNano", "1750000000125456789")),
    ("status", nested("status", "code", 1)),
    ("message", nested("status", "message", "exit code 4")),
    ("attributes", in_first("attributes", "key", "execution")),
    ("attributes", in_first("attributes", "value", {"stringValue": "x-2"})),
    ("attributes", in_first("attributes", "value", {"bytesValue": "eC0x"})),
    ("attributes", lambda span: span["attributes"].pop()),
    ("attributes", lambda span: span["attributes"].append(span["attributes"][0])),
    ("links", in_first("links", "traceId", "000000000000000000000000000000de")),
    ("links", in_first("links", "spanId", "00000000000000cd")),
    ("links", in_first("links", "flags", 1)),
    ("links", in_first("links", "traceState", "c=d")),
    ("links", in_first("links", "attributes", [{"key": "a", "value": {"intValue": "1"}}])),
    ("links", put("links", [])),
    ("events", in_first("events", "timeUnixNano", "1750000000124000998")),
    ("events", in_first("events", "name", "again")),
    ("events", in_first("events", "attributes", [])),
    ("state", put("traceState", "")),
    ("flags", put("flags", 257)),
    ("dropped", put("droppedLinksCount", 1)),
)

# (field that must be told, where in the span or trace as /api answers, what it says instead)
LEGACY_BREAKS = (
    ("service", ("processes", "p1", "serviceName"), "api"),
    ("process", ("processes", "p1", "tags", 0, "value"), 43),
    ("name", ("spans", 0, "operationName"), "other"),
    ("start_us", ("spans", 0, "startTime"), 1750000000123457),
    ("duration_us", ("spans", 0, "duration"), 2000),
    ("references", ("spans", 0, "references", 0, "refType"), "CHILD_OF"),
    ("references", ("spans", 0, "references", 0, "traceID"), "00000000000000de"),
    ("references", ("spans", 0, "references", 1, "spanID"), "00000000000000ab"),
    ("references", ("spans", 0, "references"), []),
    ("tags", ("spans", 0, "tags", 2, "value"), "x-2"),
    ("tags", ("spans", 0, "tags", 3, "value"), "4611686018427387904"),
    ("tags", ("spans", 0, "tags", 4, "value"), "[\"a\\u003cb\",4]"),
    ("tags", ("spans", 0, "tags", 5, "value"), "producer"),
    ("tags", ("spans", 0, "tags", 6, "value"), "OK"),
    ("tags", ("spans", 0, "tags", 8, "type"), "string"),
    ("logs", ("spans", 0, "logs", 0, "timestamp"), 1750000000124001),
    ("logs", ("spans", 0, "logs", 0, "fields", 0, "value"), 3),
    ("warnings", ("spans", 0, "warnings"), ["invalid parent span IDs=aa"]),
    ("trace", ("spans", 0, "traceID"), "ab000000000000d"),
)


class Otlp(unittest.TestCase):
    def setUp(self):
        self.want = list(trees.otlp_spans(OTLP))

    def told(self, request):
        return trees.differences(self.want, list(trees.otlp_spans(request)))

    def one_difference(self, request, field):
        told = self.told(request)
        self.assertEqual(len(told), 1, told)
        self.assertIn(f": {field} is ", told[0])

    def test_the_same_is_no_difference(self):
        self.assertEqual(self.told(copy.deepcopy(OTLP)), [])

    def test_names_numbers_and_case_are_no_difference(self):
        other = copy.deepcopy(OTLP)
        span = span_of(other, "worker")
        span.update(kind="SPAN_KIND_CONSUMER", traceId=span["traceId"].lower(),
                    startTimeUnixNano=int(span["startTimeUnixNano"]))
        span["status"]["code"] = "STATUS_CODE_ERROR"
        span["attributes"].reverse()
        self.assertEqual(self.told(other), [])

    def test_each_broken_field_is_told(self):
        for field, break_it in BREAKS:
            with self.subTest(field):
                other = copy.deepcopy(OTLP)
                break_it(span_of(other, "worker"))
                self.one_difference(other, field)

    def test_each_field_is_broken_somewhere(self):
        broken = {field for field, _ in BREAKS} | {"trace", "span", "service", "resource", "scope"}
        self.assertEqual(broken, set(self.want[0]))

    def test_resource_and_scope_are_told(self):
        other = copy.deepcopy(OTLP)
        resource_of(other)[1]["value"] = {"intValue": "43"}
        self.one_difference(other, "resource")
        other = copy.deepcopy(OTLP)
        other["resourceSpans"][0]["scopeSpans"][0]["scope"]["version"] = "0.2"
        self.one_difference(other, "scope")
        other = copy.deepcopy(OTLP)
        resource_of(other)[0]["value"] = {"stringValue": "api"}
        self.assertEqual(len(self.told(other)), 2)  # the service and the attribute that names it

    def test_missing_added_and_repeated_spans_are_told(self):
        spans = OTLP["resourceSpans"][0]["scopeSpans"][0]["spans"]
        for others, times in (([], "0 times instead of 1"), (spans * 2, "2 times instead of 1")):
            other = copy.deepcopy(OTLP)
            other["resourceSpans"][0]["scopeSpans"][0]["spans"] = others
            self.assertEqual(len(self.told(other)), 1)
            self.assertIn(times, self.told(other)[0])
        other = copy.deepcopy(OTLP)
        span_of(other, "worker")["spanId"] = "00000000000000bb"
        self.assertEqual(len(self.told(other)), 2)  # one is missing, one is too many
        twice = self.want * 2
        self.assertEqual(len(trees.differences(twice, twice)), 1)  # an id is given once only


class Legacy(unittest.TestCase):
    def setUp(self):
        self.want = [trees.to_legacy(span) for span in trees.otlp_spans(OTLP)]

    def told(self, trace):
        return trees.differences(self.want, list(trees.legacy_spans(trace)))

    def test_the_same_is_no_difference(self):
        self.assertEqual(self.told(LEGACY), [])

    def test_each_broken_field_is_told(self):
        for field, path, value in LEGACY_BREAKS:
            with self.subTest(path):
                other = copy.deepcopy(LEGACY)
                place = other
                for step in path[:-1]:
                    place = place[step]
                place[path[-1]] = value
                told = self.told(other)
                self.assertEqual(len(told), 1, told)
                self.assertIn(f": {field} is ", told[0])

    def test_each_field_is_broken_somewhere(self):
        self.assertEqual({row[0] for row in LEGACY_BREAKS} | {"span"}, set(self.want[0]))

    def test_a_link_to_the_parent_replaces_its_reference(self):
        other = copy.deepcopy(OTLP)
        span = span_of(other, "worker")
        span["links"] = [{"traceId": span["traceId"], "spanId": span["parentSpanId"]}]
        told = [trees.to_legacy(s)["references"] for s in trees.otlp_spans(other)]
        parent = ("00000000000000000ab000000000000c", "00000000000000aa")
        self.assertEqual(told, [[("FOLLOWS_FROM",) + parent]])
        span["links"][0]["attributes"] = [
            {"key": "opentracing.ref_type", "value": {"stringValue": "child_of"}}]
        told = [trees.to_legacy(s)["references"] for s in trees.otlp_spans(other)]
        self.assertEqual(told, [[("CHILD_OF",) + parent]])


class File(unittest.TestCase):
    def test_traces_are_gathered_across_lines(self):
        made, executions = synthetic.requests(NOW_NS, 20)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            for request in made:
                print(json.dumps(request), file=file)
            file.flush()
            traces = trees.read_otlp_file(file.name)
        self.assertEqual(len(traces), 2 * len(executions))  # each with its poll's own
        for execution in executions:
            spans = traces[execution["trace"]]
            self.assertEqual(len(spans), len(synthetic.STEPS))
            for span in spans:
                self.assertTrue(trees.has_attribute(span, "execution.id", execution["id"]))
                self.assertFalse(trees.has_attribute(span, "execution.id", "x-9999"))
                self.assertFalse(trees.has_attribute(span, "execution", execution["id"]))


if __name__ == "__main__":
    counted.main()
