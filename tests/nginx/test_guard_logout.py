"""The guard gives a session a new token, and ends it; what it had cached; failures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

import tokenstore
from login_site import ATTRIBUTES, FORGED, Got, send, site
from nginx_server import Nginx
from servers import Server
from servers import running as running_redis


@pytest.fixture(scope="module")
def nginx(redis: Server) -> Iterator[Nginx]:
    with site(redis.url) as made:
        yield made


@pytest.fixture(scope="module")
def sessions(redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(redis.url) as made:
        yield made


@pytest.fixture(autouse=True)
def nobody_is_in(sessions: tokenstore.Sessions) -> None:
    for owner in ("bob", "alice"):
        sessions.kill_all("web", owner)


def live(sessions: tokenstore.Sessions, *tokens: str) -> list[bool]:
    return [sessions.get("web", token) is not None for token in tokens]


# ---- rotate ------------------------------------------------------------------------------------------


def test_a_rotation(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    old = sessions.create("web", "bob", {"a": 1}, duration=100)
    got = send(nginx, "/rotate", "stale", old)
    assert got.json == {"owner": "bob", "data": {"a": 1}, "token": got.token}
    assert re.fullmatch(f"__Host-sid={got.token}; Max-Age=(99|100){ATTRIBUTES}", got.cookies[0])
    assert live(sessions, old, got.token) == [True, True]
    for values in ((old,), (old, got.token)):  # requests that were on their way
        again = send(nginx, "/rotate", *values, arguments={"grace": 60})
        assert again.token == got.token
        assert send(nginx, "/check", *values).json["owner"] == "bob"
    longer = send(nginx, "/rotate", got.token, arguments={"duration": 500, "grace": 0})
    assert "; Max-Age=500;" in longer.cookies[0]
    assert live(sessions, got.token, longer.token) == [False, True]
    for arguments in ({}, {"idle": 50}):
        token = sessions.create("web", "bob", {}, **arguments)
        assert "Max-Age" not in send(nginx, "/rotate", token).cookies[0]


@pytest.mark.parametrize("values", [(), ("stale",)])
def test_a_rotation_is_a_use(
    nginx: Nginx, sessions: tokenstore.Sessions, values: tuple[str, ...]
) -> None:
    token = sessions.create("web", "bob", {}, idle=600)
    assert sessions.refresh("web", token, 100)
    new = send(nginx, "/idle/rotate", *values, token).token
    session = sessions.get("web", new, expiry=True)
    assert session is not None
    assert session.expires_at == pytest.approx(session.created_at + 600, abs=1)


def test_the_requests_of_a_page(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """All rotate the session at once: none is logged out, and all get the same token."""
    for _ in range(20):
        old = sessions.create("web", "bob", {})
        with ThreadPoolExecutor(20) as pool:
            paths = ["/rotate", "/check", "/cached"] * 7
            answers = list(pool.map(send, repeat(nginx), paths, repeat(old)))
        assert [got.status for got in answers] == [200] * len(paths)
        [token] = {got.token for got in answers if got.cookies}
        assert token != old


def test_the_end_of_a_grace(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """No worker has the old token in its cache for longer."""
    old = sessions.create("web", "bob", {})
    assert send(nginx, "/cached", old).status == 200
    new = send(nginx, "/rotate", old, arguments={"grace": 1}).token
    assert send(nginx, "/cached", old).status == 200
    while live(sessions, old) == [True]:
        time.sleep(0.05)
    assert [send(nginx, "/cached", token).status for token in (old, new)] == [401, 200]


def test_a_reused_token(nginx: Nginx, redis: Server) -> None:
    """The guard refuses the request, as that of any token that is no longer valid, and the family is not found
    in the cache either."""
    nginx.explained.append("tokenstore.guard: the token was rotated before")
    nginx.explained.append("tokenstore: a token was presented that had been rotated before")
    with tokenstore.Sessions(redis.url, prefix="reuse", reuse="revoke") as revoking:
        for path, values in (
            ("/reuse/session", ()),
            ("/reuse/session", ("stale",)),
            ("/reuse/rotate", ()),
            ("/reuse/logout", ()),
            ("/reuse/login", ()),
        ):
            old = revoking.create("web", "bob", {})
            new = revoking.rotate("web", old)
            assert new is not None
            assert send(nginx, "/reuse/session", new).status == 200
            got = send(nginx, path, old, *values)
            if path == "/reuse/logout":
                assert got.json == {"result": False}
            elif path == "/reuse/login":
                assert got.json["owner"] == "bob"
            else:
                assert (got.status, "invalid_token" in got.headers["www-authenticate"]) == (
                    401,
                    True,
                )
            assert live(revoking, new) == [False]
            if not values:
                assert send(nginx, "/reuse/session", new).status == 401
        # A stale cookie of a stolen token does not hinder a good one.
        old, good = revoking.create("web", "bob", {}), revoking.create("web", "bob", {})
        revoking.rotate("web", old)
        assert send(nginx, "/reuse/session", old, good).status == 200
    nginx.await_log("tokenstore.guard: the token was rotated before")


def test_a_rotation_without_a_session(nginx: Nginx) -> None:
    for values in ((), ("stale",), ("stale", "staler")):
        got = send(nginx, "/rotate", *values)
        assert (got.status, got.cookies) == (401, [])
        assert ("invalid_token" in got.headers["www-authenticate"]) == bool(values)


def test_the_token_of_a_header_is_not_rotated(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """Its client would not learn the new one; and no cookie begins where there was none."""
    theirs, other = sessions.create("web", "bob", {}), sessions.create("web", "alice", {})
    got = send(nginx, "/rotate", other, headers={"Authorization": f"Bearer {theirs}"})
    assert (got.json["token"], got.json["owner"], got.cookies) == (theirs, "bob", [])
    assert live(sessions, theirs, other) == [True, True]
    assert send(nginx, "/rotate", other, headers={"Authorization": "Bearer x"}).status == 401
    assert send(nginx, "/rotate", other, headers={"Authorization": "Bearer"}).status == 400


def test_the_rest_of_the_request_has_the_new_token(
    nginx: Nginx, sessions: tokenstore.Sessions
) -> None:
    old = sessions.create("web", "bob", {})
    got = send(nginx, "/edge/rotate", old)
    seen = got.seen
    assert seen["x-owner-id"] == "bob"
    assert seen["cookie"] != f"__Host-sid={old}"
    assert f"{seen['cookie']}{ATTRIBUTES}" in got.cookies


# ---- logout ------------------------------------------------------------------------------------------


def test_a_logout(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token, other = sessions.create("web", "bob", {}), sessions.create("web", "bob", {})
    got = send(nginx, "/logout", token)
    assert got.json == {"result": True}
    assert got.cookies == [f"__Host-sid=; Max-Age=0{ATTRIBUTES}"]
    assert live(sessions, token, other) == [False, True]
    for values in ((token,), ("stale", "staler"), ()):
        again = send(nginx, "/logout", *values)
        assert (again.json, again.cookies) == ({"result": False}, got.cookies)


def test_a_logout_with_a_superseded_token(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """Of a page that was loaded before the session was rotated."""
    old = sessions.create("web", "bob", {})
    new = send(nginx, "/rotate", old).token
    assert send(nginx, "/cached", new).status == 200
    assert send(nginx, "/logout", old).json == {"result": True}
    assert live(sessions, old, new) == [False, False]
    assert send(nginx, "/cached", new).status == 401
    old = sessions.create("web", "bob", {})
    new = send(nginx, "/rotate", old).token
    assert send(nginx, "/logout", old, new).json == {"result": True}
    assert live(sessions, old, new) == [False, False]


def test_a_logout_ends_all_that_the_request_has(
    nginx: Nginx, sessions: tokenstore.Sessions
) -> None:
    made = [sessions.create("web", owner, {}) for owner in ("bob", "bob", "alice", None)]
    got = send(nginx, "/logout", "stale", *made[:3], headers={"Authorization": f"Bearer {made[3]}"})
    assert got.json == {"result": True}
    assert live(sessions, *made) == [False] * 4


def test_the_upstream_of_a_logout_sees_nobody(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {})
    got = send(nginx, "/edge/logout", headers={"Cookie": f"__Host-sid={token}; a=b", **FORGED})
    seen = got.seen
    assert seen["cookie"] == "a=b"
    assert "x-owner-id" not in seen
    assert "forged" not in seen.values()


def test_a_record_that_cannot_be_read_ends_too(
    nginx: Nginx, redis: Server, sessions: tokenstore.Sessions
) -> None:
    def corrupt() -> tuple[str, bytes]:
        before = set(redis("KEYS", "ts:*"))
        token = sessions.create("web", "mallory", {})
        [key] = set(redis("KEYS", "ts:*")) - before
        [field, _] = redis("HGETALL", key)
        redis("HSET", key, field, "no record")
        return token, key

    good = sessions.create("web", "bob", {})
    for values in ((), (good,)):
        token, key = corrupt()
        assert send(nginx, "/logout", token, *values).status == 200
        assert redis("EXISTS", key) == 0
        assert live(sessions, *values) == [False for _ in values]
    token, key = corrupt()
    assert send(nginx, "/login", token, arguments={"owner_id": "bob"}).json["owner"] == "bob"
    assert redis("EXISTS", key) == 0


# ---- anonymous sessions ------------------------------------------------------------------------------


def test_an_anonymous_session_is_no_login(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    visitor = sessions.create("web", None, {"cart": []})
    assert send(nginx, "/anyone", visitor).json == {"data": {"cart": []}, "token": visitor}
    for path in ("/check", "/cached", "/rotate"):
        assert send(nginx, path, visitor).status == 401
    assert live(sessions, visitor) == [True]
    bob = sessions.create("web", "bob", {})
    assert send(nginx, "/check", visitor, bob).json["owner"] == "bob"
    assert send(nginx, "/rotate", visitor, bob).json["owner"] == "bob"
    assert live(sessions, visitor, bob) == [True, True]


# ---- the cache ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/logout", "/rotate", "/login"])
def test_a_cached_session_ends(nginx: Nginx, sessions: tokenstore.Sessions, path: str) -> None:
    """In every composition of cookies in which it was cached; the others stay cached."""
    token, other = sessions.create("web", "bob", {}), sessions.create("web", "alice", {})
    requests = [(token,), ("stale", token), (token, "stale")]
    for values in (*requests, (other,)):
        assert send(nginx, "/cached", *values).status == 200
    sessions.update("web", other, {"changed": True})
    arguments = {"/login": {"owner_id": "bob"}, "/rotate": {"grace": 0}, "/logout": {}}[path]
    assert send(nginx, path, token, arguments=arguments).status == 200
    for values in requests:
        assert send(nginx, "/cached", *values).status == 401
    assert send(nginx, "/cached", other).json["data"] == {}
    assert live(sessions, other) == [True]


def test_a_new_token_is_cached_again(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    token = sessions.create("web", "bob", {})
    assert send(nginx, "/cached", token).status == 200
    new = send(nginx, "/rotate", token).token
    assert send(nginx, "/cached", new).status == 200
    sessions.kill("web", new)
    assert send(nginx, "/cached", new).status == 200


def test_a_late_answer_is_not_cached(nginx: Nginx, sessions: tokenstore.Sessions) -> None:
    """Redis was asked before the logout, and answered after it."""
    token = sessions.create("web", "bob", {})
    assert send(nginx, "/race", token).json["owner"] == "bob"
    assert live(sessions, token) == [False]
    assert send(nginx, "/raced", token).status == 401


# ---- failures ----------------------------------------------------------------------------------------


def test_wrong_options_are_named(nginx: Nginx) -> None:
    lines = send(nginx, "/wrong").text.splitlines()
    parts = [
        "'cookie_attributes' (browsers drop a cookie with the prefix __Host- with a domain, or a path",
        "'cookie_attributes' (browsers drop a cookie with the prefix __Host- with a domain, or a path",
        "'cookie_attributes' (browsers drop a cookie with the prefix __Secure- without secure",
        "'cookie_attributes' (same_site = \"None\" requires secure",
        "'cookie_attributes' (partitioned requires secure",
        "'cookie_attributes' (unknown attribute 'samesite'",
        "'cookie_attributes' (there is no 'cookie'",
        "unknown option 'cookie_attributes'",
        "'store' (a tokenstore.Sessions or a tokenstore.RedisTokens expected",
        "'cookie' (the name of the cookie to set expected",
        "'cookie' (letters, digits",
        "#2 (table expected, got nil",
        "'owner_id' (string expected, got nil",
        "unknown argument 'owner'",
        "'owner_id' (string expected, got number",
        "'max_age' (at least 1 second",
        "unknown argument 'owner_id'",
        "bad argument: duration must be",
        "bad argument: grace must be",
        "'store' (a tokenstore.Sessions expected",
    ]
    assert len(lines) == len(parts), lines
    for line, part in zip(lines, parts):
        assert part in line
        assert line.startswith("content_by_lua(nginx.conf:"), line


def test_tokens(nginx: Nginx, redis: Server) -> None:
    def value(got: Got) -> str:
        return got.cookies[0].removeprefix("sid=").split(";")[0]

    first = send(nginx, "/token/login")
    assert first.json["owner"] == "robot"
    second = send(nginx, "/token/rotate", headers={"Cookie": f"sid={value(first)}"})
    assert second.json["data"] == {"a": 1}
    with tokenstore.RedisTokens(redis.url) as tokens:
        assert tokens.get("web", "api", value(first)).superseded
        assert tokens.get("web", "api", value(second)) is not None
        assert send(nginx, "/token/logout", headers={"Cookie": f"sid={value(second)}"}).json == {
            "result": True
        }
        assert tokens.get("web", "api", value(second)) is None


def test_redis_away() -> None:
    """Nothing looks done that is not: a logout that failed leaves the cookie."""
    explained = ("tokenstore.guard: .* cannot connect", r"connect\(\) to unix:.* failed")
    server = """
      location = /open {
        content_by_lua_block {
          answer(guard.rotate { store = sessions, app = "web", cookie = "__Host-sid", fail_open = true })
        }
      }
    """
    with running_redis() as redis, tokenstore.Sessions(redis.url) as sessions:
        with site(redis.url, server, explained=explained) as nginx:
            token = sessions.create("web", "bob", {})
            redis.kill()
            for path in ("/login", "/rotate", "/logout"):
                got = send(
                    nginx, path, token, arguments={"owner_id": "bob"} if path == "/login" else {}
                )
                assert (got.status, got.cookies, got.headers["retry-after"]) == (503, [], "1")
            got = send(nginx, "/open", token)
            assert (got.status, got.cookies, got.text) == (200, [], "{}")
            assert len(nginx.lines("tokenstore.guard:")) == 1
            redis.socket_path.unlink(missing_ok=True)  # type: ignore[union-attr]
            redis.start()
            assert send(nginx, "/login", arguments={"owner_id": "bob"}).json["owner"] == "bob"
