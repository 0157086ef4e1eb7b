"""Shared by the tests of the near cache."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from servers import Server
from tokenstore import Client, RedisTokens, TimeoutError

A, T = "app", "web"
STALENESS = 1.0
SERVER_MS = 0.001  # a server may keep a record until its last millisecond is over


def wait_until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.002)


def stats(client: Client) -> Any:
    found = client.near_cache_stats()
    assert found is not None
    return found


def asked(server: Server) -> int:
    """How often a record was asked for."""
    lines = server("INFO", "commandstats").decode().splitlines()
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines if line.startswith("cmdstat_hget:"))


def links(server: Server) -> list[str]:
    """The connections that are told of changes, by their ids."""
    lines = server("CLIENT", "LIST").decode().splitlines()
    found = [dict(part.partition("=")[::2] for part in line.split()) for line in lines]
    return [one["id"] for one in found if "t" in one["flags"]]


def alive(client: Client) -> RedisTokens:
    """A store of this client, which the server tells of changes."""
    tokens = RedisTokens(client)
    tokens.get(A, T, "no such token")
    tokens.get(A, T, "1" + "A" * 63)
    wait_until(lambda: stats(client)["alive"])
    return tokens


def found_last(get: Callable[[], Any]) -> float:
    """When it was called last before it found nothing, or timed out: what it found was true then, or for some time before."""
    last = began = time.monotonic()
    with contextlib.suppress(TimeoutError):
        while get() is not None:
            last, began = began, time.monotonic()
    return last


def is_near(server: Server, get: Callable[[], Any]) -> bool:
    """It finds something, without asking. The message of what this process did last may come later."""
    before = asked(server)
    assert get()
    return asked(server) == before


def wait_until_near(server: Server, tokens: RedisTokens, token: str | None) -> None:
    wait_until(lambda: is_near(server, lambda: tokens.get(A, T, token)))


def kept(tokens: RedisTokens, server: Server, **options: Any) -> str:
    """A token that is in memory."""
    token = tokens.create(A, T, "ann", {"n": 1}, **options).token
    assert token is not None
    wait_until_near(server, tokens, token)
    return token


def result_of(tokens: RedisTokens, token: str) -> Any:
    found = tokens.get(A, T, token)
    return None if found is None else found.data["n"]


def wait_for(tokens: RedisTokens, token: str, result: Any) -> None:
    """Until a change that is told has come. Nothing else is seen before."""
    wait_until(lambda: result_of(tokens, token) != 1, STALENESS + 1)
    assert result_of(tokens, token) == result
