"""The near cache: what is served from memory, and that a change reaches it, or the server is asked."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from near_help import (
    SERVER_MS,
    STALENESS,
    A,
    T,
    alive,
    asked,
    found_last,
    is_near,
    kept,
    links,
    result_of,
    stats,
    wait_for,
    wait_until,
    wait_until_near,
)
from servers import Server, running
from tokenstore import (
    Client,
    ConfigurationError,
    InvalidTokenError,
    RedisJWT,
    RedisTokens,
    Sessions,
)


@pytest.fixture(params=["broadcast", "keys"])
def tracking(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def near(server: Server, tracking: Any) -> Iterator[Client]:
    with Client(server.url, near_cache=1000, near_cache_staleness=STALENESS, near_cache_tracking=tracking) as client:
        yield client


def test_a_hit_does_not_ask(server: Server, near: Client) -> None:
    tokens = alive(near)
    token = kept(tokens, server, duration=600)
    first, again = tokens.get(A, T, token, fresh=True), tokens.get(A, T, token)
    assert first == again
    assert again is not None
    assert (again.owner, again.data, again.token, again.expires_at) == ("ann", {"n": 1}, token, None)
    known, told = tokens.get(A, T, token, expiry=True), tokens.get(A, T, token, expiry=True, fresh=True)
    assert known is not None
    assert told is not None
    assert known.expires_at is not None
    assert known.expires_at == told.expires_at
    assert stats(near)["hits"] >= 3
    assert stats(near)["entries"] == 1


def test_it_is_off_by_default(server: Server) -> None:
    with Client(server.url) as client:
        assert client.near_cache_stats() is None
        tokens = RedisTokens(client)
        token = tokens.create(A, T, "ann").token
        before = asked(server)
        assert tokens.get(A, T, token)
        assert tokens.get(A, T, token, fresh=True)
        assert asked(server) == before + 2


def test_fresh_asks_and_refills(server: Server, near: Client) -> None:
    tokens = alive(near)
    token = kept(tokens, server)
    before = asked(server)
    assert tokens.get(A, T, token, fresh=True)
    assert tokens.get_many(A, T, [token], fresh=True)[0]
    assert asked(server) == before + 2
    assert tokens.get(A, T, token)
    assert asked(server) == before + 2


CHANGES: dict[str, Callable[[RedisTokens, str], object]] = {
    "delete": lambda tokens, token: tokens.delete(A, T, token),
    "delete_all": lambda tokens, token: tokens.delete_all(A, T, "ann"),
    "take": lambda tokens, token: tokens.take(A, T, token),
    "rotate": lambda tokens, token: tokens.rotate(A, T, token),
    "update": lambda tokens, token: tokens.update(A, T, token, {"n": 2}),
    "update_all": lambda tokens, token: tokens.update_all(A, T, "ann", {"n": 2}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_this_process_counts_at_once(server: Server, near: Client, change: str) -> None:
    tokens = alive(near)
    for _ in range(20):
        token = kept(tokens, server)
        CHANGES[change](tokens, token)
        assert result_of(tokens, token) == (2 if change.startswith("update") else None)
        tokens.delete_all(A, T, "ann")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_another_process_is_told(server: Server, near: Client, tokens: RedisTokens, change: str) -> None:
    mine = alive(near)
    for _ in range(20):
        token = kept(mine, server)
        CHANGES[change](tokens, token)
        wait_for(mine, token, 2 if change.startswith("update") else None)
        tokens.delete_all(A, T, "ann")


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "DEL", "HDEL", "RENAME", "EXPIRE"])
def test_a_raw_change_is_told(server: Server, near: Client, command: str) -> None:
    tokens = alive(near)
    token = kept(tokens, server)
    key = next(key for key in server.keys() if server("TYPE", key) == "hash" and key != b"ts:kinds")
    more: dict[str, list[Any]] = {
        "FLUSHALL": [],
        "FLUSHDB": [],
        "DEL": [key],
        "HDEL": [key, *server("HKEYS", key)],
        "RENAME": [key, b"elsewhere"],
        "EXPIRE": [key, 0],
    }
    server(command, *more[command])
    wait_until(lambda: result_of(tokens, token) is None, STALENESS + 1)


def test_it_ends_in_time(server: Server, near: Client) -> None:
    """Without a message: a field that ends on Redis 8 is not told of."""
    tokens = alive(near)
    began = time.monotonic()
    token = kept(tokens, server, duration=2)
    end = time.monotonic() + 2 + SERVER_MS
    assert found_last(lambda: tokens.get(A, T, token)) < end
    assert time.monotonic() > began + 1.99


def test_a_lost_link_is_noticed_before_its_proof_is_old(server: Server, tracking: Any) -> None:
    with Client(server.url, near_cache=1000, near_cache_staleness=60, near_cache_tracking=tracking) as client:
        tokens = alive(client)
        kept(tokens, server)
        for link in links(server):
            server("CLIENT", "KILL", "ID", link)
        wait_until(lambda: stats(client)["flushes"])
        kept(tokens, server)


def test_max_age_and_refresh(server: Server, near: Client) -> None:
    alive(near)
    tokens = RedisTokens(near, max_age=2, touch_interval=0.2)
    token = tokens.create(A, T, "ann", {"n": 1}, 1).token
    end = time.monotonic() + 2 + SERVER_MS
    assert found_last(lambda: tokens.get(A, T, token, refresh=1)) < end


def test_get_many_asks_for_the_others_alone(server: Server, near: Client) -> None:
    tokens = alive(near)
    made = [tokens.create(A, T, f"owner {i}", {"n": i}).token for i in range(50)]
    wait_until(lambda: is_near(server, lambda: tokens.get_many(A, T, made[:30])))
    before = asked(server)
    found = tokens.get_many(A, T, made)
    assert [token.data["n"] if token else None for token in found] == list(range(50))
    assert before + 20 <= asked(server) < before + 50


def test_several_peppers(server: Server, near: Client) -> None:
    alive(near)
    old = RedisTokens(near, pepper=b"o" * 16)
    token = old.create(A, T, "ann", {"n": 1}).token
    tokens = RedisTokens(near, pepper=[b"n" * 16, b"o" * 16])
    assert tokens.get(A, T, token, fresh=True)
    wait_until(lambda: is_near(server, lambda: tokens.get(A, T, token)))
    wait_until(lambda: is_near(server, lambda: tokens.get_many(A, T, ["none", token])[1]))
    assert result_of(tokens, str(token)) == 1
    assert RedisTokens(near).get(A, T, token) is None
    old.delete(A, T, token)
    assert tokens.get(A, T, token) is None


def test_a_rotated_token(server: Server, near: Client) -> None:
    tokens = alive(near)
    token = kept(tokens, server)
    new = tokens.rotate(A, T, token, grace=60)
    assert new is not None
    for _ in range(3):
        found = tokens.get(A, T, token)
        assert found is not None
        assert found.superseded
        assert found.id == new.id
    tokens.delete(A, T, new.token)
    assert tokens.get(A, T, token) is None


def test_custom_and_anonymous_tokens(server: Server, near: Client) -> None:
    tokens = alive(near)
    mine = tokens.create(A, T, "ann", {"n": 1}, custom_token="my own").token
    guest = tokens.create(A, T, data={"n": 2}).token
    for token in (mine, guest):
        wait_until_near(server, tokens, token)
        tokens.delete(A, T, token)
        assert tokens.get(A, T, token) is None


def test_prefixes_that_come_later(server: Server, near: Client) -> None:
    alive(near)
    for prefix in ("a", "a:b", "b", "", *"cdefghijk"):
        store = RedisTokens(near, prefix=prefix or "x")
        token = store.create(A, T, "ann", {"n": 1}).token
        store.get(A, T, token)
        wait_until(lambda: stats(near)["alive"])
        wait_until_near(server, store, token)
        with RedisTokens(server.url, prefix=prefix or "x") as other:
            other.delete(A, T, token)
        wait_for(store, str(token), None)


def test_sessions(server: Server, near: Client) -> None:
    alive(near)
    sessions = Sessions(near)
    token = sessions.create(A, "ann", {"n": 1})
    wait_until(lambda: is_near(server, lambda: sessions.get(A, token)))
    assert is_near(server, lambda: sessions.get_many(A, [token])[0])
    sessions.kill_all(A, "ann")
    assert sessions.get(A, token) is None


def get_calls(server: Server) -> int:
    lines = server("INFO", "commandstats").decode().splitlines()
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines if line.startswith("cmdstat_get:"))


def is_verified(server: Server, jwt: RedisJWT, token: str) -> bool:
    """By memory alone."""
    before = get_calls(server)
    assert jwt.verify(token)["id"] == "bob"
    return get_calls(server) == before


@pytest.mark.parametrize("end", ["destroy", "DEL", "EXPIRE"])
def test_verify_of_redis_jwt(server: Server, near: Client, end: str) -> None:
    """Its keys have no prefix."""
    alive(near)
    jwt = RedisJWT(near, secret="s" * 32)
    with RedisJWT(server.url, secret="s" * 32) as other:
        token = other.sign("bob", data_session={"n": 1}, ttl=600)
        wait_until(lambda: is_verified(server, jwt, token))
        known, told = jwt.verify(token, value_session=True), other.verify(token, value_session=True)
        assert known["dataSession"] == {"n": 1}
        assert abs(known.pop("ttl") - told.pop("ttl")) <= 1
        assert known == told
        if end == "destroy":
            assert other.destroy(known["rjwt"])
        else:
            server(end, known["rjwt"], *([0] if end == "EXPIRE" else []))

        def has_ended() -> bool:
            with contextlib.suppress(InvalidTokenError):
                return not jwt.verify(token)
            return True

        wait_until(has_ended, STALENESS + 1)


def test_a_session_of_redis_jwt_ends_in_time(server: Server, near: Client) -> None:
    alive(near)
    jwt = RedisJWT(near, secret="s" * 32)
    token = jwt.sign("bob", ttl=2)
    wait_until(lambda: is_verified(server, jwt, token))
    end = time.monotonic() + 2

    def verify() -> Any:
        with contextlib.suppress(InvalidTokenError):
            return jwt.verify(token)
        return None

    assert found_last(verify) < end


def test_a_silent_server(tracking: Any) -> None:
    """What it changes is not told: nothing older than the limit is served."""
    options: Any = {"near_cache": 10, "near_cache_staleness": STALENESS, "near_cache_tracking": tracking}
    with running(transport="tcp") as server:
        with Client(server.url, timeout=0.3, **options) as client:
            tokens = alive(client)
            token = kept(tokens, server)
            server.stop()
            stopped = time.monotonic()
            try:
                last = found_last(lambda: tokens.get(A, T, token))
                assert 0 < last - stopped < STALENESS
                assert not stats(client)["alive"]
            finally:
                server.cont()
            wait_until(lambda: stats(client)["alive"])
            assert result_of(tokens, token) == 1


def test_a_lost_link(server: Server, near: Client, tokens: RedisTokens) -> None:
    """Between the loss and the next connection changes are not told."""
    mine = alive(near)
    for _ in range(3):
        token = kept(mine, server)
        server("CLIENT", "KILL", "ID", links(server)[0])
        tokens.update(A, T, token, {"n": 2})
        wait_for(mine, token, 2)
        wait_until(lambda: stats(near)["alive"])
        mine.delete(A, T, token)


def sockets() -> set[str]:
    names = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return {os.readlink(name) for name in names if os.path.lexists(name)}


def test_a_forked_child(server: Server, tracking: Any, tokens: RedisTokens) -> None:
    """It has nothing of its parent's, and a thread of its own."""
    before = sockets()
    near = Client(server.url, near_cache=1000, near_cache_staleness=STALENESS, near_cache_tracking=tracking)
    mine = alive(near)
    token = kept(mine, server)
    of_parent = {name for name in sockets() - before if name.startswith("socket:")}
    assert len(of_parent) == (4 if tracking == "keys" else 2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            assert stats(near)["entries"] == 0
            assert result_of(mine, token) == 1
            assert not of_parent & sockets()
            wait_until(lambda: result_of(mine, token) == 1 and stats(near)["hits"] > 0)
            tokens.update(A, T, token, {"n": 2})
            wait_until(lambda: result_of(mine, token) == 2)
            near.close()
            os.write(writer, b"good")
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1000) == b"good"
    os.close(reader)
    os.waitpid(child, 0)
    wait_until(lambda: result_of(mine, token) == 2, STALENESS + 1)
    near.close()
    assert not of_parent & sockets()


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def test_close_ends_its_thread(server: Server, tracking: Any) -> None:
    before = threads()
    for _ in range(5):
        with Client(server.url, near_cache=10, near_cache_tracking=tracking) as client:
            alive(client)
            assert threads() == before + 1
        assert threads() == before


