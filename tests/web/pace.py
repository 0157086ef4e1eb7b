"""Tests about lifetimes, on a machine that may be busy: one that comes too late to see something begins again, slower."""

from __future__ import annotations

import time
from collections.abc import Callable

FACTORS = (1, 4, 16)


class TooLateError(Exception):
    pass


class Pace:
    """Seconds of a test, times a factor."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds * self.factor)

    def within(self, since: float, seconds: float) -> None:
        """To be called between a request and what is asserted of it: all before was in time, or nothing is asserted."""
        if time.monotonic() - since >= seconds * self.factor:
            raise TooLateError


def at_a_pace(attempt: Callable[[Pace], None]) -> None:
    for factor in FACTORS:
        try:
            return attempt(Pace(factor))
        except TooLateError:
            pass
    raise AssertionError("this machine is too busy")
