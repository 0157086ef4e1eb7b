"""How the guard finds the token: in cookies as browsers and frameworks send them, and in the Authorization
header."""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

import tokenstore
from nginx_server import Nginx, running
from servers import Server, free_port

SECRET = "a secret of at least thirty-two bytes"

HTTP = """
  init_by_lua_block {{
    local tokenstore = require "tokenstore"
    sessions = assert(tokenstore.Sessions("{url}"))
    base64 = assert(tokenstore.Sessions {{
      redis = sessions.client, prefix = "b64", token_encoding = "base64",
    }})
    tokens = assert(tokenstore.RedisTokens(sessions.client))
    jwts = assert(tokenstore.RedisJWT {{ redis = sessions.client, secret = "{secret}", multiple = true }})
    guard = require "tokenstore.guard"
  }}
  server {{
    listen 127.0.0.1:{port} http2;
    location / {{
      access_by_lua_block {{ guard.session {{ store = sessions, app = "web", cookie = "sid" }} }}
      content_by_lua_block {{ ngx.print("let through") }}
    }}
  }}
"""

SERVER = """
  location = /session {
    content_by_lua_block {
      ngx.print(guard.session({ store = sessions, app = "web", cookie = "sid" }).owner_id)
    }
  }
  location = /sliding {
    content_by_lua_block {
      ngx.print(guard.session({ store = sessions, app = "web", cookie = "sid", refresh = 5000 }).owner_id)
    }
  }
  location = /idle {
    content_by_lua_block {
      local session = guard.session({ store = sessions, app = "web", cookie = "sid", refresh = true })
      ngx.print(session.idle or "none", " ", session.seen_at and "seen" or "unseen")
    }
  }
  location = /open {
    content_by_lua_block {
      local session = guard.session({ store = sessions, app = "web", cookie = "sid", fail_open = true })
      ngx.print(session and session.owner_id or "let through")
    }
  }
  location = /cached {
    content_by_lua_block {
      ngx.print(guard.session({ store = sessions, app = "web", cookie = "sid", cache = 60 }).owner_id)
    }
  }
  location = /base64 {
    content_by_lua_block {
      ngx.print(guard.session({ store = base64, app = "web", cookie = "sid" }).owner_id)
    }
  }
  location = /token {
    content_by_lua_block {
      ngx.print(guard.token({ store = tokens, app = "web", type = "api", cookie = "__Host-sid" }).owner)
    }
  }
  location = /jwt {
    content_by_lua_block { ngx.print(guard.jwt({ store = jwts, cookie = "sid" }).id) }
  }
"""


# nginx 1.25.1 has a directive for it, unknown to 1.22.
HTTP2_IS_OLD = r"""the "listen \.\.\. http2" directive is deprecated"""


@pytest.fixture(scope="module")
def http2_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def nginx(redis: Server, http2_port: int) -> Iterator[Nginx]:
    http = HTTP.format(url=redis.url, secret=SECRET, port=http2_port)
    with running(SERVER, http=http, explained=(HTTP2_IS_OLD,)) as made:
        yield made


