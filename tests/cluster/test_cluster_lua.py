"""Lua on a cluster, in the interpreters and in nginx."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from clusters import Cluster, slot_of
from lua_process import ABI, Lua, is_there
from nginx_lua import nginx_lua
from nginx_server import MISSING
from sentinels import Sentinels, running_sentinels

RUNTIMES = [name for name in ("lua5.4", "luajit") if name in ABI and is_there(name)]

BEGIN = """
  ts = require "tokenstore"
  client = assert(ts.Client { url = "%s", timeout = 20 })
  tokens = assert(ts.RedisTokens(client))
  function each(count, method, more)
    local good = 0
    for i = 1, count do
      local args = { app = "app", type = "web" }
      for name, value in pairs(more and more(i) or {}) do args[name] = value end
      local result, message = tokens[method](tokens, args)
      if result == nil and message then return message end
      good = good + (result and 1 or 0)
      made[i] = method == "create" and result.token or made[i]
    end
    return good
  end
  made = {}
"""
CREATE = 'return each(60, "create", function(i) return { owner = "owner-" .. i, data = { n = i } } end)'
GET = 'return each(60, "get", function(i) return { token = made[i] } end)'
UPDATE = 'return each(60, "update", function(i) return { token = made[i], data = { m = 1 } } end)'


@pytest.fixture(scope="module", params=[*RUNTIMES, "nginx"])
def lua(request: pytest.FixtureRequest) -> Iterator[Lua]:
    if request.param != "nginx":
        lua = Lua(request.param)
        yield lua
        lua.end()
        return
    if MISSING:
        pytest.skip(MISSING)
    with nginx_lua() as lua:
        yield lua


def test_tokens_over_all_nodes(lua: Lua, cluster: Cluster) -> None:
    lua(BEGIN % cluster.url)
    assert lua(CREATE) == 60
    assert all(node("DBSIZE") for node in cluster.primaries)
    assert lua(GET) == 60
    assert lua(UPDATE) == 60
    assert lua('return #tokens:get_many { app = "app", type = "web", tokens = made }') == 60
    assert lua('client:execute("SET", "k", "v") return client:execute("GET", "k")') == "v"


def test_slots_move(lua: Lua, cluster: Cluster) -> None:
    lua(BEGIN % cluster.url)
    assert lua(CREATE) == 60
    source, target = cluster.primaries[:2]
    slots = sorted({slot_of(key) for key in source("KEYS", "*")})[:5]

    def check(slot: int) -> None:
        assert lua(GET) == 60, slot
        assert lua(UPDATE) == 60, slot

    cluster.move_slots(slots, source, target, check)
    check(-1)
    cluster.move_slots(slots, target, source, check)
    check(-1)


def test_a_replica_takes_over(lua: Lua, cluster: Cluster) -> None:
    lua(BEGIN % cluster.url)
    assert lua(CREATE) == 60
    for mode in (None, "FORCE"):
        cluster.failover(cluster.replicas_of(cluster.primaries[0])[0], mode)
        assert lua(UPDATE) == 60
        assert lua(GET) == 60
        cluster.wait_agreed()


@pytest.fixture(scope="module")
def watched() -> Iterator[Sentinels]:
    with running_sentinels() as watched:
        yield watched


def test_sentinels_name_the_primary(lua: Lua, watched: Sentinels) -> None:
    lua(BEGIN % watched.url)
    assert lua(CREATE) == 60
    time.sleep(0.3)  # the replica has all
    watched.failover()
    assert lua(GET) == 60
    assert lua(UPDATE) == 60
    watched.settle()


def test_no_node_answers(lua: Lua) -> None:
    lua('client = assert(require "tokenstore".Client { url = "redis+cluster://127.0.0.1:1,127.0.0.1:2" })')
    lua.fails("connection", "efused", "return client:ping()")


def test_every_primary_and_one_by_its_name(lua: Lua, cluster: Cluster) -> None:
    lua(BEGIN % cluster.url)
    assert lua(CREATE) == 60
    nodes = sorted(node.address for node in cluster.primaries)
    sizes = sorted(f"{node.address} {node('DBSIZE')}" for node in cluster.primaries)
    assert lua("""
      local seen = {}
      for node, size in pairs(assert(client:for_each_primary("DBSIZE", { timeout = 5 }))) do
        seen[#seen + 1] = node .. " " .. size
      end
      table.sort(seen)
      return table.concat(seen, ",")""") == ",".join(sizes)
    for node in nodes:
        assert (
            lua(f'return client:execute("CONFIG", "GET", "port", {{ node = "{node}" }})[2]')
            == node.partition(":")[2]
        )
        assert (
            lua(f'return client:pipeline({{ {{ "PING" }} }}, {{ node = "{node}" }})[1]') == "PONG"
        )
    lua.fails(
        "server",
        ": the server answered: ERR unknown command",
        'return client:for_each_primary("NOPE", "x")',
    )
    lua.fails(
        "configuration",
        "node a:1 is no primary here",
        'return client:execute("PING", { node = "a:1" })',
    )
    lua.fails(
        "data",
        "key or node, not both",
        'return client:execute("PING", { node = "a:1", key = "k" })',
    )
