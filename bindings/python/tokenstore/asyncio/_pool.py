"""The connections of one event loop: choosing one for a call, their number, deadlines, and lost connections.

A call decides its next step (to be sent, to sleep, none) and whether it may be sent again (core/src/op.c).
The extension matches replies to calls, and never calls methods here while its own state is half changed: it
returns what calls need. Anything done here may run arbitrary code, so state is checked again afterwards:
whether a call is over, whether a connection is open.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstore import _core
from tokenstore.asyncio._connect import CredentialsError, OpenError, Server, open_connection
from tokenstore.asyncio._connection import Connection
from tokenstore.errors import ConnectionError, Error, LimitError, TimeoutError

if TYPE_CHECKING:
    _Call = _core.Call[Any]

__all__ = ["Pool"]

_T = TypeVar("_T")

_SEND, _SLEEP = 1, 2  # what a call needs; 0: nothing more

_TICK = 0.005  # seconds: the resolution of deadlines when many pass

_INFINITY = float("inf")


class Pool(_core.Pool):
    """The connections of one event loop, and all its calls in flight. Used by its thread."""

    __slots__ = (
        "_alarm",
        "_closing",
        "_connecting",
        "_ended",
        "_leaving",
        "_most",
        "_open",
        "_outdated",
        "_probed",
        "_renewable_at",
        "_reserved",
        "_retired",
        "_size",
        "_turns",
        "_until_the_loop_ends",
        "_wait",
        "_waiting",
        "crowded",
        "pid",
        "server",
    )

    def __new__(
        cls, server: Server, loop: asyncio.AbstractEventLoop, size: int, limit: int, wait: bool
    ) -> Pool:
        return super().__new__(cls, server.core, loop, limit)

    def __init__(
        self, server: Server, loop: asyncio.AbstractEventLoop, size: int, limit: int, wait: bool
    ) -> None:
        self.server = server
        self.pid = os.getpid()
        self._size = size
        self._most = limit
        self._wait = wait
        self.crowded = False  # a task waits for calls to end
        self._open: list[Connection] = []
        self._retired: list[Connection] = []  # unresponsive: take no more calls, finish those on them
        self._closing: list[Connection] = []  # the same, to be closed cleanly
        self._probed: list[Connection] = []  # idle, being checked with PING
        self._outdated: list[Connection] = []  # open, to be replaced
        self._waiting: dict[_Call, None] = {}  # for a connection
        self._connecting: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._renewable_at = 0.0
        self._turns: deque[asyncio.Future[None]] = deque()  # callers that wait for a free slot
        self._reserved = 0  # turns granted and not yet taken
        self._leaving: asyncio.Future[None] | None = None
        self._ended = False  # the loop is about to end: no connection is kept
        self._until_the_loop_ends = self._end_with_the_loop()
        _start(self._until_the_loop_ends)

    # ---- steps of a call ----

    def proceed(self, call: _Call) -> None:
        """Executes the next step of the call."""
        try:
            if call.wish == _SEND:
                self._send(call)
            elif call.wish == _SLEEP:
                self._sleep(call)
        except Exception as error:
            call.fail(error)

    def _send(self, call: _Call) -> None:
        for connection in self._open:
            if connection.expires <= call.began:
                connection.expires = _INFINITY
                self._outdated.append(connection)
        if len(self._open) - len(self._outdated) < self._size:
            self._connect()
        if not self._open:
            self._waiting[call] = None
            return
        connection = min(self._open, key=len)
        patience = connection.probe_for(call)
        if patience == 0 or self._connecting is not None:
            connection.put(call)
        else:
            self._waiting[call] = None
            self._open.remove(connection)
            self._probed.append(connection)
            self._look()
            self._connecting = self.loop.create_task(self._open_one(connection, patience))

    def _sleep(self, call: _Call) -> None:
        if time.monotonic() + call.pause >= call.deadline:
            self._expire(call)
        else:
            self.loop.call_later(call.pause, self._wake, call)

    def _wake(self, call: _Call) -> None:
        if not call.over:
            call.awake()
            self.proceed(call)

    def _expire(self, call: _Call) -> None:
        connection: Connection | None = call.connection
        why = self._what_is_awaited() if call in self._waiting else "no answer within the timeout"
        half = (call.began + call.deadline) / 2
        silent = connection is not None and connection.silent_since() <= half
        large = None if connection is None or connection.oldest is not call else connection.oversized
        if large is not None:
            call.lost(LimitError(large), True)
        else:
            call.expire(f"{self.server.name}: {why}")
        self._stop_connecting()
        if silent and connection is not None:
            self._retire(connection)

    def _what_is_awaited(self) -> str:
        if self.server.resolver.looks:
            return "cannot connect: the host name was not resolved within the timeout"
        if self.server.handshaking:
            return "TLS handshake: could not connect within the timeout (does the server speak TLS on this port?)"
        return "no connection within the timeout"

    def left(self, call: _Call) -> None:
        """The caller has gone. The call's place stays in the queue until its answer comes; their number is
        limited."""
        if self.loop.is_closed():
            return
        connection: Connection | None = call.connection
        if call in self._waiting:
            self._stop_connecting()
        if connection is not None and connection.open:
            if connection in self._retired:
                self._sweep()
            elif len(connection) >= 2 * self._most:
                connection.abort(ConnectionError("too many answers are still pending"))
            elif connection.silent_at() < self.alarm_at:
                self.set_alarm(connection.silent_at())
        self.make_room()

    # ---- connections ----

    def _connect(self) -> None:
        if self._connecting is None:
            if self.pid != os.getpid():
                raise Error(
                    "this event loop was inherited across a fork: create a new one in the child process"
                )
            self._connecting = self.loop.create_task(self._open_one())

    def _stop_connecting(self) -> None:
        """No caller waits for this attempt any more; the next one starts another."""
        if self._connecting is not None and all(call.over for call in self._waiting):
            self._connecting.cancel()
            self._connecting = None
            self._waiting.clear()

    async def _open_one(self, idle: Connection | None = None, patience: float = 0) -> None:
        """Opens a connection for the waiting calls, or checks whether an idle one is still alive."""
        connection = idle
        if connection is None or not await self._answers(connection, patience):
            try:
                connection = await open_connection(self, self.server)
            except (OpenError, CredentialsError) as problem:
                if self._connecting is asyncio.current_task():
                    self._connecting = None
                    self._keep_outdated()
                    self._end_waiting(problem)
                return
            connection.expires = time.monotonic() + self.server.core.draw_age()
        if self._connecting is not asyncio.current_task():
            connection.abort(ConnectionError("abandoned"))  # cancelled too late
            return
        self._connecting = None
        if connection.open:
            self._open.append(connection)
            self._drop_outdated()
            self._look()
        for call in self._take_waiting():
            self.proceed(call)

    def _end_waiting(self, problem: OpenError | CredentialsError) -> None:
        """Fails the waiting calls: there is no connection."""
        if isinstance(problem, OpenError):
            self._tell(self._take_waiting(), problem.error, problem.final)
            return
        for call in self._take_waiting():
            call.fail(problem.error)
        self.make_room()

    async def _answers(self, connection: Connection, patience: float) -> bool:
        """Sends PING on an idle connection. Any reply proves that it is alive."""
        ping = _core.Call(self, _core.commands((("PING",),)), None)
        began = time.monotonic()
        try:
            ping.start()
            connection.put(ping)
            await asyncio.wait_for(_result(ping), patience)
        except (Error, asyncio.TimeoutError):
            connection.abort(ConnectionError("it was unresponsive"))
            self._drop_idle(began)
        except BaseException:
            connection.abort(ConnectionError("abandoned"))
            raise
        if connection.open:
            self._probed.remove(connection)
        return connection.open

    def _drop_idle(self, began: float) -> None:
        """A connection is unresponsive since then: a firewall or NAT has dropped it, and probably those that
        were idle as long."""
        for connection in [c for c in self._open if not len(c) and c.read <= began]:
            connection.abort(ConnectionError("it was idle as long as an unresponsive one"))

    def _drop_outdated(self) -> None:
        """Called when there is a new connection: outdated ones take no more calls."""
        if self._outdated and len(self._open) > self._size:
            old = self._outdated.pop(0)
            self._open.remove(old)
            self._closing.append(old)
            self.make_room()

    def _keep_outdated(self) -> None:
        """Called when no new connection could be opened: uses the old ones a while longer."""
        for connection in self._outdated:
            connection.expires = time.monotonic() + self.server.connect_timeout
        self._outdated.clear()

    def _leave(self, connection: Connection) -> None:
        """Called when replies are overdue: moves calls that may be sent twice to another connection."""
        calls = connection.withdraw()
        self._retire(connection)
        self._drop_idle(min([call.began for call in calls], default=connection.read))
        why = f"{self.server.name}: the connection was unresponsive"
        self._tell(calls, ConnectionError(why))

    def _take_waiting(self) -> list[_Call]:
        waiting, self._waiting = self._waiting, {}
        return list(waiting)

    def lost(self, connection: Connection, error: Error) -> None:
        """The connection has ended."""
        for connections in (*self._kept(), self._outdated):
            if connection in connections:
                connections.remove(connection)
        self._look()
        self._tell(connection.drain(), error)

    def _kept(self) -> tuple[list[Connection], ...]:
        return self._open, self._probed, self._retired, self._closing

    def _all(self) -> list[Connection]:
        return [connection for connections in self._kept() for connection in connections]

    def _tell(self, calls: Iterable[_Call], error: Error, final: bool = False) -> None:
        for call in calls:
            call.lost(error, final)
            self.proceed(call)
        self.make_room()

    def _look(self) -> None:
        """Sets `only` if there is exactly one connection and none is planned: then calls take the short
        path."""
        one = len(self._open) == self._size == 1
        self.only = self._open[0] if one else None

    def _retire(self, connection: Connection) -> None:
        """Gives the connection no more calls. Those on it may still finish; at most one connection is
        retired."""
        if connection in self._open:
            self._open.remove(connection)
            if connection in self._outdated:
                self._outdated.remove(connection)
            self._look()
            old, self._retired = self._retired, [connection]
            for retired in old:
                retired.abort(ConnectionError("the server does not answer"))
            self._sweep()

    def _sweep(self) -> None:
        for connection in [c for c in self._retired if not c.live()]:
            connection.abort(ConnectionError("no caller is waiting for it"))
        for connection in [c for c in self._closing if not c.live()]:
            connection.close()

    # ---- deadlines: one timer for all calls ----

    def set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.alarm_at = at
        self._alarm = self.loop.call_later(max(at - time.monotonic(), 0), self._ring)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm, self.alarm_at = None, _INFINITY

    def _ring(self) -> None:
        self._stop_alarm()
        now = time.monotonic() + 0.001  # a loop's timer may fire a little early
        for call in self.until(now):
            if not call.over:
                self._expire(call)
        for connection in [c for c in self._open if c.silence_ends <= now]:
            self._leave(connection)
        for connection in [c for c in self._open if c.silent_at() <= now]:
            self._retire(connection)
        self._sweep()
        self.make_room()
        silences = [min(c.silent_at(), c.silence_ends) for c in self._open]
        nearest = min([self.deadline, *silences])
        if nearest < _INFINITY:
            self.set_alarm(max(nearest, now + _TICK))

    # ---- limits ----

    async def admit(self, call: _core.Call[_T]) -> _T:
        """Called above the limit. Starts the call when there is room, if callers may wait; otherwise fails
        it."""
        if not self._has_room() or self._turns:
            if not self._wait:
                raise ConnectionError(
                    f"{self.server.name}: {self._most} operations are already in flight: start fewer "
                    "at a time, raise max_in_flight, or let callers wait with when_busy='wait'"
                )
            await self._room(call.deadline)
        return await self.begin(call)

    def _has_room(self) -> bool:
        return len(self) + self._reserved < self._most

    async def _room(self, deadline: float) -> None:
        turn: asyncio.Future[None] = self.loop.create_future()
        self._turns.append(turn)
        self._crowd(True)
        timer = self.loop.call_later(max(deadline - time.monotonic(), 0), self._late, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._reserved -= 1
                self.make_room()
            raise
        finally:
            timer.cancel()
        self._reserved -= 1

    def _late(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_exception(
                TimeoutError(
                    f"{self.server.name}: {self._most} other operations were in flight until the "
                    "timeout: start fewer at a time, or raise max_in_flight"
                )
            )

    def make_room(self) -> None:
        """Called when a call may have ended: starts waiting ones."""
        while self._turns and self._has_room():
            turn = self._turns.popleft()
            if not turn.done():
                self._reserved += 1
                turn.set_result(None)
        busy = bool(self._turns or self._reserved)
        if self._leaving is not None and not (busy or len(self) or self._leaving.done()):
            self._leaving.set_result(None)
        if self._ended and not (busy or len(self)):
            self.renew()
        self._sweep()
        self._crowd(busy or self._ended or self._leaving is not None or bool(self._closing))

    def _crowd(self, crowded: bool) -> None:
        """While a task waits for calls to end, makes each call report its start and end."""
        self.crowded = crowded
        self.limit = 0 if crowded else self._most

    # ---- the end ----

    def abort(self) -> None:
        """Ends everything now; calls in flight fail."""
        error = ConnectionError(f"{self.server.name}: the client was closed")
        self._stop_alarm()
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None  # it may be too late to cancel: then the new connection is closed
        for call in self.until(_INFINITY):
            call.lost(error, True)
        for connection in self._all():
            connection.abort(error)
        _end(self._until_the_loop_ends)

    async def aclose(self) -> None:
        """Waits for the calls in flight, which have deadlines, and closes."""
        if len(self) or self._turns or self._reserved:
            self._crowd(True)
            self._leaving = self.loop.create_future()
            await self._leaving
        await self.disconnect()
        connecting = self._connecting
        self.abort()
        if connecting is not None:
            await asyncio.wait({connecting})

    async def disconnect(self) -> None:
        """Closes the open connections after the calls on them have ended. Later calls get new ones."""
        connections = self.renew()
        if connections:
            await asyncio.wait([c.closed for c in connections])

    def give_up(self, connection: Connection) -> None:
        """The server has become a replica. While it is one, a new connection for each call would not help."""
        now = time.monotonic()
        if connection in self._open and now >= self._renewable_at:
            self._renewable_at = now + _core.RENEW_EVERY
            self.renew()

    def renew(self) -> list[Connection]:
        """Open connections take no more calls; returns those to be closed."""
        self._closing += self._open
        self._open.clear()
        self._outdated.clear()
        self._look()
        connections = [*self._closing, *self._retired]
        self._sweep()
        self._crowd(self.crowded or bool(self._closing))
        return connections

    def bury(self) -> None:
        """Closes the connections of a closed loop."""
        for call in self.until(_INFINITY):
            call.close()
        for connection in self._all():
            connection.bury()
        _end(self._until_the_loop_ends)

    async def _end_with_the_loop(self) -> AsyncGenerator[None, None]:
        """An async generator that ends with the loop: before its end, a loop only closes its asynchronous
        generators (``shutdown_asyncgens()``, called by ``asyncio.run`` and others). So the connections end
        with their loop, although the client does not."""
        try:
            yield
        finally:
            self._ended = True
            self._crowd(True)
            await self.disconnect()


async def _result(call: _Call) -> None:
    await call


def _start(generator: AsyncGenerator[None, None]) -> None:
    """Runs it to its yield, without awaiting."""
    with suppress(StopIteration):
        generator.__anext__().__await__().__next__()


def _end(generator: AsyncGenerator[None, None]) -> None:
    """Ends it when nothing is open any more, without awaiting."""
    with suppress(StopIteration, RuntimeError):  # RuntimeError: the loop is about to do so
        generator.aclose().__await__().__next__()
