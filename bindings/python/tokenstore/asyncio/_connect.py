"""Opens connections: a connected socket, TLS, AUTH, SELECT, CLIENT SETNAME."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tokenstore import _core
from tokenstore.asyncio._connection import Connection, describe
from tokenstore.asyncio._reach import Resolver, reach, reach_unix
from tokenstore.asyncio._tls import Contexts
from tokenstore.errors import ConfigurationError, ConnectionError, Error, ServerError

if TYPE_CHECKING:
    from tokenstore.asyncio._links import Links

__all__ = ["CredentialsError", "OpenError", "Server", "open_connection"]


class OpenError(Exception):
    """The connection could not be opened. ``final``: a retry cannot help."""

    def __init__(self, error: Error, final: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.final = final


class CredentialsError(Exception):
    """``credentials`` raised ``error``, or returned an invalid value."""

    def __init__(self, error: Exception) -> None:
        super().__init__("no credentials")
        self.error = error


class Server:
    """The server, or a node of a cluster by its number, and how to reach it. Used by any thread."""

    def __init__(
        self,
        core: _core.Client,
        node: int = -1,
        tls: Contexts | None = None,
        whole: Server | None = None,
    ) -> None:
        target = core.target(node)
        self.core = core
        self.credentials = core.credentials if target["asks"] else None
        self.name = target["name"]
        self.path = target["path"]
        self.timeout = target["timeout"]
        self.connect_timeout = target["connect_timeout"]
        self.greeting_hint = target["greeting_hint"]
        self.resolver = Resolver(target["host"] or "", target["port"])
        self.tls = tls or (Contexts(target) if target["tls"] else None)
        self._all = whole or self
        self._opened = 0  # connections, to all nodes; of `whole`, and under its lock
        self._lock = threading.Lock()
        self.server_name: str | None = None
        self.handshaking = False  # connected, but not yet at the end of a TLS handshake
        if self.tls is not None:
            given = target["server_name"] or target["host"] or ""
            self.server_name = given.partition("%")[0].rstrip(".") or given

    def node(self, number: int) -> Server:
        """A node of the cluster. -1: this server."""
        return self if number < 0 else Server(self.core, number, self.tls, self._all)

    def note_opened(self) -> None:
        with self._all._lock:
            self._all._opened += 1

    @property
    def opened(self) -> int:
        """How many connections were opened, to all nodes."""
        return self._all._opened


async def open_connection(links: Links) -> Connection:
    """Opens a connection. Raises OpenError, or CredentialsError."""
    server = links.server
    connection = Connection(links)
    if server.credentials is not None:
        await _ask(connection, server.credentials)
    try:
        await _open(connection, server)
    except OpenError:
        if not connection.has_refused or server.credentials is None:
            raise
        connection = Connection(links)  # the password may just have changed: retry once
        await _ask(connection, server.credentials)
        await _open(connection, server)
    return connection


async def _ask(connection: Connection, credentials: Callable[[], Any]) -> None:
    try:
        pair = credentials()
        connection.give(await pair if inspect.isawaitable(pair) else pair)
    except Exception as error:
        raise CredentialsError(error) from None


async def _open(connection: Connection, server: Server) -> None:
    """Opens `connection`, or closes it and raises OpenError."""
    sock = connection.socket = await _connect(server)
    try:
        try:
            server.handshaking = server.tls is not None
            await asyncio.wait_for(_begin(connection, server, sock), server.connect_timeout)
        except BaseException:  # here, because a _begin cancelled before its first step runs no code
            connection.abort(ConnectionError("given up"))
            sock.close()
            raise
        finally:
            server.handshaking = False
        _note(server, sock)
        return
    except asyncio.TimeoutError:
        why = "no answer within connect_timeout"
        if server.tls is not None:
            why += _hint(connection, server)
    except ssl.SSLCertVerificationError as problem:
        why = f"TLS handshake: the server's certificate was rejected: {problem.verify_message}"
        if "mismatch" in problem.verify_message or "match" in problem.verify_message:
            why += " (the name must be in its subjectAltName; server_name= sets another)"
        raise _final(server, why) from None
    except ssl.SSLError as problem:
        hint = _hint(connection, server) if problem.reason == "WRONG_VERSION_NUMBER" else ""
        raise _final(server, f"TLS handshake: {describe(problem)}{hint}") from None
    except ServerError as problem:
        raise OpenError(ServerError(f"{server.name}: {problem}"), final=True) from None
    except ConfigurationError as problem:
        raise OpenError(ConfigurationError(f"{server.name}: {problem}"), final=True) from None
    except Error as problem:
        why = f"{problem}{_hint(connection, server)}"
    except OSError as problem:
        why = f"{describe(problem)}{_hint(connection, server)}"
    stage = "TLS handshake: " if server.tls is not None and not connection.connected else ""
    raise OpenError(ConnectionError(f"{server.name}: {stage}{why}"))


def _final(server: Server, text: str) -> OpenError:
    return OpenError(ConnectionError(f"{server.name}: {text}"), final=True)


def _hint(connection: Connection, server: Server) -> str:
    """The likely cause if the server hangs up without a reply."""
    if connection.refused:
        return ""
    if not connection.connected:
        return " (does the server speak TLS on this port?)"
    return server.greeting_hint


async def _connect(server: Server) -> socket.socket:
    """Returns a connected socket. Each address has connect_timeout."""
    try:
        if server.path is not None:
            return await reach_unix(server.path, server.connect_timeout)
        return await reach(await server.resolver.resolve(), server.connect_timeout)
    except Error as problem:
        final = isinstance(problem, ConfigurationError)
        raise OpenError(type(problem)(f"{server.name}: {problem}"), final) from None
    except asyncio.TimeoutError:
        why = "no answer within connect_timeout"
    except OSError as problem:
        why = describe(problem)
    raise OpenError(ConnectionError(f"{server.name}: cannot connect: {why}"))


def _note(server: Server, sock: socket.socket) -> None:
    """Makes this address the first to try next time."""
    if server.path is None and sock.fileno() >= 0:
        server.resolver.last = (sock.family, sock.getpeername())


async def _begin(connection: Connection, server: Server, sock: socket.socket) -> None:
    """TLS and the greeting, on a connected socket."""
    context = None if server.tls is None else server.tls.get()
    tls: dict[str, Any] = {"ssl": context, "server_hostname": server.server_name}
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: connection, sock=sock, **tls)
    await connection.ready
