"""near_cache_tracking="keys": the server tells of the keys that were read, and of no others."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from near_help import (
    STALENESS,
    A,
    T,
    alive,
    kept,
    result_of,
    stats,
    wait_for,
    wait_until,
    wait_until_near,
)
from servers import Server, running
from tokenstore import Client, RedisTokens


def tracked(server: Server) -> int:
    """Keys that the server remembers for its clients."""
    text = server("INFO", "stats").decode()
    return int(text.partition("tracking_total_keys:")[2].split()[0])


def sent(server: Server) -> int:
    text = server("INFO", "stats").decode()
    return int(text.partition("total_net_output_bytes:")[2].split()[0])


@pytest.fixture
def by_key(server: Server) -> Iterator[Client]:
    with Client(server.url, near_cache=1000, near_cache_staleness=STALENESS, near_cache_tracking="keys") as client:
        yield client


def test_what_was_not_read_is_not_told(server: Server, by_key: Client, tokens: RedisTokens) -> None:
    mine = alive(by_key)
    token = kept(mine, server)
    before = sent(server)
    for i in range(500):
        tokens.create(A, T, f"other {i}", {"n": 1})
    assert tracked(server) == 1
    assert sent(server) - before < 500 * 50  # 80 more for each message
    tokens.update(A, T, token, {"n": 2})
    wait_for(mine, token, 2)


def test_a_token_that_is_not_found_is_not_remembered(server: Server, by_key: Client) -> None:
    tokens = alive(by_key)
    for _ in range(50):
        assert tokens.get(A, T, RedisTokens(by_key, prefix="other").create(A, T, "bob").token) is None
    assert tracked(server) == 0


def test_a_key_is_asked_for_at_once(server: Server) -> None:
    """The thread that listens is woken: it does not wait for its next turn."""
    with Client(server.url, near_cache=1000, near_cache_staleness=60, near_cache_tracking="keys") as client:
        tokens, took = alive(client), []
        for i in range(101):
            token = tokens.create(A, T, f"owner {i}", {"n": 1}).token
            began = time.monotonic()
            wait_until_near(server, tokens, token)
            took.append(time.monotonic() - began)
        assert sorted(took)[50] < 0.03
        assert max(took) < 2  # nothing that was read waits for what comes next


def test_a_server_that_remembers_few_keys(server: Server, by_key: Client, tokens: RedisTokens) -> None:
    """It says which it forgets: they are asked for anew, and no change is missed."""
    mine = alive(by_key)
    made = [str(tokens.create(A, T, f"owner {i}", {"n": 1}).token) for i in range(100)]
    server("CONFIG", "SET", "tracking-table-max-keys", 10)
    try:
        for turn in range(2, 20):
            for _ in range(3):
                found = [token.data["n"] for token in mine.get_many(A, T, made) if token]
                assert len(found) == len(made)
            for token in made[turn::3]:
                tokens.update(A, T, token, {"n": turn})
            wanted = [turn if turn <= i and (i - turn) % 3 == 0 else None for i in range(len(made))]

            def is_seen() -> bool:
                seen = [token.data["n"] for token in mine.get_many(A, T, made) if token]
                return all(want in (None, n) for want, n in zip(wanted, seen))  # noqa: B023

            wait_until(is_seen, STALENESS)
        wait_until(lambda: tracked(server) <= 10)
        assert stats(by_key)["invalidations"] > 0
    finally:
        server("CONFIG", "SET", "tracking-table-max-keys", 1_000_000)


def test_a_server_without_hello(caplog: pytest.LogCaptureFixture) -> None:
    """As some proxies are: it works, without the cache, and says so."""
    with running("--rename-command", "HELLO", "elsewhere") as server:
        client = Client(server.url, near_cache=10, near_cache_tracking="keys")
        with caplog.at_level(logging.WARNING, "tokenstore"), client:
            tokens = RedisTokens(client)
            token = tokens.create(A, T, "ann", {"n": 1}).token

            def is_said() -> bool:
                assert result_of(tokens, str(token)) == 1
                return "near_cache_tracking=keys needs" in caplog.text

            wait_until(is_said)
            assert stats(client)["hits"] == 0


def test_an_owner_that_is_changed_all_the_time(server: Server, by_key: Client, tokens: RedisTokens) -> None:
    mine = alive(by_key)
    token = kept(mine, server)
    changed = {1: time.monotonic()}
    for n in range(2, 300):
        tokens.update(A, T, token, {"n": n})
        changed[n] = time.monotonic()
        began, seen = time.monotonic(), result_of(mine, token)
        assert seen == n or began - changed[seen + 1] < STALENESS
    wait_until(lambda: result_of(mine, token) == 299, STALENESS)
    wait_until_near(server, mine, token)
