"""The near cache in nginx: a worker answers from memory, and a change reaches it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusters import running_cluster
from lua_process import BEGIN
from nginx_lua import NginxLua, nginx_lua
from sentinels import running_sentinels
from servers import Server
from servers import running as running_redis
from tokenstore import RedisTokens

A, T = "app", "web"
STALENESS = 1.0
MAKE = """
    client = assert(tokenstore.Client {{
      redis = "{url}", near_cache = 100, near_cache_staleness = {staleness}, near_cache_tracking = "{tracking}",
    }})
    near = assert(tokenstore.RedisTokens(client))
    function get(token) return assert(near:get {{ app = "app", type = "web", token = token }} or false) end
    function number(token)
      local found, message = near:get {{ app = "app", type = "web", token = token }}
      if message then error(message) end
      return found and found.data.n
    end
"""


@pytest.fixture(params=["broadcast", "keys"])
def tracking(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def make(url: str, tracking: str) -> str:
    return MAKE.format(url=url, staleness=STALENESS, tracking=tracking)


def wait_until(true: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


@pytest.fixture
def lua(redis: Server, tracking: str) -> Iterator[NginxLua]:
    with nginx_lua() as lua:
        lua(make(redis.url, tracking))
        yield lua


def stats(lua: NginxLua, name: str) -> Any:
    return lua(f"return client:near_cache_stats().{name}")


def number(lua: NginxLua, token: str) -> Any:
    return lua(f"return number '{token}'")


def kept(lua: NginxLua, tokens: RedisTokens, owner: str = "ann") -> str:
    """A token that is in the worker's memory."""
    token = str(tokens.create(A, T, owner, {"n": 1}).token)

    def is_near() -> bool:
        before = stats(lua, "hits")
        assert number(lua, token) == 1
        return bool(stats(lua, "hits") > before)

    wait_until(is_near)
    return token


def test_a_change_is_told(redis: Server, lua: NginxLua) -> None:
    with RedisTokens(redis.url) as tokens:
        for _ in range(20):
            token = kept(lua, tokens)
            tokens.update(A, T, token, {"n": 2})
            wait_until(lambda: number(lua, token) != 1, STALENESS + 1)  # noqa: B023
            assert number(lua, token) == 2
            tokens.delete_all(A, T, "ann")
            wait_until(lambda: number(lua, token) is None, STALENESS + 1)  # noqa: B023


def test_a_change_of_this_worker_counts_at_once(redis: Server, lua: NginxLua) -> None:
    with RedisTokens(redis.url) as tokens:
        token = kept(lua, tokens)
        assert lua(f"""
          assert(near:update {{ app = "app", type = "web", token = "{token}", data = {{ n = 2 }} }})
          return number "{token}"
        """) == 2
        assert lua(f"""
          assert(near:delete {{ app = "app", type = "web", token = "{token}" }})
          return number "{token}" == nil
        """) is True


def test_a_silent_server(tracking: str) -> None:
    with running_redis(transport="tcp") as server, nginx_lua() as lua, RedisTokens(server.url) as tokens:
        lua.nginx.explained.append("lua tcp socket (read|connect) timed out")
        lua(make(server.url + "?timeout=0.3", tracking))
        token = kept(lua, tokens)
        server.stop()
        stopped = last = began = time.monotonic()
        try:
            while lua.all(f"return near:get {{ app = 'app', type = 'web', token = '{token}' }}")[0]:
                last, began = began, time.monotonic()
        finally:
            server.cont()
        assert 0 < last - stopped < STALENESS
        wait_until(lambda: stats(lua, "alive"))
        assert number(lua, token) == 1


def test_a_lost_link(redis: Server, lua: NginxLua) -> None:
    with RedisTokens(redis.url) as tokens:
        token = kept(lua, tokens)
        redis("CLIENT", "KILL", "ID", links(redis)[0])
        tokens.update(A, T, token, {"n": 2})
        wait_until(lambda: number(lua, token) == 2, STALENESS + 1)
        wait_until(lambda: stats(lua, "alive"))
        assert stats(lua, "flushes") > 0


