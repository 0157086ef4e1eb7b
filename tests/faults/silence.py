"""Silently dropped connections, for all drivers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fault_server import Exchange

TIMEOUT = 2.0
SILENCE = TIMEOUT / 4
IDLE = 1.05  # seconds of idling after which a change sends PING first
POOLED = 6
TOKEN = {"app": "a", "type": "t"}


def times(count: int, call: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(count):
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
    return took


def test_a_server_that_is_slow_answers_all_the_same(setup: Any) -> None:
    """It is sent again on a new connection, once, with all of the remaining time."""

    def slow(x: Exchange) -> None:
        reply = x.ask()
        time.sleep(TIMEOUT / 2)
        with suppress(OSError):
            x.send(reply)

    with setup.tokens(timeout=TIMEOUT) as store:
        token = store.create(**TOKEN, owner="o").token
        before = setup.server.accepted
        setup.server.arm(slow, *setup.greeting, slow)
        (took,) = times(1, lambda: store.get(**TOKEN, token=token).owner)
        assert took < TIMEOUT
        assert setup.server.accepted == before + 1


def test_an_answer_that_has_begun_is_not_silent(setup: Any) -> None:
    def slow(x: Exchange) -> None:
        reply = x.ask()
        x.send(reply[:1])
        time.sleep(TIMEOUT / 2)
        x.send(reply[1:])

    with setup.tokens(timeout=TIMEOUT) as store:
        token = store.create(**TOKEN, owner="o").token
        before = setup.server.accepted
        setup.server.arm(slow)
        assert store.get(**TOKEN, token=token).owner == "o"
        assert setup.server.accepted == before
