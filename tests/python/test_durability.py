"""wait_replicas and wait_fsync: a change counts as done when others have it, too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import tokenstore
from servers import Server, paused, running

SYNC = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
PAUSE = 0.1
"""Seconds that a call waits for a replica that is away; PATIENCE: for one that is there."""
PATIENCE = 20


def follow(replica: Server, primary: Server) -> None:
    replica("REPLICAOF", primary.host, primary.port)
    end = time.monotonic() + 30
    while replica.info("replication", "master_link_status") != "up":
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with (
        running(*SYNC, transport="tcp") as primary,
        running(*SYNC, transport="tcp") as replica,
    ):
        follow(replica, primary)
        yield primary, replica


@pytest.fixture
def primary(pair: tuple[Server, Server]) -> Server:
    with pair[0].wire() as wire:
        wire("FLUSHALL")
        assert wire("WAIT", 1, 10000) == 1
    return pair[0]


@pytest.fixture
def replica(pair: tuple[Server, Server]) -> Server:
    return pair[1]


@pytest.fixture
def tokens(primary: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(
        primary.url, wait_replicas=1, wait_timeout=PATIENCE, timeout=60
    ) as tokens:
        yield tokens


@pytest.fixture
def hasty(tokens: tokenstore.RedisTokens) -> tokenstore.RedisTokens:
    return tokenstore.RedisTokens(tokens.client, wait_replicas=1, wait_timeout=PAUSE)


def test_a_change_is_on_the_replica(tokens: tokenstore.RedisTokens, replica: Server) -> None:
    for i in range(50):
        token = tokens.create("app", "web", f"owner-{i}", {"n": i})
        assert replica("DBSIZE") == i + 2  # and the kinds
        assert tokens.update("app", "web", token.token, {"m": 1}) is not None


def test_a_change_that_the_replica_lacks(
    tokens: tokenstore.RedisTokens, hasty: tokenstore.RedisTokens, replica: Server
) -> None:
    token = tokens.create("app", "web", "owner", {})
    with paused(replica):
        began = time.monotonic()
        with pytest.raises(tokenstore.NotReplicatedError) as raised:
            hasty.delete("app", "web", token.token)
        assert PAUSE <= time.monotonic() - began < PAUSE + 2
        assert raised.value.replicas == 0
        assert raised.value.result is True
        assert str(raised.value).startswith(
            "the change was made, but after 0.1 s only 0 of 1 replicas have it: see INFO replication"
        )
        assert tokens.get("app", "web", token.token) is None
    assert tokens.create("app", "web", "owner", {}).owner == "owner"  # the same connection


def test_what_was_created_is_not_lost(hasty: tokenstore.RedisTokens, replica: Server) -> None:
    with paused(replica):
        with pytest.raises(tokenstore.NotReplicatedError) as raised:
            hasty.create("app", "web", "owner", {"n": 1})
        made = raised.value.result
        assert isinstance(made, tokenstore.Token)
        assert made.token is not None
        assert made.token not in str(raised.value)
        assert made.token not in repr(raised.value)
        with pytest.raises(tokenstore.NotReplicatedError) as raised:
            hasty.rotate("app", "web", made.token, data={"n": 2})
        rotated = raised.value.result
    assert isinstance(rotated, tokenstore.Token)
    assert rotated.token is not None
    found = hasty.get("app", "web", rotated.token)
    assert found is not None
    assert found.data == {"n": 2}


def test_several_round_trips(hasty: tokenstore.RedisTokens, replica: Server) -> None:
    """A custom token has its alias, then its record; the tokens of create_many, and their undoing."""
    with paused(replica):
        with pytest.raises(tokenstore.NotReplicatedError) as raised:
            hasty.create("app", "web", "owner", {}, custom_token="custom")
        assert isinstance(raised.value.result, tokenstore.Token)
        rows: list[Any] = [{"app": "app", "type": "web", "owner": f"owner-{i}"} for i in range(20)]
        with pytest.raises(tokenstore.NotReplicatedError) as raised:
            hasty.create_many(rows)
        assert isinstance(raised.value.result, list)
        assert len(raised.value.result) == 20
        with pytest.raises(tokenstore.DataError, match="custom_token"):
            hasty.create("app", "web", "owner", {}, custom_token="custom")
    assert hasty.get("app", "web", "custom") is not None


def test_reads_do_not_wait(tokens: tokenstore.RedisTokens, replica: Server) -> None:
    token = tokens.create("app", "web", "owner", {}, duration=3600)
    with paused(replica):
        began = time.monotonic()
        for _ in range(20):
            assert tokens.get("app", "web", token.token) is not None
        assert tokens.get("app", "web", token.token, refresh=7200) is not None  # its slide, neither
        assert tokens.list("app", "web", "owner")
        assert time.monotonic() - began < PATIENCE


def test_a_revocation_may_ask_for_more(primary: Server, replica: Server) -> None:
    with tokenstore.RedisTokens(primary.url, wait_timeout=PAUSE) as tokens:
        made = [tokens.create("app", "web", "owner", {}) for _ in range(3)]
        one, two, _ = [token.token for token in made]
        assert one is not None
        assert two is not None
        with paused(replica):
            assert tokens.delete("app", "web", one)
            with pytest.raises(tokenstore.NotReplicatedError):
                tokens.delete("app", "web", two, wait_replicas=1)
            with pytest.raises(tokenstore.NotReplicatedError):
                tokens.delete_by_id("app", "web", "owner", made[2].id, wait_replicas=1)
            with pytest.raises(tokenstore.NotReplicatedError) as raised:
                tokens.delete_all("app", "web", "owner", wait_replicas=1)
            assert raised.value.result == 0
        with pytest.raises(tokenstore.NotReplicatedError, match="only 1 of 3 replicas"):
            tokens.delete_all("app", "web", "owner", wait_replicas=3)
    with tokenstore.Sessions(primary.url, wait_timeout=PATIENCE, timeout=60) as sessions:
        session = sessions.create("app", "bob")
        assert sessions.kill("app", session, wait_replicas=1)
        assert not sessions.kill_by_id("app", "bob", "A" * 22, wait_replicas=1)
        sessions.create("app", "bob")
        hasty = tokenstore.Sessions(sessions.client, wait_timeout=PAUSE)
        with paused(replica), pytest.raises(tokenstore.NotReplicatedError):
            hasty.kill_all("app", "bob", wait_replicas=1)


def test_the_node_packages_stores(primary: Server, replica: Server) -> None:
    options: dict[str, Any] = {"wait_replicas": 1, "wait_timeout": PATIENCE}
    hasty: dict[str, Any] = {"wait_replicas": 1, "wait_timeout": PAUSE}
    with tokenstore.Client(primary.url, timeout=60) as client:
        store = tokenstore.Tokenstore(client, **options)
        token = store.add("bob", {"n": 1})
        assert replica("DBSIZE") == primary("DBSIZE")
        sessions = tokenstore.RedisJWT(client, secret="s" * 32, **options)
        rjwt = sessions.verify(sessions.sign("bob"))["rjwt"]
        with paused(replica):
            store = tokenstore.Tokenstore(client, **hasty)
            assert store.get_key(token.key) is not None
            with pytest.raises(tokenstore.NotReplicatedError) as raised:
                store.delete_key(token.key)
            assert raised.value.result is True
            with pytest.raises(tokenstore.NotReplicatedError):
                store.add("bob")
            sessions = tokenstore.RedisJWT(client, secret="s" * 32, **hasty)
            with pytest.raises(tokenstore.NotReplicatedError) as raised:
                sessions.sign("bob")
            assert sessions.verify(str(raised.value.result))["rjwt"] != rjwt
            with pytest.raises(tokenstore.NotReplicatedError):
                sessions.destroy_multiple("bob")
        assert sessions.destroy(rjwt, wait_replicas=1) is False


def test_on_disk(pair: tuple[Server, Server]) -> None:
    with running("--appendonly", "yes", transport="tcp") as server:
        version = tuple(int(part) for part in server.info("server", "redis_version").split(".")[:2])
        with tokenstore.RedisTokens(
            server.url, wait_fsync=True, wait_timeout=PATIENCE, timeout=60
        ) as tokens:
            if version >= (7, 2):
                assert tokens.create("app", "web", "owner", {}).owner == "owner"
                server("CONFIG", "SET", "appendonly", "no")
            with pytest.raises(tokenstore.NotReplicatedError, match="WAITAOF") as raised:
                tokens.create("app", "web", "owner", {})
            assert str(raised.value).startswith(
                "the change was made, but whether it is safe is not known: the server answered: ERR "
            )
            assert isinstance(raised.value.result, tokenstore.Token)
        if version >= (7, 2):
            server("CONFIG", "SET", "appendonly", "yes")
            with server.wire() as wire:  # an fsync a second
                wire("SET", "x", "y")
                assert wire("WAITAOF", 1, 0, 5000) == [1, 0]
            with tokenstore.RedisTokens(
                server.url, wait_fsync=True, wait_replicas=1, wait_timeout=PAUSE
            ) as tokens:
                with pytest.raises(
                    tokenstore.NotReplicatedError, match="0 of 1 replicas have it on disk"
                ):
                    tokens.create("app", "web", "owner", {})


def test_a_server_that_refuses_to_write_without_replicas(
    tokens: tokenstore.RedisTokens, primary: Server
) -> None:
    primary("CONFIG", "SET", "min-replicas-to-write", 2)
    try:
        with pytest.raises(tokenstore.ServerError, match="nothing was written"):
            tokens.create("app", "web", "owner", {})
        assert tokens.count("app", "web", "owner") == 0
    finally:
        primary("CONFIG", "SET", "min-replicas-to-write", 0)


def test_a_timeout_that_is_shorter(primary: Server, replica: Server) -> None:
    """Then it is not known whether the change was made; it was."""
    with tokenstore.RedisTokens(primary.url, wait_replicas=1, timeout=0.5) as tokens:
        with paused(replica), pytest.raises(tokenstore.OutcomeUnknownError):
            tokens.create("app", "web", "owner", {})
        assert tokens.count("app", "web", "owner") == 1


@pytest.mark.parametrize("value", [-1, 1001])
def test_replicas_are_a_number(value: int) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="wait_replicas must be a whole number"):
        tokenstore.RedisTokens(wait_replicas=value)
    with pytest.raises(tokenstore.ConfigurationError, match="wait_timeout must be 0.01 to 3600"):
        tokenstore.RedisTokens(wait_timeout=0)


def test_replicas_of_one_call(tokens: tokenstore.RedisTokens) -> None:
    with pytest.raises(tokenstore.DataError, match="wait_replicas must be a whole number from 0"):
        tokens.delete("app", "web", "x", wait_replicas=-1)
    with pytest.raises(TypeError, match="wait_replicas must be int"):
        tokens.delete("app", "web", "x", wait_replicas="1")  # type: ignore[arg-type]
