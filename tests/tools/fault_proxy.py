# SPDX-License-Identifier: Apache-2.0
"""A proxy that stands between the program and a real server and spoils what passes, as it is told.

It runs in threads of the test's own process. What it does may be changed at any time and holds for the next
connection or request:

    proxy = FaultProxy(("127.0.0.1", 8200))
    proxy.fault = cut(100)                      # for every request from now on
    proxy.fault = when("secret/data/", drip(8)) # for those whose path has this in it; any function of a request does
    proxy.script(cut(0), None, reset(5))        # for the next three requests, then `fault` again
    proxy.paths()                               # what was asked, in order

A fault for requests gets the request's head and the server's reply; the faults of connections are `proxy.connection`:
"serve", "refuse" (reset at once), "hold" (accepted and never read: also a stalled TLS handshake) or "garbage".
Whatever is random comes from the proxy's seed, so that a failing run can be run again.
"""
import collections
import random
import socket
import ssl
import struct
import threading
import time

Request = collections.namedtuple("Request", "method path headers body at")


class Lost(Exception):
    """The connection has come to its end."""


class Fault:
    """What happens to one request; `before` says that the server never sees it."""

    def __init__(self, act, before=False):
        self.act = act
        self.before = before


def when(path, fault):
    """The fault, for requests whose path has this in it."""
    return lambda request: fault if path in request.path else None


def delay(seconds):
    """The reply comes whole, but late."""

    def act(flow, reply):
        flow.wait(seconds)
        flow.send(reply)

    return Fault(act)


def drip(bytes_per_second):
    """The reply comes one byte at a time."""

    def act(flow, reply):
        for byte in reply:
            flow.send(bytes([byte]))
            flow.wait(1 / bytes_per_second)

    return Fault(act)


def cut(after):
    """The reply ends after this many bytes; at 0 the server did the work and nobody hears of it."""

    def act(flow, reply):
        flow.send(reply[:after])
        raise Lost

    return Fault(act)


def reset(after=0):
    """The same, but the connection is reset."""

    def act(flow, reply):
        flow.send(reply[:after])
        flow.reset()
        raise Lost

    return Fault(act)


def silence():
    """The request is taken, and nothing ever comes back, not even the connection's end."""

    def act(flow, reply):
        flow.wait(3600)
        raise Lost

    return Fault(act, before=True)


def corrupt(bits=1, head=False):
    """Bits of the reply's body (or of all of it) are turned over, at places that the seed gives."""

    def act(flow, reply):
        begin = 0 if head else reply.find(b"\r\n\r\n") + 4
        spoiled = bytearray(reply)
        for _ in range(bits if begin < len(reply) else 0):
            spoiled[flow.random.randrange(begin, len(reply))] ^= 1 << flow.random.randrange(8)
        flow.send(bytes(spoiled))

    return Fault(act)


def say(raw):
    """These bytes instead of a reply; the server is not asked."""

    def act(flow, reply):
        flow.send(raw)
        raise Lost

    return Fault(act, before=True)


def answer(status, body=b"", **headers):
    """This reply instead of the server's; the server is not asked."""
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    raw = ("\r\n".join(lines) + "\r\n\r\n").encode() + body
    return Fault(lambda flow, reply: flow.send(raw), before=True)


def rewrite(change):
    """The reply's body goes through this function; its length is put right."""

    def act(flow, reply):
        head, _, body = reply.partition(b"\r\n\r\n")
        body = change(body)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        flow.send(b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body)

    return Fault(act)


