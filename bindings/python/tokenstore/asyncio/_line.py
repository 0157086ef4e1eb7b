"""One connection to the server, shared by all calls of an event loop: written to and read from in order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Callable, cast

from tokenstore import _core
from tokenstore.errors import ConnectionError, Error

if TYPE_CHECKING:
    from tokenstore.asyncio._connect import Where

__all__ = ["Line", "describe"]

_AT_ONCE, _AFTER_READING = 1, 2  # when take() is due; 0: with the next round of the loop

_LOOK_FIRST = 0.001  # seconds: the loop reads in between


class Line(asyncio.BufferedProtocol):
    """A connection, and its place in the event loop.

    It writes at once when nothing is under way, otherwise once in a round of the loop. It is *open* from
    the end of the greeting until the connection breaks or is closed; then ``gone(line, error)`` is
    called, once, if it ever was open.
    """

    def __init__(
        self,
        where: Where,
        calls: _core.Calls,
        gone: Callable[[Line, Error], None],
    ) -> None:
        loop = calls.loop
        self.channel = _core.Channel(calls, self)
        self.ready: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.connected = False  # TLS included
        self.refused = False  # by what the server said
        self.open = False
        self._where = where
        self._loop = loop
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._paused = False

    # ---- calls ----

    def due(self, when: int) -> None:
        """The channel has something to say."""
        if when == _AT_ONCE:
            self.flush()
            return
        self.channel.flushing = True
        if when == _AFTER_READING:
            self._loop.call_later(_LOOK_FIRST, self.flush)
        else:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        if self._transport is not None and not self._paused:
            self.channel.flushing = False
            data = self.channel.take()
            if data:
                self._transport.write(data)

    def silent_since(self) -> float:
        """Since when it owes an answer and gives none; infinity when none is due."""
        call = self.channel.oldest
        return float("inf") if call is None else max(self.channel.heard, call.began)

    def silent_at(self) -> float:
        """When it will have waited too long for an answer that nobody wants any more.

        Infinity when none is due, and where somebody waits: a caller has his own deadline.
        """
        call = self.channel.oldest
        if call is None or not call.over:
            return float("inf")
        return self.silent_since() + self._where.timeout

    # ---- the transport's calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.connected = True
        sock = transport.get_extra_info("socket")
        hello = self.channel.hello(-1 if sock is None else sock.fileno())
        if hello:
            self._transport.write(hello)
        else:
            self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.channel.buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            if self.open:
                self.channel.feed(nbytes)
                self.flush()
            elif not self.ready.done() and self.channel.greet(nbytes):
                self._begin()
        except Error as error:
            self.refused = not self.open
            self._fail(error)
        except MemoryError:
            self._fail(ConnectionError("out of memory"))
        except (
            BaseException
        ) as end:  # of the loop, by a task; uvloop would take it for the transport's
            self.flush()
            self._loop.call_soon(_raise, end)

    def pause_writing(self) -> None:
        self._paused = self.channel.flushing = True

    def resume_writing(self) -> None:
        self._paused = False
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            try:
                self.channel.greet(0)
            except Error as said:  # a server that is full says so, and hangs up
                self.refused = True
                self._fail(said)
        self._fail(ConnectionError(describe(error)))
        if not self.closed.done():
            self.closed.set_result(None)

    # ---- the end ----

    def close(self) -> None:
        """Says goodbye, where there is something to be said: nothing is under way."""
        self._end(Error("the client is closed"))
        if self._transport is not None:
            self._transport.close()

    def abort(self, error: Error) -> None:
        """Ends it now."""
        self._fail(error)

    def _begin(self) -> None:
        self.open = True
        if not self.ready.done():
            self.ready.set_result(None)

    def _fail(self, error: Error) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    def _end(self, error: Error) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # whoever waited for it may have gone
        if self.open:
            self.open = False
            self._gone(self, ConnectionError(f"{self._where.name}: {error}"))


def _raise(error: BaseException) -> None:
    raise error


def describe(error: BaseException | None) -> str:
    if error is None or isinstance(error, EOFError):
        return "the server closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return str(error) or type(error).__name__
