"""Which connections are reused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tokenstore
from nginx_server import Nginx, running
from servers import Server
from servers import running as running_redis

SECRET = "a secret of at least thirty-two bytes"

HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    client = assert(tokenstore.Client("{url}", {{ {options} }}))
    tokens = assert(tokenstore.RedisTokens(client))
    jwts = assert(tokenstore.RedisJWT {{ redis = client, secret = "{secret}" }})
  }}
"""

SERVER = """
  location = /id { content_by_lua_block { ngx.print((client:execute("CLIENT", "ID"))) } }
  location = /set { content_by_lua_block { ngx.print((select(2, client:execute("SET", "a", "b")))) } }
  location = /verify {
    content_by_lua_block { ngx.print((select(3, jwts:verify { token = ngx.var.arg_token }))) }
  }
  location = /large {
    content_by_lua_block {
      local reply, message, code = client:execute("GET", "large")
      ngx.say(tostring(reply), " ", code)
      reply, message, code = client:pipeline({ { "GET", "large" }, { "CLIENT", "ID" } }, { raise_errors = false })
      ngx.say(reply[1].code, " ", reply[2])
    }
  }
  location = /list {
    content_by_lua_block {
      local found, message, code = tokens:list { app = "a", type = "t", owner = "many" }
      ngx.say(tostring(found), " ", code)
    }
  }
  location = /create {
    content_by_lua_block {
      local made, message, code = tokens:create { app = "a", type = "t", owner = "o" }
      ngx.print(made and "made" or code)
    }
  }
"""


@contextmanager
def pooling(url: str, options: str = "") -> Iterator[Nginx]:
    http = HTTP.format(url=url, options=options, secret=SECRET)
    explained = ("tokenstore: dropping the connections to this server: .* READONLY",)
    with running(SERVER, http=http, explained=explained) as nginx:
        yield nginx


@pytest.fixture
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


def test_no_connection_is_older_than_max_connection_age(redis: Server) -> None:
    with pooling(redis.url, "max_connection_age = 1") as nginx:
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        end = time.monotonic() + 3
        while time.monotonic() < end:
            before = time.monotonic()
            number = nginx.get("/id").text
            first.setdefault(number, time.monotonic())
            last[number] = before
        assert 3 <= len(first) <= 6
        assert max(last[number] - first[number] for number in first) < 1


def test_each_worker_draws_its_own_age(redis: Server) -> None:
    """Otherwise all would reconnect at the same time."""
    http = HTTP.format(url=redis.url, options="max_connection_age = 1000", secret=SECRET)
    draw = """
      location = /age {
        content_by_lua_block {
          client:execute "PING"
          local pool = client._handle.pool
          ngx.print(ngx.worker.pid(), " ", pool.left_at - require("tokenstore.core").clock())
        }
      }
    """
    with running(draw, http=http, workers=2) as nginx:
        ages: dict[str, float] = {}
        while len(ages) < 2:
            pid, age = nginx.get("/age").text.split()
            ages.setdefault(pid, float(age))
    assert all(795 < age <= 1000 for age in ages.values())
    assert abs(max(ages.values()) - min(ages.values())) > 0.001


def test_a_refused_token_costs_no_connection(redis: Server) -> None:
    with pooling(redis.url) as nginx, tokenstore.RedisJWT(redis.url, secret=SECRET) as jwts:
        ended = jwts.sign("bob", ttl=100)
        jwts.sign("bob", ttl=100)
        before = nginx.get("/id").text
        for token in (ended, "x", ended + "x") * 5:
            assert nginx.get(f"/verify?token={token}").text == "invalid_token"
        assert nginx.get("/id").text == before


def test_raw_commands_leave_a_demoted_primary(redis: Server) -> None:
    """The caller gets the reply."""
    with pooling(redis.url) as nginx:
        before = nginx.get("/id").text
        redis("REPLICAOF", "127.0.0.1", "1")
        assert nginx.get("/set").text.startswith("READONLY ")
        assert nginx.get("/id").text != before


def test_a_demoted_primary_is_left(redis: Server) -> None:
    """By connections in use and idle ones."""
    with pooling(redis.url, "timeout = 1") as nginx:
        before = nginx.get("/id").text
        redis("REPLICAOF", "127.0.0.1", "1")
        assert nginx.get("/create").text == "timeout"
        redis("REPLICAOF", "NO", "ONE")
        assert nginx.get("/create").text == "made"
        assert int(nginx.get("/id").text) > int(before)
        ours = [
            line for line in redis("CLIENT", "LIST").splitlines() if b"cmd=client|list" not in line
        ]
        assert (
            len(ours) <= 2
        )  # the current one, and the idle one of the abandoned pool


def test_a_replica_costs_no_connection_for_each_request(redis: Server) -> None:
    """While the server is one, its connections are dropped at most once a second."""
    with pooling(redis.url) as nginx:
        first = nginx.get("/id").text
        redis("REPLICAOF", "127.0.0.1", "1")
        began, ids = time.monotonic(), set()
        for _ in range(30):
            assert nginx.get("/set").text.startswith("READONLY ")
            ids.add(nginx.get("/id").text)
        assert first not in ids
        assert len(ids) <= 1 + (time.monotonic() - began)


def test_an_answer_that_is_too_large_costs_no_connection(redis: Server) -> None:
    redis("SET", "large", "x" * 3_000_000)
    with tokenstore.RedisTokens(redis.url) as tokens:
        data = {"x": "y" * 60_000}
        tokens.create_many(
            [{"app": "a", "type": "t", "owner": "many", "data": data} for _ in range(30)]
        )
    with pooling(redis.url, "max_reply_size = 1000000") as nginx:
        before = nginx.get("/id").text
        redis("CONFIG", "RESETSTAT")
        assert nginx.get("/large").text.splitlines() == ["nil limit", f"limit {before}"]
        assert b"cmdstat_get:calls=2," in redis("INFO", "commandstats")
        assert nginx.get("/list").text == "nil limit\n"
        assert nginx.get("/id").text == before
