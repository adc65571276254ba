#!/usr/bin/python3
"""Ports on loopback for back ends that a test starts.

    ports.py free N               prints N ports that nobody holds now
    ports.py wait PID PORT...     waits until process PID itself listens on every PORT

A port that is picked can be taken before the back end binds it, and then the requests of a test
would reach a stranger. So whoever starts a back end waits here: it answers only for that process.
"""
import os
import re
import socket
import sys
import time

WAIT_S = 60  # a start on a loaded 2-core machine; Jaeger takes 0.1 s on an idle one
STEP_S = 0.05
TCP_LISTEN = "0A"  # the state column of /proc/net/tcp


def free(count):
    """Distinct ports: all are held at once before the first is let go."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def listening(pid):
    """The ports on which process @pid listens; empty when it has ended."""
    inodes = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                continue  # closed since the listing
            if match:
                inodes.add(match[1])
        ports = set()
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as lines:
                next(lines)
                for line in lines:
                    column = line.split()
                    if column[3] == TCP_LISTEN and column[9] in inodes:
                        ports.add(int(column[1].rpartition(":")[2], 16))
        return ports
    except (FileNotFoundError, ProcessLookupError):
        return set()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait(pid, ports, limit_s=WAIT_S):
    """None once @pid listens on all @ports, else a sentence that says what is wrong."""
    missing = set(ports)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        missing = set(ports) - listening(pid)
        if not missing:
            return None
        if not is_alive(pid):
            return f"process {pid} ended before it listened on {sorted(missing)}"
        time.sleep(STEP_S)
    return f"process {pid} does not listen on {sorted(missing)} after {limit_s} s"


def main(argv):
    if len(argv) == 2 and argv[0] == "free":
        print(*free(int(argv[1])))
        return 0
    if len(argv) >= 3 and argv[0] == "wait":
        wrong = wait(int(argv[1]), [int(port) for port in argv[2:]])
        if wrong:
            print(f"ports: {wrong}", file=sys.stderr)
        return 1 if wrong else 0
    print("usage: ports.py free N | ports.py wait PID PORT...", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
