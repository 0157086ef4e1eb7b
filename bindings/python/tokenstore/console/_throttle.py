"""Slows down whoever guesses."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

__all__ = ["Throttle"]

_FREE = 3  # wrong tries of an address without a delay
_LONGEST = 900.0  # seconds
_OF_ALL = 30  # wrong tries of all addresses in a minute
_ADDRESSES = 10_000


class Throttle:
    """Each wrong try of an address doubles its delay, and a minute has a limited number of wrong tries of all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}  # by address: how often, and until when it has to wait
        self._last: list[float] = []

    def wait(self, address: str) -> float:
        """Seconds until it may try; 0 is now."""
        with self._lock:
            now = self._clock()
            _, until = self._wrong.get(_place(address), (0, now))
            if len(self._last) >= _OF_ALL:
                until = max(until, self._last[-_OF_ALL] + 60)
            return max(0.0, until - now)

    def note_wrong(self, address: str) -> None:
        """It has guessed wrong."""
        with self._lock:
            now, place = self._clock(), _place(address)
            count, until = self._wrong.pop(place, (0, now))
            if now > until + _LONGEST:
                count = 0
            delay = 0.0 if count + 1 < _FREE else min(2.0 ** (count + 1 - _FREE), _LONGEST)
            self._wrong[place] = (count + 1, now + delay)
            if len(self._wrong) > _ADDRESSES:
                del self._wrong[next(iter(self._wrong))]  # the one that was quiet for the longest time
            self._last = [*self._last, now][-_OF_ALL:]

    def note_right(self, address: str) -> None:
        """It has not."""
        with self._lock:
            self._wrong.pop(_place(address), None)


def _place(address: str) -> str:
    """An IPv6 network counts as one: who has an address of it has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
