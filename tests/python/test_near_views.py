"""The near cache: records that are kept ready, found by the token itself. What is served is always the caller's own."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from near_help import (
    SERVER_MS,
    STALENESS,
    A,
    T,
    alive,
    found_last,
    kept,
    stats,
    wait_until,
    wait_until_near,
)
from servers import Server
from tokenstore import Client, Error, RedisTokens, Sessions, Token


@pytest.fixture
def near(server: Server) -> Iterator[Client]:
    with Client(server.url, near_cache=10, near_cache_staleness=STALENESS) as client:
        yield client


def ready(server: Server, tokens: RedisTokens, token: str | None) -> None:
    """Until it is found by the token itself: the first hit leaves it."""
    wait_until_near(server, tokens, token)
    assert tokens.get(A, T, token)


def test_each_caller_gets_its_own(server: Server, near: Client) -> None:
    tokens = alive(near)
    data = {"n": 1, "list": [1, {"deep": [2]}], "dict": {"a": {"b": None}}, "text": "é", "float": 1.5, "no": False}
    token = tokens.create(A, T, "ann", data, 600, idle=300).token
    ready(server, tokens, token)
    first, second = tokens.get(A, T, token), tokens.get(A, T, token)
    assert first is not None
    assert second is not None
    assert first == second == tokens.get(A, T, token, fresh=True)
    assert first.data == data
    assert first.idle == 300
    first.data["list"][1]["deep"].append(3)
    first.data["dict"]["a"]["b"] = 1
    first.data["more"] = first.data
    assert second == tokens.get(A, T, token) == tokens.get(A, T, token, fresh=True)


def test_the_token_is_the_one_that_was_presented(server: Server, near: Client) -> None:
    tokens = alive(near)
    token = kept(tokens, server)
    ready(server, tokens, token)
    for presented in (token, token.encode()):
        found = tokens.get(A, T, presented)
        assert found is not None
        assert found.token == token


def test_other_questions_have_other_answers(server: Server, near: Client) -> None:
    tokens, others = alive(near), RedisTokens(near, prefix="other")
    peppered = RedisTokens(near, pepper="p" * 16)
    token = kept(tokens, server)
    assert others.get(A, T, token) is None  # the links begin anew, with its prefix
    ready(server, tokens, token)
    assert token is not None
    hits = stats(near)["hits"]
    assert tokens.get(T, A, token) is None
    assert tokens.get(A, T + "x", token) is None
    assert tokens.get(A + T[0], T[1:], token) is None
    assert tokens.get(A, T, token[:-1]) is None
    assert peppered.get(A, T, token) is None
    assert others.get(A, T, token) is None
    assert stats(near)["hits"] == hits
    assert tokens.get(A, T, token)
    assert stats(near)["hits"] == hits + 1


@pytest.mark.parametrize("idle", [None, 1])
def test_a_refresh_is_not_forgotten(server: Server, near: Client, idle: int | None) -> None:
    alive(near)
    tokens = RedisTokens(near, touch_interval=0.1)
    made = tokens.create(A, T, "ann", duration=None if idle else 1, idle=idle)
    ready(server, tokens, made.token)
    time.sleep(0.5)
    assert tokens.get(A, T, made.token)
    assert tokens.get(A, T, made.token, refresh=True if idle else 1)
    found = tokens.get(A, T, made.token, expiry=True, fresh=True)
    assert found is not None
    assert found.expires_at is not None
    assert found.expires_at > made.created_at + 1.4


def test_two_stores_share_a_record(server: Server, near: Client) -> None:
    """Each finds it, with its own options and classes."""
    tokens, sessions, short = alive(near), Sessions(near), RedisTokens(near, max_age=1)
    token = sessions.create(A, "ann", {"n": 1})
    for _ in range(3):
        wait_until(lambda: isinstance(tokens.get(A, "session", token), Token))
        assert type(sessions.get(A, token)).__name__ == "Session"
    wait_until(lambda: short.get(A, "session", token) is None)
    assert tokens.get(A, "session", token)
    assert sessions.get(A, token)


def test_max_age(server: Server, near: Client) -> None:
    alive(near)
    tokens = RedisTokens(near, max_age=1)
    token = tokens.create(A, T, "ann").token
    end = time.monotonic() + 1 + SERVER_MS
    ready(server, tokens, token)
    before = stats(near)["hits"]
    assert found_last(lambda: tokens.get(A, T, token)) < end
    assert stats(near)["hits"] > before + 100


def test_a_rotated_token_and_a_custom_one(server: Server, near: Client) -> None:
    """They lead to a record by something else, which may change without it."""
    tokens = alive(near)
    old = tokens.create(A, T, "ann", {"n": 1})
    new = tokens.rotate(A, T, old.token, grace=1)
    assert new is not None
    ready(server, tokens, new.token)
    assert tokens.get(A, T, old.token).superseded
    wait_until(lambda: tokens.get(A, T, old.token) is None)
    assert not tokens.get(A, T, new.token).superseded
    custom = tokens.create(A, T, "ann", {"n": 2}, custom_token="my own").token
    for _ in range(3):
        assert tokens.get(A, T, custom).data == {"n": 2}
        time.sleep(0.01)
    near.execute("DEL", *[key for key in server.keys() if server("TYPE", key) == "string"])
    assert tokens.get(A, T, custom) is None


def test_a_closed_client(server: Server) -> None:
    client = Client(server.url, near_cache=10)
    tokens = alive(client)
    token = kept(tokens, server)
    ready(server, tokens, token)
    client.close()
    with pytest.raises(Error, match="closed"):
        tokens.get(A, T, token)


def records() -> int:
    gc.collect()
    return sum(type(thing) is Token for thing in gc.get_objects())


def test_what_is_dropped_is_freed(server: Server, near: Client) -> None:
    """One that is displaced, or changed by the server, goes with its record."""
    tokens = alive(near)
    made = [tokens.create(A, T, f"owner {i}", {"n": i}).token for i in range(30)]  # it keeps ten
    before = records()
    for _ in range(2):
        for token in made:
            ready(server, tokens, token)
    assert records() <= before + 10 + 1
    server("FLUSHALL")
    wait_until(lambda: tokens.get(A, T, made[-1]) is None)
    ready(server, tokens, tokens.create(A, T, "ann").token)
    assert records() <= before + 1


def test_a_client_that_is_gone(server: Server) -> None:
    before = records()
    for _ in range(3):
        tokens = RedisTokens(server.url, near_cache=10)
        token = tokens.create(A, T, "ann").token
        ready(server, tokens, token)
        tokens.close()
        del tokens
    assert records() <= before + 1  # a loop may know its last call


def test_threads(server: Server, near: Client, tokens: RedisTokens) -> None:
    """Each reads what others change: never less than what it changed itself."""
    mine = alive(near)
    made = [mine.create(A, T, f"owner {i}", {"n": 0, "m": [0]}).token for i in range(4)]
    ends = time.monotonic() + 1
    failures: list[object] = []

    def work(token: str | None) -> None:
        n = 0
        while time.monotonic() < ends:
            n += 1
            mine.update(A, T, token, {"n": n, "m": [n]})
            for _ in range(50):
                found = mine.get(A, T, token)
                if found is None or found.data != {"n": n, "m": [n]}:
                    failures.append((found and found.data, n))
                    return
                found.data["m"].append("mine")

    threads = [threading.Thread(target=work, args=(token,)) for token in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert stats(near)["hits"] > 1000
