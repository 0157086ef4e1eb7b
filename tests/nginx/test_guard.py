"""The guard for access_by_lua: accepted requests, the upstream's headers, and the responses to rejected
ones."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

import tokenstore
from nginx_server import Answer, Nginx, running
from servers import Server, free_port
from servers import running as running_redis

SECRET = "a secret of at least thirty-two bytes"

HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    sessions = assert(tokenstore.Sessions("{url}", {{ timeout = 0.5 }}))
    tokens = assert(tokenstore.RedisTokens(sessions.client))
    jwts = assert(tokenstore.RedisJWT {{ redis = sessions.client, secret = "{secret}", max_size = 16384 }})
    guard = require "tokenstore.guard"
    options = {{ store = sessions, app = "web", cookie = "sid" }}
  }}
"""

# The upstream is the same nginx: it prints its request headers.
UPSTREAM = """
  server {{
    listen 127.0.0.1:{port};
    underscores_in_headers on;
    large_client_header_buffers 4 32k;
    location / {{
      content_by_lua_block {{
        local core = require "tokenstore.core"
        ngx.print(core.encode(ngx.req.get_headers(0, true)))
      }}
    }}
  }}
"""

SERVER = """
  underscores_in_headers on;
  large_client_header_buffers 4 32k;
  proxy_set_header Connection "";
  location /bearer {{
    access_by_lua_block {{ guard.session {{ store = sessions, app = "web" }} }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /cookie {{
    access_by_lua_block {{ guard.session(options) }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /sets-authorization {{
    access_by_lua_block {{
      guard.session {{ store = sessions, app = "web", cookie = "sid", headers = {{ Authorization = "data.password" }} }}
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /timer {{
    content_by_lua_block {{
      local said
      ngx.timer.at(0, function() said = select(2, pcall(guard.session, options)) end)
      while not said do ngx.sleep(0.01) end
      ngx.print(said)
    }}
  }}
  location /headers {{
    access_by_lua_block {{
      guard.session {{
        store = sessions, app = "web", realm = 'a "quoted" realm', refresh = 5000, headers = {{
          ["X-User"] = "owner_id", ["X-Role"] = "data.role", ["X-Deep"] = "data.deep.er",
          ["X-All"] = "data", ["X-None"] = "data.none", ["X-Owner-Id"] = "data.none",
          ["X-Length"] = function(session) return #session.owner_id end,
        }},
      }}
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /known {{
    access_by_lua_block {{
      guard.session {{
        store = sessions, app = "web", headers = {{
          ["X-Forwarded-For"] = "owner_id", Via = "data.via", ["A-B-C-D-E-F-G-H-I-J-K-L-M-N-O-P-Q-R"] = "data.via",
        }},
      }}
    }}
    proxy_set_header X-Later $http_x_forwarded_for;
    proxy_pass http://127.0.0.1:{port};
  }}
  location /open {{
    access_by_lua_block {{ guard.session {{ store = sessions, app = "web", fail_open = true }} }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /token {{
    access_by_lua_block {{ guard.token {{ store = tokens, app = "web", type = "api" }} }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /jwt {{
    access_by_lua_block {{
      guard.jwt {{
        store = jwts, cookie = "jwt",
        headers = {{ ["X-Owner-Id"] = "id", ["X-Role"] = "dataSession.role" }},
      }}
    }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /cached {{
    access_by_lua_block {{ guard.session {{ store = sessions, app = "web", cache = 60 }} }}
    proxy_pass http://127.0.0.1:{port};
  }}
  location /context {{
    access_by_lua_block {{ ngx.ctx.session = guard.session(options) }}
    content_by_lua_block {{ ngx.print(ngx.ctx.session.owner_id) }}
  }}
  location /wrong {{
    content_by_lua_block {{
      for _, given in ipairs {{
        {{}}, {{ store = sessions }}, {{ store = tokens, app = "web" }}, {{ store = "x", app = "web" }},
        {{ store = sessions, app = "web", type = "x" }}, {{ store = sessions, app = "web", cookie = 1 }},
        {{ store = sessions, app = "web", cookie = "a=b" }}, {{ store = sessions, app = "web", cache = 61 }},
        {{ store = sessions, app = "web", open = true }}, {{ store = sessions, app = "web", refresh = 0 }},
      }} do
        ngx.say(select(2, pcall(function()
          local session = guard.session(given)
          return session
        end)))
      end
    }}
  }}
"""


