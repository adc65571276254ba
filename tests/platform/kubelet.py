"""kubelet: runs the command of a pod's container as a real process in a cgroup of its own.

Starts and removals go through one thread that lives as long as the service: the kernel sends
the parent-death signal when the *thread* that forked ends. Ends are seen through pidfds by the
event loop of the API server, which is told each change by calling `changed(pod)`.
"""

import asyncio
import concurrent.futures
import ctypes
import os
import resource
import secrets
import signal
import subprocess
import time

import cgroup

PR_SET_PDEATHSIG = 1
START_DELAY_S = 0.002   # a kubelet learns of a pod after its creator has got the answer
PULL_FAIL_S = 2.0       # how long a pod with an unknown image stays Pending
CPU_MEMORY = {"": 1, "k": 1000, "M": 1000 ** 2, "G": 1000 ** 3,
              "Ki": 1024, "Mi": 1024 ** 2, "Gi": 1024 ** 3}
IMAGES = {              # entry points, for a container that names no command
    "python": ["/usr/bin/python3"],
    "busybox": ["/bin/sh"],
    "debian": ["/bin/sh"],
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

libc = ctypes.CDLL(None, use_errno=True)


def quantity(text):
    """Kubernetes' amounts: "500m" cores, "64Mi" bytes."""
    text = str(text)
    if text.endswith("m"):
        return int(text[:-1]) / 1000
    digits = text.rstrip("kMGi")
    return float(digits) * CPU_MEMORY[text[len(digits):]]


def qos_class(containers):
    has_any, guaranteed = False, True
    for container in containers:
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        has_any = has_any or bool(limits) or bool(requests)
        for name in ("cpu", "memory"):
            if name not in limits or quantity(requests.get(name, limits[name])) != \
                    quantity(limits[name]):
                guaranteed = False
    if not has_any:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def image_name(image):
    return image.rsplit("/", 1)[-1].split(":")[0].split("@")[0]


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Container:
    """The one container of one pod, from its cgroup to its end."""

    def __init__(self, pod, directory, where):
        self.pod = pod
        self.id = secrets.token_hex(32)
        self.uid = pod["metadata"]["uid"]
        self.spec = pod["spec"]["containers"][0]
        self.log_path = os.path.join(directory, "pods", self.uid + ".log")
        self.cgroup = cgroup.Container(where, cgroup.parent_path(
            pod["status"]["qosClass"], self.uid) + "/" + self.id)
        self.process = None
        self.killed_reason = None

    def command(self):
        command = self.spec.get("command") or IMAGES[image_name(self.spec["image"])]
        return command + (self.spec.get("args") or [])

    def start(self):
        """Runs in the kubelet's thread. Returns the time right after the exec."""
        limits = (self.spec.get("resources") or {}).get("limits") or {}
        memory = int(quantity(limits["memory"])) if "memory" in limits else None
        self.cgroup.create()
        self.cgroup.limit(memory, quantity(limits["cpu"]) if "cpu" in limits else None)
        address_space = None if self.cgroup.has_memory_limit else memory
        environment = {"PATH": PATH, "HOSTNAME": self.pod["metadata"]["name"]}
        environment.update((e["name"], str(e.get("value") or ""))
                           for e in self.spec.get("env") or [])
        parent = os.getpid()
        joins = [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in self.cgroup.procs_files()]

        def become_container():
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for fd in joins:
                os.write(fd, b"0")
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if address_space:
                resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

        output = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        try:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment, cwd=self.spec.get("workingDir") or "/", start_new_session=True,
                preexec_fn=become_container)
        finally:
            for fd in joins + [output]:
                os.close(fd)
        return time.time_ns()

    def kill(self, reason):
        if self.process and self.process.returncode is None:
            self.killed_reason = reason
            self.process.kill()

    def end(self):
        """Reap the process: (exit code as Kubernetes counts, signal, reason)."""
        code = self.process.wait()
        if code >= 0:
            return code, 0, "Completed" if code == 0 else "Error"
        reason = "OOMKilled" if self.cgroup.oom_kills() and code == -signal.SIGKILL else "Error"
        return 128 - code, -code, reason


