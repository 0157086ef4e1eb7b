"""Spike's options in Lua: each, valid and invalid."""

from __future__ import annotations

from typing import Any

import pytest

from lua_process import Lua, get, make, quote

A = "https://api.example/a"
GOOD = {"url": "https://spike.example", "client_id": "id", "client_secret": "secret-canary"}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"url": "ftp://x"}, "url must begin with"),
        ({"url": "https://u:canary@x"}, "the server's url: the URL contains a user or a password"),
        ({"client_id": ""}, "client_id is missing"),
        ({"client_secret": ""}, "client_secret is missing"),
        ({"redis": "http://x"}, "unknown scheme"),
        ({"public_key_path": "/no/such/file"}, "public_key_path cannot be read"),
        ({"public_key_path": "/"}, "public_key_path cannot be read"),
        ({"public_key_path": __file__}, ""),
        ({"public_key_url": "https://a", "jwks_url": "https://b"}, "exclude each other"),
        ({"expiration_offset": -1}, "expiration_offset must be"),
        ({"connect_timeout": float("1e99")}, "connect_timeout must be"),
        ({"retry": {"retries": 1.5}}, "retries must be a whole number"),
        ({"retry": {"retries": 101}}, "retries must be"),
        ({"retry": {"factor": 0.5}}, "factor must be"),
        ({"retry": {"min": 5, "max": 1}}, "retry.min must not be above retry.max"),
        ({"retry": {"max": 5000000}}, "retry.max must be 0 to 600 seconds"),
        ({"retry": {"total": 0}}, "retry.total must be 0.001 to 3600 seconds"),
        ({"ca": "/no/such/file"}, "ca=/no/such/file"),
        ({"ca": "/etc\0/x"}, "ca must be a file name"),
        ({"proxy": "::"}, "proxy"),
        ({"body_format": "xml"}, "body_format must be"),
        ({"token_format": "saml"}, "token_format must be"),
        ({"host_header": "a\r\nb"}, "host header"),
        ({"redis_key": ""}, "redis_key must be 1 to 65536 bytes"),
        ({"public_key_path": "/dev/null"}, "public_key_path cannot be read: it is empty"),
        ({"public_key_path": __file__ + "\0x"}, "the path contains a NUL byte"),
    ],
)
def test_a_wrong_value_is_a_failure(lua: Lua, more: dict[str, Any], fault: str) -> None:
    message = lua.fails("configuration", fault, f"return tokenstore.Spike({quote(GOOD | more)})")
    assert "canary" not in message


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"url": 7}, "'url' (string expected, got number)"),
        ({"url": None}, "'url' (string expected, got nil)"),
        ({"client_id": None}, "'client_id' (string expected, got nil)"),
        ({"client_secret": True}, "'client_secret' (string or function expected, got boolean)"),
        ({"redis": 7}, "'redis' (URL or Client expected, got number)"),
        ({"redis": {}}, "'redis' (URL or Client expected, got table)"),
        ({"expiration_offset": "1"}, "'expiration_offset' (number expected, got string)"),
        ({"retry": 3}, "'retry' (table expected, got number)"),
        ({"retry": {"retries": "3"}}, "'retries' (number expected, got string)"),
        ({"retry": {"times": 3}}, "unknown option of retry 'times'"),
        ({"parameters": {"a": 1}}, "'parameters'"),
        ({"parameters": ["a"]}, "'parameters'"),
        ({"verify": "no"}, "'verify' (boolean expected, got string)"),
        ({"nonsense": 1}, "unknown option 'nonsense' (known are: assertion_audience, "),
        ({"clientId": "x"}, "'client_id' is given twice"),
    ],
)
def test_a_wrong_type_raises_where_it_was_written(
    lua: Lua, more: dict[str, Any], fault: str
) -> None:
    message = lua.raises(fault, f"local s = tokenstore.Spike({quote(GOOD | more)})")
    assert message.startswith("test:1: ")
    assert "canary" not in message


def test_arguments(lua: Lua) -> None:
    make(lua, GOOD)
    for call, got in (("spike:get_token()", "nil"), ("spike:get_token(7)", "number")):
        message = lua.raises(f"'audience' (string expected, got {got})", f"local t = {call}")
        assert message.startswith("test:1: ")
    lua.raises(
        "unknown argument 'audienc' (known are: audience, resource, scope, timeout)",
        "local t = spike:get_token{audienc=1}",
    )
    lua.raises("tokenstore.spike expected", "local t = spike._get(spike, 'x')")
    lua.fails("data", "audience", "return spike:get_token ''")
    lua.fails("data", "audience", "return spike:get_token(('x'):rep(2000))")
    lua.raises(
        "#1 (table of options expected, got string)", "local s = tokenstore.Spike 'http://x'"
    )
    assert lua("return tostring(spike)") == "tokenstore.Spike: https://spike.example"


def test_options_in_camel_case(lua: Lua) -> None:
    camel = {"url": "https://x", "clientId": "id", "clientSecret": "s", "tokenFormat": "opaque"}
    assert lua(f"return tostring(assert(tokenstore.Spike({quote(camel)})))")


def test_only_a_spike_loads_curl(lua: Lua) -> None:
    maps = "local f = io.open '/proc/self/maps' local t = f:read '*a' f:close() return t:find 'libcurl' ~= nil"
    lua("c = tokenstore.Client 'redis://127.0.0.1:1'")
    assert lua(maps) is False
    make(lua, GOOD)
    assert lua(maps) is True


def test_close_attribute(lua: Lua) -> None:
    if lua.name != "lua5.4":
        assert lua("return type(tokenstore.Spike.__close)") == "function"
        return
    make(lua, GOOD)
    lua.fails("closed", "closed", "do local s <close> = spike end " + get(A))


def test_all_faults_at_once(lua: Lua) -> None:
    bad = {
        "url": "x",
        "client_id": "",
        "redis": "http://x",
        "public_key_path": "/no/such/file",
        "jwks_url": "https://b",
        "expiration_offset": -1,
        "retry": {"retries": 1.5, "factor": 0},
        "ca": "/no/such/file",
        "body_format": "xml",
        "token_format": "saml",
    }
    message = lua.fails("configuration", "", f"return tokenstore.Spike({quote(GOOD | bad)})")
    for part in (
        "url must begin with",
        "client_id is missing",
        "unknown scheme",
        "public_key_path cannot be read",
        "exclude each other",
        "expiration_offset must be",
        "retries must be",
        "factor must be",
        "ca=/no/such/file",
        "body_format must be",
        "token_format must be",
    ):
        assert part in message, part