@pytest.fixture(scope="module")
def own_redis() -> Iterator[Server]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def nginx(own_redis: Server) -> Iterator[Nginx]:
    port = free_port()
    http = HTTP.format(url=own_redis.url, secret=SECRET) + UPSTREAM.format(port=port)
    with running(SERVER.format(port=port), http=http) as made:
        yield made


@pytest.fixture(scope="module")
def sessions(own_redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(own_redis.url) as made:
        yield made


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def seen(answer: Answer) -> dict[str, str]:
    """The request headers at the upstream."""
    assert answer.status == 200, answer
    found: dict[str, str] = json.loads(answer.text)
    return {name.lower(): value for name, value in found.items()}


def test_a_session_is_let_through(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {}, duration=100)
    assert seen(nginx.get("/bearer", bearer(token)))["x-owner-id"] == "bob"
    assert seen(nginx.get("/bearer", {"Authorization": f"bEARER  {token} "}))["x-owner-id"] == "bob"
    assert seen(nginx.get("/cookie", {"Cookie": f"a=b; sid={token}; c=d"}))["x-owner-id"] == "bob"
    assert nginx.get("/context", bearer(token)).text == "bob"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/bearer", {}),
        ("/bearer", {"Cookie": "sid={token}"}),
        ("/bearer", {"Authorization": "Basic {token}"}),
        ("/bearer", {"Authorization": "{token}"}),
        ("/bearer", {"X-Owner-Id": "bob"}),
        ("/cookie", {"Cookie": "sid="}),
        ("/cookie", {"Cookie": "sidx={token}"}),
    ],
)
def test_no_token(
    nginx: Nginx, sessions: tokenstore.Sessions, path: str, headers: dict[str, str]
) -> None:
    """RFC 6750, 3.1: a request without credentials gets a challenge without an error code."""
    token = sessions.create("web", "bob", {}, duration=100)
    answer = nginx.get(path, {k: v.format(token=token) for k, v in headers.items()})
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="web"'
    assert answer.headers["cache-control"] == "no-store"


