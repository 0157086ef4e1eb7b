"""Real servers for the tests: each on a private socket or port, each ended by its pid.

Independent of the package: servers are started with subprocess and used with a small RESP client, so that a
bug of ours cannot hide itself.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

BINARY = os.environ.get("TOKENSTORE_TEST_SERVER", "redis-server")
"""What the tests run on; `make test-servers` runs them on each there is."""

OLD = str(Path(__file__).resolve().parents[2] / ".venv/servers/redis-server-6.2")
"""Redis 6.2, which scripts/setup fetches."""

BINARIES = ("redis-server", "valkey-server", OLD)
"""The servers that there may be, one for each kind of answer."""

_PR_SET_PDEATHSIG = 1


_prctl = ctypes.CDLL(None).prctl  # looked up early: in a forked child the loader's lock may be taken


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """An unused port below the ephemeral range, so that it stays free until it is used; so is the port 10 000
    above it, on which a cluster node listens, too."""
    first_given = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = 10_000 + secrets.randbelow(max(first_given - 20_000, 1))
        with suppress(OSError), socket.socket() as s, socket.socket() as bus:
            s.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port


class Tls(NamedTuple):
    """What a server shows, and whose certificates it accepts from other servers."""

    cert: Path
    key: Path
    ca: Path

    def settings(self, port: int) -> dict[str, str]:
        """Of a server that speaks only TLS: on its port, to its primary, and on the bus of a cluster."""
        return {
            "tls-port": str(port),
            "port": "0",
            "tls-cert-file": str(self.cert),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.ca),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
            "tls-cluster": "yes",
        }


@cache
def _context(ca: Path) -> ssl.SSLContext:
    """Of any name: what a server shows is a matter of the tests."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    return context


class ReplyError(Exception):
    """An error reply."""


class Wire:
    """One connection with a minimal RESP client."""

    def __init__(self, server: Server) -> None:
        if server.socket_path is not None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(server.socket_path))
        else:
            self.socket = socket.create_connection((server.host, server.port))
        self.socket.settimeout(20)
        if server.tls is not None:
            self.socket = _context(server.tls.ca).wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        if server.password:
            self("AUTH", server.password)

    def send(self, *args: str | bytes | int) -> None:
        parts = [b"*%d\r\n" % len(args)]
        for arg in args:
            data = arg if isinstance(arg, bytes) else str(arg).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(parts))

    def read(self) -> Any:
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ReplyError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ValueError(f"not RESP: {line!r}")

    def __call__(self, *args: str | bytes | int) -> Any:
        self.send(*args)
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class Server:
    """A redis-server in a temporary directory; `url` is for the package, `wire` for the test. `prefix` comes before
    its command."""

    host = "127.0.0.1"
    prefix: tuple[str, ...] = ()
    ready = "eady to accept connections"
    """A part of the line that says so."""
    away = False
    """Stopped by SIGSTOP, or cut off from others."""
    tls: Tls | None = None
    """It speaks nothing else; for transport "tcp"."""
    password = ""
    """The default user's."""

    def __init__(
        self, *options: str, transport: str = "unix", binary: str = BINARY, tls: Tls | None = None
    ) -> None:
        self.tls = tls
        self.binary = binary
        self.options = list(options)
        self.directory = Path(tempfile.mkdtemp(prefix="ts-test-"))
        self.socket_path: Path | None = None
        self.port = 0
        if transport == "unix":
            self.socket_path = self.directory / "redis.sock"
            self.url = f"redis+unix://{self.socket_path}"
        else:
            self.port = free_port()
            self.url = f"redis{'s' if tls else ''}://{self.host}:{self.port}"
        self.process: subprocess.Popen[str] | None = None
        self.output: list[str] = []

    def command(self) -> list[str]:
        settings = self.tls.settings(self.port) if self.tls else {"port": str(self.port)}
        where = [word for name, value in settings.items() for word in (f"--{name}", value)]
        if self.socket_path is not None:
            where += ["--unixsocket", str(self.socket_path), "--unixsocketperm", "700"]
        else:
            where += ["--bind", self.host]
        where += ["--dir", str(self.directory)]
        return [self.binary, *where, "--save", "", "--daemonize", "no", *self.options]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [*self.prefix, *self.command()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            preexec_fn=_die_with_parent,
        )
        self._ready = False
        known = threading.Event()
        self._reader = threading.Thread(target=self._drain, args=(known,), daemon=True)
        self._reader.start()
        known.wait(30)
        if not self._ready:
            self.kill()
            raise RuntimeError(f"{self.binary} did not start:\n" + "\n".join(self.output[-20:]))

    def _drain(self, known: threading.Event) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip())
            del self.output[:-200]
            if self.ready in line:
                self._ready = True
                known.set()
        known.set()  # it has exited

    @property
    def primaries(self) -> list[Server]:
        """Those of a cluster, in topologies.py."""
        return [self]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL, and wait for its exit."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self._reader.join()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None
            self.away = False

    def stop(self) -> None:
        """SIGSTOP: the kernel accepts connections and data, but nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self.away = True

    def cont(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.away = False

    @property
    def alive(self) -> bool:
        return self.process is not None and not self.away

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def info(self, section: str, name: str) -> str:
        """One field of INFO, or of CLUSTER INFO for the section "cluster"."""
        text: bytes = self("CLUSTER", "INFO") if section == "cluster" else self("INFO", section)
        return dict(line.partition(":")[::2] for line in text.decode().splitlines())[name]

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def wire(self) -> Wire:
        return Wire(self)

    def __call__(self, *args: str | bytes | int) -> Any:
        """One command on a separate connection."""
        with self.wire() as wire:
            return wire(*args)

    def expires_at(self, key: str | bytes) -> int:
        """When the key expires, in ms since 1970; -1: never, -2: no such key. Before Redis 7, without
        PEXPIRETIME, it is TIME plus PTTL, the latest of several, since a ms may pass between the two."""
        with self.wire() as wire:
            with suppress(ReplyError):
                return int(wire("PEXPIRETIME", key))
            ends = []
            for _ in range(20):
                seconds, microseconds = wire("TIME")
                left = wire("PTTL", key)
                if left < 0:
                    return int(left)
                ends.append(int(seconds) * 1000 + int(microseconds) // 1000 + left)
            return max(ends)

    def keys(self) -> list[bytes]:
        return sorted(self("KEYS", "*"))


@contextmanager
def running(*options: str, transport: str = "unix", binary: str = BINARY) -> Iterator[Server]:
    server = Server(*options, transport=transport, binary=binary)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@contextmanager
def paused(server: Server) -> Iterator[None]:
    """Stops the server's process meanwhile."""
    server.stop()
    try:
        yield
    finally:
        server.cont()
