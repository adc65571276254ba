"""kube: a stand-in for the Kubernetes API server and kubelet, for a machine without Kubernetes.

Serves the pods of /api/v1 (create, get, list, watch, delete, log) as far as the unmodified
Python client asks; kubelet.py runs them. A pod with the annotation `platform/refuse: "N"` is
refused N times with 503 before it is accepted.
"""

import asyncio
import collections
import json
import secrets
import time
import uuid

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

import common
import kubelet

EVENTS_MAX = 4096       # kept for watches that continue from a version; older ones get 410 Gone
PODS_MAX = 10000
LOG_BYTES_MAX = 1 << 20
WATCH_S_MAX = 300
REFUSE = "platform/refuse"


class StatusError(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code = code
        self.body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                     "message": message, "reason": reason, "code": code}


def selects(selector, pod):
    """An equality selector: k=v,k2=v2."""
    labels = pod["metadata"].get("labels") or {}
    for term in filter(None, (selector or "").split(",")):
        name, _, value = term.replace("==", "=").partition("=")
        if labels.get(name) != value:
            return False
    return True


class Store:
    """The pods, and their recent changes for the watches."""

    def __init__(self):
        self.version = int(time.time())     # a restarted server goes on from a higher one
        self.oldest = self.version          # changes after this version are known
        self.pods = {}                      # (namespace, name) -> pod
        self.events = collections.deque()   # (version, namespace, pod, line)
        self.changed = asyncio.Event()
        self.closing = False

    def note(self, kind, pod):
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        line = json.dumps({"type": kind, "object": pod}, separators=(",", ":")) + "\n"
        self.events.append((self.version, pod, line))
        if len(self.events) > EVENTS_MAX:
            self.oldest = self.events.popleft()[0]
        self.wake()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    def modified(self, pod):
        meta = pod["metadata"]
        if self.pods.get((meta["namespace"], meta["name"])) is pod:
            self.note("MODIFIED", pod)

    def since(self, version):
        """The events after version, oldest first."""
        found = []
        for event in reversed(self.events):
            if event[0] <= version:
                break
            found.append(event)
        return reversed(found)

    async def watch(self, namespace, selector, version, seconds):
        """Lines of JSON for one watch request."""
        def wanted(pod):
            return pod["metadata"]["namespace"] == namespace and selects(selector, pod)

        if version is None:
            version = self.version
            for pod in list(self.pods.values()):
                if wanted(pod):
                    yield json.dumps({"type": "ADDED", "object": pod}) + "\n"
        end = time.monotonic() + seconds
        while not self.closing:
            if version < self.oldest:
                gone = StatusError(410, "Expired", "too old resource version: %d" % version)
                yield json.dumps({"type": "ERROR", "object": gone.body}) + "\n"
                return
            for at, pod, line in self.since(version):
                version = at
                if wanted(pod):
                    yield line
            if version < self.version:
                continue
            left = end - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                return


def new_pod(namespace, body):
    """The stored object, its fields in the order in which an API server writes them."""
    asked = body.get("metadata") or {}
    containers = (body.get("spec") or {}).get("containers") or []
    name = asked.get("name")
    if not name and asked.get("generateName"):
        name = asked["generateName"] + secrets.token_hex(3)
    if not name or len(containers) != 1 or not containers[0].get("image"):
        raise StatusError(422, "Invalid", "a pod here wants a name and one container with image")
    metadata = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()),
                "resourceVersion": "0", "creationTimestamp": kubelet.stamp()}
    metadata.update((k, asked[k]) for k in ("labels", "annotations") if asked.get(k))
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": body["spec"],
            "status": {"phase": "Pending", "qosClass": kubelet.qos_class(containers)}}