def test_a_token_that_is_not_good(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    killed = sessions.create("web", "bob", {}, duration=100)
    sessions.kill("web", killed)
    elsewhere = sessions.create("other", "bob", {}, duration=100)
    for token in (killed, elsewhere, "no-such-token", "z" * 2000, killed + "="):
        answer = nginx.get("/bearer", bearer(token))
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == (
            'Bearer realm="web", error="invalid_token", '
            'error_description="The token is unknown or has expired"'
        )
        assert token not in answer.text


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a=b", 'Bearer "a"'])
def test_a_malformed_header(nginx: Nginx, header: str) -> None:
    answer = nginx.get("/bearer", {"Authorization": header})
    assert answer.status == 400
    assert 'error="invalid_request"' in answer.headers["www-authenticate"]


def test_headers_for_the_upstream(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    data = {"role": "admin", "deep": {"er": 1.5}, "none": None}
    token = sessions.create("web", "bob", data, duration=100)
    names = (
        "X-User",
        "x-role",
        "X_Role",
        "X-Deep",
        "X-None",
        "X-Owner-Id",
        "X_Owner_Id",
        "x_owner-id",
    )
    forged = dict.fromkeys(names, "forged")
    got = seen(nginx.get("/headers", {**bearer(token), **forged, "X-Other": "stays"}))
    assert (got["x-user"], got["x-role"], got["x-deep"], got["x-length"], got["x-other"]) == (
        ("bob", "admin", "1.5", "3", "stays")
    )
    assert json.loads(got["x-all"]) == data
    assert "forged" not in got.values()
    found = sessions.get("web", token, expiry=True)
    assert found is not None
    assert found.expires_at - found.created_at > 4000  # refreshed
    refused = nginx.get("/headers")
    assert refused.headers["www-authenticate"] == 'Bearer realm="a  quoted  realm"'


@pytest.mark.parametrize(
    ("begin", "end", "word"),
    [
        (
            ("CONFIG", "SET", "min-replicas-to-write", "1"),
            ("CONFIG", "SET", "min-replicas-to-write", "0"),
            "NOREPLICAS",
        ),
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "READONLY"),
    ],
    ids=["no-replicas", "replica"],
)
def test_a_server_that_cannot_write(
    own_redis: Server, begin: tuple[str, ...], end: tuple[str, ...], word: str
) -> None:
    """A valid session is accepted even if its expiry cannot be extended; one line is logged."""
    http = HTTP.format(url=own_redis.url, secret=SECRET) + UPSTREAM.format(
        port=(port := free_port())
    )
    explained = (
        "tokenstore: the token was found, but its expiry could not be extended",
        "tokenstore: dropping the connections to this server",
    )
    with (
        tokenstore.Sessions(own_redis.url) as sessions,
        running(SERVER.format(port=port), http=http, explained=explained) as nginx,
    ):
        token = sessions.create("web", "bob", {"role": "admin"}, duration=100)
        own_redis(*begin)
        try:
            for _ in range(20):
                assert seen(nginx.get("/headers", bearer(token)))["x-user"] == "bob"
        finally:
            own_redis(*end)
        found = sessions.get("web", token, expiry=True)
        assert found is not None
        assert found.expires_at - found.created_at < 101
        [line] = nginx.lines("tokenstore: ")
        assert f"the server answered: {word}" in line
        assert token not in line


@pytest.mark.parametrize(
    "name", ["X-Role", "x-rOLE", "X_Role", "X-Owner-Id", "X_Owner-Id", "x-owner_id"]
)
def test_each_spelling_alone(nginx: Nginx, sessions: tokenstore.Sessions, name: str) -> None:
    token = sessions.create("web", "bob", {}, duration=100)
    got = seen(nginx.get("/headers", {**bearer(token), name: "forged", "X-Other": "stays"}))
    assert "forged" not in got.values()
    assert got["x-other"] == "stays"


def test_a_header_after_many_others(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {}, duration=100)
    many = {f"X-Number-{i}": str(i) for i in range(300)} | {"X-Owner-Id-2": "stays", "X-Owner-I": "stays"}
    forged = dict.fromkeys(("X_Owner-Id", "X-Owner_Id"), "forged")
    got = seen(nginx.get("/bearer", {**many, **forged, **bearer(token)}))
    assert got["x-owner-id"] == "bob"
    assert (got["x-number-299"], got["x-owner-id-2"], got["x-owner-i"]) == ("299", "stays", "stays")
    assert "forged" not in got.values()


def test_a_header_of_the_guard_carries_no_token(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    cookie = sessions.create("web", "bob", {"password": "Basic YTpi"}, duration=100)
    header = sessions.create("web", "eve", {"password": "Basic ZTpl"}, duration=100)
    got = seen(nginx.get("/sets-authorization", {**bearer(header), "Cookie": f"sid={cookie}"}))
    assert got["authorization"] == "Basic YTpi"
    assert nginx.get("/sets-authorization", bearer(header)).status == 401


def test_a_timer_has_no_request(nginx: Nginx) -> None:
    assert "no request is handled here" in nginx.get("/timer").text


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "X_Forwarded_For",
        "x-forwarded_for",
        "Via",
        "A-B-C_D-E-F-G-H-I-J-K-L-M-N-O-P-Q-R",
    ],
)
def test_headers_that_nginx_knows_too(
    nginx: Nginx, sessions: tokenstore.Sessions, name: str
) -> None:
    token = sessions.create("web", "bob", {"via": None}, duration=100)
    got = seen(nginx.get("/known", {**bearer(token), name: "forged"}))
    assert "forged" not in got.values()
    assert (got["x-forwarded-for"], got["x-later"]) == ("bob", "bob")


