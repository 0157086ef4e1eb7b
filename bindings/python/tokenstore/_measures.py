"""What operations have cost: the hook ``on_operation``, and the sums of a client.

The extension counts (``tokenstore/meter.h``). Nothing here has a token, an owner or data: only names, numbers and
codes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from tokenstore import _core

if TYPE_CHECKING:
    from tokenstore.client import BaseClient

__all__ = ["BOUNDS", "Measure", "Measured", "OperationStats", "PoolStats", "when_made"]

_log = logging.getLogger("tokenstore")

BOUNDS = _core.meter_bounds()
"""Upper bounds, in seconds, of the durations in an :class:`OperationStats`."""


class Measure(NamedTuple):
    """What one operation has cost. See :meth:`tokenstore.Client.on_operation`."""

    store: str
    """The class: ``"Sessions"``; for ``execute`` and the like ``"Client"``."""
    operation: str
    """The method: ``"get"``."""
    outcome: str
    """``"ok"``, ``"not_found"``, or the code of an error, as in docs/reference/errors-and-retries.md; ``"interrupted"``: it was
    given up, by a signal or because its task was cancelled."""
    code: str | None
    """With ``"server"``: the word that the server's error begins with, such as ``"NOPERM"``."""
    began: float
    """When, as of ``time.monotonic()``."""
    took: float
    """Seconds, waiting for a connection included."""
    tries: int
    """One more than it waited to try again."""
    trips: int
    """How often it asked and waited for the answer; with ``near``, never."""
    sent: int
    """Bytes of the commands."""
    received: int
    """Bytes of the texts in the answers."""
    near: bool
    """The near cache had the answer."""
    node: int
    """Of a cluster: the number of the node that was asked last; else -1."""


class OperationStats(NamedTuple):
    """The sums of one operation. See :meth:`tokenstore.Client.operation_stats`."""

    store: str
    operation: str
    outcomes: dict[str, int]
    """How many ended with each outcome that there was."""
    durations: list[int]
    """How many took no longer than each of :data:`BOUNDS`, and longer than the one before; the last: longer than all."""
    took: float
    tries: int
    trips: int
    sent: int
    received: int


class PoolStats(TypedDict):
    """See :meth:`tokenstore.Client.pool_stats`."""

    limit: int
    idle: int
    used: int
    waiting: int
    opened: int
    timeouts: int


when_made: list[Callable[[BaseClient], object]] = []
"""Called with each client that is made."""


class Measured:
    """What clients have in common: they say what operations have cost."""

    _core: _core.Client
    _watchers: tuple[Callable[[Measure], object], ...] = ()

    def on_operation(self, callback: Callable[[Measure], object]) -> Callable[[], None]:
        """Call ``callback`` with a :class:`Measure` of each operation that has ended, well or not, from now on.

        It runs in the thread of the operation, with asyncio in the context of its caller, before the result is
        there, so it should be quick; what it raises is logged, and changes nothing. Answers from the near cache
        that need no operation are not reported: :meth:`near_cache_stats` counts them. Returns a function that ends this.
        """
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        self._watch((*self._watchers, callback))
        return lambda: self._unwatch(callback)

    def _unwatch(self, callback: Callable[[Measure], object]) -> None:
        left = [*self._watchers]
        if callback in left:
            left.remove(callback)
            self._watch(tuple(left))

    def _watch(self, watchers: tuple[Callable[[Measure], object], ...]) -> None:
        self._watchers = watchers
        self._core.observe(_teller(watchers) if watchers else None)

    def operation_stats(self) -> list[OperationStats]:
        """What the operations of this process have cost, by operation, since this was called first: then it begins to
        count. What the near cache answered is not among them."""
        self._core.measure()
        return [OperationStats(*sums) for sums in self._core.sums()]

    def pool_stats(self) -> PoolStats:
        """The connections: how many there are, ``idle`` or ``used``, how many there may be, how many callers are
        ``waiting`` for one; and since the beginning how many were ``opened``, and how many callers waited for one
        until their deadline (``timeouts``). Of a cluster, to all nodes together."""
        stats: PoolStats = self._core.pool_stats()
        return stats

    onOperation = on_operation
    operationStats = operation_stats
    poolStats = pool_stats


def _teller(watchers: tuple[Callable[[Measure], object], ...]) -> Callable[..., None]:
    """What the extension calls. It does not refer to the client, which would keep itself alive."""

    def tell(*numbers: Any) -> None:
        measure = Measure(*numbers)
        for watcher in watchers:
            try:
                watcher(measure)
            except Exception:
                _log.exception("a callback of on_operation failed")

    return tell
