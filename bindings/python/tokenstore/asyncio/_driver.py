"""Runs operations on event loops: which connection, how many, until when, and what a lost one means.

An operation decides itself what it wants next - to be sent, to sleep, nothing more - and whether it may be
sent again (core/src/op.c). The extension matches replies to calls (channel.c). Here stands the rest.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from tokenstore import _core
from tokenstore.asyncio._connect import LineError, Where, open_line
from tokenstore.asyncio._line import Line
from tokenstore.errors import ConnectionError, Error, TimeoutError

if TYPE_CHECKING:
    _Call = _core.Call[Any]

__all__ = ["Driver"]

_T = TypeVar("_T")

_SEND, _SLEEP = 1, 2  # what a call wants; 0: nothing more

_TICK = 0.005  # seconds: how exact deadlines are when many pass
_GOODBYE = 1.0  # seconds: for TLS to say it

_INFINITY = float("inf")


class Driver:
    """What a client and its stores share: connections for each event loop that uses them.

    ``run(op, timeout=None)`` is to be awaited for the operation's result. One deadline covers everything,
    the wait for room included.
    """

    def __init__(self, core: _core.Client, connections: int, limit: int, wait: bool) -> None:
        self._where = Where(core)
        self._options = connections, limit, wait
        self._all: dict[asyncio.AbstractEventLoop, Lines] = {}
        self._lock = threading.Lock()
        self._entry = _core.Entry(self._here)
        self.run = self._entry.run
        self.closed = False

    def _here(self) -> _core.Calls:
        """The calls of the loop that is running."""
        loop = asyncio.get_running_loop()
        if self.closed:
            raise Error("the client is closed")
        with self._lock:
            lines = self._all.get(loop)
            if lines is None:
                for old in [known for known in self._all if known.is_closed()]:
                    del self._all[old]  # its connections went with it
                lines = self._all[loop] = Lines(self._where, loop, *self._options)
        return lines.calls

    @property
    def connected(self) -> bool:
        """Is there a loop that would have to be told of the end?"""
        return any(not loop.is_closed() for loop in self._all)

    def abort(self) -> None:
        """Ends all connections now, from wherever it is called."""
        self.closed = True
        with self._lock:
            everything, self._all = list(self._all.values()), {}
        self._entry.forget()
        for lines in everything:
            if not lines.loop.is_closed() and lines.pid == os.getpid():
                lines.loop.call_soon_threadsafe(lines.abort)

    async def aclose(self) -> None:
        """Takes no more calls, lets those of this loop end, closes; other loops' end with an error."""
        self.closed = True
        with self._lock:
            lines = self._all.pop(asyncio.get_running_loop(), None)
        self.abort()
        if lines is not None:
            await lines.aclose()