def test_what_no_header_can_hold(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    nginx.explained.append("a value that is not valid in the header X-Owner-Id")
    for owner in ("bob\r\nX-Role: admin", "a\x01", "\x7f"):
        token = sessions.create("web", owner, {}, duration=100)
        assert nginx.get("/bearer", bearer(token)).status == 500


def test_tokens(nginx: Nginx, own_redis: Server) -> None:
    with tokenstore.RedisTokens(own_redis.url) as tokens:
        made = tokens.create(app="web", type="api", owner="robot")
        other = tokens.create(app="web", type="other", owner="robot")
    assert made.token is not None
    assert other.token is not None
    assert seen(nginx.get("/token", bearer(made.token)))["x-owner-id"] == "robot"
    assert nginx.get("/token", bearer(other.token)).status == 401


def test_jwts(nginx: Nginx, own_redis: Server) -> None:
    with tokenstore.RedisJWT(own_redis.url, secret=SECRET) as jwts:
        token = jwts.sign("bob", data_session={"role": "admin"}, ttl=100)
        for headers in (bearer(token), {"Cookie": f"jwt={token}"}):
            got = seen(nginx.get("/jwt", headers))
            assert (got["x-owner-id"], got["x-role"]) == ("bob", "admin")
        head, claims, signature = token.split(".")
        forged = f"{head}.{claims}.{signature[:-4]}AAAA"
        jwts.sign("bob")  # ends the previous one
        for bad in (token, forged, "a.b.c", "no-jwt", "x" * 5000):
            answer = nginx.get("/jwt", bearer(bad))
            assert answer.status == 401
            assert 'Bearer realm="jwt", error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_jwt_may_be_as_long_as_its_store_says(nginx: Nginx, own_redis: Server) -> None:
    with tokenstore.RedisJWT(own_redis.url, secret=SECRET, max_size=20000) as jwts:
        token = jwts.sign("bob", data_token={"groups": ["g" * 36] * 250})
        assert 11_000 < len(token) < 16_384
        assert seen(nginx.get("/jwt", bearer(token)))["x-owner-id"] == "bob"
        longer = jwts.sign("bob", data_token={"groups": ["g" * 36] * 370})
        assert len(longer) > 16_384
        assert nginx.get("/jwt", bearer(longer)).status == 401


def test_a_cache_that_was_asked_for(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {}, duration=100)
    assert nginx.get("/cached", bearer(token)).status == 200
    sessions.kill("web", token)
    assert seen(nginx.get("/cached", bearer(token)))["x-owner-id"] == "bob"
    assert nginx.get("/bearer", bearer(token)).status == 401
    brief = sessions.create("web", "bob", {}, duration=1)
    assert nginx.get("/cached", bearer(brief)).status == 200
    while sessions.get("web", brief) is not None:
        pass
    # No longer than the session lives, within the difference of the clocks.
    status = 200
    while status == 200:
        status = nginx.get("/cached", bearer(brief)).status
    assert status == 401


def test_what_a_worker_remembers_ends_by_the_servers_clock(own_redis: Server) -> None:
    """This worker's clock is two hours behind."""
    http = HTTP.format(url=own_redis.url, secret=SECRET)
    http = http.replace(
        "init_by_lua_block {",
        "init_by_lua_block { ngx.now = function() return os.time() - 7200 end",
    )
    cached = """
      location /cached {
        content_by_lua_block {
          ngx.print(guard.session({ store = sessions, app = "web", cache = 60 }).owner_id)
        }
      }
    """
    with tokenstore.Sessions(own_redis.url) as sessions, running(cached, http=http) as nginx:
        brief = sessions.create("web", "bob", {}, duration=1)
        assert nginx.get("/cached", bearer(brief)).text == "bob"
        while sessions.get("web", brief) is not None:
            pass
        assert nginx.get("/cached", bearer(brief)).status == 401
        lasting = sessions.create("web", "bob", {})
        assert nginx.get("/cached", bearer(lasting)).text == "bob"
        sessions.kill("web", lasting)
        assert nginx.get("/cached", bearer(lasting)).text == "bob"


def test_wrong_options_are_named(nginx: Nginx) -> None:
    lines = nginx.get("/wrong").text.splitlines()
    parts = [
        "'store'", "'app'", "'store'", "'store' (table", "'type'", "'cookie' (string",
        "'cookie' (the name of a cookie", "'cache' (0 to 60", "'open'", "'refresh' (1 to",
    ]  # fmt: skip
    assert len(lines) == len(parts)
    for line, part in zip(lines, parts):
        assert part in line
        assert line.startswith("content_by_lua(nginx.conf:"), line


def test_redis_away(nginx: Nginx, own_redis: Server, sessions: tokenstore.Sessions) -> None:
    """Fails closed by default, with a single log line."""
    nginx.explained.append("tokenstore.guard: .* cannot connect")
    nginx.explained.append(r"connect\(\) to unix:.* failed")
    token = sessions.create("web", "bob", {}, duration=100)
    assert nginx.get("/bearer", bearer(token)).status == 200
    own_redis.kill()
    try:
        for _ in range(5):
            assert nginx.get("/bearer", bearer(token)).status == 503
            got = seen(nginx.get("/open", {**bearer(token), "X-Owner-Id": "forged"}))
            assert "x-owner-id" not in got
        assert nginx.get("/open").status == 401  # without a token
        assert (
            len(nginx.lines("tokenstore.guard:"))
            == len(nginx.lines("tokenstore.guard: the session has a value")) + 1
        )
    finally:
        own_redis.socket_path.unlink(missing_ok=True)  # type: ignore[union-attr]
        own_redis.start()
    token = sessions.create("web", "bob", {}, duration=100)
    assert nginx.get("/bearer", bearer(token)).status == 200
