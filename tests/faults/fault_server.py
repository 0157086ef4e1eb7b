"""A server that misbehaves on demand: a proxy in front of a real redis-server.

Everything passes unchanged until a fault is armed; it applies to the next request on any connection, and the
following ones pass again. Requests and replies are real, so a fault can be placed at each byte that an
operation sends and receives.

In Python::

    with FaultServer(redis.socket_path) as server:
        client = tokenstore.Client(server.url)
        server.arm(reset_reply(5))
        client.execute("GET", "x")

From other languages, as a program: it prints one line, ``URL CONTROL_URL``, and ends
with its standard input. The control URL speaks RESP: ``FAULT reset_reply 5`` arms, ``SIZES`` gives
the sizes of the last request and reply, ``COUNT`` how many connections there were, ``DROP`` and
``INJECT text`` act on idle connections.

    python3 fault_server.py UPSTREAM_SOCKET [--tls CERT KEY]
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from resp_values import values

PAUSE = 0.0003  # between two fragments of a reply, so that the reader wakes in between

Fault = Callable[["Exchange"], None]


class Gone(Exception):
    """The connection has ended, perhaps by the fault."""


# ---- one request and its reply -----------------------------------------------------------------------


class Exchange:
    """The context of a fault: the request being received, and both connections."""

    def __init__(self, server: FaultServer, client: socket.socket, upstream: socket.socket) -> None:
        self.server = server
        self.client = client
        self.upstream = upstream
        self.request = b""
        self.reply = b""

    def read_some(self) -> bytes:
        data = self.client.recv(1 << 16)
        if not data:
            raise Gone
        return data

    def read_request(self, at_least: int = 0) -> bytes:
        """The whole request, or its first `at_least` bytes."""
        while True:
            if at_least and len(self.request) >= at_least:
                return self.request
            whole = list(values(self.request))
            if whole and sum(map(len, whole)) == len(self.request):
                return self.request
            self.request += self.read_some()

    def ask(self) -> bytes:
        """Forwards the whole request; returns the whole reply."""
        count = len(list(values(self.read_request())))
        self.upstream.sendall(self.request)
        while len(list(values(self.reply))) < count:
            data = self.upstream.recv(1 << 16)
            if not data:
                raise Gone
            self.reply += data
        self.server.note(self.request, self.reply)
        return self.reply

    def send(self, data: bytes) -> None:
        if data:
            self.client.sendall(data)

    def reset(self) -> None:
        """Closes the connection with RST, like a crashed or rebooted machine."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end()

    def close(self) -> None:
        """Closes the connection normally (with TLS, without close_notify)."""
        self._end()

    def _end(self) -> None:
        os.close(self.client.detach())  # not SSLSocket.close, which would send close_notify
        raise Gone

    def hang(self) -> None:
        """Sends nothing more until the client gives up."""
        while self.read_some():
            pass


# ---- faults -----------------------------------------------------------------------------------------


def record(x: Exchange) -> None:
    """No fault: records the sizes of request and reply."""
    x.send(x.ask())


def split(at: int) -> Fault:
    """The reply in two fragments."""

    def fault(x: Exchange) -> None:
        reply = x.ask()
        x.send(reply[:at])
        time.sleep(PAUSE)
        x.send(reply[at:])

    return fault


def drip(x: Exchange) -> None:
    """The reply byte by byte."""
    for byte in x.ask():
        x.send(bytes([byte]))
        time.sleep(PAUSE)


def twice(x: Exchange) -> None:
    """The reply twice at once."""
    reply = x.ask()
    x.send(reply + reply)


def twice_apart(x: Exchange) -> None:
    """The reply, and shortly after once more."""
    reply = x.ask()
    x.send(reply)
    time.sleep(PAUSE)
    x.send(reply)


def previous_first(x: Exchange) -> None:
    """The previous request's reply again, then the right one."""
    before = x.server.last_reply
    reply = x.ask()
    x.send(before + reply)


def previous_instead(x: Exchange) -> None:
    """Only the previous request's reply."""
    before = x.server.last_reply
    x.ask()
    x.send(before)
    x.hang()