class Flow:
    """One connection of a client, and the server's that belongs to it."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.client = client
        self.server = None
        self.random = proxy.random
        self.pending = b""

    def wait(self, seconds):
        if self.proxy.closing.wait(seconds):
            raise Lost

    def send(self, data):
        self.client.sendall(data)

    def reset(self):
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        for end in (self.client, self.server):
            if end is not None:
                end.close()

    def serve(self):
        while True:
            request, raw = self.read_request()
            fault = self.proxy.take(request)
            reply = b"" if fault is not None and fault.before else self.ask(raw, request.method)
            self.proxy.lengths[request.path] = len(reply)
            if fault is None:
                self.send(reply)
            else:
                fault.act(self, reply)

    def read_request(self):
        data, self.pending = self.pending, b""
        while b"\r\n\r\n" not in data:
            data += self.more(self.client)
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += self.more(self.client)
        body, self.pending = body[:length], body[length:]
        method, path, _ = first.split(" ", 2)
        return Request(method, path, headers, body, time.monotonic()), head + b"\r\n\r\n" + body

    def more(self, end):
        data = end.recv(65536)
        if not data:
            raise Lost
        return data

    def ask(self, raw, method):
        """The server's reply, whole; a connection that the server let go of is made anew."""
        for attempt in range(2):
            try:
                if self.server is None:
                    self.server = self.proxy.connect()
                self.server.sendall(raw)
                return self.read_reply(method)
            except (OSError, Lost):
                if self.server is not None:
                    self.server.close()
                self.server = None
                if attempt == 1:
                    raise
        raise Lost

    def read_reply(self, method):
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more(self.server)
        head = data.partition(b"\r\n\r\n")[0]
        lines = head.decode("latin-1").lower().split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if method == "HEAD" or status in (204, 304):
            return data
        if headers.get("transfer-encoding") == "chunked":
            while not data.endswith(b"0\r\n\r\n"):
                data += self.more(self.server)
            return data
        end = len(head) + 4 + int(headers.get("content-length", 0))
        while len(data) < end:
            data += self.more(self.server)
        return data


class FaultProxy:
    def __init__(self, target=None, tls=None, upstream_tls=None, seed=1, host="127.0.0.1", port=0):
        self.target = target
        self.host = host
        self.tls = tls  # an ssl.SSLContext; a new one holds for new connections
        self.upstream_tls = upstream_tls
        self.random = random.Random(seed)
        self.fault = None
        self.connection = "serve"
        self.requests = []
        self.lengths = {}  # of the last reply to each path
        self.connections = 0
        self.handshakes_refused = []
        self.closing = threading.Event()
        self._script = collections.deque()
        self._lock = threading.Lock()
        self._flows = set()
        self._listener = socket.create_server((host, port), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def script(self, *faults):
        """One for each of the next requests; None lets it pass."""
        with self._lock:
            self._script.extend(faults)

    def take(self, request):
        with self._lock:
            self.requests.append(request)
            fault = self._script.popleft() if self._script else self.fault
        return fault(request) if callable(fault) else fault

    def paths(self, contains="", since=0):
        return [request.path for request in self.requests[since:] if contains in request.path]

    def clear(self):
        """Everything passes from now on; connections that are held or silent end."""
        with self._lock:
            self.fault = None
            self.connection = "serve"
            self._script.clear()
        self.drop()

    def drop(self):
        """Resets every connection that stands."""
        with self._lock:
            flows = list(self._flows)
        for flow in flows:
            try:
                flow.client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.closing.set()
        # A thread in accept() is not woken by close() alone.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def connect(self):
        server = socket.create_connection(self.target, timeout=30)
        return self.upstream_tls.wrap_socket(server, server_hostname=self.target[0]) if self.upstream_tls else server

    def _accept(self):
        while not self.closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=(client,), daemon=True).start()

    def _handle(self, client):
        flow = Flow(self, client)
        with self._lock:
            self._flows.add(flow)
        try:
            self._serve(flow)
        except (OSError, Lost, ValueError):
            pass
        finally:
            with self._lock:
                self._flows.discard(flow)
            flow.close()

    def _serve(self, flow):
        if self.connection == "refuse":
            flow.reset()
            return
        if self.connection == "hold":
            while self.connection == "hold":
                flow.wait(0.05)
            raise Lost
        if self.connection == "garbage":
            flow.send(self.random.randbytes(512))
            return
        if self.tls is not None:
            try:
                flow.client = self.tls.wrap_socket(flow.client, server_side=True)
            except ssl.SSLError as error:
                self.handshakes_refused.append(str(error))
                raise Lost from error
        flow.serve()
