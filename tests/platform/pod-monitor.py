"""pod-monitor: watches the executions' pods, publishes their phases to the topic `pod-events`."""

import logging
import time

import common

WATCH_S = 60            # how long one watch request lasts
AGAIN_S = 0.5           # pause after a failed list or watch
PHASES = ("Running", "Succeeded", "Failed")


class Monitor:
    def __init__(self, args, log, kube, publisher):
        self.args = args
        self.log = log
        self.kube = kube
        self.publisher = publisher
        self.published = {}     # pod uid -> phase last published, while the pod exists

    def saw(self, event, pod):
        uid, phase = pod.metadata.uid, pod.status.phase
        if event == "DELETED":
            self.published.pop(uid, None)
            return
        if phase not in PHASES or self.published.get(uid) == phase:
            return
        self.published[uid] = phase

        execution = pod.metadata.labels[common.LABEL]
        annotations = pod.metadata.annotations or {}
        value = {"id": execution, "pod": pod.metadata.name, "uid": uid, "phase": phase,
                 "exitCode": None, "signal": None, "reason": pod.status.reason}
        for container in pod.status.container_statuses or []:
            if container.state.terminated:
                end = container.state.terminated
                value.update(exitCode=end.exit_code, signal=end.signal,
                             reason=pod.status.reason or end.reason)
        header = None
        if self.args.header in annotations:
            header = (self.args.header, annotations[self.args.header])
        self.publisher.publish("pod-events", execution, value, header)

    def run(self):
        """One list and the watches that continue it, until a watch cannot be continued."""
        from kubernetes import watch

        wanted = {"namespace": self.args.namespace, "label_selector": "app=execution"}
        pods = self.kube.v1.list_namespaced_pod(**wanted)
        there = {pod.metadata.uid for pod in pods.items}
        self.published = {uid: phase for uid, phase in self.published.items() if uid in there}
        for pod in pods.items:
            self.saw("ADDED", pod)
        version = pods.metadata.resource_version
        self.log.write("ready", resource_version=version)
        while True:
            watcher = watch.Watch()
            for event in watcher.stream(self.kube.v1.list_namespaced_pod, resource_version=version,
                                        timeout_seconds=WATCH_S, **wanted):
                self.saw(event["type"], event["object"])
            version = watcher.resource_version


def main():
    args = common.options("pod-monitor", brokers=(None, "Kafka bootstrap address"),
                          kube_url=(None, "address of the Kubernetes API"),
                          namespace=("default", "namespace of the pods"))
    log = common.Log(args.dir, "pod-monitor")
    common.Stop(interrupt=True)
    publisher = common.Publisher(log, args.brokers)
    monitor = Monitor(args, log, common.Kube(log, args.kube_url), publisher)
    try:
        while True:
            try:
                monitor.run()
            except Exception as err:    # the API server went away, or forgot our version
                logging.exception("watch")
                log.write("failure", error=repr(err))
                time.sleep(AGAIN_S)
    finally:
        publisher.close()


main()
