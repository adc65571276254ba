"""Spans in one form, whether they come from an OTLP/JSON file or from Jaeger, and their differences.

Two forms, for Jaeger answers in two ways. `otlp` is all that OTLP can say of a span, to the
nanosecond: the file and /api/v3 are read into it. `legacy` is what Jaeger's web page sees, to the
microsecond, from /api: attributes, kind, status and scope are all tags there, and parent and links
are both references. An otlp span says by to_legacy() how it must look there.

A span is a dict of comparable values; spans are keyed by id within a trace, traces by id.
"""
import base64
import json
from collections import defaultdict

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS = ("unset", "ok", "error")
NS_PER_US = 1000
MAX_SHOWN = 160  # characters of a value in a difference's sentence

# Jaeger shows clocks that disagree by this warning when it is told not to correct them. A message
# consumed after its producer's span ended can look to it like such a clock: that is no difference.
SKEW_WARNING = "clock skew adjustment disabled"


def enum(value, names):
    """An enum as the number that OTLP/JSON demands, or as the name that others write."""
    if isinstance(value, str):
        word = value.lower().rpartition("_")[2]
        return word if word in names else value
    return names[value or 0] if 0 <= (value or 0) < len(names) else str(value)


def plain(value):
    """An AnyValue as a JSON value, for what is nested in arrays and maps."""
    if "arrayValue" in value:
        return [plain(v) for v in (value["arrayValue"] or {}).get("values", [])]
    if "kvlistValue" in value:
        pairs = (value["kvlistValue"] or {}).get("values", [])
        return {p["key"]: plain(p.get("value") or {}) for p in pairs}
    return typed(value)[1]


def typed(value):
    """An AnyValue as (Jaeger's name of its type, value)."""
    if "stringValue" in value:
        return ("string", value["stringValue"])
    if "intValue" in value:
        return ("int64", int(value["intValue"]))
    if "boolValue" in value:
        return ("bool", value["boolValue"])
    if "doubleValue" in value:
        return ("float64", float(value["doubleValue"]))
    if "bytesValue" in value:
        return ("binary", base64.b64decode(value["bytesValue"]).hex())
    if "arrayValue" in value or "kvlistValue" in value:
        return ("json", json.dumps(plain(value), sort_keys=True, ensure_ascii=False,
                                   separators=(",", ":")))
    return ("string", "")  # an AnyValue without a value


def attributes(listed):
    """Attributes in a fixed order: repeated keys stay visible, for they would be a mistake."""
    pairs = ((a["key"],) + typed(a.get("value") or {}) for a in listed or [])
    return sorted(pairs, key=repr)


def links_of(span):
    links = [(link.get("traceId", "").lower(), link.get("spanId", "").lower(),
              link.get("traceState", ""), int(link.get("flags", 0)),
              attributes(link.get("attributes"))) for link in span.get("links") or []]
    return sorted(links, key=repr)


def events_of(span):
    events = [(int(event.get("timeUnixNano", 0)), event.get("name", ""),
               attributes(event.get("attributes"))) for event in span.get("events") or []]
    return sorted(events, key=repr)


def otlp_span(span, resource, scope):
    status = span.get("status") or {}
    service = [v for key, kind, v in resource if key == "service.name" and kind == "string"]
    return {
        "trace": span["traceId"].lower(),
        "span": span["spanId"].lower(),
        "parent": span.get("parentSpanId", "").lower(),
        "service": service[0] if service else "",
        "name": span.get("name", ""),
        "kind": enum(span.get("kind"), KINDS),
        "start_ns": int(span.get("startTimeUnixNano", 0)),
        "end_ns": int(span.get("endTimeUnixNano", 0)),
        "status": enum(status.get("code"), STATUS),
        "message": status.get("message", ""),
        "attributes": attributes(span.get("attributes")),
        "links": links_of(span),
        "events": events_of(span),
        "state": span.get("traceState", ""),
        "flags": int(span.get("flags", 0)),
        "dropped": tuple(int(span.get(f"dropped{what}Count", 0))
                         for what in ("Attributes", "Events", "Links")),
        "resource": resource,
        "scope": scope,
    }


def otlp_spans(request):
    """All spans of an ExportTraceServiceRequest (or TracesData) in JSON, one dict each."""
    for of_resource in request.get("resourceSpans") or []:
        resource = attributes((of_resource.get("resource") or {}).get("attributes"))
        for of_scope in of_resource.get("scopeSpans") or []:
            scope = of_scope.get("scope") or {}
            scope = (scope.get("name", ""), scope.get("version", ""),
                     attributes(scope.get("attributes")))
            for span in of_scope.get("spans") or []:
                yield otlp_span(span, resource, scope)


def by_trace(spans):
    traces = defaultdict(list)
    for span in spans:
        traces[span["trace"]].append(span)
    return dict(traces)


def read_otlp_file(path):
    """The traces of a file with one ExportTraceServiceRequest a line: {trace id: [span]}."""
    with open(path, encoding="utf-8") as lines:
        requests = [json.loads(line) for line in lines if line.strip()]
    return by_trace(span for request in requests for span in otlp_spans(request))


def as_tag(key, kind, value):
    """An attribute as Jaeger's tag: it has no type for arrays and maps, and shows their JSON, with
    the characters escaped that Go escapes for the sake of web pages."""
    if kind != "json":
        return (key, kind, value)
    for char in "<>&\u2028\u2029":
        value = value.replace(char, f"\\u{ord(char):04x}")
    return (key, "string", value)


