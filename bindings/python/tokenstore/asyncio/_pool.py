"""The calls of one event loop: their steps, their number, and their deadlines. _links.py has the connections.

A call decides its next step (to be sent, to sleep, none), to which node of a cluster, and whether it may be sent
again (core/src/op.c). The extension matches replies to calls, and never calls methods here while its own state is
half changed: it returns what calls need. Anything done here may run arbitrary code, so state is checked again
afterwards: whether a call is over, whether a connection is open.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstore import _core
from tokenstore.asyncio._connect import Server
from tokenstore.asyncio._links import AloneLinks, Links
from tokenstore.errors import ConnectionError, Error, TimeoutError

if TYPE_CHECKING:
    from tokenstore.asyncio._connection import Connection

    _Call = _core.Call[Any]

__all__ = ["Pool"]

_T = TypeVar("_T")

_SEND, _SLEEP, _PARTS = 1, 2, 3  # what a call needs; 0: nothing more
_ALONE = -3  # the lane of node 0 for such calls; -2: of the one server

_TICK = 0.005  # seconds: the resolution of deadlines when many pass
_REFRESH = 3.0  # seconds for a refresh of a cluster's map

_INFINITY = float("inf")


class Pool(_core.Pool):
    """The calls of one event loop in flight, and its connections. Used by its thread."""

    __slots__ = (
        "_alarm",
        "_ended",
        "_leaving",
        "_links",
        "_most",
        "_parts",
        "_refresh",
        "_reserved",
        "_size",
        "_turns",
        "_until_the_loop_ends",
        "_wait",
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
        self._links: dict[int, Links] = {}  # by lane
        self._refresh: _Call | None = None
        self._parts: dict[_Call, list[_Call]] = {}  # of calls about several nodes
        self._alarm: asyncio.TimerHandle | None = None
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
                (self._links.get(call.lane) or self._link(call.lane)).send(call)
            elif call.wish == _SLEEP:
                self._sleep(call)
            elif call.wish == _PARTS:
                self._split(call)
        except Exception as error:
            call.fail(error)

    def _link(self, lane: int) -> Links:
        """A lane leads to a node, -1 to the one server; those below it to the same, for calls that need a connection
        of their own."""
        self.check_process()
        alone = lane < -1
        node = _ALONE - lane if alone else lane
        kind = AloneLinks if alone else Links
        links = self._links[lane] = kind(self, self.server.node(node), node, self._size)
        return links

    def check_process(self) -> None:
        if self.pid != os.getpid():
            raise Error(
                "this event loop was inherited across a fork: create a new one in the child process"
            )

    def _split(self, call: _Call) -> None:
        """Runs its parts, each about one node, at the same time."""
        left = max(call.deadline - time.monotonic(), 0.001)
        parts = self._parts[call] = [_core.Call(self, op, left) for op in call.parts()]
        for part in parts:
            part.add_done_callback(lambda _: self._join(call), context=copy_context())
        try:
            for part in parts:
                self.begin(part)
        except BaseException:
            for part in self._parts.pop(call, ()):
                part.cancel()
            raise

    def _join(self, call: _Call) -> None:
        if all(part.over for part in self._parts.get(call, (call,))):
            self._parts.pop(call, None)
            call.joined()
            self.proceed(call)

    def _sleep(self, call: _Call) -> None:
        self.refresh()
        if time.monotonic() + call.pause >= call.deadline:
            self._expire(call)
        else:
            self.loop.call_later(call.pause, self._wake, call)

    def _wake(self, call: _Call) -> None:
        if not call.over:
            call.awake()
            self.proceed(call)

    def _expire(self, call: _Call) -> None:
        links = self._links.get(call.lane)
        if call in self._parts:
            return  # they expire themselves
        if links is None:
            call.expire(f"{self.server.name}: no answer within the timeout")
        else:
            links.expired(call)

    def refresh(self) -> None:
        """Starts the refresh of the cluster's map that is due, if any. The extension calls it when a call begins."""
        op = self.server.core.refresh()
        if op is not None:
            self._refresh = _core.Call(self, op, _REFRESH)
            self._refresh.add_done_callback(self._refreshed, context=copy_context())
            self.begin(self._refresh)

    def _refreshed(self, call: _Call) -> None:
        """Closes the connections to nodes that serve nothing any more."""
        for links in [*self._links.values()]:
            if not self.server.core.serves(links.node):
                links.renew()
        self._refresh = None
        self.make_room()

    def left(self, call: _Call) -> None:
        """The caller has gone. The call's place stays in the queue until its answer comes; their number is
        limited."""
        if self.loop.is_closed():
            return
        connection: Connection | None = call.connection
        links = self._links.get(call.lane)
        for part in self._parts.pop(call, ()):
            part.cancel()
        if links is not None:
            links.left(call, connection, self._most)
        self.make_room()

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
        every = [*self._links.values()]
        for links in every:
            links.ring(now)
        self.make_room()
        nearest = min([self.deadline, *(at for links in every for at in links.silences())])
        if nearest < _INFINITY:
            self.set_alarm(max(nearest, now + _TICK))

    def all_links(self) -> list[Links]:
        return [*self._links.values()]

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
        self.crowd(True)
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
            self._renew()
        closing = False
        for links in [*self._links.values()]:
            links.sweep()
            closing = closing or links.closing
        self.crowd(busy or self._ended or self._leaving is not None or closing)

    def crowd(self, crowded: bool) -> None:
        """While a task waits for calls to end, makes each call report its start and end."""
        self.crowded = crowded
        self.limit = 0 if crowded else self._most

    # ---- the end ----

    def abort(self) -> set[asyncio.Task[None]]:
        """Ends everything now; calls in flight fail. Returns the attempts to connect, which end soon."""
        error = ConnectionError(f"{self.server.name}: the client was closed")
        self._stop_alarm()
        for call in self.until(_INFINITY):
            call.lost(error, True)
        attempts = [links.abort(error) for links in [*self._links.values()]]
        _end(self._until_the_loop_ends)
        return {attempt for attempt in attempts if attempt is not None}

    async def aclose(self) -> None:
        """Waits for the calls in flight, which have deadlines, and closes."""
        if len(self) or self._turns or self._reserved:
            self.crowd(True)
            self._leaving = self.loop.create_future()
            await self._leaving
        await self.disconnect()
        connecting = self.abort()
        if connecting:
            await asyncio.wait(connecting)

    async def disconnect(self) -> None:
        """Closes the open connections after the calls on them have ended. Later calls get new ones."""
        connections = self._renew()
        try:
            if connections:
                await asyncio.wait([c.closed for c in connections])
        except asyncio.CancelledError:  # perhaps the loop ends now, and with it TLS's goodbye
            for connection in connections:
                connection.abort(Error("the client is closed"))
            raise

    def _renew(self) -> list[Connection]:
        return [c for links in [*self._links.values()] for c in links.renew()]

    def bury(self) -> None:
        """Closes the connections of a closed loop."""
        for call in self.until(_INFINITY):
            call.close()
        for links in [*self._links.values()]:
            links.bury()
        _end(self._until_the_loop_ends)

    async def _end_with_the_loop(self) -> AsyncGenerator[None, None]:
        """An async generator that ends with the loop: before its end, a loop only closes its asynchronous
        generators (``shutdown_asyncgens()``, called by ``asyncio.run`` and others). So the connections end
        with their loop, although the client does not."""
        try:
            yield
        finally:
            self._ended = True
            self.crowd(True)
            await self.disconnect()
            await self._stop_connecting()

    async def _stop_connecting(self) -> None:
        """Ends the refresh of the map, which may connect once more, and attempts that no caller waits for."""
        if self._refresh is not None:
            self._refresh.cancel()
        while attempts := [a for links in self._links.values() if (a := links.stop_connecting())]:
            await asyncio.wait(attempts)


def _start(generator: AsyncGenerator[None, None]) -> None:
    """Runs it to its yield, without awaiting."""
    with suppress(StopIteration):
        generator.__anext__().__await__().__next__()


def _end(generator: AsyncGenerator[None, None]) -> None:
    """Ends it when nothing is open any more, without awaiting."""
    with suppress(StopIteration, RuntimeError):  # RuntimeError: the loop is about to do so
        generator.aclose().__await__().__next__()
