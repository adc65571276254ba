"""up: starts the whole platform in a run directory and stops it again.

Writes DIR/platform.json ({name: {pid, address}}) when every service is ready, then waits.
Ends, with everything that it started, on SIGTERM or SIGINT, when its parent dies, and (exit 1)
when a service ends by itself. Services die with it however it ends.
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import time

import cgroup
import common

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"     # Debian's own: another python3 in the path lacks the packages
BROKER = os.path.join(HERE, "../../build/release/tools/platform/broker")    # as make puts it
PR_SET_PDEATHSIG = 1
READY_S = 60
STOP_S = 12                     # longer than the services' own common.EXIT_GRACE_S
START_TICK_S = 0.05
RUN_TICK_S = 0.25               # how late the end of a service may be noticed
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    pass


def die_with(parent):
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


class Platform:
    def __init__(self, args):
        self.args = args
        self.children = {}      # name -> Popen, in the order of their start
        self.addresses = {}

    def spawn(self, name, command, **kwargs):
        me = os.getpid()

        def prepare():
            die_with(me)
            signal.pthread_sigmask(signal.SIG_SETMASK, [])

        with open(os.path.join(self.args.dir, name + ".err"), "ab") as errors:
            self.children[name] = subprocess.Popen(command, stderr=errors, preexec_fn=prepare,
                                                   start_new_session=True, **kwargs)

    def service(self, name, *options):
        log = os.path.join(self.args.dir, name + ".log")
        if os.path.exists(log):
            os.unlink(log)      # its readiness would be an earlier run's
        self.spawn(name, [PYTHON, os.path.join(HERE, name + ".py"), "--dir", self.args.dir,
                          "--propagation", self.args.propagation, *options],
                   stdin=subprocess.DEVNULL)

    def check(self, tick=START_TICK_S):
        for name, child in self.children.items():
            if child.poll() is not None:
                raise Failure("%s (pid %d) ended with %d; see %s/%s.err" % (
                    name, child.pid, child.returncode, self.args.dir, name))
        if signal.sigtimedwait(STOP_SIGNALS, tick):
            raise KeyboardInterrupt

    def ready(self, name):
        """Wait for the service's own word: its server answers, its partitions are assigned."""
        log = os.path.join(self.args.dir, name + ".log")
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            self.check()
            if not os.path.exists(log):
                continue
            with open(log) as lines:
                for line in lines:
                    if line.endswith("\n") and json.loads(line)["event"] == "ready":
                        return json.loads(line)
        raise Failure("%s was not ready in %d s; see %s/%s.err" % (
            name, READY_S, self.args.dir, name))

    def start_broker(self):
        if self.args.brokers:
            return self.args.brokers
        self.spawn("broker", [self.args.broker, "--partitions", "4", *common.TOPICS],
                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        address = self.children["broker"].stdout.readline().decode().strip()
        if not address:
            raise Failure("the broker did not start; see %s/broker.err" % self.args.dir)
        return address

    def start(self):
        brokers = self.start_broker()
        kube_url = self.args.kube_url
        if not kube_url:
            self.service("kube")
        self.service("api", "--brokers", brokers, "--port", str(self.args.api_port))
        if not kube_url:
            self.addresses["kube"] = self.ready("kube")["address"]
            kube_url = "http://" + self.addresses["kube"]
        self.addresses["api"] = self.ready("api")["address"]
        api_url = "http://" + self.addresses["api"]
        # Fresh names: a group of an earlier run would hold its partitions until it times out.
        unique = "-%d" % time.time_ns()
        self.service("worker", "--brokers", brokers, "--kube-url", kube_url,
                     "--group", "worker" + unique)
        self.service("pod-monitor", "--brokers", brokers, "--kube-url", kube_url)
        self.service("result-processor", "--brokers", brokers, "--kube-url", kube_url,
                     "--api-url", api_url, "--group", "result-processor" + unique)
        for name in ("worker", "pod-monitor", "result-processor"):
            self.ready(name)
        self.addresses["broker"] = brokers
        self.write_state(brokers, kube_url)

    def write_state(self, brokers, kube_url):
        state = {name: {"pid": child.pid, "address": self.addresses.get(name)}
                 for name, child in self.children.items()}
        state.setdefault("broker", {"pid": None, "address": brokers})
        state.setdefault("kube", {"pid": None, "address": kube_url})
        path = os.path.join(self.args.dir, "platform.json")
        with open(path + ".new", "w") as f:
            json.dump(state, f, indent=2)
            f.write("\n")
        os.rename(path + ".new", path)

    def stop(self):
        """Last started, first stopped: nobody loses a peer that it still needs."""
        for name in reversed(list(self.children)):
            child = self.children[name]
            if child.poll() is not None:
                continue
            child.terminate()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                print("platform: %s (pid %d) did not end in %d s: killed" % (
                    name, child.pid, STOP_S), file=sys.stderr)
                child.kill()
                child.wait()
        self.remove_cgroups()

    def remove_cgroups(self):
        """kube removes its pods' cgroups itself; these are left when it was killed."""
        log = os.path.join(self.args.dir, "kube.log")
        if self.args.kube_url or not os.path.exists(log):
            return
        where = cgroup.hierarchies()
        with open(log) as lines:
            for line in lines:
                if line.endswith("\n") and '"pod.started"' in line:
                    cgroup.Container(where, json.loads(line)["cgroup"]).remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", required=True, help="run directory, made when missing")
    parser.add_argument("--propagation", choices=sorted(common.TRACE_HEADERS),
                        default="traceparent")
    parser.add_argument("--brokers", help="use this Kafka instead of starting a broker")
    parser.add_argument("--kube-url", help="use this Kubernetes API instead of starting kube")
    parser.add_argument("--api-port", type=int, default=0, help="port of the api; 0: any free one")
    parser.add_argument("--broker", default=BROKER, help="the broker program")
    args = parser.parse_args()
    args.dir = os.path.abspath(args.dir)
    os.makedirs(args.dir, exist_ok=True)

    parent = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    die_with(parent)
    platform = Platform(args)
    try:
        platform.start()
        print("platform: ready, api at http://%s" % platform.addresses["api"], flush=True)
        while True:
            platform.check(RUN_TICK_S)
    except KeyboardInterrupt:
        return 0
    except (Failure, OSError) as err:
        print("platform: %s; stopping" % err, file=sys.stderr)
        return 1
    finally:
        platform.stop()


sys.exit(main())
