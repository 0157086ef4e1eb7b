"""Pooled connections that something on the way has forgotten: no answer ever comes, and no end. At most one call
is slow, and none fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

import tokenstore
from conftest import Setup
from fault_server import Exchange
from remote import RemoteTokens

TIMEOUT = 2.0
SILENCE = TIMEOUT / 4
LATE = 0.2
IDLE = 1.05  # seconds until a change that must not be sent twice asks first
POOLED = 6
TOKEN = {"app": "a", "type": "t"}


def pooled(setup: Setup, **options: float) -> RemoteTokens:
    """The store's pool has several connections, all idle."""
    stores = [setup.tokens(**options) for _ in range(POOLED)]

    def wait(store: RemoteTokens, number: int) -> None:
        store.client.execute("BLPOP", f"none {number}", 0.3)

    threads = [
        threading.Thread(target=wait, args=(store, number)) for number, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores[1:]:
        store.close()
    return stores[0]


def times(count: int, call: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(count):
        began = time.monotonic()
        call()
        took.append(time.monotonic() - began)
    return took


@pytest.mark.parametrize("name", ["create", "refresh", "execute", "get"])
def test_one_call_is_slow_and_none_fails(setup: Setup, name: str) -> None:
    store = pooled(setup, timeout=TIMEOUT)
    token = store.create(**TOKEN, owner="o").token

    def get() -> None:
        assert store.get(**TOKEN, token=token).owner == "o"

    call = {
        "create": lambda: store.create(**TOKEN, owner="o"),
        "refresh": lambda: store.refresh(**TOKEN, token=token, duration=100),
        "execute": lambda: store.client.execute("INCR", "silent-" + str(setup.tls)),
        "get": get,
    }[name]
    call()
    time.sleep(IDLE)
    setup.server.freeze()
    took = times(2 * POOLED, call)
    assert SILENCE - 0.05 <= took[0] < SILENCE + LATE, took
    assert max(took[1:]) < LATE, took
    if name == "execute":
        count = store.client.execute("GETDEL", "silent-" + str(setup.tls))
        assert count == b"%d" % (2 * POOLED + 1)
    store.close()


def test_a_change_right_after_another_call_is_in_doubt_once(setup: Setup) -> None:
    """It did not ask first; then the pool is left."""
    store = pooled(setup, timeout=0.5)
    store.client.execute("PING")
    setup.server.freeze()
    with pytest.raises(tokenstore.OutcomeUnknownError):
        store.client.execute("INCR", "doubtful")
    for _ in range(POOLED):
        assert store.client.execute("PING") == "PONG"
    store.close()


def test_a_server_that_is_slow_answers_all_the_same(setup: Setup) -> None:
    """It is asked again on a new connection, where it has all the time that is left."""
    store = setup.tokens(timeout=TIMEOUT)
    token = store.create(**TOKEN, owner="o").token

    def slow(x: Exchange) -> None:
        reply = x.ask()
        time.sleep(TIMEOUT / 2)
        with suppress(OSError):
            x.send(reply)

    before = setup.server.accepted
    setup.server.arm(slow, slow)
    assert store.get(**TOKEN, token=token).owner == "o"
    assert setup.server.accepted == before + 1
    store.close()


def test_an_answer_that_has_begun_is_not_silent(setup: Setup) -> None:
    store = setup.tokens(timeout=TIMEOUT)
    token = store.create(**TOKEN, owner="o").token

    def slow(x: Exchange) -> None:
        reply = x.ask()
        x.send(reply[:1])
        time.sleep(TIMEOUT / 2)
        x.send(reply[1:])

    before = setup.server.accepted
    setup.server.arm(slow)
    assert store.get(**TOKEN, token=token).owner == "o"
    assert setup.server.accepted == before
    store.close()
