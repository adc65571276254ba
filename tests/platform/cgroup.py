"""cgroup: a container's cgroups, named as the kubelet names them, in every hierarchy that counts.

Pure v2, pure v1 and hybrid machines differ only in which hierarchies are found: the v2 one is
always used (a process is known by its path there), v1's memory and pids where they exist.
"""

import errno
import os
import signal
import time

ROOT = "kubepods"
V1_CONTROLLERS = ("memory", "pids")
MKDIR_TRIES_MAX = 20    # another platform on this machine may be removing the shared parents
RMDIR_TRIES_MAX = 50
RMDIR_PAUSE_S = 0.02    # a dead process leaves its cgroup a little after it was waited for


class Hierarchy:
    def __init__(self, mount, version, controllers):
        self.mount = mount
        self.version = version
        self.controllers = controllers


def hierarchies():
    """The mounted hierarchies that containers are put in; v2 first."""
    v2, v1 = [], []
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            head, tail = line.split(" - ")
            mount = head.split()[4]
            kind, _, super_options = tail.split(None, 2)
            if kind == "cgroup2" and not v2:
                with open(mount + "/cgroup.controllers") as names:
                    v2.append(Hierarchy(mount, 2, names.read().split()))
            elif kind == "cgroup":
                mine = set(super_options.strip().split(",")) & set(V1_CONTROLLERS)
                taken = {name for other in v1 for name in other.controllers}
                if mine - taken:
                    v1.append(Hierarchy(mount, 1, sorted(mine)))
    return v2 + v1


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def delegate(directory, controllers):
    """Let children of a v2 cgroup use controllers; a kernel or container may refuse each."""
    for name in controllers:
        try:
            write(directory + "/cgroup.subtree_control", "+" + name)
        except OSError:
            pass


def kill_all(directory):
    """SIGKILL for whatever the container's process has left running."""
    try:
        with open(directory + "/cgroup.procs") as pids:
            left = [int(pid) for pid in pids]
    except OSError:
        return
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def rmdir(directory):
    for _ in range(RMDIR_TRIES_MAX):
        try:
            os.rmdir(directory)
            return True
        except FileNotFoundError:
            return True
        except OSError as err:
            if err.errno != errno.EBUSY:
                return False
        time.sleep(RMDIR_PAUSE_S)
    return False


class Container:
    """One container's cgroups, from create() to remove()."""

    def __init__(self, where, path):
        """path: as parent_path() made it, with the container's id at its end."""
        self.hierarchies = where
        self.path = path
        self.has_memory_limit = False

    def directory(self, hierarchy):
        return os.path.join(hierarchy.mount, self.path)

    def create(self):
        for h in self.hierarchies:
            for left in reversed(range(MKDIR_TRIES_MAX)):
                try:
                    os.makedirs(self.directory(h), exist_ok=True)
                    break
                except FileNotFoundError:
                    if not left:
                        raise
            if h.version == 2 and h.controllers:
                wanted = [name for name in ("memory", "pids", "cpu") if name in h.controllers]
                parts = self.path.split("/")
                for depth in range(len(parts)):
                    delegate(os.path.join(h.mount, *parts[:depth]), wanted)

    def limit(self, memory_bytes, cpus):
        """Best effort; has_memory_limit tells whether memory is held by a cgroup."""
        for h in self.hierarchies:
            d = self.directory(h)
            if memory_bytes and "memory" in h.controllers:
                name = "/memory.max" if h.version == 2 else "/memory.limit_in_bytes"
                try:
                    write(d + name, str(memory_bytes))
                    self.has_memory_limit = True
                except OSError:
                    pass
            if cpus and h.version == 2 and "cpu" in h.controllers:
                try:
                    write(d + "/cpu.max", "%d 100000" % int(cpus * 100000))
                except OSError:
                    pass

    def procs_files(self):
        return [self.directory(h) + "/cgroup.procs" for h in self.hierarchies]

    def oom_kills(self):
        for h in self.hierarchies:
            if "memory" not in h.controllers:
                continue
            name = "/memory.events" if h.version == 2 else "/memory.oom_control"
            try:
                with open(self.directory(h) + name) as lines:
                    for line in lines:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except OSError:
                pass
        return 0

    def remove(self):
        """Kill what is left and remove the directories, shared parents too when empty."""
        gone = True
        for h in self.hierarchies:
            kill_all(self.directory(h))
            directory = self.directory(h)
            gone = rmdir(directory) and gone
            while os.path.dirname(directory) != h.mount:
                directory = os.path.dirname(directory)
                try:
                    os.rmdir(directory)
                except OSError:     # still in use by another pod
                    break
        return gone


def parent_path(qos, uid):
    """A pod's cgroup: Guaranteed pods lie directly below the root, as at the kubelet."""
    parts = [ROOT] + ([] if qos == "Guaranteed" else [qos.lower()]) + ["pod" + uid]
    return "/".join(parts)
