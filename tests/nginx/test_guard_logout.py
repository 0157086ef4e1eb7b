"""The guard gives a session a new token, and ends it; what it had cached; failures."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
    assert live(sessions, got.token) == [True]
    longer = send(nginx, "/rotate", got.token, arguments={"duration": 500})
    assert "; Max-Age=500;" in longer.cookies[0]
    for arguments in ({}, {"idle": 50}):
        token = sessions.create("web", "bob", {}, **arguments)
        assert "Max-Age" not in send(nginx, "/rotate", token).cookies[0]


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
    seen = {name.lower(): value for name, value in got.json.items()}
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
    seen = {name.lower(): value for name, value in got.json.items()}
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
    assert live(sessions, visitor, bob) == [True, False]


# ---- the cache ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/logout", "/rotate", "/login"])
def test_a_cached_session_ends(nginx: Nginx, sessions: tokenstore.Sessions, path: str) -> None:
    """In every composition of cookies in which it was cached; the others stay cached."""
    token, other = sessions.create("web", "bob", {}), sessions.create("web", "alice", {})
    requests = [(token,), ("stale", token), (token, "stale")]
    for values in (*requests, (other,)):
        assert send(nginx, "/cached", *values).status == 200
    sessions.update("web", other, {"changed": True})
    assert (
        send(nginx, path, token, arguments={"owner_id": "bob"} if path == "/login" else {}).status
        == 200
    )
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
        assert tokens.get("web", "api", value(first)) is None
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
