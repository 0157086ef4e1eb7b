"""A server that evicts may remove a user's index before the sessions: they are still found, with a
warning."""

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
UNKNOWN = "INFO does not show whether the server evicts keys"


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
        tokens.append(sessions.sign("bob"))  # starts a new index: with any number of sessions none is needed
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


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
@pytest.mark.parametrize(("most", "left"), [(None, 1), (2, 2)])
def test_sign_ends_sessions_behind_a_lost_index(
    server: Server, caplog: pytest.LogCaptureFixture, policy: str, most: int | None, left: int
) -> None:
    evict(server, policy)
    with RedisJWT(server.url, secret=SECRET, max_sessions=most) as sessions:
        tokens = []
        for _ in range(4):
            server("DEL", "rjwt-sessions/bob")
            tokens.append(sessions.sign("bob", ttl=60))
        assert sum(lives(sessions, token) for token in tokens) == left
        assert lives(sessions, tokens[-1])
        assert sessions.call().create("bob:ABCDEFGHIJK", '{"rjwt":"bob:ABCDEFGHIJK"}')
        assert len(sessions.list("bob")) == left
        lines = warnings(caplog)
        assert len(lines) == 2  # of the first sign, and of list
        assert all(EVICTS.format(policy) in line for line in lines)


def test_sign_asks_once_in_a_minute(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with RedisJWT(server.url, secret=SECRET) as sessions:
        server("CONFIG", "RESETSTAT")
        for n in range(20):
            sessions.sign(f"u{n}")
        stats = server("INFO", "commandstats")
        assert b"cmdstat_info:calls=1," in stats
        assert b"cmdstat_scan:" not in stats
        assert warnings(caplog) == []


def test_a_large_database_is_not_looked_through_at_each_login(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    evict(server, "allkeys-lru")
    server("EVAL", "for i = 1, 100001 do redis.call('SET', 'k' .. i, '') end", "0")
    with RedisJWT(server.url, secret=SECRET) as sessions:
        server("CONFIG", "RESETSTAT")
        for n in range(3):
            sessions.sign(f"u{n}")
        assert b"cmdstat_scan:" not in server("INFO", "commandstats")
        (line,) = warnings(caplog)
        assert EVICTS.format("allkeys-lru") in line
        assert "sign may miss sessions" in line


def test_sign_with_any_number_asks_nothing(server: Server) -> None:
    with RedisJWT(server.url, secret=SECRET, multiple=True) as sessions:
        sessions.sign("bob")
        assert b"cmdstat_info" not in server("INFO", "commandstats")


def test_sign_where_info_is_forbidden(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-info")
    with RedisJWT(f"redis://app:secret@127.0.0.1:{server.port}", secret=SECRET) as sessions:
        first, second = sessions.sign("bob"), sessions.sign("bob")
        assert not lives(sessions, first)
        assert lives(sessions, second)
        (line,) = warnings(caplog)
        assert UNKNOWN in line


def test_a_sign_that_may_not_scan_changes_nothing(server: Server) -> None:
    server("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-scan")
    evict(server, "allkeys-lru")
    with RedisJWT(server.url, secret=SECRET) as sessions:
        token = sessions.sign("bob")
    with RedisJWT(f"redis://app:secret@127.0.0.1:{server.port}", secret=SECRET) as sessions:
        with pytest.raises(tokenstore.ServerError, match="NOPERM.*scan"):
            sessions.sign("bob")
        assert lives(sessions, token)
        assert len(server("KEYS", "bob:*")) == 1


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


def test_asyncio_sign(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with tokenstore.asyncio.RedisJWT(server.url, secret=SECRET) as sessions:
            token = await sessions.sign("bob")
            server("DEL", "rjwt-sessions/bob")
            await sessions.sign("bob")
            with pytest.raises(tokenstore.InvalidTokenError):
                await sessions.verify(token)

    evict(server, "allkeys-lru")
    asyncio.run(run())
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
        server.url, secret=SECRET, multiple=True
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