class Kubelet:
    def __init__(self, log, directory, changed):
        self.log = log
        self.directory = directory
        self.changed = changed
        self.hierarchies = cgroup.hierarchies()
        self.containers = {}        # pod uid -> Container, while its process may run
        self.thread = concurrent.futures.ThreadPoolExecutor(1, "kubelet")
        self.tasks = set()
        os.makedirs(os.path.join(directory, "pods"), exist_ok=True)

    def check(self):
        """Fails now, with the reason, rather than at the first pod."""
        if not self.hierarchies or self.hierarchies[0].version != 2:
            raise SystemExit("kube: no cgroup v2 mount, which names the pods' processes")
        probe = cgroup.Container(self.hierarchies, cgroup.ROOT + "/probe-" + secrets.token_hex(8))
        try:
            probe.create()
        except OSError as err:
            raise SystemExit("kube: cannot make cgroups (%s): run as root, where the cgroup "
                             "file system is writable" % err)
        finally:
            probe.remove()

    def admit(self, pod):
        """Called when the create has been answered."""
        task = asyncio.ensure_future(self.run(pod))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def in_thread(self, function, *args):
        return asyncio.get_running_loop().run_in_executor(self.thread, function, *args)

    async def run(self, pod):
        await asyncio.sleep(START_DELAY_S)
        container = Container(pod, self.directory, self.hierarchies)
        if image_name(container.spec["image"]) not in IMAGES:
            await self.fail_pull(pod, container)
            return
        self.containers[container.uid] = container
        try:
            started = await self.in_thread(container.start)
        except (OSError, subprocess.SubprocessError) as err:
            self.finish(container, 128, 0, "StartError", str(err))
        else:
            await self.live(container, started)
        self.containers.pop(container.uid)
        if not await self.in_thread(container.cgroup.remove):
            self.log.write("failure", uid=container.uid, error="cgroup is not empty",
                           cgroup=container.cgroup.path)

    async def live(self, container, started):
        """From the exec to the end of the process."""
        pod, pid = container.pod, container.process.pid
        self.log.write("pod.started", ts=started, uid=container.uid, pod=pod["metadata"]["name"],
                       execution=(pod["metadata"].get("labels") or {}).get("execution-id"),
                       container=container.id, pid=pid, cgroup=container.cgroup.path)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        pidfd = os.pidfd_open(pid)
        loop.add_reader(pidfd, ended.set)
        self.status(container, {"running": {"startedAt": stamp()}}, "Running")
        try:
            await asyncio.wait_for(ended.wait(), pod["spec"].get("activeDeadlineSeconds"))
        except asyncio.TimeoutError:
            container.kill("DeadlineExceeded")
            await ended.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)
        now = time.time_ns()
        code, signum, reason = container.end()
        self.log.write("pod.ended", ts=now, uid=container.uid, pod=pod["metadata"]["name"],
                       execution=(pod["metadata"].get("labels") or {}).get("execution-id"),
                       pid=pid, exit_code=code, signal=signum,
                       reason=container.killed_reason or reason)
        self.finish(container, code, signum, reason)

    def finish(self, container, code, signum, reason, message=None):
        started = container.pod["status"].get("startTime", stamp())
        state = {"exitCode": code, "signal": signum, "reason": reason, "startedAt": started,
                 "finishedAt": stamp(), "containerID": "containerd://" + container.id}
        if message:
            state["message"] = message
        self.status(container, {"terminated": state}, "Succeeded" if code == 0 else "Failed",
                    container.killed_reason)

    async def fail_pull(self, pod, container):
        image = container.spec["image"]
        self.status(container, {"waiting": {"reason": "ErrImagePull",
                                            "message": "no such image: " + image}}, "Pending")
        await asyncio.sleep(PULL_FAIL_S)
        self.status(container, {"waiting": {"reason": "ErrImagePull"}}, "Failed", "ErrImagePull")

    def status(self, container, state, phase, reason=None):
        status = container.pod["status"]
        running = "running" in state
        status["phase"] = phase
        if reason:
            status["reason"] = reason
        if running:
            status["startTime"] = stamp()
        status["containerStatuses"] = [{
            "name": container.spec["name"], "state": state, "lastState": {}, "ready": running,
            "restartCount": 0, "image": container.spec["image"],
            "imageID": container.spec["image"], "containerID": "containerd://" + container.id,
            "started": running,
        }]
        self.changed(container.pod)

    def forget(self, pod):
        """The pod is being deleted: end its process, drop its output."""
        container = self.containers.get(pod["metadata"]["uid"])
        if container:
            container.kill("Deleted")
        try:
            os.unlink(os.path.join(self.directory, "pods", pod["metadata"]["uid"] + ".log"))
        except FileNotFoundError:
            pass

    def output(self, pod, limit):
        try:
            path = os.path.join(self.directory, "pods", pod["metadata"]["uid"] + ".log")
            with open(path, "rb") as f:
                return f.read(limit)
        except FileNotFoundError:
            return b""

    async def close(self):
        """End every process and remove every cgroup."""
        for container in list(self.containers.values()):
            container.kill("Shutdown")
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=5)
        for container in list(self.containers.values()):
            container.kill("Shutdown")
            container.cgroup.remove()
        self.thread.shutdown()
