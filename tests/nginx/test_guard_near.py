"""The guard with near_cache: what requests get from memory, and with headers_only, where nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nginx_server import Nginx, running
from servers import Server
from servers import running as running_redis
from test_near_cache import wait_until
from tokenstore import RedisJWT, RedisTokens, Sessions

SECRET = "k" * 32
HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    client = assert(tokenstore.Client {{ redis = "{url}", near_cache = 100, near_cache_staleness = 1 }})
    sessions = assert(tokenstore.Sessions(client))
    tokens = assert(tokenstore.RedisTokens(client))
    guard = require "tokenstore.guard"
    whole = {{ store = sessions, app = "web", headers = {{ ["X-Role"] = "data.role" }} }}
    headers_only = {{
      store = sessions, app = "web", headers_only = true, headers = {{ ["X-Role"] = "data.role", ["X-Id"] = "owner_id" }},
    }}
    anonymous = {{
      store = sessions, app = "web", headers_only = true, anonymous = true, headers = {{ ["X-Role"] = "data.role" }},
    }}
    called = {{
      store = sessions, app = "web", headers_only = true,
      headers = {{ ["X-Role"] = function(session) return session.token and session.data.role end }},
    }}
    of_tokens = {{ store = tokens, app = "web", type = "key", headers_only = true }}
    sliding = {{ store = sessions, app = "web", refresh = 5000 }}
    jwts = {{ store = assert(tokenstore.RedisJWT(client, {{ secret = "{secret}" }})) }}
    other = assert(tokenstore.Sessions {{ redis = "{url}", near_cache = 100 }})
    of_other = {{ store = other, app = "web" }}
  }}
"""
SERVER = """
  location /whole {
    access_by_lua_block {
      local session = guard.session(whole)
      ngx.ctx.is_own = not session.data.touched
      session.data.touched = true
      ngx.ctx.is_whole = session.token ~= nil
    }
    content_by_lua_block { ngx.print(ngx.var.http_x_role, " ", tostring(ngx.ctx.is_own and ngx.ctx.is_whole)) }
  }
  location /headers {
    access_by_lua_block { ngx.ctx.got = guard.session(headers_only) }
    content_by_lua_block {
      ngx.print(ngx.var.http_x_role or "-", " ", ngx.var.http_x_id or "-", " ", tostring(ngx.ctx.got))
    }
  }
  location /anonymous {
    access_by_lua_block { guard.session(anonymous) }
    content_by_lua_block { ngx.print(ngx.var.http_x_role) }
  }
  location /called {
    access_by_lua_block { guard.session(called) }
    content_by_lua_block { ngx.print(ngx.var.http_x_role) }
  }
  location /token {
    access_by_lua_block { ngx.ctx.got = guard.token(of_tokens) }
    content_by_lua_block { ngx.print(ngx.var.http_x_owner_id, " ", tostring(ngx.ctx.got)) }
  }
  location /sliding {
    access_by_lua_block { guard.session(sliding) }
    content_by_lua_block { ngx.print(ngx.var.http_x_owner_id) }
  }
  location /jwt {
    access_by_lua_block { guard.jwt(jwts) }
    content_by_lua_block { ngx.print(ngx.var.http_x_owner_id) }
  }
  location /other {
    access_by_lua_block { guard.session(of_other) }
    content_by_lua_block { ngx.print(other.client:near_cache_stats().hits) }
  }
  location /close { content_by_lua_block { other:close() } }
  location /hits { content_by_lua_block { ngx.print(client:near_cache_stats().hits) } }
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def nginx(redis: Server) -> Iterator[Nginx]:
    with running(SERVER, http=HTTP.format(url=redis.url, secret=SECRET)) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def sessions(redis: Server) -> Iterator[Sessions]:
    with Sessions(redis.url) as sessions:
        yield sessions


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def keep(nginx: Nginx, path: str, token: str) -> None:
    """Until the worker answers from what it made of the record: from the third hit on."""

    def is_near() -> bool:
        before = int(nginx.get("/hits").text)
        for _ in range(3):
            assert nginx.get(path, bearer(token)).status == 200
        return int(nginx.get("/hits").text) == before + 3

    wait_until(is_near)


def ask(nginx: Nginx, path: str, token: str, more: dict[str, str] | None = None) -> str:
    answer = nginx.get(path, bearer(token) | (more or {}))
    return answer.text if answer.status == 200 else str(answer.status)


def test_each_request_has_its_own_session(nginx: Nginx, sessions: Sessions) -> None:
    token = sessions.create("web", "ann", {"role": "admin"}, 100)
    keep(nginx, "/whole", token)
    for _ in range(3):
        assert ask(nginx, "/whole", token) == "admin true"


def test_the_headers_of_a_session_in_memory(nginx: Nginx, sessions: Sessions) -> None:
    nginx.explained.append("a value that is not valid in the header X-Role")
    token, other = (sessions.create("web", name, {"role": role}, 100) for name, role in (("ann", "admin"), ("bob", "guest")))
    assert ask(nginx, "/headers", token) == "admin ann true"
    keep(nginx, "/headers", token)
    keep(nginx, "/headers", other)
    for _ in range(2):
        assert ask(nginx, "/headers", token, {"X-Role": "forged", "X_Id": "forged"}) == "admin ann true"
        assert ask(nginx, "/headers", other) == "guest bob true"
    sessions.update("web", token, {"role": None})
    wait_until(lambda: ask(nginx, "/headers", token, {"X-Role": "forged"}) == "- ann true", 2)
    sessions.update("web", token, {"role": "a\nb"})
    wait_until(lambda: ask(nginx, "/headers", token) == "500", 2)
    for _ in range(3):
        assert ask(nginx, "/headers", token) == "500"
    assert ask(nginx, "/headers", other) == "guest bob true"
    sessions.kill("web", token)
    wait_until(lambda: ask(nginx, "/headers", token) == "401", 2)


def test_an_anonymous_session_in_memory_opens_only_what_takes_it(nginx: Nginx, sessions: Sessions) -> None:
    token = sessions.create("web", None, {"role": "visitor"}, 100)
    keep(nginx, "/anonymous", token)
    assert ask(nginx, "/headers", token) == "401"
    assert ask(nginx, "/anonymous", token) == "visitor"
    assert ask(nginx, "/headers", token) == "401"


def test_a_function_gets_a_whole_session(nginx: Nginx, sessions: Sessions) -> None:
    token = sessions.create("web", "ann", {"role": "admin"}, 100)
    keep(nginx, "/called", token)
    assert ask(nginx, "/called", token) == "admin"


def test_tokens(nginx: Nginx, redis: Server) -> None:
    with RedisTokens(redis.url) as tokens:
        token = str(tokens.create("web", "key", "robot", duration=100).token)
        keep(nginx, "/token", token)
        assert ask(nginx, "/token", token) == "robot true"
        assert ask(nginx, "/headers", token) == "401"
        tokens.delete("web", "key", token)
        wait_until(lambda: ask(nginx, "/token", token) == "401", 2)


def test_one_that_is_to_slide_is_asked_for(nginx: Nginx, sessions: Sessions) -> None:
    token = sessions.create("web", "ann", {"role": "admin"}, 100)
    keep(nginx, "/whole", token)
    assert ask(nginx, "/sliding", token) == "ann"
    found = sessions.get("web", token, expiry=True)
    assert found is not None
    assert found.expires_at - found.created_at > 4000


def test_jwts(nginx: Nginx, redis: Server) -> None:
    with RedisJWT(redis.url, secret=SECRET) as jwts:
        token = jwts.sign("ann", ttl=100)
        for _ in range(3):
            assert ask(nginx, "/jwt", token) == "ann"
        jwts.call().destroy(str(jwts.verify(token)["rjwt"]))
        wait_until(lambda: ask(nginx, "/jwt", token) == "401", 2)


def test_a_closed_client_answers_nothing(nginx: Nginx, sessions: Sessions) -> None:
    nginx.explained.append("tokenstore.guard: the client is closed")
    token = sessions.create("web", "ann", {}, 100)
    wait_until(lambda: int(ask(nginx, "/other", token)) > 3)
    assert nginx.get("/close").status == 200
    assert ask(nginx, "/other", token) == "503"
