"""The client of tokenstore.asyncio."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tokenstore import _core, audit
from tokenstore._closing import AsyncClosing
from tokenstore.asyncio._audited import AuditedDriver
from tokenstore.asyncio._driver import Driver, running_loop
from tokenstore.client import Argument, BaseClient
from tokenstore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore._measures import PoolStats
    from tokenstore._types import ClientOptions, Duration
    from tokenstore.audit import AuditEvent

__all__ = ["Client"]

_log = logging.getLogger("tokenstore")


class Client(BaseClient, AsyncClosing):
    """One server, for any number of stores and tasks: all share one connection, and no task waits for another.

    ``url`` and the options are those of :class:`tokenstore.Client`, except ``pool_size``, which is for threads.
    ``credentials`` and ``on_event`` may be async functions. In addition:

    ``connections``
        to the server, per event loop (default 1, which serves a hundred thousand operations a second). More are
        useful with very large replies or slow commands.
    ``max_in_flight``
        operations in flight at once, per event loop (default 10000)
    ``when_busy``
        for one more: ``"error"`` (a ConnectionError at once) or ``"wait"`` (within its deadline)

    It connects at the first operation. Each event loop gets its own connections, so one client serves several
    loops, one after the other or in several threads. Close it with :meth:`aclose` or ``async with``.

    A cancelled operation may have happened; its reply is discarded, and no other call sees it.
    """

    _module = "tokenstore.asyncio"
    _audited = AuditedDriver

    def __init__(
        self,
        url: str | None = None,
        *,
        connections: int = 1,
        max_in_flight: int = 10_000,
        when_busy: Literal["error", "wait"] = "error",
        **options: Unpack[ClientOptions],
    ) -> None:
        _whole("connections", connections, 64)
        _whole("max_in_flight", max_in_flight, 1_000_000)
        if when_busy not in ("error", "wait"):
            raise ConfigurationError("when_busy must be 'error' or 'wait'")
        super().__init__(url, options)
        self._driver = Driver(self._core, connections, max_in_flight, when_busy == "wait")

    async def execute(
        self,
        *args: Argument,
        key: str | bytes | None = None,
        node: str | None = None,
        timeout: Duration | None = None,
    ) -> Any:
        """Run one command, as :meth:`tokenstore.Client.execute`.

        Commands that block on the server (BLPOP, WAIT) delay all later ones on the connection.
        """
        reply = (await self._driver.run(_core.commands((args,), key, node), timeout))[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def pipeline(
        self,
        commands: Iterable[Sequence[Argument]],
        *,
        raise_errors: bool = True,
        key: str | bytes | None = None,
        node: str | None = None,
        timeout: Duration | None = None,
    ) -> list[Any]:
        """Run several commands at once, as :meth:`tokenstore.Client.pipeline`."""
        batch = tuple(commands)
        if not batch:
            return []
        replies: list[Any] = await self._driver.run(_core.commands(batch, key, node), timeout)
        if raise_errors:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    async def for_each_primary(
        self, *args: Argument, timeout: Duration | None = None
    ) -> dict[str, Any]:
        """Run one command on every primary, as :meth:`tokenstore.Client.for_each_primary`."""
        replies: dict[str, Any] = await self._driver.run(_core.each(args), timeout)
        return replies

    async def audit_events(
        self, prefix: str = "ts", *, after: str | None = None, count: int = 100, reverse: bool = False
    ) -> list[AuditEvent]:
        """What is in the audit stream, as :meth:`tokenstore.Client.audit_events`."""
        return audit.read_entries(
            await self.execute(*audit.read_command(prefix, after, count, reverse))
        )

    async def ping(self, *, timeout: Duration | None = None) -> bool:
        """True if the server answers, as :meth:`tokenstore.Client.ping`."""
        return bool(await self._driver.run(_core.ping(), timeout))

    @property
    def closed(self) -> bool:
        """True once it was closed."""
        return bool(self._driver.closed)

    async def aclose(self) -> None:
        """Wait for the operations of this loop (each has its deadline) and close. May be called twice.

        Later operations raise :class:`Error`. Those of other loops end at once. An embedded server that this
        process started is stopped.
        """
        await self._driver.aclose()
        if not self._core.closed:
            _log.debug("client closed for %s", self._url)
            await running_loop().run_in_executor(None, self._core.close)

    async def disconnect(self) -> None:
        """Close the connections of this loop, after the operations on them have ended. The client stays open,
        and later operations get new connections."""
        await self._driver.disconnect()

    def pool_stats(self) -> PoolStats:
        """The connections of all loops, as :meth:`tokenstore.Client.pool_stats`. One is ``used`` if answers are due on it;
        ``limit`` is ``connections`` for each loop and server."""
        stats: PoolStats = self._driver.pool_stats()
        return stats

    auditEvents = audit_events
    forEachPrimary = for_each_primary
    poolStats = pool_stats

    def __del__(self) -> None:
        driver: Driver | None = getattr(self, "_driver", None)
        if isinstance(driver, Driver):
            if driver.connected:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=1)
            driver.abort()


def _whole(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not 1 <= value <= most:
        raise ConfigurationError(f"{name} must be a whole number from 1 to {most}")
