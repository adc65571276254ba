"""story: a small run of the platform, made up: the logs that it leaves, and the spans of a tracer
that saw everything. Told act by act, each writing its log line and its span beside each other;
truth.py has no part in it.
"""

import json

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000
PIDS = {"api": 11, "worker": 12, "kube": 13, "pod-monitor": 14, "result-processor": 15}
PODS = "/api/v1/namespaces/default/pods"
PODS_ROUTE = "/api/v1/namespaces/{namespace}/pods"
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
EXECUTIONS = (          # ident, user, language, statuses of the creates, exit code, signal
    ("00000000-0000-4000-8000-00000000000a", "ada", "python", (201,), 0, 0),
    ("00000000-0000-4000-8000-00000000000b", "bob", "shell", (503, 503, 201), 139, 11),
    ("00000000-0000-4000-8000-00000000000c", "cy", "python", (201,), 3, 0),
)


class Story:
    def __init__(self, mode):
        self.mode = mode
        self.logs = {name: [] for name in PIDS}
        self.lines = []         # the client's
        self.spans = []         # dicts; "label" says which they are, for whoever breaks one
        self.now = START_NS
        self.offsets = {}
        self.seq = 0
        self.watch()
        for n, row in enumerate(EXECUTIONS):
            self.execution(n, *row)

    # -- words ------------------------------------------------------------------------------------

    def log(self, service, event, **fields):
        self.logs[service].append(dict(event=event, **fields))

    def pass_ms(self, ms):
        self.now += ms * MS
        return self.now

    def span(self, label, service, kind, name, parent, evidence, **attributes):
        """parent: a span, or None; it stays in the trace of the execution that is being told."""
        span = {"label": label, "trace": self.trace, "id": "%016x" % (0xabc000 + len(self.spans)),
                "parent": parent["id"] if parent else "", "kind": kind, "name": name,
                "start": self.now, "end": self.now + 2 * MS, "service": service,
                "pid": PIDS.get(service), "error": False, "links": [], "resource": {},
                "attributes": dict(attributes)}
        span["attributes"].update({"spanstitch.parent.evidence": evidence}, **self.identity)
        self.spans.append(span)
        return span

    def served(self, label, service, parent, evidence, method, path, route, status, **fields):
        """A server's span and its line."""
        self.log(service, "http.server", begin=self.now, end=self.now + 2 * MS, method=method,
                 path=path, query="", status=status, headers={}, error=None, **fields)
        span = self.span(label, service, "server", method + " " + route, parent, evidence, **{
            "http.request.method": method, "url.path": path, "http.route": route,
            "http.response.status_code": status})
        span["error"] = status >= 500
        return span

    def request(self, label, service, peer, parent, method, path, route, status, resend=0):
        """A client's span and its line, around the server's."""
        span = self.span(label, service, "client", method + " " + route, parent, "thread", **{
            "http.request.method": method, "url.full": "http://127.0.0.1:80" + path,
            "url.template": route, "http.response.status_code": status})
        if resend:
            span["attributes"]["http.request.resend_count"] = resend
        span["error"] = status >= 400
        begin = self.now
        self.pass_ms(1)
        server = self.served(label + ".server", peer, span, "socket.sequence", method, path, route,
                             status, execution=self.ident)
        span["end"] = self.pass_ms(3)
        self.log(service, "http.client", begin=begin, end=self.now, peer=peer, method=method,
                 path=path, status=status, execution=self.ident, headers={})
        return server

    def messaging(self, topic, operation):
        partition = len(self.ident) % 4
        offset = self.offsets[topic]
        return partition, offset, {
            "messaging.system": "kafka", "messaging.operation.name": operation,
            "messaging.operation.type": operation, "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(partition),
            "messaging.kafka.offset": offset}

    def send(self, label, service, topic, parent, evidence):
        self.offsets[topic] = self.offsets.get(topic, -1) + 1
        partition, offset, attributes = self.messaging(topic, "send")
        self.seq += 1
        span = self.span(label, service, "producer", "send " + topic, parent, evidence,
                         **attributes)
        self.log(service, "kafka.produce", begin=self.now, end=self.now + 1, seq=self.seq,
                 topic=topic, execution=self.ident, headers={})
        span["end"] = self.now + 6 * MS
        self.log(service, "kafka.delivered", ts=span["end"], seq=self.seq, topic=topic,
                 execution=self.ident, partition=partition, offset=offset, error=None)
        return span

    def process(self, label, service, topic, parent, evidence):
        """The message that was sent last; returns its span and its line, both still open."""
        partition, offset, attributes = self.messaging(topic, "process")
        span = self.span(label, service, "consumer", "process " + topic, parent, evidence,
                         **attributes)
        span["links"].append((parent["trace"], parent["id"]))
        line = dict(event="kafka.process", begin=self.now, end=0, topic=topic,
                    execution=self.ident, partition=partition, offset=offset, headers={})
        return span, line

    def close(self, service, span, line):
        span["end"] = line["end"] = self.pass_ms(1)
        self.logs[service].append(line)

    # -- acts -------------------------------------------------------------------------------------

    def watch(self):
        self.trace, self.identity, self.ident = "77" * 16, {}, None
        asks = self.span("watch", "pod-monitor", "client", "GET " + PODS_ROUTE, None, "none", **{
            "http.request.method": "GET", "url.full": "http://127.0.0.1:80" + PODS,
            "http.response.status_code": 200})
        self.served("watch.server", "kube", asks, "socket.sequence", "GET", PODS, PODS_ROUTE, 200,
                    execution=None)
        self.pass_ms(2)

    def execution(self, n, ident, user, language, creates, code, signum):
        self.ident, self.identity = ident, {"execution.id": ident, "user.id": user}
        self.trace = "%032x" % (0xfeed00 + n)
        self.label = "abc"[n] + "."
        self.lines.append({"id": ident, "user": user, "language": language})
        root, sent = self.submit(language)
        accepted = self.work(sent, creates)
        self.poll(root)
        self.run(accepted, language, code, signum)
        parent = sent if self.mode == "traceparent" else root
        evidence = "correlation" if self.mode == "none" else "header"
        for phase in ("started", "ended"):
            self.report(phase, parent, evidence)
        self.poll(root)

    def submit(self, language):
        root = self.served(self.label + "execute", "api", None, "none", "POST", "/execute",
                           "/execute", 202, execution=self.ident)
        root["attributes"]["code.language"] = language
        self.pass_ms(1)
        sent = self.send(self.label + "send", "api", "executions", root, "task:python")
        if self.mode == "traceparent":
            header = {"traceparent": "00-%s-%s-01" % (self.trace, sent["id"])}
        elif self.mode == "custom":
            t = self.trace
            header = {"trace-id": "-".join((t[:8], t[8:12], t[12:16], t[16:20], t[20:]))}
        if self.mode != "none":
            self.log("api", "trace.made", execution=self.ident, headers=header, ts=self.now)
        self.pass_ms(9)
        return root, sent

    def work(self, sent, creates):
        evidence = "header" if self.mode == "traceparent" else "kafka.offset"
        span, line = self.process(self.label + "work", "worker", "executions", sent, evidence)
        for n, status in enumerate(creates):
            self.pass_ms(20)
            server = self.request(self.label + "create%d" % (n + 1), "worker", "kube", span, "POST",
                                  PODS, PODS_ROUTE, status, resend=n)
        self.pass_ms(1)
        self.send(self.label + "pods", "worker", "pods", span, "thread")
        self.close("worker", span, line)
        return server

    def run(self, accepted, language, code, signum):
        self.pass_ms(20)
        pid, uid = 500 + len(self.spans), "uid-of-" + self.ident
        program = {"python": "/usr/bin/python3", "shell": "/bin/sh"}[language]
        pod = self.span(self.label + "pod", program[-3:], "internal", program.rsplit("/")[-1],
                        accepted, "exec", **{"process.pid": pid, "process.exit.code": code,
                                             "process.executable.path": program})
        pod["error"] = code != 0
        if signum:
            pod["attributes"]["process.exit.signal"] = "SIGSEGV"
        pod["pid"] = pid
        pod["resource"] = {"k8s.pod.uid": uid, "container.id": "c0ffee"}
        about = {"uid": uid, "execution": self.ident, "pid": pid}
        self.log("kube", "pod.started", ts=self.now, container="c0ffee", **about)
        pod["end"] = self.pass_ms(30)
        self.log("kube", "pod.ended", ts=self.now, exit_code=code, signal=signum, **about)

    def report(self, phase, parent, evidence):
        """One transition, from the monitor to the end of its processing."""
        self.pass_ms(8)
        sent = self.send(self.label + phase, "pod-monitor", "pod-events", parent, evidence)
        self.pass_ms(8)
        span, line = self.process(self.label + phase + ".process", "result-processor",
                                  "pod-events", sent, "kafka.offset")
        if phase == "ended":
            pod = PODS + "/exec-" + self.ident
            for what, peer, method, path, route in (
                    ("log", "kube", "GET", pod + "/log", PODS_ROUTE + "/{name}/log"),
                    ("result", "api", "POST", "/executions/%s/result" % self.ident,
                     "/executions/{id}/result"),
                    ("delete", "kube", "DELETE", pod, PODS_ROUTE + "/{name}")):
                self.pass_ms(1)
                self.request(self.label + what, "result-processor", peer, span, method, path,
                             route, 200)
        self.close("result-processor", span, line)

    def poll(self, root):
        mine = self.trace, self.identity
        self.trace = "%032x" % (0xb0b000 + len(self.spans))
        self.identity = {"execution.id": self.ident}
        span = self.served(self.label + "poll", "api", None, "none", "GET",
                           "/executions/" + self.ident, "/executions/{id}", 200,
                           execution=self.ident)
        span["links"].append((root["trace"], root["id"]))
        self.trace, self.identity = mine
        self.pass_ms(3)

    # -- what a tracer writes -------------------------------------------------------------------

    def otlp(self):
        """One ExportTraceServiceRequest a span, in JSON."""
        return "".join(json.dumps({"resourceSpans": [resource_spans(s)]}) + "\n"
                       for s in self.spans)


def otlp_attributes(table):
    return [{"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else
             {"stringValue": value}} for key, value in table.items() if value is not None]


def resource_spans(s):
    resource = dict(s["resource"], **{"service.name": s["service"], "process.pid": s["pid"]})
    span = {"traceId": s["trace"], "spanId": s["id"], "parentSpanId": s["parent"],
            "name": s["name"], "kind": KINDS[s["kind"]], "startTimeUnixNano": str(s["start"]),
            "endTimeUnixNano": str(s["end"]), "attributes": otlp_attributes(s["attributes"]),
            "links": [{"traceId": t, "spanId": i} for t, i in s["links"]],
            "status": {"code": 2} if s["error"] else {}}
    return {"resource": {"attributes": otlp_attributes(resource)},
            "scopeSpans": [{"scope": {"name": "spanstitch"}, "spans": [span]}]}
