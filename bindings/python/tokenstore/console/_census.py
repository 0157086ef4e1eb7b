"""How many owners and tokens there are of each kind, counted over all keys, a little at each request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Generator
from typing import Any

from tokenstore import _core, _walk
from tokenstore._kinds import KIND, ROUND, hashes_of
from tokenstore.console._messages import Steps
from tokenstore.errors import Error, ServerError

__all__ = ["Census"]

_BUDGET = 2.0  # seconds of a request


class Census:
    """The last count, and one that has begun and goes on when it is asked to.

    A database may have any number of keys, so no request waits for all of them.
    """

    def __init__(self, store: Any, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._counting: Generator[Any, Any, None] | None = None
        self._answer: Any = None
        self._one_at_a_time = threading.Lock()
        self._clear()
        self.ended_at: float | None = None
        self.problem: str | None = None
        """Why there is no count: a user who may not SCAN."""

    def _clear(self) -> None:
        self._tables: dict[str, tuple[Counter[bytes], Counter[bytes]]] = {}  # by primary

    def go_on(self, again: bool) -> Steps[None]:
        """Count for a while; ``again``: from the beginning, if the last count has ended. While another request does,
        this returns at once."""
        if self.ended_at is not None and not again:
            return
        if not self._one_at_a_time.acquire(blocking=False):
            return
        try:
            if self._counting is None:
                self._clear()
                self.ended_at = None
                self._counting, self._answer = self._count(), None
            counting, answer = self._counting, self._answer
            self._counting = error = None  # what is interrupted begins anew
            end = time.monotonic() + _BUDGET
            while error is not None or time.monotonic() < end:
                try:
                    wanted = counting.send(answer) if error is None else counting.throw(error)
                except StopIteration:
                    self.ended_at, self.problem = time.time(), None
                    return
                except ServerError as refused:
                    self.problem = str(refused)
                    return
                answer = error = None
                try:
                    answer = yield wanted
                except Error as caught:
                    error = caught
            self._counting, self._answer = counting, answer
        finally:
            self._one_at_a_time.release()

    def counts(self, kind: bytes) -> dict[str, int]:
        """Owners and tokens of a kind, as far as they have been counted."""
        return {
            "owners": sum(owners[kind] for owners, _ in self._tables.values()),
            "tokens": sum(tokens[kind] for _, tokens in self._tables.values()),
        }

    def kinds(self) -> set[bytes]:
        """Those that were found."""
        return {kind for _, tokens in self._tables.values() for kind in tokens}

    def _count(self) -> Generator[Any, Any, None]:
        sleep = asyncio.sleep if self._store._module == "tokenstore.asyncio" else time.sleep
        match = hashes_of(self._prefix)
        return _walk.steps(self._store.client, match, ROUND, self._take, sleep)

    def _take(self, node: str, found: list[bytes] | None) -> Generator[Any, Any, None]:
        if found is None:
            self._tables.pop(node, None)
        if not found:
            return
        keys = [*dict.fromkeys(found)]
        tallies = yield self._store._driver.run(_core.tally(self._store._ops.store, keys))
        owners, tokens = self._tables.setdefault(node, (Counter(), Counter()))
        size = len(self._prefix.encode(errors="surrogateescape")) + 1
        for key, (_, live, _) in zip(keys, tallies):
            if live:
                owners[key[size : size + KIND]] += 1
                tokens[key[size : size + KIND]] += live