def links(redis: Server) -> list[str]:
    """The connections that are told of changes, by their ids."""
    lines = redis("CLIENT", "LIST").decode().splitlines()
    found = [dict(part.partition("=")[::2] for part in line.split()) for line in lines]
    return [one["id"] for one in found if "t" in one["flags"]]


def listeners(redis: Server) -> int:
    return len(links(redis))


def test_its_connection_ends(redis: Server, tracking: str) -> None:
    """With the client, with its garbage, with the worker."""
    wait_until(lambda: listeners(redis) == 0)
    with nginx_lua() as lua, RedisTokens(redis.url) as tokens:
        lua(make(redis.url, tracking))
        kept(lua, tokens)
        assert listeners(redis) == 1
        lua("client:close()")
        wait_until(lambda: listeners(redis) == 0)
        lua(make(redis.url, tracking))
        kept(lua, tokens)
        lua("client, near, get, number = nil, nil, nil, nil collectgarbage() collectgarbage()")
        wait_until(lambda: listeners(redis) == 0)
        lua(make(redis.url, tracking))
        kept(lua, tokens)
        lua.nginx.reload()
        wait_until(lambda: listeners(redis) == 0)
        lua(BEGIN)
        lua(make(redis.url, tracking))
        kept(lua, tokens)


@pytest.mark.parametrize(
    ("tracking", "rights", "advice"),
    [
        ("broadcast", "-client", r"\+client\|tracking"),
        ("broadcast", "resetchannels", "channel"),
        ("keys", "-client", r"\+client\|tracking"),
        ("keys", "-pttl", r"needs the right \+pttl"),
    ],
)
def test_a_user_without_the_rights(tracking: str, rights: str, advice: str) -> None:
    with running_redis(transport="tcp") as server, nginx_lua() as lua, RedisTokens(server.url) as tokens:
        server("ACL", "SETUSER", "plain", "on", ">secret", "~ts:*", "+@all", "allchannels", rights)
        lua.nginx.explained.append("near_cache")
        lua(make(server.url.replace("://", "://plain:secret@"), tracking))
        token = tokens.create(A, T, "ann", {"n": 1}).token

        def is_told() -> bool:
            assert number(lua, str(token)) == 1
            return bool(lua.nginx.lines(f"near_cache.*{advice}"))

        wait_until(is_told)
        assert stats(lua, "hits") == 0


def test_a_cluster(tracking: str) -> None:
    with running_cluster(replicas=1) as cluster, nginx_lua() as lua, RedisTokens(cluster.url) as tokens:
        lua(make(cluster.url, tracking))
        made = [kept(lua, tokens, f"owner {i}") for i in range(20)]
        for token in made[::2]:
            tokens.delete(A, T, token)
        wait_until(lambda: all(number(lua, token) is None for token in made[::2]), STALENESS + 5)
        cluster.failover(cluster.replicas_of(cluster.primaries[0])[0])
        for token in made[1::2]:
            tokens.update(A, T, token, {"n": 3})
        wait_until(lambda: all(number(lua, token) == 3 for token in made[1::2]), STALENESS + 5)
        for i in range(20):
            kept(lua, tokens, f"other {i}")


def test_sentinels_are_asked_on_the_same_connections() -> None:
    with running_sentinels() as watched, nginx_lua() as lua, RedisTokens(watched.url) as tokens:
        lua(make(watched.url, "broadcast"))
        kept(lua, tokens)

        def received() -> list[int]:
            return [int(sentinel.info("stats", "total_connections_received")) for sentinel in watched.sentinels]

        before = received()
        time.sleep(3 * STALENESS)  # a dozen questions
        assert all(now - then <= 3 for now, then in zip(received(), before))
        kept(lua, tokens, "bob")