def reset_request(at: int) -> Fault:
    """RST after `at` bytes of the request, which is never complete."""

    def fault(x: Exchange) -> None:
        x.upstream.sendall(x.read_request(at)[:at] if at else b"")
        x.reset()

    return fault


def reset_reply(at: int) -> Fault:
    """RST after `at` bytes of the reply."""

    def fault(x: Exchange) -> None:
        x.send(x.ask()[:at])
        x.reset()

    return fault


def close_reply(at: int) -> Fault:
    """FIN after `at` bytes of the reply."""

    def fault(x: Exchange) -> None:
        x.send(x.ask()[:at])
        x.close()

    return fault


def hang_reply(at: int) -> Fault:
    """`at` bytes of the reply, then silence."""

    def fault(x: Exchange) -> None:
        x.send(x.ask()[:at])
        x.hang()

    return fault


def hang(x: Exchange) -> None:
    """The request is read, but neither executed nor answered."""
    x.read_request()
    x.hang()


def deaf(seconds: float) -> Fault:
    """Stops reading for a while: a large request fills all buffers."""

    def fault(x: Exchange) -> None:
        x.server.over.wait(seconds)
        x.reset()

    return fault


def in_step(answer: bytes) -> Fault:
    """Answers each command before it reads the next, and stops reading while its replies are not read."""

    def fault(x: Exchange) -> None:
        while True:
            for command in values(x.request):
                x.request = x.request[len(command) :]
                x.send(answer)
            x.request += x.read_some()

    return fault


def endless(head: bytes, text: bytes, pause: float) -> Fault:
    """`head`, and then `text` over and over."""

    def fault(x: Exchange) -> None:
        x.ask()
        x.send(head)
        while True:
            x.send(text)
            time.sleep(pause)

    return fault


def instead(data: bytes) -> Fault:
    """These bytes instead of the reply."""

    def fault(x: Exchange) -> None:
        x.ask()
        x.send(data)

    return fault


def instead_of_each(data: bytes) -> Fault:
    """These bytes instead of the reply to each command of the request, however many that are."""

    def fault(x: Exchange) -> None:
        x.ask()
        x.send(data * len(list(values(x.request))))

    return fault


NAMED: dict[str, Any] = {
    f.__name__: f for f in (record, drip, twice, twice_apart, previous_first, hang)
}
NUMBERED = {f.__name__: f for f in (split, reset_request, reset_reply, close_reply, hang_reply)}


def fault_of(name: str, argument: bytes | None) -> Fault:
    if name in NUMBERED:
        return NUMBERED[name](int(argument or b"0"))
    if name == "instead":
        return instead(argument or b"")
    fault: Fault = NAMED[name]
    return fault


# ---- the server --------------------------------------------------------------------------------------


