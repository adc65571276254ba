"""peers: an HTTP/1 server and client that use each system call on purpose, and say what they did.

Prints an empty line, then waits for one, so that a test can make it a target first. Prints one JSON object:
the client's and the server's calls, [direction, bytes in hex, tid] in order, with inode and port.
"""
import json
import os
import socket
import sys
import tempfile
import threading

BODY = bytes(range(256)) * 40       # 10,240 bytes: more than a record carries
REQUEST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
PEEK = 100


class Side:
    def __init__(self, sock):
        self.sock, self.calls = sock, []
        self.told = {"ino": os.fstat(sock.fileno()).st_ino, "calls": self.calls, "tid": threading.get_native_id()}
        if sock.family == socket.AF_INET:
            self.told["port"] = sock.getsockname()[1]

    def out(self, *parts):
        """One call: sendmsg of several parts, or send of one."""
        n = self.sock.sendmsg(parts) if len(parts) > 1 else self.sock.send(parts[0])
        self.calls.append(["out", b"".join(parts)[:n].hex()])
        return n

    def out_all(self, data):
        while data:
            data = data[self.out(data):]

    def writev(self, *parts):
        n = os.writev(self.sock.fileno(), parts)
        self.calls.append(["out", b"".join(parts)[:n].hex()])

    def write(self, data):
        self.calls.append(["out", data[:os.write(self.sock.fileno(), data)].hex()])

    def sendfile(self, data):
        with tempfile.TemporaryFile() as f:
            f.write(data)
            f.flush()
            n = os.sendfile(self.sock.fileno(), f.fileno(), 0, len(data))
        self.calls.append(["file", data[:n].hex()])

    def got(self, data):
        if data:
            self.calls.append(["in", data.hex()])
        return data

    def recv(self, n=65536):
        return self.got(self.sock.recv(n))

    def read(self, n=65536):
        return self.got(os.read(self.sock.fileno(), n))

    def recv_into_parts(self, *sizes):
        parts = [bytearray(n) for n in sizes]
        n = self.sock.recvmsg_into(parts)[0]
        return self.got(b"".join(parts)[:n])

    def readv(self, *sizes):
        parts = [bytearray(n) for n in sizes]
        n = os.readv(self.sock.fileno(), parts)
        return self.got(b"".join(parts)[:n])

    def exactly(self, n, call):
        while n:
            n -= len(call(n))


def serve(sock, told):
    s = Side(sock)
    # 1: head and body in pieces of any size, answer by two parts in one call
    sock.recv(PEEK, socket.MSG_PEEK)
    head = REQUEST % len(BODY)
    s.exactly(len(head) + len(BODY), s.recv)
    s.out(RESPONSE % 5, b"hello")
    # 2: a request that is read one byte first (as a server that reads ahead does), readv
    s.exactly(1, s.read)
    s.exactly(len(REQUEST % 0) - 1, lambda n: s.readv(7, 9, 100))
    s.writev(RESPONSE % len(BODY), b"", BODY[:3000])
    s.out_all(BODY[3000:])
    # 3: recvmsg into parts, answer head by write, body by sendfile
    s.exactly(len(REQUEST % 3) + 3, lambda n: s.recv_into_parts(16, 4096))
    s.write(RESPONSE % len(BODY))
    s.sendfile(BODY)
    s.recv()
    told["server"] = s.told
    sock.close()


def ask(sock, told):
    c = Side(sock)
    c.out(REQUEST % len(BODY))
    c.out_all(BODY)
    c.exactly(len(RESPONSE % 5) + 5, c.recv)
    c.out(REQUEST % 0)
    c.exactly(len(RESPONSE % len(BODY)) + len(BODY), c.recv)
    c.out((REQUEST % 3)[:10], (REQUEST % 3)[10:], b"abc")
    c.exactly(len(RESPONSE % len(BODY)) + len(BODY), c.recv)
    told["client"] = c.told
    sock.close()


def pair(family):
    if family == "unix":
        return socket.socketpair()
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return listener.accept()[0], client


def exchange(family):
    told = {}
    server, client = pair(family)
    threads = [threading.Thread(target=serve, args=(server, told)), threading.Thread(target=ask, args=(client, told))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return told


def flood(count):
    """Small exchanges over one connection; nothing told but their number."""
    server, client = pair("tcp")
    for _ in range(count):
        client.send(b"GET /flood HTTP/1.1\r\n\r\n")
        server.recv(4096)
        server.send(b"HTTP/1.1 204 No Content\r\n\r\n" + b"x" * 700)
        client.recv(4096)
    return {"calls": 4 * count}


def other():
    """Stream sockets that do not speak HTTP, and one that is never used."""
    server, client = pair("tcp")
    for text in (b"GET key\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x16\x03\x01\x00\x05hello"):
        client.send(text)
        server.send(server.recv(100))
        client.recv(100)
    return {}


print(flush=True)
sys.stdin.readline()
what = sys.argv[1]
print(json.dumps(flood(int(sys.argv[2])) if what == "flood" else other() if what == "other" else exchange(what)))