@pytest.fixture(scope="module")
def sessions(redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(redis.url) as made:
        yield made


@pytest.fixture(scope="module")
def base64(redis: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(
        redis.url, prefix="b64", token_encoding="base64", token_size=33
    ) as made:
        yield made


@pytest.fixture
def token(sessions: tokenstore.Sessions) -> str:
    return sessions.create("web", "bob", {}, duration=100)


def ask(nginx: Nginx, path: str, **headers: str) -> tuple[int, str]:
    answer = nginx.get(path, headers)
    return answer.status, answer.text if answer.status == 200 else ""


OLD = "o" * 43


@pytest.mark.parametrize("path", ["/session", "/sliding", "/cached"])
@pytest.mark.parametrize(
    "header",
    [
        "sid={good}",
        "sid={old}; sid={good}",
        "sid={good}; sid={old}",
        "SID={old}; sid={good}",
        "Sid={good2}; sid={good}",
        "sid={old}; a=b; sid={old}x; sid={good}; c=d",
        "sid; sid={good}",
        "sid=; sid={good}",
        "=sid; sid={good}",
        "xsid={old}; sidx={old}; sid={good}",
        "a=b;sid={good};c=d",
        "a=b;  sid = {good}  ; c=d",
        'sid="{good}"',
        'sid="{old}"; sid="{good}"',
        "sid=%00; sid=%ff; sid={good}",
        "sid={long}; sid={good}",
        "sid={good}; sid={good2}",
    ],
)
def test_each_cookie_of_that_name_is_tried(
    nginx: Nginx, sessions: tokenstore.Sessions, token: str, path: str, header: str
) -> None:
    other = sessions.create("web", "alice", {}, duration=100)
    sent = header.format(good=token, good2=other, old=OLD, long="x" * 2000)
    assert ask(nginx, path, Cookie=sent) == (200, "bob")


@pytest.mark.parametrize("path", ["/session", "/sliding", "/cached"])
@pytest.mark.parametrize(
    "header",
    [
        "SID={good}",
        "xsid={good}; sidx={good}; my-sid={good}; sid.={good}",
        "sid",
        "sid={old}; sid={old}x",
        "x={old}, sid={good}",
        "x=sid={good}",
        "sid={old}={good}",
        "sid=%00",
        "sid=" + "; sid=".join(f"old-{i}" for i in range(128)) + "; sid={good}",  # the 129th
    ],
)
def test_no_other_cookie_is(nginx: Nginx, token: str, path: str, header: str) -> None:
    assert ask(nginx, path, Cookie=header.format(good=token, old=OLD)) == (401, "")


def test_a_session_that_slides_by_the_second_cookie(
    nginx: Nginx, sessions: tokenstore.Sessions, token: str
) -> None:
    assert ask(nginx, "/sliding", Cookie=f"sid={OLD}; sid={token}") == (200, "bob")
    found = sessions.get("web", token, expiry=True)
    assert found is not None
    assert found.expires_at - found.created_at > 4000


def test_a_session_that_slides_by_its_own_idle_time(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    short = sessions.create("web", "bob", idle=2, duration=100)
    time.sleep(1.1)  # half of it is the longest interval between two writes
    assert ask(nginx, "/idle", Cookie=f"sid={short}") == (200, "2 seen")
    found = sessions.get("web", short, expiry=True)
    assert found is not None
    assert found.expires_at is not None
    assert found.expires_at - found.created_at > 3
    lasting = sessions.create("web", "bob", duration=100)
    assert ask(nginx, "/idle", Cookie=f"sid={lasting}") == (200, "none unseen")


def test_what_a_worker_remembers_is_for_the_same_cookies_alone(
    nginx: Nginx, sessions: tokenstore.Sessions, token: str
) -> None:
    assert ask(nginx, "/cached", Cookie=f"sid={OLD}; sid={token}") == (200, "bob")
    sessions.kill("web", token)
    assert ask(nginx, "/cached", Cookie=f"sid={OLD}; sid={token}") == (200, "bob")
    assert ask(nginx, "/cached", Cookie=f"sid={OLD}") == (401, "")
    assert ask(nginx, "/cached", Cookie=f"sid={token}") == (401, "")


@pytest.mark.parametrize(("others", "trips"), [("generated", 1), ("custom", 2)])
def test_many_cookies_cost_no_more_round_trips(
    nginx: Nginx, redis: Server, sessions: tokenstore.Sessions, token: str, others: str, trips: int
) -> None:
    """Custom tokens cost one more, however many there are: their aliases are read first."""
    ended = [f"old-{i}" for i in range(60)]
    if others == "generated":
        ended = [sessions.create("web", f"old-{i}", {}) for i in range(60)]
        for old in ended:
            sessions.kill("web", old)
    cookies = "; ".join(f"sid={old}" for old in ended) + f"; sid={token}"
    ask(nginx, "/session", Cookie=cookies)

    def reads() -> int:
        return int(redis("INFO", "stats").split(b"total_reads_processed:")[1].split()[0])

    before = reads()
    own = reads() - before
    before = reads()
    assert ask(nginx, "/session", Cookie=cookies) == (200, "bob")
    assert reads() - before == own + trips


UNREADABLE = {
    "no record": [("HSET", "ID", "no record")],
    "of another type": [("DEL",), ("SET", "a")],
    "cut": [("HSET", "ID", "AAAAAAAAAAAAA")],
}


@pytest.mark.parametrize("path", ["/session", "/sliding", "/cached"])
@pytest.mark.parametrize("what", UNREADABLE)
def test_a_session_that_cannot_be_read_hinders_no_other(
    nginx: Nginx, redis: Server, sessions: tokenstore.Sessions, token: str, path: str, what: str
) -> None:
    """Alone it is the server's trouble, not the client's."""
    before = set(redis.keys())
    bad = sessions.create("web", "eve", {}, duration=100)
    (listed,) = sessions.list("web", "eve")
    (key,) = [key for key in set(redis.keys()) - before if redis("TYPE", key) == "hash"]
    for command, *words in UNREADABLE[what]:
        redis(command, key, *(listed.id if word == "ID" else word for word in words))
    nginx.explained.append("tokenstore.guard: .*(record|WRONGTYPE)")
    assert ask(nginx, path, Cookie=f"sid={bad}; sid={token}") == (200, "bob")
    assert ask(nginx, path, Cookie=f"sid={token}; sid={bad}") == (200, "bob")
    assert ask(nginx, path, Cookie=f"sid={bad}; sid={OLD}") == (503, "")
    assert ask(nginx, path, Cookie=f"sid={bad}") == (503, "")
    assert ask(nginx, "/open", Cookie=f"sid={bad}") == (503, "")  # Redis is there
    redis("DEL", key)


def test_a_jwt_whose_session_cannot_be_read_hinders_no_other(nginx: Nginx, redis: Server) -> None:
    with tokenstore.RedisJWT(redis.url, secret=SECRET, multiple=True) as jwts:
        bad, good = jwts.sign("eve", ttl=100), jwts.sign("bob", ttl=100)
        key = jwts.verify(bad)["rjwt"]
    redis("SET", key, '{"rjwt":"' + key)
    nginx.explained.append("tokenstore.guard: the value at the session's key")
    assert ask(nginx, "/jwt", Cookie=f"sid={bad}; sid={good}") == (200, "bob")
    assert ask(nginx, "/jwt", Cookie=f"sid={bad}; sid=x") == (503, "")


def test_several_cookie_headers(nginx: Nginx, token: str) -> None:
    request = (
        "GET /session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Cookie: sid={OLD}; a=b\r\ncookie: sid={token}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(nginx.socket_path))
        raw.sendall(request.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"bob" in answer


def literal(name: str, value: str) -> bytes:
    """A header of HPACK (RFC 7541, 6.2.2), neither indexed nor compressed."""
    packed = b"\x00"
    for text in (name.encode(), value.encode()):
        assert len(text) < 127
        packed += bytes([len(text)]) + text
    return packed


@pytest.mark.parametrize(
    ("cookies", "status"),
    [
        (["a=b", "sid={good}", "c=d"], 8),
        (["sid={old}", "sid={good}"], 8),
        (["SID={good}", "sid={old}"], None),
    ],
)
def test_cookies_that_http2_has_split(
    nginx: Nginx, http2_port: int, token: str, cookies: list[str], status: int | None
) -> None:
    """RFC 9113, 8.2.3. Status 200 is entry 8 of the static table."""
    block = b"\x82\x84\x86" + literal(":authority", "x")  # GET / http
    for value in cookies:
        block += literal("cookie", value.format(good=token, old=OLD))
    frame = len(block).to_bytes(3, "big") + b"\x01\x05" + (1).to_bytes(4, "big") + block
    with socket.create_connection(("127.0.0.1", http2_port), 10) as raw:
        raw.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5) + frame)
        stream = raw.makefile("rb")
        while True:
            head = stream.read(9)
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:  # HEADERS
                break
    assert (payload[0] == 0x80 | 8) is (status == 8)


@pytest.mark.parametrize(
    "spell",
    [
        lambda token: token,
        lambda token: f'"{token}"',
        lambda token: quote(token, safe=""),
        lambda token: quote(token, safe="+"),
        lambda token: re.sub("%..", lambda code: code[0].lower(), quote(token, safe="")),
        lambda token: quote(quote(token, safe=""), safe=""),
        lambda token: '"' + quote(token, safe="") + '"',
        lambda token: token.replace("+", " "),
        lambda token: '"' + token.replace("+", " ") + '"',
        lambda token: '"' + token.replace("=", "\\075").replace("/", "\\057") + '"',
    ],
    ids=range(10),
)
def test_base64_in_each_spelling(
    nginx: Nginx, base64: tokenstore.RedisTokens, spell: Callable[[str], str]
) -> None:
    def create(custom_token: str | None = None) -> str:
        made = base64.create("web", "session", "bob", {}, duration=100, custom_token=custom_token)
        assert made.token is not None
        return made.token

    made = {create() for _ in range(500)}
    awkward = {token for token in made if token[-1] == "+" or ("+" in token and "/" in token)}
    assert "+" in {token[-1] for token in awkward}
    padded = create("+" + secrets.token_urlsafe() + "/+==")
    for token in (*awkward, padded):
        assert ask(nginx, "/base64", Cookie=f"x=y; sid={spell(token)}; z") == (200, "bob")


def test_a_base64_token_behind_bearer(nginx: Nginx, base64: tokenstore.RedisTokens) -> None:
    for custom_token in (*[None] * 20, "+/" + secrets.token_urlsafe() + "+=="):
        made = base64.create("web", "session", "bob", {}, custom_token=custom_token)
        assert ask(nginx, "/base64", Authorization=f"Bearer {made.token}") == (200, "bob")


def test_tokens_and_jwts_in_cookies(nginx: Nginx, redis: Server) -> None:
    with tokenstore.RedisTokens(redis.url) as tokens:
        made = tokens.create(app="web", type="api", owner="robot")
    sent = f"__Host-sid={OLD}; __host-sid={OLD}; __Host-sid={made.token}"
    assert ask(nginx, "/token", Cookie=sent) == (200, "robot")
    assert ask(nginx, "/token", Cookie=sent.replace("Host", "host")) == (401, "")
    with tokenstore.RedisJWT(redis.url, secret=SECRET, multiple=True) as jwts:
        ended, good = jwts.sign("bob", ttl=100), jwts.sign("bob", ttl=100)
        jwts.call().destroy(jwts.verify(ended)["rjwt"])
    sent = f'sid=x; sid={good}x; sid={ended}; sid="{good}"; SID=x'
    assert ask(nginx, "/jwt", Cookie=sent) == (200, "bob")
    assert ask(nginx, "/jwt", Cookie=f"sid=x; sid={ended}") == (401, "")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer {good}",
        "bearer {good}",
        "BEARER {good}",
        "Bearer    {good}",
        "Bearer {good}\t",
        "bearer \t {good} \t",
        "Basic YTpi, Bearer {good}",
        "Bearer {good}, Basic YTpi",
        "Basic YTpi,bearer {good} , Digest a=b",
    ],
)
def test_behind_bearer(nginx: Nginx, token: str, header: str) -> None:
    assert ask(nginx, "/session", Authorization=header.format(good=token)) == (200, "bob")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic {good}", 401),
        ("Bearerx {good}", 401),
        ("xBearer {good}", 401),
        ("Basic bearer {good}", 401),
        ("Bearer", 400),
        ("Bearer   ", 400),
        ("Bearer {good} {good}", 400),
        ("Bearer={good}", 401),
    ],
)
def test_not_behind_bearer(nginx: Nginx, token: str, header: str, status: int) -> None:
    assert ask(nginx, "/session", Authorization=header.format(good=token)) == (status, "")


def test_another_scheme_leaves_the_cookie(nginx: Nginx, token: str) -> None:
    sent = {"Authorization": "Basic YTpi", "Cookie": f"sid={token}"}
    assert ask(nginx, "/session", **sent) == (200, "bob")


def test_two_authorization_headers_never_let_a_stranger_through(nginx: Nginx, token: str) -> None:
    """nginx itself rejects them."""
    request = (
        "GET /session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {OLD}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(nginx.socket_path))
        raw.sendall(request.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
