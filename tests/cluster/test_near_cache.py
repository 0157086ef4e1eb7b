"""The near cache where there are several servers: each tells of its changes, and none that was replaced is believed for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clusters import Cluster, running_cluster, slot_of
from sentinels import Sentinels, running_sentinels
from tokenstore import Client, RedisTokens

A, T = "app", "web"
STALENESS = 1.0
LATE = 0.5
"""Seconds that a busy machine may add."""


def wait_until(true: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)


@pytest.fixture(params=["broadcast", "keys"])
def tracking(request: pytest.FixtureRequest) -> Any:
    return request.param


@contextmanager
def near_tokens(url: str, tracking: Any) -> Iterator[RedisTokens]:
    options: Any = {"near_cache": 1000, "near_cache_staleness": STALENESS, "near_cache_tracking": tracking}
    with Client(url, timeout=20, **options) as client:
        yield RedisTokens(client)


def hits(tokens: RedisTokens) -> int:
    stats = tokens.client.near_cache_stats()
    assert stats is not None
    return stats["hits"]


def wait_until_near(tokens: RedisTokens, made: list[str]) -> None:
    def are_near() -> bool:
        before = hits(tokens)
        assert all(tokens.get_many(A, T, made))
        return hits(tokens) == before + len(made)

    wait_until(are_near)


def make(tokens: RedisTokens, count: int = 60) -> list[str]:
    return [str(tokens.create(A, T, f"owner {i}", {"n": 1}).token) for i in range(count)]


def test_each_node_tells(cluster: Cluster, tokens: RedisTokens, tracking: Any) -> None:
    with near_tokens(cluster.url, tracking) as near:
        made = make(tokens)
        wait_until_near(near, made)
        tokens.client.for_each_primary("PING")
        for token in made[::2]:
            assert tokens.delete(A, T, token)
        wait_until(lambda: not any(near.get_many(A, T, made[::2])), STALENESS + 5)
        assert all(near.get_many(A, T, made[1::2]))


def test_a_slot_that_moves(cluster: Cluster, tokens: RedisTokens, tracking: Any) -> None:
    source, target = cluster.primaries[:2]
    with near_tokens(cluster.url, tracking) as near:
        made = make(tokens)
        wait_until_near(near, made)
        keys = [key for key in source.keys() if key != b"ts:kinds"]
        slots = sorted({slot_of(key) for key in keys})[:10]
        for here, there in ((source, target), (target, source)):
            cluster.move_slots(slots, here, there)
            wait_until_near(near, made)
            tokens.update_all(A, T, "owner 0", {"n": 2})
            for i, token in enumerate(made):
                tokens.update(A, T, token, {"n": 100 + i})
            wait_until(
                lambda: [token.data["n"] for token in near.get_many(A, T, made) if token]
                == [100 + i for i in range(len(made))],
                STALENESS + 5,
            )
            cluster.wait_agreed()


class Reader(threading.Thread):
    """Gets the tokens all the time. `last`: when each was found last."""

    def __init__(self, near: RedisTokens, made: list[str]) -> None:
        super().__init__()
        self._near, self._made = near, made
        self.over = False
        self.last = [0.0] * len(made)

    def run(self) -> None:
        while not self.over:
            for i, token in enumerate(self._made):
                began = time.monotonic()  # what is found was true then, or a while before
                if self._near.get(A, T, token) is not None:
                    self.last[i] = began
            time.sleep(0.001)


def check_a_replacement(
    system: Any, old: Any, replace: Callable[[], None], tokens: RedisTokens, tracking: Any
) -> None:
    """Tokens are ended at the new primary; the old one goes on, and may not know that it was replaced."""
    with near_tokens(system.url, tracking) as near:
        made = make(tokens)
        time.sleep(0.3)  # the replicas have them
        wait_until_near(near, made)
        reader = Reader(near, made)
        reader.start()
        ended = [0.0] * len(made)
        try:
            replace()
            for i, token in enumerate(made):
                tokens.delete(A, T, token)
                ended[i] = time.monotonic()
            old.cont()
            time.sleep(STALENESS + LATE)
        finally:
            old.cont()
            reader.over = True
            reader.join()
        late = [last - end for last, end in zip(reader.last, ended)]
        assert max(late) < STALENESS + LATE, late
        assert not any(near.get_many(A, T, made))
        system.settle() if isinstance(system, Sentinels) else system.wait_agreed()
        wait_until_near(near, make(tokens))


def test_a_primary_that_was_stopped() -> None:
    # A quarter of the timeout is spent on the old one.
    with running_cluster(replicas=1) as cluster, RedisTokens(cluster.url, timeout=8) as tokens:
        old = cluster.primaries[0]

        def replace() -> None:
            old.stop()
            cluster.wait_agreed()

        check_a_replacement(cluster, old, replace, tokens, "keys")


def test_an_orderly_failover(cluster: Cluster, tokens: RedisTokens, tracking: Any) -> None:
    old = cluster.primaries[0]
    check_a_replacement(cluster, old, lambda: cluster.failover(cluster.replicas_of(old)[0]), tokens, tracking)


@pytest.fixture(scope="module")
def watched() -> Iterator[Sentinels]:
    with running_sentinels() as watched:
        yield watched


def test_sentinels_fail_over(watched: Sentinels) -> None:
    with RedisTokens(watched.url, timeout=20) as tokens:
        check_a_replacement(watched, watched.primary, watched.failover, tokens, "broadcast")


def test_a_primary_that_sentinels_replaced(watched: Sentinels) -> None:
    with RedisTokens(watched.url, timeout=20) as tokens:
        old = watched.primary

        def replace() -> None:
            old.stop()
            wait_until(lambda: watched.primary is not old)

        check_a_replacement(watched, old, replace, tokens, "keys")


def test_silent_sentinels(watched: Sentinels) -> None:
    """Nobody says that the primary is one still: it is asked for every token."""
    with near_tokens(watched.url, "broadcast") as near:
        made = make(near)
        wait_until_near(near, made)
        for sentinel in watched.sentinels:
            sentinel.stop()
        try:
            time.sleep(STALENESS + LATE)
            before = hits(near)
            assert all(near.get_many(A, T, made))
            assert hits(near) == before
        finally:
            for sentinel in watched.sentinels:
                sentinel.cont()
        wait_until_near(near, made)
