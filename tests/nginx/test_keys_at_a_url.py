"""jwt.KeySet.from_url in nginx: the tests of Lua, unchanged, and those for nginx only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from authorization import Answer, Asked, endpoint
from nginx_lua import MAIN, NginxLua, nginx_lua
from nginx_server import Nginx, running
from published import KEYS, Keys, token
from test_remote_keys_lua import *  # noqa: F403
from test_remote_keys_lua import begin as begin

HTTP = """
  lua_shared_dict tokenstore 1m;
  init_by_lua_block {{
    local jwt = require "tokenstore.jwt"
    set = jwt.KeySet.from_url {{ url = "{url}" }}
    function decode()
      local claims, message, code = jwt.decode {{ token = ngx.var.arg_token, key = set, algorithms = {{ "EdDSA" }} }}
      return claims and claims.sub or tostring(code) .. ": " .. tostring(message)
    end
  }}
"""
SERVER = """
  location = /decode { content_by_lua_block { ngx.say(decode()) } }
  location = /header {
    header_filter_by_lua_block { ngx.header["X-Said"] = decode() }
    content_by_lua_block { ngx.say "body" }
  }
  location = /plain { content_by_lua_block { ngx.say "ok" } }
"""


@pytest.fixture
def lua() -> Iterator[NginxLua]:
    with nginx_lua(explained=("could not fetch the keys",)) as made:
        yield made


def ask_at_once(nginx: Nginx, path: str, count: int) -> list[str]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda _: nginx.get(path).text.strip(), range(count)))


def test_one_fetch_for_all_workers_and_others_are_served_meanwhile() -> None:
    keys = Keys(KEYS[0])
    fetching, go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        fetching.set()
        go_on.wait(3)
        return keys(asked)

    path = f"/decode?token={token()}"
    with (
        endpoint(answer) as server,
        running(SERVER, main=MAIN, http=HTTP.format(url=server.url), workers=4) as nginx,
    ):
        answers: list[str] = []
        waiting = threading.Thread(target=lambda: answers.extend(ask_at_once(nginx, path, 24)))
        waiting.start()
        assert fetching.wait(20)
        assert ask_at_once(nginx, "/plain", 8) == ["ok"] * 8
        assert (
            nginx.get(f"/header?token={token()}")
            .headers["x-said"]
            .startswith("configuration: cannot wait for a thread in header_filter_by_lua")
        )
        go_on.set()
        waiting.join()
        assert answers == ["bob"] * 24
        assert ask_at_once(nginx, path, 24) == ["bob"] * 24
        assert nginx.get(f"/header?token={token()}").headers["x-said"] == "bob"
        assert len(server.asked) == 1
        # Unknown keys: one fetch, whichever worker gets the request.
        unknown = f"/decode?token={token(kid='made up')}"
        assert all(a.startswith("invalid_token") for a in ask_at_once(nginx, unknown, 24))
        assert len(server.asked) == 2


# Between the look for keys and the lock, this much time passes.
SLOW_TO_LOCK = """
  init_worker_by_lua_block {
    local threads = require "tokenstore.nginx_threads"
    local start = threads.start
    function threads.start(...)
      ngx.sleep(0.4)
      return start(...)
    end
  }
"""


def test_a_fetch_that_ends_before_the_lock_is_taken_is_not_repeated() -> None:
    path = f"/decode?token={token()}"
    with (
        endpoint(Keys(KEYS[0])) as server,
        running(SERVER, main=MAIN, http=HTTP.format(url=server.url) + SLOW_TO_LOCK) as nginx,
    ):
        late = threading.Timer(0.2, lambda: ask_at_once(nginx, path, 4))
        late.start()
        assert nginx.get(path).text.strip() == "bob"
        late.join()
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("main", "http", "says"),
    [
        ("", "", "lua_shared_dict tokenstore 1m;"),
        ("", "lua_shared_dict tokenstore 1m;", "thread_pool tokenstore threads=4;"),
    ],
)
def test_a_directive_that_is_missing(main: str, http: str, says: str) -> None:
    with (
        endpoint(Keys(KEYS[0])) as server,
        nginx_lua(
            main=main, http=http, explained=("could not fetch the keys", "thread pool")
        ) as lua,
    ):
        lua('jwt = require "tokenstore.jwt"')
        message = lua.fails(
            "configuration",
            says,
            f"local set, message, code = jwt.KeySet.from_url '{server.url}'"
            " if not set then return nil, message, code end return set:get()",
        )
        assert "keys at a URL in nginx" in message


def test_keys_that_have_no_room() -> None:
    keys = Keys(KEYS[0])
    keys.body = {"keys": [KEYS[0].to_jwk() | {"x5c": "A" * 300000}]}
    with (
        endpoint(keys) as server,
        nginx_lua(
            http="lua_shared_dict tokenstore 100k;", explained=("could not fetch the keys",)
        ) as lua,
    ):
        lua('jwt = require "tokenstore.jwt"')
        lua.fails(
            "configuration", "make it larger", f"return jwt.KeySet.from_url('{server.url}'):get()"
        )