def legacy_references(span):
    """Parent and links as references. A link to the own parent is not told twice: it turns the
    parent's reference into its own type, FOLLOWS_FROM unless an attribute says otherwise."""
    parent = (span["trace"], span["parent"])
    references, parent_type = [], "CHILD_OF"
    for trace, target, _, _, attrs in span["links"]:
        said = [v for key, _, v in attrs if key == "opentracing.ref_type"]
        kind = "CHILD_OF" if said == ["child_of"] else "FOLLOWS_FROM"
        if span["parent"] and (trace, target) == parent:
            parent_type = kind
        else:
            references.append((kind, trace, target))
    if span["parent"]:
        references.append((parent_type,) + parent)
    return sorted(references)


def legacy_tags(span):
    tags = [as_tag(*a) for a in span["attributes"]]
    for key, value in zip(("otel.scope.name", "otel.scope.version"), span["scope"]):
        if value:
            tags.append((key, "string", value))
    if span["kind"] != "unspecified":
        tags.append(("span.kind", "string", span["kind"]))
    if span["status"] != "unset":
        tags.append(("otel.status_code", "string", span["status"].upper()))
    if span["status"] == "error":
        tags.append(("error", "bool", True))
    if span["message"]:
        tags.append(("otel.status_description", "string", span["message"]))
    if span["state"]:
        tags.append(("w3c.tracestate", "string", span["state"]))
    return sorted(tags, key=repr)


def legacy_log(time_ns, name, attrs):
    fields = [as_tag(*a) for a in attrs]
    if name and not any(key == "event" for key, _, _ in attrs):
        fields.append(("event", "string", name))
    return (time_ns // NS_PER_US, sorted(fields, key=repr))


def to_legacy(span):
    """How an otlp span must look in an answer of /api."""
    return {
        "trace": span["trace"],
        "span": span["span"],
        "service": span["service"],
        "name": span["name"],
        "start_us": span["start_ns"] // NS_PER_US,
        "duration_us": (span["end_ns"] - span["start_ns"]) // NS_PER_US,
        "references": legacy_references(span),
        "tags": legacy_tags(span),
        "logs": sorted((legacy_log(*event) for event in span["events"]), key=repr),
        "process": sorted((as_tag(*a) for a in span["resource"] if a[0] != "service.name"),
                          key=repr),
        "warnings": [],
    }


def legacy_value(tag):
    if tag["type"] == "int64":
        return int(tag["value"])  # a string where a browser's number would lose digits
    if tag["type"] == "float64":
        return float(tag["value"])
    if tag["type"] == "binary":
        return base64.b64decode(tag["value"]).hex()
    return tag["value"]


def legacy_pairs(tags):
    return sorted(((t["key"], t["type"], legacy_value(t)) for t in tags or []), key=repr)


def hex_id(text, digits):
    return text.lower().rjust(digits, "0")  # ids lose leading zeros there


def legacy_spans(trace):
    """The spans of one trace in an answer of /api, in the legacy form."""
    for span in trace["spans"]:
        process = trace["processes"][span["processID"]]
        yield {
            "trace": hex_id(span["traceID"], 32),
            "span": hex_id(span["spanID"], 16),
            "service": process["serviceName"],
            "name": span["operationName"],
            "start_us": span["startTime"],
            "duration_us": span["duration"],
            "references": sorted((r["refType"], hex_id(r["traceID"], 32), hex_id(r["spanID"], 16))
                                 for r in span["references"]),
            "tags": legacy_pairs(span["tags"]),
            "logs": sorted(((log["timestamp"], legacy_pairs(log["fields"]))
                            for log in span["logs"]), key=repr),
            "process": legacy_pairs(process.get("tags")),
            "warnings": [w for w in span.get("warnings") or [] if SKEW_WARNING not in w],
        }


def shown(value, other):
    """A value in a sentence; of a list, only what the @other list has not."""
    if isinstance(value, list) and isinstance(other, list):
        value = [v for v in value if v not in other] or value
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def by_span(spans):
    spans_of = defaultdict(list)
    for span in spans:
        spans_of[span["span"]].append(span)
    return spans_of


def differences(want, got):
    """One sentence for each field of each span in which the spans @got are not those @want."""
    found = []
    want, got = by_span(want), by_span(got)
    for span in sorted(set(want) | set(got)):
        wanted, had = want.get(span, []), got.get(span, [])
        where = f"span {span} of trace {(wanted or had)[0]['trace']}"
        if len(wanted) != len(had):
            found.append(f"{where}: {len(had)} times instead of {len(wanted)}")
            continue
        if len(wanted) > 1:  # which of them is which cannot be known
            found.append(f"{where}: the id is given {len(wanted)} times")
            continue
        for field, want_it in wanted[0].items():
            got_it = had[0][field]
            if got_it != want_it:
                found.append(f"{where}: {field} is {shown(got_it, want_it)},"
                             f" not {shown(want_it, got_it)}")
    return found


def has_attribute(span, key, value):
    """Whether Jaeger's tag search must find this span by @key=@value (a string)."""
    everywhere = [span["attributes"], span["resource"], span["scope"][2]]
    everywhere += [attrs for _, _, attrs in span["events"]]
    return any(k == key and str(v) == value for attrs in everywhere for k, _, v in attrs)