class Api:
    """The handlers; one method a verb."""

    def __init__(self, args, log):
        self.store = Store()
        self.kubelet = kubelet.Kubelet(log, args.dir, self.store.modified)
        self.kubelet.check()
        self.refused = collections.Counter()    # pod name -> refusals; dropped when accepted

    def find(self, namespace, name):
        pod = self.store.pods.get((namespace, name))
        if not pod:
            raise StatusError(404, "NotFound", 'pods "%s" not found' % name)
        return pod

    async def create(self, namespace: str, request: Request):
        pod = new_pod(namespace, await request.json())
        meta = pod["metadata"]
        request.state.execution = (meta.get("labels") or {}).get(common.LABEL)
        refuse = int((meta.get("annotations") or {}).get(REFUSE, "0"))
        if self.refused[meta["name"]] < refuse:
            while len(self.refused) >= PODS_MAX:     # names that were never asked for again
                self.refused.pop(next(iter(self.refused)))
            self.refused[meta["name"]] += 1
            raise StatusError(503, "ServiceUnavailable", "the server is not ready")
        self.refused.pop(meta["name"], None)
        if (namespace, meta["name"]) in self.store.pods:
            raise StatusError(409, "AlreadyExists", 'pods "%s" already exists' % meta["name"])
        if len(self.store.pods) >= PODS_MAX:
            raise StatusError(403, "Forbidden", "exceeded quota: pods=%d" % PODS_MAX)
        self.store.pods[namespace, meta["name"]] = pod
        self.store.note("ADDED", pod)
        return JSONResponse(pod, 201, background=BackgroundTask(self.admit, pod))

    async def admit(self, pod):
        self.kubelet.admit(pod)

    async def list(self, namespace: str, watch: bool = False, labelSelector: str = "",
                   resourceVersion: str = "", timeoutSeconds: int = WATCH_S_MAX):
        if watch:
            version = int(resourceVersion) if resourceVersion not in ("", "0") else None
            return StreamingResponse(
                self.store.watch(namespace, labelSelector, version,
                                 min(timeoutSeconds, WATCH_S_MAX)),
                media_type="application/json")
        pods = [pod for (where, _), pod in self.store.pods.items()
                if where == namespace and selects(labelSelector, pod)]
        return JSONResponse({"kind": "PodList", "apiVersion": "v1",
                             "metadata": {"resourceVersion": str(self.store.version)},
                             "items": pods})

    async def get(self, namespace: str, name: str):
        return JSONResponse(self.find(namespace, name))

    async def output(self, namespace: str, name: str, limitBytes: int = LOG_BYTES_MAX):
        pod = self.find(namespace, name)
        return PlainTextResponse(self.kubelet.output(pod, min(limitBytes, LOG_BYTES_MAX)))

    async def delete(self, namespace: str, name: str):
        pod = self.find(namespace, name)
        del self.store.pods[namespace, name]
        self.kubelet.forget(pod)
        pod["metadata"]["deletionTimestamp"] = kubelet.stamp()
        self.store.note("DELETED", pod)
        return JSONResponse(pod)

    def stop(self):
        """Ends the watches, which would hold the server open."""
        self.store.closing = True
        self.store.wake()


def make_app(api, log):
    app = FastAPI(openapi_url=None)
    app.add_middleware(common.RequestLog, log=log)
    pods = "/api/v1/namespaces/{namespace}/pods"
    app.post(pods)(api.create)
    app.get(pods)(api.list)
    app.get(pods + "/{name}")(api.get)
    app.get(pods + "/{name}/log")(api.output)
    app.delete(pods + "/{name}")(api.delete)

    @app.exception_handler(StatusError)
    async def failure(_request, err):
        return JSONResponse(err.body, err.code)

    return app


async def run(args, log):
    api = Api(args, log)
    try:
        await common.serve(make_app(api, log), log, args.port, on_stop=api.stop)
    finally:
        await api.kubelet.close()


def main():
    args = common.options("kube", port=(0, "port to listen on; 0: any free one"))
    asyncio.run(run(args, common.Log(args.dir, "kube")))


main()
