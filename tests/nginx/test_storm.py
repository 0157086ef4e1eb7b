"""Many concurrent requests, while clients disconnect, Redis hangs, and nginx is reloaded: each response
belongs to its request, and unrelated requests are not affected."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tokenstore
from conftest import SOAK
from load import Load
from nginx_server import Nginx, running
from servers import Server, paused
from servers import running as running_redis

HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    sessions = assert(tokenstore.Sessions("{url}", {{ pool_size = 8 }}))
    guard = require "tokenstore.guard"
    options = {{ store = sessions, app = "web" }}
    -- Three values that must all name the same user.
    function who()
      local name = ngx.var.arg_name
      local echo = sessions.client:execute("ECHO", name)
      local many = sessions.client:pipeline {{ {{ "ECHO", "x" }}, {{ "ECHO", name }} }}
      local session = ngx.ctx.session
      if echo == name and many and many[2] == name and session.data.name == name then
        ngx.print(session.owner_id)
      else
        ngx.print("wrong: ", echo, many and many[2], session.data.name)
      end
    end
  }}
"""

SERVER = """
  location = /plain { content_by_lua_block { ngx.print(ngx.var.arg_name) } }
  location = /noticed {
    lua_check_client_abort on;
    access_by_lua_block { ngx.ctx.session = guard.session(options) }
    content_by_lua_block { who() }
  }
  location = /unnoticed {
    lua_check_client_abort off;
    access_by_lua_block { ngx.ctx.session = guard.session(options) }
    content_by_lua_block { who() }
  }
"""

USERS = 50


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def users(own_redis: Server) -> list[tuple[str, str]]:
    with tokenstore.Sessions(own_redis.url) as sessions:
        names = [f"user-{i}" for i in range(USERS)]
        return [(n, sessions.create("web", n, {"name": n}, duration=10_000)) for n in names]


@pytest.fixture(scope="module")
def nginx(own_redis: Server) -> Iterator[Nginx]:
    with running(SERVER, http=HTTP.format(url=own_redis.url), workers=2) as made:
        yield made


@contextmanager
def going_on(load: Load) -> Iterator[None]:
    """Runs the load meanwhile; at the end there must be no errors."""
    over = threading.Event()
    threads = load.run_until(over)
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert load.wrong == []


@pytest.mark.parametrize("path", ["/noticed", "/unnoticed"])
def test_clients_that_go_away(
    nginx: Nginx, own_redis: Server, users: list[tuple[str, str]], path: str
) -> None:
    load = Load(nginx, path, users, aborted=0.3)
    load.run(100_000 if SOAK else 10_000)
    assert load.wrong == []
    assert load.counts["200"] > 6_000
    assert load.counts["aborted"] > 2_000
    # No connection leaked.
    ours = [line for line in own_redis("CLIENT", "LIST").splitlines() if b"cmd=client" not in line]
    assert len(ours) <= 2 * 8
    load = Load(nginx, path, users)
    load.run(200)
    assert load.wrong == []
    assert load.counts["200"] == 200


def test_a_redis_that_hangs(nginx: Nginx, own_redis: Server, users: list[tuple[str, str]]) -> None:
    """Requests that need it wait; others are not affected."""
    for tries_left in (4, 3, 2, 1, 0):
        waiting = Load(nginx, "/noticed", users)
        others = Load(nginx, "/plain", users)
        with going_on(waiting), paused(own_redis), going_on(others):
            threading.Event().wait(1)
        assert len(others.took) > 100
        p99 = sorted(others.took)[int(len(others.took) * 0.99)]
        if p99 <= 0.02:
            return
        assert tries_left > 0, f"p99 is {p99 * 1000:.1f} ms"


def test_reloads_lose_nothing(nginx: Nginx, users: list[tuple[str, str]]) -> None:
    load = Load(nginx, "/noticed", users)
    with going_on(load):
        for _ in range(20 if SOAK else 4):
            nginx.reload()
    assert load.counts["200"] > 100
    assert set(load.counts) == {"200"}
