"""One connection to the server, shared by all calls of an event loop: written to and read from in order."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from tokenstore import _core
from tokenstore._core import wake
from tokenstore.errors import ConnectionError, Error

if TYPE_CHECKING:
    import socket

    from tokenstore.asyncio._links import Links

__all__ = ["Connection", "describe"]

_NOW = 2  # when take() is due; 1: in the next iteration of the loop, 0: already scheduled

_CLOSE, _LEAVE = 1, 2  # the values of tks_trust after replies

_LOOKS = 4  # checks for data to read, before writing anyway
_LOOK_AGAIN = 0.001  # seconds: the loop reads in between; uvloop may run timers before that
_GOODBYE = 1.0  # seconds for TLS's close_notify

_INFINITY = float("inf")


class Connection(_core.Connection, asyncio.BufferedProtocol):
    """A connection, and its place in the event loop.

    It writes at once if nothing is in flight, otherwise once per loop iteration. It is *open* from the end of
    the greeting until the connection breaks or is closed; then it notifies its pool, once, if it ever was open.
    """

    __slots__ = (
        "_links",
        "_loop",
        "_paused",
        "_timer",
        "_transport",
        "closed",
        "connected",
        "open",
        "ready",
        "refused",
        "socket",
    )

    def __new__(cls, links: Links) -> Connection:
        return super().__new__(cls, links.server.core, links.node)

    def __init__(self, links: Links) -> None:
        self.ready: asyncio.Future[None] = links.pool.loop.create_future()
        self.closed: asyncio.Future[None] = links.pool.loop.create_future()
        self.connected = False  # TLS included
        self.refused = False  # by the server's reply
        self.open = False
        self.socket: socket.socket | None = None
        self._links = links
        self._loop = links.pool.loop
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False

    # ---- calls ----

    def put(self, call: _core.Call[Any]) -> None:
        """Queues the call's commands."""
        self.due(self.send(call))

    def due(self, when: int) -> None:
        """Schedules a write."""
        if when == _NOW:
            self.flush()
        elif when:
            self._loop.call_soon(self.flush)

    def flush(self, looks: int = _LOOKS) -> None:
        if self._transport is not None and not self._paused:
            data = self.take(looks > 0)
            if data:
                self._transport.write(data)
            elif data is None:  # data or EOF has arrived: the loop must read it first
                self._loop.call_later(_LOOK_AGAIN, self.flush, looks - 1)

    def silent_since(self) -> float:
        """Since when a reply is due without any data; infinity if none is due."""
        call = self.oldest
        return _INFINITY if call is None else max(self.heard, call.began)

    def silent_at(self) -> float:
        """When a reply without a caller is overdue.

        Infinity if none is due, or if a caller waits, which has its own deadline.
        """
        call = self.oldest
        if call is None or not call.over:
            return _INFINITY
        return self.silent_since() + self._links.server.timeout

    # ---- called by the transport ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.connected = True
        sock = transport.get_extra_info("socket")
        hello = self.hello(-1 if sock is None else sock.fileno())
        if hello:
            self._transport.write(hello)
        else:
            self._begin()

    def buffer_updated(self, nbytes: int) -> None:
        if not self.open:
            self._read_greeting(nbytes)
            return
        try:
            settled, wants, trust = self.feed(nbytes)
        except (Error, MemoryError) as error:
            self.abort(error if isinstance(error, Error) else ConnectionError("out of memory"))
            return
        try:
            if wants or trust or self._links.pool.crowded:
                self._act(wants or (), trust)
        finally:  # tasks run last: they may do anything, even to this connection
            if settled:
                try:
                    wake(settled)
                except BaseException as end:  # stops the loop; uvloop would treat it as the transport's
                    self._loop.call_soon(_raise, end)
            self.flush()

    def _read_greeting(self, nbytes: int) -> None:
        try:
            if not self.ready.done() and self.greet(nbytes):
                self._begin()
        except Error as error:
            self.refused = True
            self.abort(error)

    def _act(self, wants: Iterable[_core.Call[Any]], trust: int) -> None:
        if trust == _CLOSE:
            why = "a reply did not match its request, so later ones may not match either"
            self.abort(ConnectionError(why))
        elif trust == _LEAVE:
            self._links.give_up(self)
        for call in wants:
            self._links.pool.proceed(call)
        self._links.pool.make_room()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            try:
                self.greet(0)
            except Error as said:  # a server at its client limit says so, and hangs up
                self.refused = True
                self.abort(said)
        self._abort(ConnectionError(describe(error)))
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    # ---- the end ----

    def close(self) -> None:
        """Closes it, with TLS's close_notify. No call may be in flight."""
        transport = self._transport
        self._end(Error("the client is closed"))
        if transport is not None:
            transport.close()
            self._timer = self._loop.call_later(_GOODBYE, transport.abort)

    def abort(self, error: Error) -> None:
        """Ends it now."""
        if self._loop.is_closed():  # amid a task, which ends with its loop
            self.bury()
        else:
            self._abort(error)

    def _abort(self, error: Error) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    def bury(self) -> None:
        """Closes the socket of a closed loop. Does what the transport would schedule for the next iteration,
        which never comes."""
        loop: Any = self._loop
        loop.call_soon = _run
        try:
            self._abort(ConnectionError("its event loop was closed"))
        finally:
            del loop.call_soon
            if self.socket is not None:
                self.socket.close()

    def _begin(self) -> None:
        self.open = True
        if not self.ready.done():
            self.ready.set_result(None)

    def _end(self, error: Error) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # mark it as retrieved: the callers may have gone
        if self.open:
            self.open = False
            self._links.lost(self, ConnectionError(f"{self._links.server.name}: {error}"))


def _raise(error: BaseException) -> None:
    raise error


def _run(function: Any, *args: Any, context: object = None) -> None:
    if context is None:  # that of a future wakes a task, which ends with its loop
        function(*args)


def describe(error: BaseException | None) -> str:
    if error is None or isinstance(error, EOFError):
        return "the server closed the connection"
    if isinstance(error, ConnectionResetError) and not error.args:  # asyncio's, amid a TLS handshake
        return "the server closed the connection"
    if isinstance(error, ssl.SSLError):  # an OSError, too, but its errno is none of the system's
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return str(error) or type(error).__name__
