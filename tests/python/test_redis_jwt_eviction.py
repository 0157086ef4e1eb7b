"""A server that evicts may take a user's index before the sessions: they are found all the same, and it is said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

import tokenstore
import tokenstore.asyncio
from servers import Server, running
from tokenstore import RedisJWT

SECRET = "a secret of thirty-two bytes, yes"
USERS = 50
EVICTS = "the server evicts keys (maxmemory-policy {})"
UNKNOWN = "INFO does not say whether the server evicts keys"


@pytest.fixture
def server() -> Iterator[Server]:
    with running(transport="tcp") as server:
        yield server


def lives(sessions: RedisJWT, token: str) -> bool:
    try:
        return bool(sessions.verify(token))
    except tokenstore.InvalidTokenError:
        return False


def evict(server: Server, policy: str, limit: str = "1gb") -> None:
    server("CONFIG", "SET", "maxmemory", limit)
    server("CONFIG", "SET", "maxmemory-policy", policy)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    caplog.clear()
    return lines


@pytest.mark.parametrize("node_writers", [False, True])
def test_log_out_everywhere_where_keys_are_evicted(node_writers: bool) -> None:
    options = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "10")
    with running(*options) as server, RedisJWT(
        server.url, secret=SECRET, multiple=True, node_writers=node_writers
    ) as sessions:
        tokens = {f"u{n}": sessions.sign(f"u{n}", ttl=3600) for n in range(USERS)}
        time.sleep(2)  # Redis counts idle time in seconds
        deadline = time.monotonic() + 60
        while any(server("EXISTS", f"rjwt-sessions/{id}") for id in list(tokens)[:10]):
            assert time.monotonic() < deadline
            live = [id for id, token in tokens.items() if lives(sessions, token)]
            with server.wire() as wire:
                for n in range(100):
                    wire("SET", f"other program's {time.monotonic()} {n}", "x" * 2000)
        found = sum(sessions.destroy_multiple(id) for id in live)
        assert found > 0
        assert not any(lives(sessions, token) for token in tokens.values())


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_sessions_behind_a_lost_index(
    server: Server, caplog: pytest.LogCaptureFixture, policy: str
) -> None:
    evict(server, policy)
    with RedisJWT(server.url, secret=SECRET, multiple=True) as sessions:
        tokens = [sessions.sign("bob"), sessions.sign("bob", ttl=60)]
        server("DEL", "rjwt-sessions/bob")
        tokens.append(sessions.sign("bob"))  # begins a new index
        assert warnings(caplog) == []
        assert len(sessions.list("bob")) == 3
        assert sessions.call().get_count_by_pattern("bob") == 3
        assert len(sessions.call().get_values_by_pattern("bob")) == 3
        assert len(warnings(caplog)) == 3
        assert sessions.destroy_multiple("bob") == 3
        (line,) = warnings(caplog)
        assert EVICTS.format(policy) in line
        assert "noeviction" in line
        assert not any(lives(sessions, token) for token in tokens)


def test_asyncio(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> int:
        async with tokenstore.asyncio.RedisJWT(server.url, secret=SECRET, multiple=True) as sessions:
            await sessions.sign("bob")
            server("DEL", "rjwt-sessions/bob")
            return await sessions.destroy_multiple("bob")

    evict(server, "allkeys-lru")
    assert asyncio.run(run()) == 1
    (line,) = warnings(caplog)
    assert EVICTS.format("allkeys-lru") in line


@pytest.mark.parametrize(("policy", "limit"), [("noeviction", "1gb"), ("allkeys-lru", "0")])
def test_where_nothing_is_evicted(
    server: Server, caplog: pytest.LogCaptureFixture, policy: str, limit: str
) -> None:
    evict(server, policy, limit)
    with RedisJWT(server.url, secret=SECRET, multiple=True) as sessions:
        sessions.sign("bob")
        server("CONFIG", "RESETSTAT")
        assert sessions.destroy_multiple("bob") == 1
        stats = server("INFO", "commandstats")
        assert b"cmdstat_info:calls=1," in stats
        assert b"cmdstat_scan:" not in stats
        assert warnings(caplog) == []


def test_info_may_be_forbidden(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-info")
    with RedisJWT(
        f"redis://app:secret@127.0.0.1:{server.port}", secret=SECRET, multiple=True
    ) as sessions:
        sessions.sign("bob")
        assert sessions.destroy_multiple("bob") == 1
        (line,) = warnings(caplog)
        assert UNKNOWN in line


def test_info_may_be_renamed(caplog: pytest.LogCaptureFixture) -> None:
    with running("--rename-command", "INFO", "info-of-ours") as server, RedisJWT(
        server.url, secret=SECRET
    ) as sessions:
        sessions.sign("bob")
        assert sessions.destroy_multiple("bob") == 1
        (line,) = warnings(caplog)
        assert UNKNOWN in line


def test_a_scan_that_is_needed_and_forbidden_is_an_error(server: Server) -> None:
    server("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-scan")
    with RedisJWT(f"redis://app:secret@127.0.0.1:{server.port}", secret=SECRET) as sessions:
        sessions.sign("bob")
        assert sessions.destroy_multiple("bob") == 1
        evict(server, "allkeys-lru")
        token = sessions.sign("bob")
        with pytest.raises(tokenstore.ServerError, match="NOPERM.*scan"):
            sessions.destroy_multiple("bob")
        assert lives(sessions, token)
