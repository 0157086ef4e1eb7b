"""Runs operations in event loops, with one pool of connections per loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import TYPE_CHECKING

from tokenstore import _core
from tokenstore.asyncio._connect import Server
from tokenstore.asyncio._pool import Pool
from tokenstore.errors import ConfigurationError, Error

if TYPE_CHECKING:
    from tokenstore._measures import PoolStats

__all__ = ["Driver", "running_loop"]


class Driver(_core.Driver):
    """Shared by a client and its stores.

    Await ``run(op, timeout=None)`` for the operation's result. One deadline covers everything, including the
    wait for room.
    """

    __slots__ = ("_lock", "_options", "_pools", "_server", "closed")

    def __init__(self, core: _core.Client, connections: int, limit: int, wait: bool) -> None:
        self._server = Server(core)
        self._options = connections, limit, wait
        self._pools: dict[asyncio.AbstractEventLoop, Pool] = {}
        self._lock = threading.Lock()
        self.closed = False

    def here(self) -> Pool:
        """The pool of the running loop."""
        loop = running_loop()
        if self.closed:
            raise Error("the client is closed")
        with self._lock:
            pool = self._pools.get(loop)
            if pool is None:
                dead = [self._pools.pop(known) for known in [*self._pools] if known.is_closed()]
                pool = self._pools[loop] = Pool(self._server, loop, *self._options)
            else:
                dead = []
        for old in dead:
            old.bury()
        return pool

    @property
    def connected(self) -> bool:
        """True if there is a loop that must be notified of the end."""
        return any(not loop.is_closed() for loop in self._pools)

    def abort(self) -> None:
        """Closes all connections now; callable from anywhere."""
        self.closed = True
        for pool in self._take_pools():
            if pool.loop.is_closed():
                pool.bury()
            elif pool.pid == os.getpid():
                pool.loop.call_soon_threadsafe(pool.abort)

    async def aclose(self) -> None:
        """Accepts no more calls, waits for those of this loop, and closes; those of other loops fail."""
        loop = running_loop()
        self.closed = True
        with self._lock:
            pool = self._pools.pop(loop, None)
        self.abort()
        if pool is not None:
            await pool.aclose()

    async def disconnect(self) -> None:
        """Waits for the calls of this loop, and closes its connections."""
        loop = running_loop()
        with self._lock:
            pool = self._pools.get(loop)
        if pool is not None:
            await pool.disconnect()

    def pool_stats(self) -> PoolStats:
        """From any thread: numbers of the same moment, or nearly so."""
        with self._lock:
            links = [links for pool in self._pools.values() for links in pool.all_links()]
        counts = [each.count() for each in links]
        return {
            "limit": self._options[0] * len(links),
            "idle": sum(idle for idle, _, _ in counts),
            "used": sum(used for _, used, _ in counts),
            "waiting": sum(waiting for _, _, waiting in counts),
            "opened": self._server.opened,
            "timeouts": 0,  # no call waits for a connection of its own
        }

    def _take_pools(self) -> list[Pool]:
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        self.forget()
        return pools


def running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if _is_trio():
            raise ConfigurationError(
                "tokenstore.asyncio needs an asyncio event loop, and this one is trio's: "
                "call the blocking classes with trio.to_thread.run_sync()"
            ) from None
        raise


def _is_trio() -> bool:
    trio = sys.modules.get("trio")
    try:
        return trio is not None and trio.lowlevel.current_trio_token() is not None
    except RuntimeError:
        return False
