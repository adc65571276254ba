"""programs: the Kafka clients that are traced, and how each is built and called.

A client is a row of CLIENTS. What it is called with is a Run: brokers, topic, number of messages, and
eight hexadecimal digits with which its ids begin and which name its group. Message n of a run has
the key "k<n>" and the value "value <n>".
"""

import collections
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../scripts/backends/clients")
DEBIAN_PYTHON = "/usr/bin/python3"
KCAT = "/usr/bin/kcat"
SPACED = "%p %o %k %h\\n"           # kcat's format of a line of the consumer
KCAT_MESSAGES = 50                  # one kcat puts the same headers on all that it sends

Run = collections.namedtuple("Run", "brokers topic count id directory")

# name: in the figures' names
# build: the script that builds it, of SCRIPTS; None: Debian's package is the client
# program(built): what calls a program of this folder; None: commands is another's
# commands(built, run): (producer's, consumer's) argument vectors, where program does not say them
# verb: how the program consumes
# attach: "pid": the consumer runs already; "cmd": the tracer starts it; "exe": by its path
# headers: "message": a context of its own in each message; "process": one for KCAT_MESSAGES
#     messages; "none"
# is_daemon: the producer does not end by itself
# relay: how its program sends on what it reads, in words; None: that is not tried
# is_one_thread: the thread that reads a message also sends it again, so it is known to be its parent
Client = collections.namedtuple(
    "Client", "name build program commands verb attach headers is_daemon relay is_one_thread",
    defaults=(None, None, None, "consume", "pid", "message", False, None, False))


def traceparent(run_id, n):
    return "00-%s%024x-%s%08x-01" % (run_id, n, run_id, n)


def call(client, built, verb, run):
    return client.program(built) + [verb, run.brokers, run.topic, str(run.count), run.id]


def commands(client, built, run):
    """Argument vectors of the producer and of the consumer."""
    if client.commands:
        return client.commands(built, run)
    return call(client, built, "produce", run), call(client, built, client.verb, run)


def python_client(python):
    return [python or DEBIAN_PYTHON, os.path.join(HERE, "python/client.py")]


def node_client(modules):
    return ["/usr/bin/env", "NODE_PATH=" + modules, "node", os.path.join(HERE, "node/client.js")]


def go_client(directory):
    return [os.path.join(directory, "client")]


def go_stripped(directory):
    return [os.path.join(directory, "client-stripped")]


def rust_client(path):
    return [path]


def write(run, name, lines):
    path = os.path.join(run.directory, name)
    with open(path, "w") as f:
        f.writelines(line + "\n" for line in lines)
    return path


def kcat_produce(run):
    """A shell script: kcat has no way to give each message headers of its own."""
    script = []
    for first in range(1, run.count + 1, KCAT_MESSAGES):
        last = min(first + KCAT_MESSAGES - 1, run.count)
        lines = write(run, "messages.%d" % first,
                      ["k%d:value %d" % (n, n) for n in range(first, last + 1)])
        script.append("%s -q -P -b %s -t %s -X client.id=maker -K : -H n=%d -H traceparent=%s <%s "
                      "|| exit 1" % (KCAT, run.brokers, run.topic, first,
                                     traceparent(run.id, first), lines))
    return ["/bin/sh", write(run, "produce.sh", script)]


def kcat_group(run, topic=None):
    return [KCAT, "-q", "-b", run.brokers, "-X", "client.id=reader", "-X",
            "auto.offset.reset=earliest", "-X", "session.timeout.ms=6000", "-c", str(run.count),
            "-f", SPACED, "-G", run.id, topic or run.topic]


def kcat_plain(run, topic=None):
    """Without a group, by another of librdkafka's functions."""
    return [KCAT, "-q", "-C", "-b", run.brokers, "-X", "client.id=reader", "-o", "beginning",
            "-c", str(run.count), "-f", SPACED, "-t", topic or run.topic]


RSYSLOG = """global(workDirectory="%(directory)s")
module(load="imfile")
module(load="omkafka")
template(name="key" type="string" string="k%%msg%%")
template(name="value" type="string" string="value %%msg%%")
input(type="imfile" file="%(lines)s" tag="numbers")
action(type="omkafka" broker=["%(brokers)s"] topic="%(topic)s" dynaKey="on" key="key"
	template="value" confParam=["client.id=maker"])"""


def rsyslog(root, run):
    """Debian's daemon reads the numbers from a file; each line becomes a message."""
    lines = write(run, "numbers", [str(n) for n in range(1, run.count + 1)])
    config = write(run, "rsyslog.conf", [RSYSLOG % {
        "directory": run.directory, "lines": lines, "brokers": run.brokers, "topic": run.topic}])
    libraries = os.path.join(root, "usr/lib", os.uname().machine + "-linux-gnu")
    return ["/usr/bin/env", "LD_LIBRARY_PATH=" + libraries, os.path.join(root, "usr/sbin/rsyslogd"),
            "-n", "-i", os.path.join(run.directory, "rsyslog.pid"), "-f", config,
            "-M", os.path.join(libraries, "rsyslog")]


IN_GOROUTINES = "read by one goroutine, sent again by 8 others"
CLIENTS = [
    Client("kcat", commands=lambda _, run: (kcat_produce(run), kcat_group(run)), attach="cmd",
           headers="process"),
    Client("python_debian", program=python_client),
    Client("python_wheel", "python", python_client, attach="cmd",
           relay="read and sent again by one thread", is_one_thread=True),
    Client("python_batches", "python", python_client, verb="consume-batches"),
    Client("go", "go", go_client, attach="cmd", relay=IN_GOROUTINES),
    Client("go_stripped", "go", go_stripped, relay=IN_GOROUTINES),
    Client("rust_stripped", "rust", rust_client, attach="exe",
           relay="read by one thread, sent again by 8 others"),
    Client("node", "node", node_client, relay="read by a thread of the library's, sent again by "
           "the one that runs JavaScript"),
    Client("omkafka", "omkafka", commands=lambda built, run: (rsyslog(built, run),
                                                              kcat_plain(run)),
           headers="none", is_daemon=True),
]


def build(client):
    """What its script made, a path; RuntimeError when that failed. The script tells on stderr."""
    if not client.build:
        return None
    done = subprocess.run([os.path.join(SCRIPTS, client.build + ".sh")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError("%s.sh ended with %d" % (client.build, done.returncode))
    return done.stdout.strip()
