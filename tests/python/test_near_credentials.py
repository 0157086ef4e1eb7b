"""A near cache with credentials=: the connection that listens logs in as the last other connection did, and calls nobody."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusters import Cluster, running_cluster
from near_help import STALENESS, A, T, wait_until
from servers import Server
from tokenstore import Client, RedisTokens
from vault import Vault


@pytest.fixture(params=["broadcast", "keys"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"near_cache": 100, "near_cache_staleness": STALENESS, "near_cache_tracking": request.param}


@pytest.fixture
def tokens(guarded: Server, vault: Vault, options: dict[str, Any]) -> Iterator[RedisTokens]:
    vault.wire("ACL", "LOG", "RESET")
    with Client(guarded.url, credentials=vault, **options) as client:
        yield RedisTokens(client)


def stats(tokens: RedisTokens, name: str) -> Any:
    found: Any = tokens.client.near_cache_stats()
    return found[name]


def is_near(tokens: RedisTokens, token: str) -> bool:
    before = stats(tokens, "hits")
    assert tokens.get(A, T, token)
    return bool(stats(tokens, "hits") > before)


def kept(tokens: RedisTokens) -> str:
    token = str(tokens.create(A, T, "ann", {"n": 1}).token)
    wait_until(lambda: is_near(tokens, token))
    return token


def links(vault: Vault) -> list[dict[str, str]]:
    """The connections that are told of changes."""
    lines = vault.wire("CLIENT", "LIST").decode().splitlines()
    found = [dict(part.partition("=")[::2] for part in line.split()) for line in lines]
    return [one for one in found if "t" in one["flags"]]


def kill_link(vault: Vault) -> None:
    vault.wire("CLIENT", "KILL", "ID", links(vault)[0]["id"])


def refusals(vault: Vault) -> int:
    entries = [dict(zip(entry[::2], entry[1::2])) for entry in vault.wire("ACL", "LOG")]
    return sum(int(entry[b"count"]) for entry in entries if entry[b"reason"] == b"auth")


def test_it_logs_in_as_the_last_connection_did(tokens: RedisTokens, vault: Vault) -> None:
    kept(tokens)
    assert vault.asked == 1
    assert [link["user"] for link in links(vault)] == ["app"]
    kill_link(vault)
    wait_until(lambda: stats(tokens, "flushes") == 1)
    wait_until(lambda: stats(tokens, "alive"))
    kept(tokens)
    assert vault.asked == 1
    assert refusals(vault) == 0


def test_a_password_that_changes(tokens: RedisTokens, vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """Refused once, it waits for a connection that has logged in with the new one, and nothing is near meanwhile."""
    token = kept(tokens)
    for turn in range(2):
        asked, refused = vault.asked, refusals(vault)
        vault.change(f"password-of-turn-{turn}")
        assert is_near(tokens, token)  # the connection lives
        with caplog.at_level(logging.WARNING, "tokenstore"):
            kill_link(vault)

            def is_said() -> bool:
                assert tokens.get(A, T, token)
                return "near_cache: the server refuses the password" in caplog.text

            wait_until(is_said)
        time.sleep(0.3)
        assert not is_near(tokens, token)
        assert vault.asked == asked
        assert refusals(vault) == refused + 1
        vault.close_all()
        wait_until(lambda: is_near(tokens, token))
        assert vault.asked > asked
        assert refusals(vault) == refused + 1
        assert "password-of" not in caplog.text
        caplog.clear()


def test_a_function_that_fails(guarded: Server, vault: Vault, options: dict[str, Any]) -> None:
    vault.answers = [ValueError("the vault is closed")]
    with RedisTokens(guarded.url, credentials=vault, **options) as tokens:
        with pytest.raises(ValueError, match="the vault is closed"):
            tokens.get(A, T, "1" + "A" * 63)
        kept(tokens)


def test_a_change_while_the_link_is_away(tokens: RedisTokens, guarded: Server, vault: Vault) -> None:
    token = kept(tokens)
    vault.change("of-the-link-that-is-away")
    kill_link(vault)
    with RedisTokens(guarded.url, credentials=vault) as other:
        assert other.update(A, T, token, {"n": 2})
    wait_until(lambda: tokens.get(A, T, token).data["n"] == 2, STALENESS)  # type: ignore[union-attr]
    vault.close_all()
    wait_until(lambda: is_near(tokens, token))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


def test_on_a_cluster(cluster: Cluster, options: dict[str, Any]) -> None:
    password = "of-the-cluster"

    def change(to: str) -> None:
        nonlocal password
        password = to
        for node in cluster.primaries:
            node("ACL", "SETUSER", "app", "reset", "on", ">" + to, "~*", "&*", "+@all")

    def ask() -> tuple[str, str]:
        return "app", password

    change(password)
    with Client(cluster.url, credentials=ask, timeout=20, **options) as client:
        tokens = RedisTokens(client)
        made = [str(tokens.create(A, T, f"owner {i}", {"n": 1}).token) for i in range(30)]
        wait_until(lambda: all(is_near(tokens, token) for token in made))
        change("another")
        for node in cluster.primaries:
            node("CLIENT", "KILL", "USER", "app")
        wait_until(lambda: all(is_near(tokens, token) for token in made))
