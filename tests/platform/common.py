"""common: what every service of the platform shares: options, its log, Kafka and HTTP plumbing.

Ordinary application code. The log is the truth that tests compare a tracer with, so each
operation is written with the wall-clock times (CLOCK_REALTIME, ns) taken right around it.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import threading
import time

TRACE_HEADERS = {"traceparent": "traceparent", "custom": "trace-id", "none": None}
TOPICS = ("executions", "pods", "pod-events")
LABEL = "execution-id"
KEEP_ALIVE_S = 75
EXIT_GRACE_S = 8        # a service that has not ended by then after SIGTERM is killed by SIGALRM
POLL_S = 0.2            # how long a consumer waits for a message before it looks at its stop flag
EXECUTION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Log:
    """JSON lines; one write a line to a file opened for appending, so threads may share it."""

    def __init__(self, directory, service):
        path = os.path.join(directory, service + ".log")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, event, **fields):
        line = {"event": event}
        line.update(fields)
        if "ts" not in line and "begin" not in line:
            line["ts"] = time.time_ns()
        os.write(self._fd, (json.dumps(line) + "\n").encode())


def options(service, **wanted):
    """The options every service takes, plus those named in wanted: name=(default, help)."""
    parser = argparse.ArgumentParser(prog=service)
    parser.add_argument("--dir", required=True, help="run directory: logs and stored results")
    parser.add_argument("--propagation", choices=sorted(TRACE_HEADERS), default="traceparent")
    for name, (default, text) in wanted.items():
        parser.add_argument("--" + name.replace("_", "-"), default=default, help=text,
                            required=default is None,
                            type=str if default is None else type(default))
    args = parser.parse_args()
    args.header = TRACE_HEADERS[args.propagation]
    return args


class Stop:
    """SIGTERM and SIGINT ask for the end; with interrupt they break a blocking call, too."""

    def __init__(self, interrupt=False):
        self.asked = False
        self._interrupt = interrupt
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, _signum, _frame):
        self.asked = True
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(EXIT_GRACE_S)
        if self._interrupt:
            raise SystemExit(0)


# -- Kafka ------------------------------------------------------------------------------------

class Publisher:
    """A confluent producer; its delivery reports are served by a background thread."""

    def __init__(self, log, brokers):
        from confluent_kafka import Producer

        self._log = log
        self._seq = 0
        self._producer = Producer({
            "bootstrap.servers": brokers,
            "linger.ms": 5,
            "socket.nagle.disable": True,
        })
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="delivery", daemon=True)
        self._thread.start()

    def _serve(self):
        while not self._closed.is_set():
            self._producer.poll(POLL_S)

    def publish(self, topic, key, value, header=None):
        """header: the (name, value) to put in the message's headers, or None for no headers."""
        self._seq += 1
        seq = self._seq

        def delivered(err, message):
            self._log.write("kafka.delivered", seq=seq, topic=topic, execution=key,
                            partition=message.partition(), offset=message.offset(),
                            error=str(err) if err else None)

        body = json.dumps(value).encode()
        begin = time.time_ns()
        if header:
            self._producer.produce(topic, value=body, key=key, headers=[header],
                                   on_delivery=delivered)
        else:
            self._producer.produce(topic, value=body, key=key, on_delivery=delivered)
        self._log.write("kafka.produce", begin=begin, end=time.time_ns(), seq=seq, topic=topic,
                        execution=key, headers=dict([header] if header else []))

    def close(self):
        self._producer.flush(5)
        self._closed.set()
        self._thread.join()