@pytest.mark.parametrize(("tracking", "row"), [("broadcast", r"a \[near cache\]"), ("keys", r"… with `near_cache_tracking=\"keys\"`")])
def test_the_rights_of_the_docs(tracking: Any, row: str) -> None:
    """Those of docs/reference/acl.md, and no other."""
    page = (Path(__file__).parents[2] / "docs/reference/acl.md").read_text()
    plain = re.search(r"^ACL SETUSER tokens on >PASSWORD (.*)$", page, re.MULTILINE)
    more = re.search(rf"^\| {row}.*\| `(.*)` \|$", page, re.MULTILINE)
    assert plain is not None
    assert more is not None
    with running() as server:
        words = f"{plain[1]} {more[1]}".replace("\\|", "|").split()
        server("ACL", "SETUSER", "tokens", "on", ">secret", *words)
        url = server.url.replace("://", "://tokens:secret@")
        with Client(url, near_cache=10, near_cache_tracking=tracking) as client:
            kept(alive(client), server)
            assert server("ACL", "LOG") == []


@pytest.mark.parametrize(
    ("tracking", "rights", "advice"),
    [
        ("broadcast", "-client", "+client|tracking"),
        ("broadcast", "resetchannels", "+subscribe"),
        ("keys", "-client", "+client|tracking"),
        ("keys", "-pttl", "near_cache_tracking=keys needs the right +pttl"),
    ],
)
def test_a_user_without_the_rights(
    tracking: Any, rights: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It works, without the cache, and says so."""
    with running() as server:
        server("ACL", "SETUSER", "plain", "on", ">secret", "~ts:*", "+@all", "allchannels", rights)
        url = server.url.replace("://", "://plain:secret@")
        client = Client(url, near_cache=10, near_cache_tracking=tracking)
        with caplog.at_level(logging.WARNING, "tokenstore"), client:
            tokens = RedisTokens(client)
            with RedisTokens(server.url) as other:
                token = other.create(A, T, "ann").token

            def is_told() -> bool:
                assert tokens.get(A, T, token)
                return advice in caplog.text

            wait_until(is_told)
            assert "near_cache" in caplog.text
            assert stats(client)["hits"] == 0
            refused = len(server("ACL", "LOG"))
            for _ in range(20):
                assert tokens.get(A, T, token)
            assert len(server("ACL", "LOG")) == refused


@pytest.mark.parametrize(
    ("option", "value"),
    [("near_cache", -1), ("near_cache", 10**9), ("near_cache_staleness", 0.05), ("near_cache_tracking", "all")],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):
        tokenstore.Client("redis://localhost", **{option: value})  # type: ignore[arg-type]


def test_more_than_there_is_room_for(server: Server, tracking: Any) -> None:
    with Client(server.url, near_cache=10, near_cache_tracking=tracking) as client:
        tokens = alive(client)
        made = [tokens.create(A, T, f"owner {i}", {"n": i}).token for i in range(100)]

        def displaces_many() -> bool:
            assert [token.data["n"] for token in tokens.get_many(A, T, made) if token] == list(range(100))
            assert stats(client)["entries"] <= 10
            return bool(stats(client)["evictions"] > 150)

        wait_until(displaces_many)
        assert stats(client)["entries"] == 10
