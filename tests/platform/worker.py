"""worker: makes a pod for each message of the topic `executions` and announces it in `pods`."""

import time

import common

IMAGES = {
    "python": ("python", ["/usr/bin/python3", "-S", "-E", "-c"]),
    "shell": ("busybox", ["/bin/sh", "-c"]),
}
LIMITS = {"memory": "256Mi", "cpu": "1"}
REQUESTS = {"memory": "16Mi", "cpu": "10m"}
TRIES_MAX = 6           # the first and five more, when the API server answers 503
RETRY_DELAY_S = 0.05


def make_pod(execution, request, header):
    """The manifest; request is the value of the message."""
    image, command = IMAGES[request["language"]]
    wanted = request.get("pod", {})
    limits = dict(LIMITS, **wanted.get("limits", {}))
    annotations = {"user": request["user"]}
    annotations.update(wanted.get("annotations", {}))
    if header:
        annotations[header[0]] = header[1]
    spec = {
        "restartPolicy": "Never",
        "containers": [{
            "name": "main",
            "image": wanted.get("image", image),
            "command": command + [request["code"]],
            "env": [{"name": name, "value": value} for name, value in
                    dict(wanted.get("env", {}), EXECUTION_ID=execution).items()],
            "resources": {"limits": limits, "requests": REQUESTS},
        }],
    }
    if "deadline_seconds" in wanted:
        spec["activeDeadlineSeconds"] = wanted["deadline_seconds"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "exec-" + execution,
            "labels": {common.LABEL: execution, "app": "execution",
                       "language": request["language"]},
            "annotations": annotations,
        },
        "spec": spec,
    }


def create_pod(kube, args, execution, pod, header):
    path = "/api/v1/namespaces/%s/pods" % args.namespace
    for attempt in range(TRIES_MAX):
        if attempt:
            time.sleep(RETRY_DELAY_S)
        status, answer = kube.call(kube.v1.create_namespaced_pod, path, execution,
                                   header, args.namespace, pod)
        if status != 503:
            break
    if status != 201:
        raise RuntimeError("create of pod %s: %s: %s" % (pod["metadata"]["name"], status, answer))
    return answer


def main():
    args = common.options("worker", brokers=(None, "Kafka bootstrap address"),
                          kube_url=(None, "address of the Kubernetes API"),
                          namespace=("default", "namespace of the pods"),
                          group=("worker", "consumer group"))
    log = common.Log(args.dir, "worker")
    stop = common.Stop()
    publisher = common.Publisher(log, args.brokers)
    kube = common.Kube(log, args.kube_url)

    def process(execution, request, header):
        pod = create_pod(kube, args, execution, make_pod(execution, request, header), header)
        publisher.publish("pods", execution, {
            "id": execution, "pod": pod.metadata.name, "uid": pod.metadata.uid,
        }, header)

    common.consume(args, log, stop, "executions", args.group, process)
    publisher.close()


main()
