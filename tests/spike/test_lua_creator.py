"""get_token_creator in Lua: every option of spike-get-token, in each spelling, valid and invalid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import creator_cases
from authorization import Answer, Asked, Endpoint, Signer, endpoint
from creator_cases import AUDIENCE, in_lower_case, options, with_value
from lua_process import Lua, log, quote
from servers import Server

SPELLINGS = [lambda given: given, in_lower_case]


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def create(lua: Lua, given: dict[str, Any], name: str = "get_token_creator") -> None:
    lua(f"given = {quote(given)} given.logger = log")
    lua(f"create = assert(tokenstore.{name}(given))")


def get(lua: Lua, server: Endpoint, spelled: Any = SPELLINGS[0], **more: Any) -> Asked:
    """Gets a token and returns the request."""
    server.asked.clear()
    create(lua, spelled(options(server.url, **more)))
    token = lua("return create()")
    assert token.count(".") == 2
    assert lua("return create()") == token
    (asked,) = server.tokens_asked
    return asked


def test_the_request(lua: Lua, signer: Signer, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(signer.public)
    with endpoint(signer.answer) as server:
        for spelled in SPELLINGS:
            asked = get(lua, server, spelled)
            assert asked.basic == ("id", "secret-canary")
            assert asked.path == "/oauth2/token"
            assert asked.form == {"grant_type": "client_credentials", "audience": AUDIENCE}
            assert server.asked[-1].path == "/.well-known/publickey.pem"
            more = {"tokenGrantType": "other", "tokenAudience": "b", "hostHeader": "h.example"}
            asked = get(lua, server, spelled, **more)
            assert asked.form == {"grant_type": "other", "audience": "b"}
            assert {a.headers["host"] for a in server.asked} == {"h.example"}
            get(lua, server, spelled, spikePublicKeyFullPath=key)
            assert len(server.asked) == 1  # the key was there
            for url in (server.url + "/", server.url + "/a/b"):
                create(lua, spelled(options(url)))
                assert lua("return create()")
            assert [a.path for a in server.tokens_asked[1:]] == ["/oauth2/token", "/a/b"]
    assert "info: requesting" in log(lua)
    assert lua("return tostring(create)").startswith("tokenstore.TokenCreator: http://127.0.0.1")
    lua("create:close() create:close()")
    lua.fails("closed", "closed", "return create()")


def test_redis(lua: Lua, signer: Signer, redis: Server) -> None:
    with endpoint(signer.answer) as server:
        get(lua, server, redisHost=redis.url)
        assert redis("HKEYS", "spike-tokens-for-clientId-id") == [AUDIENCE.encode()]
        get(lua, server, redisHost=redis.url, useRedis=True, tokenRedisKeyName="mine")
        assert redis("HKEYS", "mineid") == [AUDIENCE.encode()]
        redis("FLUSHALL")
        get(lua, server, redisHost=redis.url, useRedis=False)
        get(lua, server, useRedis=False)
        assert redis.keys() == []


def test_retries_and_sleeps(lua: Lua) -> None:
    with endpoint(lambda asked: Answer(500)) as server:
        for retries in (0, 2, 3.0):
            server.asked.clear()
            given = options(server.url, retries=retries, sleepBetweenRetries=1)
            create(lua, given, "getTokenCreator")
            lua.fails("spike", "answered 500", "return create()")
            assert len(server.asked) == retries + 1
        # More than ten seconds of attempts and two of sleep.
        server.answer = lambda asked: Answer(500, headers={"Retry-After": "13"})
        create(lua, options(server.url, retries=1, sleepBetweenRetries=2000))
        lua.fails("spike", "after 1 try", "return create()")


def test_a_bad_value_is_named(lua: Lua) -> None:
    for name, values in creator_cases.BAD.items():
        for value in values:
            given = with_value(name, value)
            if name == "useRedis":
                given["redisHost"] = "localhost"
            message = lua.fails(
                "configuration", "", f"return tokenstore.get_token_creator({quote(given)})"
            )
            assert creator_cases.CALLED.get(name, name).lower() in message.lower(), (name, value)
            assert "canary" not in message


def test_two_spellings_and_what_is_required(lua: Lua) -> None:
    for one, other in creator_cases.TWICE:
        given = options("https://spike.example")
        given[other] = given[one]
        lua.fails(
            "configuration",
            "is given twice",
            f"return tokenstore.get_token_creator({quote(given)})",
        )
    for name in creator_cases.REQUIRED:
        given = options("https://spike.example")
        del given[name]
        message = lua.fails(
            "configuration", "", f"return tokenstore.get_token_creator({quote(given)})"
        )
        assert message == f"{name} is missing"


def test_all_faults_at_once(lua: Lua) -> None:
    bad = quote({"ClientId": "", "spikeURL": "x", "retries": "a", "useRedis": 1, "other": 1})
    message = lua.fails("configuration", "", f"return tokenstore.get_token_creator({bad})")
    for name in (*creator_cases.REQUIRED, "retries", "useRedis", "other"):
        assert name in message
    lua.fails(
        "configuration",
        "redisHost is missing",
        f"return tokenstore.get_token_creator({quote(options('https://x', useRedis=True))})",
    )
    lua.raises("a name expected, got a number", "local c = tokenstore.get_token_creator { 1 }")
    lua.raises(
        "#1 (table of options expected, got nil)", "local c = tokenstore.get_token_creator()"
    )
