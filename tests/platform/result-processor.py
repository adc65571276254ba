"""result-processor: for each finished pod, keeps its output and tells the api, then deletes it."""

import os
import sqlite3
import time

import httpx

import common

TRIES_MAX = 5
RETRY_DELAY_S = 0.1
TERMINAL = ("Succeeded", "Failed")


class Results:
    """The results in SQLite."""

    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=OFF")   # a test's data: not worth waiting for a disk
        self.db.execute("CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, phase TEXT,"
                        " exit_code INTEGER, signal INTEGER, reason TEXT, output TEXT)")

    def store(self, execution, result):
        with self.db:
            self.db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)",
                            (execution, result["phase"], result["exit_code"], result["signal"],
                             result["reason"], result["output"]))


class Api:
    """The api's side of a result, over one kept connection."""

    def __init__(self, log, url):
        self.log = log
        self.client = httpx.Client(base_url=url, timeout=10)

    def send(self, execution, result, header):
        path = "/executions/%s/result" % execution
        headers = dict([header] if header else [])
        for attempt in range(TRIES_MAX):
            if attempt:
                time.sleep(RETRY_DELAY_S)
            status = None
            begin = time.time_ns()
            try:
                status = self.client.post(path, json=result, headers=headers).status_code
            except httpx.TransportError as err:
                self.log.write("failure", execution=execution, error=repr(err))
            self.log.write("http.client", begin=begin, end=time.time_ns(), peer="api",
                           method="POST", path=path, status=status, execution=execution,
                           headers=headers)
            if status is not None and status < 500:
                return
        raise RuntimeError("result of %s: the api did not take it" % execution)


def read_log(kube, log, args, execution, pod, header):
    """The pod's output as the process wrote it: the client would parse what looks like JSON."""
    path = "/api/v1/namespaces/%s/pods/%s/log" % (args.namespace, pod)
    status, answer = kube.call(kube.v1.read_namespaced_pod_log, path, execution, header,
                               pod, args.namespace, _preload_content=False)
    return answer.decode("utf-8", "replace") if status == 200 else ""


def main():
    args = common.options("result-processor", brokers=(None, "Kafka bootstrap address"),
                          kube_url=(None, "address of the Kubernetes API"),
                          api_url=(None, "address of the api"),
                          namespace=("default", "namespace of the pods"),
                          group=("result-processor", "consumer group"))
    log = common.Log(args.dir, "result-processor")
    stop = common.Stop()
    kube = common.Kube(log, args.kube_url)
    results = Results(os.path.join(args.dir, "results.sqlite"))
    api = Api(log, args.api_url)

    def process(execution, event, header):
        if event["phase"] not in TERMINAL:
            return
        pod = event["pod"]
        result = {"pod": pod, "phase": event["phase"], "exit_code": event["exitCode"],
                  "signal": event["signal"], "reason": event["reason"],
                  "output": read_log(kube, log, args, execution, pod, header)}
        results.store(execution, result)
        api.send(execution, result, header)
        kube.call(kube.v1.delete_namespaced_pod,
                  "/api/v1/namespaces/%s/pods/%s" % (args.namespace, pod), execution, header,
                  pod, args.namespace)

    common.consume(args, log, stop, "pod-events", args.group, process)


main()