def consume(args, log, stop, topic, group, process):
    """Blocking loop: process(key, value, header) for each message, one at a time."""
    from confluent_kafka import Consumer

    consumer = Consumer({
        "bootstrap.servers": args.brokers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        # The mock cluster does not end a waiting fetch when a message arrives, so this is the
        # delay that a message may see on an idle topic.
        "fetch.wait.max.ms": 20,
        "socket.nagle.disable": True,
    })

    def assigned(_consumer, partitions):
        log.write("ready", topic=topic, partitions=[p.partition for p in partitions])

    consumer.subscribe([topic], on_assign=assigned)
    while not stop.asked:
        message = consumer.poll(POLL_S)
        begin = time.time_ns()
        if message is None:
            continue
        if message.error():
            log.write("kafka.error", topic=topic, error=str(message.error()))
            continue
        headers = {name: value.decode() for name, value in message.headers() or []}
        key = message.key().decode()
        header = (args.header, headers[args.header]) if args.header in headers else None
        try:
            process(key, json.loads(message.value()), header)
        except Exception as err:    # one bad message must not end the service
            logging.exception("message %s", key)
            log.write("failure", execution=key, error=repr(err))
        log.write("kafka.process", begin=begin, end=time.time_ns(), topic=topic, execution=key,
                  partition=message.partition(), offset=message.offset(), headers=headers)
    consumer.close()


# -- HTTP -------------------------------------------------------------------------------------

class RequestLog:
    """ASGI middleware: one http.server line for each request, when its answer has been sent."""

    def __init__(self, app, log):
        self.app = app
        self.log = log

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = time.time_ns()
        state = scope.setdefault("state", {})
        status = None
        finished = False

        def done(error=None):
            nonlocal finished
            finished = True
            found = EXECUTION.search(scope["path"])
            query = scope["query_string"].decode()
            self.log.write("http.server", begin=begin, end=time.time_ns(),
                           method=scope["method"], path=scope["path"], query=query, status=status,
                           execution=found.group() if found else state.get("execution"),
                           headers={k.decode(): v.decode() for k, v in scope["headers"]
                                    if k.decode() in TRACE_HEADERS.values()}, error=error)

        async def send_and_note(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                done()

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as err:
            if not finished:
                done(repr(err))
            raise
        if not finished:    # a watch whose client went away
            done()


async def serve(app, log, port, on_stop=None):
    """Serve app on 127.0.0.1:port (0: any) until SIGTERM; on_stop runs when that is asked."""
    import uvicorn

    # With the protocol named, asyncio turns Nagle's delay off, as for a server that it binds.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))

    class Server(uvicorn.Server):
        def handle_exit(self, sig, frame):
            signal.alarm(EXIT_GRACE_S)
            if on_stop:
                on_stop()
            super().handle_exit(sig, frame)

    # Newer uvicorn raises the signal again when it is done, to whoever had it before.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)

    server = Server(uvicorn.Config(app, access_log=False, log_level="warning", lifespan="off",
                                   timeout_keep_alive=KEEP_ALIVE_S))

    async def tell():
        while not server.started:
            await asyncio.sleep(0.01)
        log.write("ready", address="%s:%d" % listener.getsockname())

    telling = asyncio.ensure_future(tell())
    await server.serve(sockets=[listener])
    telling.cancel()


class Kube:
    """The Kubernetes client, with a log line and the trace header around each call."""

    def __init__(self, log, url):
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host = url
        self.api = client.ApiClient(configuration)
        self.v1 = client.CoreV1Api(self.api)
        self._log = log
        self._error = client.rest.ApiException

    @contextlib.contextmanager
    def _header(self, header):
        if not header:
            yield
            return
        self.api.set_default_header(*header)
        try:
            yield
        finally:
            self.api.default_headers.pop(header[0], None)

    def call(self, function, path, execution, header, *args, **kwargs):
        """Call one method of the client; returns (status, answer or error body)."""
        method = {"create": "POST", "read": "GET", "delete": "DELETE"}[
            function.__name__.split("_")[0]]
        with self._header(header):
            begin = time.time_ns()
            try:
                answer = function(*args, **kwargs)
                status = self.api.last_response.status
                if kwargs.get("_preload_content") is False:
                    answer = answer.data
            except self._error as err:
                answer, status = err.body, err.status
            end = time.time_ns()
        self._log.write("http.client", begin=begin, end=end, peer="kube", method=method, path=path,
                        status=status, execution=execution,
                        headers=dict([header] if header else []))
        return status, answer
