"""Silently dropped pooled connections: neither a reply nor EOF arrives. At most one call is slow, and none
fails."""

from __future__ import annotations

import threading
import time

import pytest

import tokenstore
from conftest import Setup
from remote import RemoteTokens
from silence import *  # noqa: F403
from silence import IDLE, POOLED, SILENCE, TIMEOUT, TOKEN, times

LATE = 0.4  # of a busy machine; less than another silence would take


def pooled(setup: Setup, **options: float) -> RemoteTokens:
    """The store's pool has several connections, all idle."""
    stores = [setup.tokens(**options) for _ in range(POOLED)]

    def wait(store: RemoteTokens, number: int) -> None:
        store.client.pipeline([["BLPOP", f"none {number}", 0.3]], timeout=20)

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
    """It did not send PING first; then the pool is abandoned."""
    store = pooled(setup, timeout=1)
    store.client.execute("PING")
    setup.server.freeze()
    with pytest.raises(tokenstore.OutcomeUnknownError):
        store.client.execute("INCR", "doubtful")
    for _ in range(POOLED):
        assert store.client.execute("PING") == "PONG"
    store.close()
