"""Spike's options and get_token_creator's in Lua: each, good and bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authorization import CLIENT_ID, CLIENT_SECRET, Answer, Provider, endpoint
from lua_process import Lua, get, log, make, quote
from servers import Server

A = "https://api.example/a"
GOOD = {"url": "https://spike.example", "client_id": "id", "client_secret": "secret-canary"}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"url": "ftp://x"}, "url must begin with"),
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
        ({"retry": {"min": 5, "max": 1}}, "retry pauses must be"),
        ({"retry": {"max": 5000000}}, "retry pauses must be"),
        ({"retry": {"total": 0}}, "budget must be"),
        ({"ca": "/no/such/file"}, "ca=/no/such/file"),
        ({"ca": "/etc\0/x"}, "ca holds a NUL"),
        ({"proxy": "::"}, "proxy"),
        ({"body_format": "xml"}, "body_format must be"),
        ({"token_format": "saml"}, "token_format must be"),
        ({"host_header": "a\r\nb"}, "host header"),
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
        ({"client_secret": True}, "'client_secret' (string expected, got boolean)"),
        ({"redis": 7}, "'redis' (URL or Client expected, got number)"),
        ({"redis": {}}, "'redis' (URL or Client expected, got table)"),
        ({"expiration_offset": "1"}, "'expiration_offset' (number expected, got string)"),
        ({"retry": 3}, "'retry' (table expected, got number)"),
        ({"retry": {"retries": "3"}}, "'retries' (number expected, got string)"),
        ({"retry": {"times": 3}}, "unknown option of retry 'times'"),
        ({"parameters": {"a": 1}}, "'parameters'"),
        ({"parameters": ["a"]}, "'parameters'"),
        ({"verify": "no"}, "'verify' (boolean expected, got string)"),
        ({"nonsense": 1}, "unknown option 'nonsense' (known are: body_format, "),
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
        "unknown argument 'audienc' (known are: audience)", "local t = spike:get_token{audienc=1}"
    )
    lua.raises("tokenstore.spike expected", "local t = spike._get(spike, 'x')")
    lua.fails("data", "audience", "return spike:get_token ''")
    lua.fails("data", "audience", "return spike:get_token(('x'):rep(2000))")
    lua.raises(
        "#1 (table of options expected, got string)", "local s = tokenstore.Spike 'http://x'"
    )
    assert lua("return tostring(spike)") == "tokenstore.Spike: https://spike.example"
    make(lua, GOOD | {"url": "https://u:p@spike.example"})
    assert lua("return tostring(spike)") == "tokenstore.Spike: spike.example"


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


# ---- get_token_creator ----------------------------------------------------------------------------


def creator_options(url: str, **more: Any) -> dict[str, Any]:
    return {
        "ClientId": "id",
        "ClientSecret": "secret-canary",
        "spikeURL": url,
        "tokenAudience": A,
        **more,
    }


def test_a_creator_gives_tokens(
    lua: Lua, authority_server: Provider, redis: Server, tmp_path: Path
) -> None:
    public = {k: v for k, v in authority_server.keys[0].items() if k in ("kty", "n", "e", "kid")}
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"keys": [public]}))
    given = {
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "spikeUrl": authority_server.url + "/oauth2/token",
        "tokenAudience": A,
        "tokenGrantType": "client_credentials",
        "spikePublicKeyFullPath": path,
        "useRedis": True,
        "redisHost": redis.url,
        "tokenRedisKeyName": "my-tokens",
    }
    lua(
        f"given = {quote(given)} given.logger = log create = assert(tokenstore.getTokenCreator(given))"
    )
    token = lua("return create()")
    assert token.count(".") == 2
    assert lua("return create()") == token
    assert redis("HGETALL", "my-tokens") == [A.encode(), token.encode()]
    assert authority_server.issued == [A]
    assert "asking" in log(lua)
    assert lua("return tostring(create)").startswith("tokenstore.TokenCreator: http://127.0.0.1")
    lua("create:close() create:close()")
    lua.fails("closed", "closed", "return create()")


def test_creator_urls_retries_and_headers(lua: Lua) -> None:
    with endpoint(lambda asked: Answer(401)) as server:
        for url in (server.url, server.url + "/", server.url + "/a/b"):
            lua(f"create = assert(tokenstore.get_token_creator({quote(creator_options(url))}))")
            lua.fails("spike_auth", "401", "return create()")
        assert [a.path for a in server.asked] == ["/oauth2/token", "/oauth2/token", "/a/b"]
    with endpoint(lambda asked: Answer(500)) as server:
        given = creator_options(
            server.url, retries=2, sleepBetweenRetries=1, hostHeader="h.example"
        )
        lua(f"create = assert(tokenstore.get_token_creator({quote(given)}))")
        lua.fails("spike", "after 3 tries", "return create()")
        assert len(server.asked) == 3
        assert {a.headers["host"] for a in server.asked} == {"h.example"}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"ClientId": ""}, "ClientId is empty"),
        ({"ClientId": 7}, "ClientId must be a text"),
        ({"clientId": "b"}, "is given twice"),
        ({"ClientSecret": None}, "ClientSecret is missing"),
        ({"spikeURL": "ftp://x"}, "spikeURL must begin with"),
        ({"spikeURL": None, "spikeUrl": "https://"}, "spikeURL must begin with"),
        ({"tokenAudience": []}, "tokenAudience must be a text"),
        ({"tokenGrantType": ""}, "tokenGrantType is empty"),
        ({"tokenRedisKeyName": False}, "tokenRedisKeyName must be a text"),
        ({"useRedis": "yes"}, "useRedis must be true or false"),
        ({"useRedis": True}, "redisHost is missing"),
        ({"redisHost": 1}, "redisHost must be a text"),
        ({"redisHost": "http://x"}, "unknown scheme"),
        ({"httpsValidation": 0}, "httpsValidation must be true or false"),
        ({"retries": -1}, "retries must be"),
        ({"retries": 1.5}, "retries must be"),
        ({"retries": "3"}, "retries must be a number"),
        ({"sleepBetweenRetries": 1e99}, "sleepBetweenRetries must be"),
        ({"hostHeader": "a\r\nb"}, "host header"),
        ({"nonsense": 1}, "nonsense is no option"),
        ({"spikePublicKeyFullPath": "/no/such/file"}, "cannot be read"),
    ],
)
def test_a_fault_of_the_creator_is_named(lua: Lua, more: dict[str, Any], fault: str) -> None:
    given = quote(creator_options("https://spike.example", **more))
    message = lua.fails("configuration", fault, f"return tokenstore.get_token_creator({given})")
    assert "canary" not in message


def test_all_faults_of_the_creator_at_once(lua: Lua) -> None:
    bad = quote({"ClientId": "", "spikeURL": "x", "retries": "a", "useRedis": 1, "other": 1})
    message = lua.fails("configuration", "", f"return tokenstore.get_token_creator({bad})")
    for name in (
        "ClientId",
        "ClientSecret",
        "spikeURL",
        "tokenAudience",
        "retries",
        "useRedis",
        "other",
    ):
        assert name in message
    lua.raises("a name expected, got a number", "local c = tokenstore.get_token_creator { 1 }")
    lua.raises(
        "#1 (table of options expected, got nil)", "local c = tokenstore.get_token_creator()"
    )


def test_a_creator_without_verification_warns(lua: Lua) -> None:
    given = quote(
        creator_options("https://spike.example", httpsValidation=False, redisHost="localhost")
    )
    lua(f"given = {given} given.logger = log create = assert(tokenstore.get_token_creator(given))")
    assert "not verified" in log(lua)
