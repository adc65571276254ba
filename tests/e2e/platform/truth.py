"""truth: what spans the executions of a platform run must have, from the platform's own logs alone.

Nothing here knows what a tracer saw. Each line that a service wrote about a piece of work wants one
span; the line says when, where and how it ended, and the logs together say on whose account.
"""

import collections
import re

NAMES = {       # by method and the path's form, as the shipped configuration has the routes
    "/execute": re.compile(r"/execute"),
    "/executions/{id}": re.compile(r"/executions/[^/]+"),
    "/executions/{id}/result": re.compile(r"/executions/[^/]+/result"),
    "/api/v1/namespaces/{namespace}/pods": re.compile(r"/api/v1/namespaces/[^/]+/pods"),
    "/api/v1/namespaces/{namespace}/pods/{name}":
        re.compile(r"/api/v1/namespaces/[^/]+/pods/[^/]+"),
    "/api/v1/namespaces/{namespace}/pods/{name}/log":
        re.compile(r"/api/v1/namespaces/[^/]+/pods/[^/]+/log"),
}
PROGRAMS = {"python": "/usr/bin/python3", "shell": "/bin/sh"}   # as the worker's pods have them
SIGNALS = {9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}
ROOT = "execute"
# A blocking program's work is known by its thread, or, where the thread has a Python context (a
# library may have made one), by that: the finer of the two.
BLOCKING = ("thread", "task:python")


def route(path):
    for name, form in NAMES.items():
        if form.fullmatch(path):
            return name
    raise ValueError("a path that the platform does not have: " + path)


class Want:
    """One span that must be there."""

    def __init__(self, line, execution, role, **fields):
        self.execution = execution
        self.role = role                # unique within the execution
        self.begin = line.get("begin", line.get("ts"))
        self.end = line.get("end")
        self.service = None             # None: any but the platform's own
        self.kind = self.name = None
        self.parent = None              # role; None: a root
        self.evidence = "none"          # or several, each of which is right
        self.link = None                # role of the span that it must link to
        self.span_id = None             # where the wire names it
        self.attributes = {}            # None: must not be there
        self.resource = {}
        self.error = False
        self.__dict__.update(fields)

    def __repr__(self):
        return "%s of %s" % (self.role, self.execution)


def http(line, execution, role, service, kind, **fields):
    at = route(line["path"])
    server = kind == "server"
    attributes = {
        "http.request.method": line["method"],
        "http.response.status_code": line["status"],
        "http.route" if server else "url.template": at,
        "url.path" if server else "url.full": line["path"],
    }
    attributes.update(fields.pop("attributes", {}))
    return Want(line, execution, role, service=service, kind=kind, attributes=attributes,
                name="%s %s" % (line["method"], at),
                error=line["status"] >= (500 if server else 400), **fields)


def message(line, execution, role, service, operation, **fields):
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": line["topic"],
        "messaging.destination.partition.id": str(line["partition"]),
        "messaging.kafka.offset": line["offset"],
    }
    return Want(line, execution, role, service=service, attributes=attributes,
                kind="producer" if operation == "send" else "consumer",
                name="%s %s" % (operation, line["topic"]), **fields)


class Execution:
    """The whole expected tree of one execution."""

    def __init__(self, ident, client):
        self.id = ident
        self.client = client            # submit.py's line
        self.trace = None               # its id, where the api made one
        self.wants = {}                 # role -> Want

    def add(self, want):
        if want.role in self.wants:
            raise ValueError("%r is wanted twice" % want)
        self.wants[want.role] = want


