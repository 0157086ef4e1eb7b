"""Timing on busy machines."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import tokenstore

TRIES = 3
Result = TypeVar("Result")


def ends_within(
    limit: float, call: Callable[[], object], before: Callable[[], object] = lambda: None
) -> None:
    """`call` ends within `limit` seconds. A busy machine may make it late once or twice; slow code is late
    each time. `before` runs before each attempt and is not measured."""
    took = []
    for _ in range(TRIES):
        before()
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
        if took[-1] <= limit:
            return
    raise AssertionError(f"took {[round(t, 3) for t in took]} s instead of {limit} s")


def late_by(limit: float, measure: Callable[[], list[float]]) -> None:
    """Half of the measured values are late by less than `limit` seconds, in one attempt of three."""
    measured = []
    for _ in range(TRIES):
        late = sorted(measure())
        measured.append([round(t, 4) for t in late])
        if late[len(late) // 2] < limit:
            return
    raise AssertionError(f"late by {measured} s")


def connect(client: tokenstore.Client) -> None:
    """Connects first: a short timeout must not apply to the handshake on a busy machine."""
    assert client.pipeline([["PING"]], timeout=20) == ["PONG"]


def has_time_enough(call: Callable[[], Result], *late: type[Exception]) -> Result:
    """The result of `call`, which has a short deadline: retried, because a busy machine may miss it once or
    twice."""
    for _ in range(TRIES - 1):
        with suppress(*late):
            return call()
    return call()