class FaultServer:
    """Listens on a free port of 127.0.0.1. `tls` is the server's context, or None."""

    def __init__(self, upstream: str | os.PathLike[str], tls: ssl.SSLContext | None = None) -> None:
        self.upstream = os.fspath(upstream)
        self.tls = tls
        self.last_request = b""
        self.last_reply = b""
        self.accepted = 0
        self.connections = 0  # those that completed the TLS handshake
        self._armed: list[Fault] = []
        self._on_accept: list[Callable[[socket.socket], None]] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        # The client's socket, and a socket that wakes its thread.
        self._open: dict[socket.socket, socket.socket] = {}
        self._frozen: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"redis{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FaultServer:
        return self

    def __exit__(self, *unused: object) -> None:
        self.over.set()
        self._listener.close()
        self.drop()

    def arm(self, *faults: Fault) -> None:
        """For the next requests, one each; replaces the armed faults."""
        with self._lock:
            self._armed = list(faults)

    def arm_accept(self, *actions: Callable[[socket.socket], None]) -> None:
        """For the next connections, one each: called with the bare socket, before any TLS."""
        with self._lock:
            self._on_accept = list(actions)

    @property
    def pending(self) -> int:
        """The remaining armed faults."""
        with self._lock:
            return len(self._armed) + len(self._on_accept)

    def note(self, request: bytes, reply: bytes) -> None:
        self.last_request, self.last_reply = request, reply

    def drop(self) -> int:
        """Closes all connections normally; returns their number."""
        with self._lock:
            gone = list(self._open)
        for client in gone:
            with suppress(OSError):
                socket.socket.shutdown(client, socket.SHUT_RDWR)
        return len(gone)

    def freeze(self) -> int:
        """Silently drops all traffic of the open connections, like a router that has dropped them."""
        with self._lock:
            self._frozen.update(self._open)

    def inject(self, data: bytes) -> None:
        """Sends unrequested bytes on every idle connection, and waits until they are sent."""
        with self._lock:
            wakers = list(self._open.values())
        for waker in wakers:
            with suppress(OSError):
                waker.sendall(data)
                waker.recv(1)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self.accepted += 1
            action = self._on_accept.pop(0) if self._on_accept else None
        upstream = socket.socket(socket.AF_UNIX)
        waker, woken = socket.socketpair()
        try:
            if action is not None:
                action(client)
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
            upstream.connect(self.upstream)
            with self._lock:
                self.connections += 1
                self._open[client] = waker
            while True:
                self._pass(client, upstream, woken)
        except (OSError, Gone, ValueError):
            pass
        finally:
            with self._lock:
                self._open.pop(client, None)
                self._frozen.discard(client)
            with suppress(OSError):
                client.close()
            for s in (upstream, waker, woken):
                s.close()

    def _pass(self, client: socket.socket, upstream: socket.socket, woken: socket.socket) -> None:
        waiting = isinstance(client, ssl.SSLSocket) and client.pending() > 0
        ready = [client] if waiting else select.select([client, upstream, woken], [], [])[0]
        if client in self._frozen:
            end = select.poll()
            end.register(client, select.POLLRDHUP)
            while not end.poll(50) and not self.over.is_set():
                pass
            raise Gone
        if client in ready:
            data = client.recv(1 << 16)
            if not data:
                raise Gone
            with self._lock:
                fault = self._armed.pop(0) if self._armed else None
            if fault is not None:
                exchange = Exchange(self, client, upstream)
                exchange.request = data
                fault(exchange)
                return
            upstream.sendall(data)
        if upstream in ready:
            data = upstream.recv(1 << 16)
            if not data:
                raise Gone
            client.sendall(data)
        if woken in ready:
            client.sendall(woken.recv(1 << 16))
            woken.send(b".")


# ---- as a program --------------------------------------------------------------------------------------


class Control:
    """The control connections, in RESP."""

    def __init__(self, server: FaultServer, path: str) -> None:
        self.server = server
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        data = b""
        while True:
            more = client.recv(1 << 16)
            if not more:
                return
            data += more
            for command in values(data):
                data = data[len(command) :]
                client.sendall(self._answer(command.split(b"\r\n")[2::2]))

    def _answer(self, words: list[bytes]) -> bytes:
        name = words[0].upper()
        if name == b"FAULT":
            try:
                self.server.arm(fault_of(words[1].decode(), words[2] if words[2:] else None))
            except (KeyError, IndexError, ValueError):
                return b"-ERR no such fault\r\n"
        elif name == b"SIZES":
            sizes = len(self.server.last_request), len(self.server.last_reply)
            return b"*2\r\n:%d\r\n:%d\r\n" % sizes
        elif name == b"COUNT":
            return b":%d\r\n" % self.server.connections
        elif name == b"DROP":
            self.server.drop()
        elif name == b"INJECT":
            self.server.inject(words[1])
        else:
            return b"-ERR unknown command\r\n"
        return b"+OK\r\n"


def main(arguments: list[str]) -> None:
    context = None
    if arguments[1:2] == ["--tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments[2], arguments[3])
    with tempfile.TemporaryDirectory(prefix="ts-faults-") as directory:
        control = Path(directory, "control.sock")
        with FaultServer(arguments[0], context) as server:
            Control(server, str(control))
            print(server.url, f"redis+unix://{control}", flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