class Truth:
    """All of a run: executions by id, and the polls, which are traces of their own."""

    def __init__(self, mode, logs, lines):
        self.mode = mode
        self.logs = logs
        self.executions = {line["id"]: Execution(line["id"], line) for line in lines}
        self.polls = []
        self.made = {line["execution"]: line["headers"]
                     for line in self._lines("api", "trace.made")}
        self.places = {}                # (topic, partition, offset) -> the producer's Want
        for execution in self.executions.values():
            self._tell(execution)
        self._polls()

    def _lines(self, service, event, **wanted):
        return [line for line in self.logs[service] if line["event"] == event and
                all(line[k] == v for k, v in wanted.items())]

    def _by_execution(self, service, event, **wanted):
        """The lines of an execution, by a table made once a kind of line."""
        key = service, event, tuple(sorted(wanted.items()))
        cache = self.__dict__.setdefault("_cache", {})
        if key not in cache:
            cache[key] = collections.defaultdict(list)
            for line in self._lines(service, event, **wanted):
                cache[key][line["execution"]].append(line)
        return lambda execution: sorted(cache[key][execution.id], key=lambda line:
                                        line.get("begin", line.get("ts")))

    # -- one execution's story ------------------------------------------------------------------

    def _tell(self, e):
        self._trace_id(e)
        self._submitted(e)
        self._worked(e)
        self._ran(e)
        self._watched(e)
        self._processed(e)
        identity = {"execution.id": e.id, "user.id": e.client["user"]}
        for want in e.wants.values():
            want.attributes.update(identity)

    def _trace_id(self, e):
        header = self.made.get(e.id, {})
        if self.mode == "traceparent":
            e.trace = header["traceparent"].split("-")[1]
        elif self.mode == "custom":
            e.trace = header["trace-id"].replace("-", "")

    def _submitted(self, e):
        line, = self._by_execution("api", "http.server", path="/execute")(e)
        e.add(http(line, e.id, ROOT, "api", "server",
                   attributes={"code.language": e.client["language"]}))
        sent, = self._sent("api", "executions", e)
        want = message(sent, e.id, "send executions", "api", "send", parent=ROOT,
                       evidence="task:python")
        if self.mode == "traceparent":      # the span takes the id that its message carries
            want.span_id = self.made[e.id]["traceparent"].split("-")[2]
        self._add_sent(e, want)

    def _sent(self, service, topic, e):
        """The execution's messages of a topic: produce and delivery made one line."""
        delivered = {line["seq"]: line for line in
                     self._by_execution(service, "kafka.delivered", topic=topic)(e)}
        for line in self._by_execution(service, "kafka.produce", topic=topic)(e):
            ack = delivered[line["seq"]]
            yield dict(line, end=ack["ts"], partition=ack["partition"], offset=ack["offset"])

    def _add_sent(self, e, want):
        a = want.attributes
        place = a["messaging.destination.name"], int(a["messaging.destination.partition.id"]), \
            a["messaging.kafka.offset"]
        self.places[place] = want
        e.add(want)

    def _received(self, service, topic, e):
        """Consumer spans: each by the message that it is of."""
        for line in self._by_execution(service, "kafka.process", topic=topic)(e):
            sent = self.places[topic, line["partition"], line["offset"]]
            # Only the first receiver's header names the very span that sent the message.
            is_named = self.mode == "traceparent" and sent.span_id
            want = message(line, e.id, sent.role.replace("send", "process"), service, "process",
                           parent=sent.role, link=sent.role,
                           evidence="header" if is_named else "kafka.offset")
            e.add(want)
            yield want

    def _request(self, e, line, role, service, parent, resend=0):
        """A request of a service: the client's span and, below it, the server's."""
        e.add(http(line, e.id, role, service, "client", parent=parent, evidence=BLOCKING,
                   attributes={"http.request.resend_count": resend or None}))
        got = [s for s in self._by_execution(line["peer"], "http.server", path=line["path"],
                                             method=line["method"])(e)
               if line["begin"] <= s["begin"] <= line["end"]]
        if len(got) != 1:
            raise ValueError("%s of %s: %d requests at %s" % (role, e.id, len(got), line["peer"]))
        e.add(http(got[0], e.id, role + ", served", line["peer"], "server", parent=role,
                   evidence="socket.sequence"))

    def _worked(self, e):
        handled, = self._received("worker", "executions", e)
        creates = self._by_execution("worker", "http.client", method="POST")(e)
        for n, line in enumerate(creates):
            self._request(e, line, "create %d" % (n + 1), "worker", handled.role, resend=n)
        sent, = self._sent("worker", "pods", e)
        self._add_sent(e, message(sent, e.id, "send pods", "worker", "send", parent=handled.role,
                                  evidence=BLOCKING))

    def _ran(self, e):
        started, = self._by_execution("kube", "pod.started")(e)
        ended, = self._by_execution("kube", "pod.ended")(e)
        program = PROGRAMS[e.client["language"]]
        accepted = [w.role for w in e.wants.values() if w.service == "kube" and
                    w.attributes["http.response.status_code"] == 201]
        code, signum = ended["exit_code"], ended["signal"]
        e.add(Want(dict(started, end=ended["ts"]), e.id, "pod", kind="internal",
                   name=program.rsplit("/", 1)[1], parent=accepted[0], evidence="exec",
                   error=code != 0, attributes={
                       "process.pid": started["pid"],
                       "process.executable.path": program,
                       "process.exit.code": code,
                       "process.exit.signal": SIGNALS[signum] if signum else None,
                   }, resource={"process.pid": started["pid"], "k8s.pod.uid": started["uid"],
                                "container.id": started["container"]}))

    def _watched(self, e):
        """The monitor works on no request: its messages hang where their header or key leads."""
        parent = "send executions" if self.mode == "traceparent" else ROOT
        evidence = "correlation" if self.mode == "none" else "header"
        for n, line in enumerate(self._sent("pod-monitor", "pod-events", e)):
            self._add_sent(e, message(line, e.id, "send pod-events %d" % (n + 1), "pod-monitor",
                                      "send", parent=parent, evidence=evidence))

    def _processed(self, e):
        handled = list(self._received("result-processor", "pod-events", e))
        count = collections.Counter()
        for line in self._by_execution("result-processor", "http.client")(e):
            parent, = [w.role for w in handled if w.begin <= line["begin"] < w.end]
            what = {"GET": "log", "POST": "result", "DELETE": "delete"}[line["method"]]
            count[what] += 1
            self._request(e, line, "%s %d" % (what, count[what]), "result-processor", parent)

    def _polls(self):
        for line in self._lines("api", "http.server", method="GET"):
            if line["execution"] in self.executions:
                self.polls.append(http(line, line["execution"], "poll %d" % len(self.polls),
                                       "api", "server", link=ROOT,
                                       attributes={"execution.id": line["execution"]}))
