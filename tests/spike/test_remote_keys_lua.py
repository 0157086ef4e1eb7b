"""jwt.KeySet.from_url in Lua, like test_remote_keys.py for Python. tests/nginx runs all of it in nginx
too."""

from __future__ import annotations

import time
from typing import Any

import pytest

from authorization import endpoint, wait_until
from lua_process import Lua, one_lua, quote
from published import KEYS, Keys, token


@pytest.fixture(autouse=True)
def begin(request: pytest.FixtureRequest) -> None:
    if "lua" in request.fixturenames:
        lua: Lua = request.getfixturevalue("lua")
        lua('jwt = require "tokenstore.jwt" lines = {}')
        lua("function log(level, text) lines[#lines + 1] = level .. ': ' .. text end")
        lua(
            "function decode(token) local claims, header, code = jwt.decode { token = token, key = set,"
            " algorithms = { 'EdDSA' } } if claims then return claims.sub, header.kid end"
            " return nil, header, code end"
        )


def open_set(lua: Lua, url: str, **options: Any) -> None:
    options["url"] = url
    lua(
        f"options = {quote(options)} options.logger = log set = assert(jwt.KeySet.from_url(options))"
    )


def decode(lua: Lua, given: str) -> Any:
    """["bob", kid], or [None, message, code]."""
    return lua.all(f"return decode({quote(given)})")


GOOD = ["bob", "k0"]


def test_they_are_fetched_once_and_kept(lua: Lua) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        open_set(lua, server.url + "/jwks?x=y")
        assert [decode(lua, token()) for _ in range(3)] == [GOOD] * 3
        assert lua("return #assert(set:get())") == 1
        assert lua("return tostring(set)") == "tokenstore.jwt.RemoteKeySet"
        assert [asked.path for asked in server.asked] == ["/jwks?x=y"]


def test_an_unknown_key_is_a_reason_to_fetch_once_in_a_while(lua: Lua) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        open_set(lua, server.url)
        for i in range(10):
            got = decode(lua, token(kid=f"made up {i}"))
            assert (got[0], got[2]) == (None, "invalid_token"), got
        assert len(server.asked) == 2


def test_what_is_wrong_otherwise_is_none(lua: Lua) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        open_set(lua, server.url)
        for given in (token()[:-6] + "AAAAAA", "a.b.c", ""):
            assert decode(lua, given)[2] == "invalid_token"
        assert len(server.asked) == 1


def test_keys_may_change_as_often_as_they_like(lua: Lua) -> None:
    keys = Keys(KEYS[0])
    with endpoint(keys) as server:
        open_set(lua, server.url, min_interval=3600)
        for i in range(6):
            keys.keys = [KEYS[i % 2]]
            assert decode(lua, token(KEYS[i % 2])) == ["bob", f"k{i % 2}"]
        assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"status": 503}, "connection", "answered 503"),
        ({"status": 302, "headers": {"Location": "/x"}}, "connection", "redirects"),
        ({"body": "<html>"}, "data", "unusable keys"),
        ({"body": {"keys": [KEYS[0].to_jwk(private=True)]}}, "data", "no usable public key"),
        ({"body": b"x" * (1 << 20) + b"x"}, "data", "larger than"),
        ({"delay": 2.0}, "timeout", "timeout expired"),
    ],
)
def test_what_is_no_key_set_says_nothing_of_a_token(
    lua: Lua, change: dict[str, Any], code: str, says: str
) -> None:
    keys = Keys(KEYS[0])
    for name, value in change.items():
        setattr(keys, name, value)
    with endpoint(keys) as server:
        open_set(lua, server.url + "/secret-canary", timeout=0.3)
        for _ in range(2):
            got = decode(lua, token())
            assert got[0] is None
            assert got[2] == code, got
            assert says in got[1]
            assert "canary" not in got[1]
        assert len(server.asked) == 1


@one_lua()
def test_old_keys_are_used_while_the_server_is_away_but_not_for_ever(lua: Lua) -> None:
    keys = Keys(KEYS[0])
    with endpoint(keys) as server:
        open_set(lua, server.url, max_age=1, max_stale=2, min_interval=1)
        assert decode(lua, token()) == GOOD
        keys.status = 503
        begin = time.monotonic()
        while time.monotonic() < begin + 2.5:
            assert decode(lua, token()) == GOOD
            time.sleep(0.05)
        assert 2 <= len(server.asked) <= 4
        assert decode(lua, token(KEYS[1]))[2] == "connection"
        time.sleep(1)
        assert decode(lua, token())[2] == "connection"
        keys.status = 200
        time.sleep(1.1)
        assert decode(lua, token()) == GOOD
    lines = lua("return lines")
    assert any(line.startswith("warning") and "using the old ones" in line for line in lines)


@one_lua()
def test_old_keys_are_renewed_in_the_background(lua: Lua) -> None:
    keys = Keys(KEYS[0])
    with endpoint(keys) as server:
        open_set(lua, server.url, max_age=1)
        assert decode(lua, token()) == GOOD
        keys.keys, keys.delay = [KEYS[1]], 0.5
        time.sleep(1.1)
        begin = time.monotonic()
        assert decode(lua, token()) == GOOD  # the old ones
        assert time.monotonic() - begin < 0.4
        wait_until(lambda: len(server.asked) == 2)
        wait_until(lambda: decode(lua, token(KEYS[1])) == ["bob", "k1"])
        assert decode(lua, token())[2] == "invalid_token"


@one_lua()
def test_cache_control_may_shorten_their_life(lua: Lua) -> None:
    keys = Keys(KEYS[0])
    keys.headers = {"Cache-Control": "max-age=1"}
    with endpoint(keys) as server:
        open_set(lua, server.url, min_interval=1)
        assert decode(lua, token()) == GOOD
        time.sleep(1.2)
        assert decode(lua, token()) == GOOD
        wait_until(lambda: len(server.asked) == 2)


def test_close(lua: Lua) -> None:
    with endpoint(Keys(KEYS[0])) as server:
        open_set(lua, server.url)
        assert decode(lua, token()) == GOOD
        lua("set:close() set:close()")
        assert decode(lua, token())[2] == "closed"
        lua.fails("closed", "closed", "return set:get()")


def test_what_cannot_be(lua: Lua) -> None:
    """In nginx the first call fails, because only a thread checks it."""
    for url, options, says in (
        ("http://keys.example/jwks", {}, "https://"),
        ("https://user:secret-canary@127.0.0.1/", {}, "user or a password"),
        ("https://a/", {"max_age": 0}, "max_age"),
        ("https://a/", {"min_interval": 0.5}, "min_interval"),
        ("https://a/", {"ca": "/nowhere"}, "ca"),
    ):
        text = quote({"url": url, **options})
        got = lua.all(
            f"local set, message, code = jwt.KeySet.from_url({text}) if not set then return nil, message, code end"
            " return set:get()"
        )
        assert got[0] is None
        assert got[2] == "configuration", got
        assert says in got[1]
        assert "canary" not in got[1]


def test_what_is_of_another_type(lua: Lua) -> None:
    for given in (
        "1",
        "nil",
        "{}",
        "{ url = 1 }",
        "{ url = 'https://a/', x = 1 }",
        "{ url = 'https://a/', logger = 1 }",
    ):
        lua.raises("bad" if "x =" not in given else "x", f"return jwt.KeySet.from_url({given})")
    with endpoint(Keys(KEYS[0])) as server:
        open_set(lua, server.url)
        lua.raises("test:1: bad argument 'algorithms'", "jwt.decode { token = 'x', key = set, algorithms = 'x' }")
