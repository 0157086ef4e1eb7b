"""The connections of one event loop to one server: choosing one for a call, their number, and lost ones.

The extension matches replies to calls, and never calls methods here while its own state is half changed: it
returns what calls need. Anything done here may run arbitrary code, so state is checked again afterwards:
whether a call is over, whether a connection is open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tokenstore import _core
from tokenstore.asyncio._connect import CredentialsError, OpenError, Server, open_connection
from tokenstore.asyncio._connection import Connection
from tokenstore.errors import ConnectionError, Error, LimitError

if TYPE_CHECKING:
    from tokenstore.asyncio._pool import Pool

    _Call = _core.Call[Any]

__all__ = ["AloneLinks", "Links"]

_INFINITY = float("inf")

_MOST_ALONE = 16  # connections to a server for calls that need one of their own


class Links:
    """The connections to one server, and the calls that wait for one. Used by the loop's thread.

    ``node`` is the server's number in a cluster; -1: there is one server.
    """

    __slots__ = (
        "_closing",
        "_connecting",
        "_open",
        "_outdated",
        "_probed",
        "_renewable_at",
        "_retired",
        "_size",
        "_waiting",
        "node",
        "pool",
        "server",
    )

    def __init__(self, pool: Pool, server: Server, node: int, size: int) -> None:
        self.pool = pool
        self.server = server
        self.node = node
        self._size = size
        self._open: list[Connection] = []
        self._retired: list[Connection] = []  # unresponsive: take no more calls, finish those on them
        self._closing: list[Connection] = []  # the same, to be closed cleanly
        self._probed: list[Connection] = []  # idle, being checked with PING
        self._outdated: list[Connection] = []  # open, to be replaced
        self._waiting: dict[_Call, None] = {}  # for a connection
        self._connecting: asyncio.Task[None] | None = None
        self._renewable_at = 0.0

    # ---- calls ----

    def send(self, call: _Call) -> None:
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
            self._connecting = self.pool.loop.create_task(self._open_one(connection, patience))

    def expired(self, call: _Call) -> None:
        """The call's deadline has passed: ends it, or lets it go on elsewhere."""
        connection: Connection | None = call.connection
        why = self._what_is_awaited() if call in self._waiting else "no answer within the timeout"
        half = (call.began + call.deadline) / 2
        silent = connection is not None and connection.silent_since() <= half
        large = None if connection is None or connection.oldest is not call else connection.oversized
        if large is not None:
            call.lost(LimitError(large), True)
        else:
            call.expire(f"{self.server.name}: {why}")
        self.stop_connecting()
        if silent and connection is not None:
            self.retire(connection)

    def _what_is_awaited(self) -> str:
        if self.server.resolver.looks:
            return "cannot connect: the host name was not resolved within the timeout"
        if self.server.handshaking:
            return "TLS handshake: could not connect within the timeout (does the server speak TLS on this port?)"
        return "no connection within the timeout"

    def left(self, call: _Call, connection: Connection | None, most: int) -> None:
        """The caller has gone. The call's place stays in the queue until its answer comes; their number is
        limited."""
        if call in self._waiting:
            self.stop_connecting()
        if connection is not None and connection.open:
            if connection in self._retired:
                self.sweep()
            elif len(connection) >= 2 * most:
                connection.abort(ConnectionError("too many answers are still pending"))
            elif connection.silent_at() < self.pool.alarm_at:
                self.pool.set_alarm(connection.silent_at())

    def ring(self, now: float) -> None:
        """Gives up connections whose replies are overdue."""
        for connection in [c for c in self._open if c.silence_ends <= now]:
            self._leave(connection)
        for connection in [c for c in self._open if c.silent_at() <= now]:
            self.retire(connection)
        self.sweep()

    def silences(self) -> list[float]:
        """When ring() is due."""
        return [min(c.silent_at(), c.silence_ends) for c in self._open]

    # ---- connections ----

    def _connect(self) -> None:
        if self._connecting is None:
            self.pool.check_process()
            self._connecting = self.pool.loop.create_task(self._open_one())

    def stop_connecting(self) -> asyncio.Task[None] | None:
        """Ends the attempt to connect, unless a caller waits for it; the next one starts another. Returns it."""
        attempt = self._connecting
        if attempt is None or not all(call.over for call in self._waiting):
            return None
        attempt.cancel()
        self._connecting = None
        self._waiting.clear()
        return attempt

    async def _open_one(self, idle: Connection | None = None, patience: float = 0) -> None:
        """Opens a connection for the waiting calls, or checks whether an idle one is still alive."""
        connection = idle
        if connection is None or not await self._answers(connection, patience):
            try:
                connection = await open_connection(self)
            except (OpenError, CredentialsError) as problem:
                if self._connecting is asyncio.current_task():
                    self._connecting = None
                    self._keep_outdated()
                    self._end_waiting(problem)
                return
            connection.expires = time.monotonic() + self.server.core.draw_age()
            self.server.note_opened()
        if self._connecting is not asyncio.current_task():
            connection.abort(ConnectionError("abandoned"))  # cancelled too late
            return
        self._connecting = None
        if connection.open:
            self._open.append(connection)
            self._drop_outdated()
            self._look()
        for call in self._take_waiting():
            self.pool.proceed(call)

    def _end_waiting(self, problem: OpenError | CredentialsError) -> None:
        """Fails the waiting calls: there is no connection."""
        if isinstance(problem, OpenError):
            self._tell(self._take_waiting(), problem.error, problem.final)
            return
        for call in self._take_waiting():
            call.fail(problem.error)
        self.pool.make_room()

    async def _answers(self, connection: Connection, patience: float) -> bool:
        """Sends PING on an idle connection. Any reply proves that it is alive."""
        ping = _core.Call(self.pool, _core.commands((("PING",),), None, None), None)
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
            self.pool.make_room()

    def _keep_outdated(self) -> None:
        """Called when no new connection could be opened: uses the old ones a while longer."""
        for connection in self._outdated:
            connection.expires = time.monotonic() + self.server.connect_timeout
        self._outdated.clear()

    def _leave(self, connection: Connection) -> None:
        """Called when replies are overdue: moves calls that may be sent twice to another connection."""
        calls = connection.withdraw()
        self.retire(connection)
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

    def all(self) -> list[Connection]:
        return [connection for connections in self._kept() for connection in connections]

    def count(self) -> tuple[int, int, int]:
        """From any thread: idle connections, others, and calls that wait for one."""
        connections = self.all()
        idle = sum(1 for connection in connections if not len(connection))
        return idle, len(connections) - idle, len(self._waiting)

    def _tell(self, calls: Iterable[_Call], error: Error, final: bool = False) -> None:
        for call in calls:
            call.lost(error, final)
            self.pool.proceed(call)
        self.pool.make_room()

    def _look(self) -> None:
        """Sets the node's lane if there is exactly one connection and none is planned: then calls take the short
        path."""
        one = len(self._open) == self._size == 1
        self.pool.set_lane(self.node, self._open[0] if one else None)

    def retire(self, connection: Connection) -> None:
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
            self.sweep()

    def sweep(self) -> None:
        for connection in [c for c in self._retired if not c.live()]:
            connection.abort(ConnectionError("no caller is waiting for it"))
        for connection in [c for c in self._closing if not c.live()]:
            connection.close()

    # ---- the end ----

    @property
    def closing(self) -> bool:
        """True if connections wait for their calls to end."""
        return bool(self._closing)

    def abort(self, error: Error) -> asyncio.Task[None] | None:
        """Ends them now. Returns the attempt to open one, which may be too late to cancel: then the new
        connection is closed."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
        for connection in self.all():
            connection.abort(error)
        return connecting

    def bury(self) -> None:
        """Closes the connections of a closed loop."""
        for connection in self.all():
            connection.bury()

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
        self.sweep()
        self.pool.crowd(self.pool.crowded or self.closing)
        return connections


class AloneLinks(Links):
    """For calls whose answers come late (WAIT), and that hold up all others on their connection: each has one of its own,
    unless that is one too many."""

    __slots__ = ()

    def send(self, call: _Call) -> None:
        busy = sum(1 for connection in self._open if len(connection))
        self._size = min(busy + 1, _MOST_ALONE)
        if busy == len(self._open) < self._size:
            self._waiting[call] = None
            self._connect()
        else:
            super().send(call)

    def _look(self) -> None:
        """No call takes the short path."""


async def _result(call: _Call) -> None:
    await call