class Lines:
    """The connections of one event loop, and all calls that are under way there. Used by its thread."""

    def __init__(
        self,
        where: Where,
        loop: asyncio.AbstractEventLoop,
        connections: int,
        limit: int,
        wait: bool,
    ) -> None:
        self.loop = loop
        self.pid = os.getpid()
        self.calls = _core.Calls(where.core, loop, limit, self)
        self._where = where
        self._connections = connections
        self._wait = wait
        self._open: list[Line] = []
        self._retired: list[Line] = []  # takes no more calls, ends those that are on it
        self._waiting: dict[_Call, None] = {}  # for a connection
        self._connecting: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._turns: deque[asyncio.Future[None]] = deque()  # who waits for room
        self._reserved = 0  # turns that were given and not yet taken
        self._leaving: asyncio.Future[None] | None = None

    # ---- what a call wants ----

    def serve(self, call: _Call, wish: int) -> None:
        """Does what the call wants next."""
        try:
            if wish == _SEND:
                self._send(call)
            elif wish == _SLEEP:
                self._sleep(call)
        except Exception as error:
            call.fail(error)

    def _send(self, call: _Call) -> None:
        if call.reconnect and call.line is not None:
            self._retire(call.line)
        if len(self._open) < self._connections:
            self._connect()
        if self._open:
            min(self._open, key=_length).channel.send(call)
        else:
            self._waiting[call] = None

    def _sleep(self, call: _Call) -> None:
        if time.monotonic() + call.pause >= call.deadline:
            self._expire(call)
        else:
            self.loop.call_later(call.pause, self._wake, call)

    def _wake(self, call: _Call) -> None:
        if not call.over:
            self.serve(call, call.awake())

    def _expire(self, call: _Call) -> None:
        line: Line | None = call.line
        connecting = call in self._waiting
        why = "no connection within the timeout" if connecting else "no answer within the timeout"
        half = (call.began + call.deadline) / 2
        silent = line is not None and line.silent_since() <= half
        call.expire(f"{self._where.name}: {why}")
        self._stop_connecting()
        if silent and line is not None:
            self._retire(line)

    # ---- connections ----

    def _connect(self) -> None:
        if self._connecting is None:
            if self.pid != os.getpid():
                raise Error(
                    "this event loop was inherited by a forked process: begin a new one there"
                )
            self._connecting = self.loop.create_task(self._open_one())

    def _stop_connecting(self) -> None:
        """Nobody has the time to wait for this attempt; the next caller begins another."""
        if self._connecting is not None and all(call.over for call in self._waiting):
            self._connecting.cancel()
            self._connecting = None
            self._waiting.clear()

    async def _open_one(self) -> None:
        line = Line(self._where, self.calls, self._gone)
        try:
            await open_line(line, self._where)
        except LineError as problem:
            if self._connecting is asyncio.current_task():
                self._connecting = None
                self._lose(self._take_waiting(), problem.error, problem.final)
            return
        if self._connecting is not asyncio.current_task():
            line.abort(ConnectionError("given up"))  # the cancellation came too late
            return
        self._connecting = None
        if line.open:
            self._open.append(line)
            self._look()
        for call in self._take_waiting():
            self.serve(call, _SEND)

    def _take_waiting(self) -> list[_Call]:
        waiting, self._waiting = self._waiting, {}
        return [call for call in waiting if not call.over]

    def _lose(self, calls: list[_Call], error: Error, final: bool = False) -> None:
        for call in calls:
            self.serve(call, call.lost(error, final))

    def _gone(self, line: Line, error: Error) -> None:
        """The line has ended."""
        for lines in (self._open, self._retired):
            if line in lines:
                lines.remove(line)
        self._look()
        self._lose(line.channel.drain(), error)

    def _look(self) -> None:
        """Is there one connection, and is there to be no other? Calls go there by a short cut."""
        one = len(self._open) == self._connections == 1
        self.calls.only = self._open[0].channel if one else None

    def _retire(self, line: Line) -> None:
        """It takes no more calls. Those on it may still end; but there is one such line at most."""
        if line in self._open:
            self._open.remove(line)
            self._look()
            for old in list(self._retired):
                old.abort(ConnectionError("the server does not answer"))
            self._retired.append(line)
            self._sweep()

    def _sweep(self) -> None:
        for line in list(self._retired):
            if line.channel.live() == 0:
                line.abort(ConnectionError("nobody waits for it"))

    # ---- deadlines: one timer for all calls ----

    def set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.calls.alarm_at = at
        self._alarm = self.loop.call_later(max(at - time.monotonic(), 0), self._ring)

    def _ring(self) -> None:
        self._alarm, self.calls.alarm_at = None, _INFINITY
        now = time.monotonic() + 0.001  # a loop's clock may ring a little early
        for call in self.calls.under_way():
            if call.deadline <= now and not call.over:
                self._expire(call)
        for line in [line for line in self._open if line.silent_at() <= now]:
            self._retire(line)
        self._sweep()
        times = [call.deadline for call in self.calls.under_way()]
        times += [line.silent_at() for line in self._open]
        nearest = min(times, default=_INFINITY)
        if nearest < _INFINITY:
            self.set_alarm(max(nearest, now + _TICK))

    def cancelled(self, call: _Call) -> None:
        """Its place stays in the queue until the answer comes; which it should, and in bounded number."""
        line: Line | None = call.line
        if call in self._waiting:
            self._stop_connecting()
        if line is not None and line.open:
            if line in self._retired:
                self._sweep()
            elif len(line.channel) >= 2 * self.calls.limit:
                line.abort(ConnectionError("too many answers are still to come"))
            elif line.silent_at() < self.calls.alarm_at:
                self.set_alarm(line.silent_at())

    # ---- how many ----

    async def queue(self, call: _core.Call[_T]) -> _T:
        """Lets the call begin when there is room, if callers are to wait; or says that there are too many."""
        if not self._has_room() or self._turns:
            if not self._wait:
                raise ConnectionError(
                    f"{self._where.name}: {self.calls.limit} operations are under way already: make fewer "
                    "at a time, raise max_in_flight, or let callers wait with when_full='wait'"
                )
            await self._room(call.deadline)
        return await self.calls.begin(call)

    def _has_room(self) -> bool:
        return len(self.calls) + self._reserved < self.calls.limit

    async def _room(self, deadline: float) -> None:
        turn: asyncio.Future[None] = self.loop.create_future()
        self._turns.append(turn)
        self.calls.crowded = True
        timer = self.loop.call_later(max(deadline - time.monotonic(), 0), self._late, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._reserved -= 1
                self.ended()
            raise
        finally:
            timer.cancel()
        self._reserved -= 1

    def _late(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            turn.set_exception(
                TimeoutError(
                    f"{self._where.name}: {self.calls.limit} other operations were under way until the "
                    "timeout: make fewer at a time, or raise max_in_flight"
                )
            )

    def ended(self) -> None:
        """A call is: there may be room for one more."""
        while self._turns and self._has_room():
            turn = self._turns.popleft()
            if not turn.done():
                self._reserved += 1
                turn.set_result(None)
        busy = bool(self._turns or self._reserved)
        self.calls.crowded = busy or self._leaving is not None
        if self._leaving is not None and not (busy or self.calls or self._leaving.done()):
            self._leaving.set_result(None)

    # ---- the end ----

    def abort(self) -> None:
        """Ends everything now; calls under way fail."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm, self.calls.alarm_at = None, _INFINITY
        if self._connecting is not None:
            self._connecting.cancel()
        error = ConnectionError(f"{self._where.name}: the client was closed")
        for call in self.calls.under_way():
            call.lost(error, True)
        for line in [*self._open, *self._retired]:
            line.abort(error)

    async def aclose(self) -> None:
        """Waits for the calls under way - they have deadlines - and closes."""
        if self.calls or self._turns:
            self.calls.crowded = True
            self._leaving = self.loop.create_future()
            await self._leaving
        lines = [*self._open, *self._retired]
        for line in lines:
            line.close()
        if lines:
            await asyncio.wait([line.closed for line in lines], timeout=_GOODBYE)
        self.abort()


def _length(line: Line) -> int:
    return len(line.channel)
