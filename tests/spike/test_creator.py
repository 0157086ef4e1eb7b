"""get_token_creator: every option of spike-get-token, in each of its spellings, good and bad."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import tokenstore
from authorization import CLIENT_ID, CLIENT_SECRET, Answer, Provider, endpoint, granted
from servers import Server
from tokenstore import get_token_creator

AUDIENCE = "https://api.example/a"


def options(url: str, **more: Any) -> dict[str, Any]:
    return {
        "ClientId": "id",
        "ClientSecret": "secret-canary",
        "spikeURL": url,
        "tokenAudience": AUDIENCE,
        **more,
    }


def test_it_gives_tokens(authority_server: Provider, tmp_path: Any) -> None:
    public = {k: v for k, v in authority_server.keys[0].items() if k in ("kty", "n", "e", "kid")}
    path = tmp_path / "key.json"
    path.write_text(json.dumps({"keys": [public]}))
    with get_token_creator(
        clientId=CLIENT_ID,
        clientSecret=CLIENT_SECRET,
        spikeUrl=authority_server.url + "/oauth2/token",
        tokenAudience=AUDIENCE,
        tokenGrantType="client_credentials",
        spikePublicKeyFullPath=str(path),
    ) as get_token:
        token = get_token()
        assert token.count(".") == 2
        assert get_token() == token
    assert authority_server.issued == [AUDIENCE]


def test_redis_and_the_name_of_the_key(authority_server: Provider, redis: Server) -> None:
    given = options(
        authority_server.url,
        ClientId=CLIENT_ID,
        ClientSecret=CLIENT_SECRET,
        useRedis=True,
        redisHost=redis.url,
        tokenRedisKeyName="my-tokens",
    )
    # That server has its keys as JWKS elsewhere: the default address has no key.
    with get_token_creator(given) as get_token, pytest.raises(tokenstore.SpikeError, match="key"):
        get_token()
    redis("HSET", "my-tokens", AUDIENCE, "x")
    assert redis("EXISTS", "my-tokens") == 1


@pytest.mark.parametrize(
    "spelling", [("ClientId", "ClientSecret", "spikeURL"), ("clientId", "clientSecret", "spikeUrl")]
)
def test_spellings(spelling: tuple[str, str, str]) -> None:
    values = ("id", "secret", "https://spike.example")
    with get_token_creator(dict(zip(spelling, values)), tokenAudience=AUDIENCE) as creator:
        assert callable(creator)


def test_the_url_with_and_without_a_path() -> None:
    with endpoint(lambda asked: Answer(401)) as server:
        for url in (server.url, server.url + "/", server.url + "/a/b"):
            with get_token_creator(options(url)) as get_token:
                with pytest.raises(tokenstore.SpikeAuthError):
                    get_token()
        assert [a.path for a in server.asked] == ["/oauth2/token", "/oauth2/token", "/a/b"]


def test_retries_and_sleeps() -> None:
    with endpoint(lambda asked: Answer(500)) as server:
        given = options(server.url, retries=2, sleepBetweenRetries=1, hostHeader="h.example")
        with get_token_creator(given) as get_token, pytest.raises(tokenstore.SpikeError):
            get_token()
        assert len(server.asked) == 3
        assert {a.headers["host"] for a in server.asked} == {"h.example"}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"ClientId": ""}, "ClientId is empty"),
        ({"ClientId": 7}, "ClientId must be a text"),
        ({"clientId": "b"}, "clientId is given twice"),
        ({"ClientSecret": None}, "ClientSecret is missing"),
        ({"spikeURL": "ftp://x"}, "spikeURL must begin with"),
        ({"spikeURL": "https://"}, "spikeURL must begin with"),
        ({"tokenAudience": []}, "tokenAudience must be a text"),
        ({"tokenGrantType": ""}, "tokenGrantType is empty"),
        ({"useRedis": "yes"}, "useRedis must be true or false"),
        ({"useRedis": True}, "redisHost is missing"),
        ({"redisHost": 1}, "redisHost must be a text"),
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
def test_a_fault_is_named(more: dict[str, Any], fault: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match=fault) as caught:
        get_token_creator(options("https://spike.example", **more))
    assert "canary" not in str(caught.value)


def test_all_faults_at_once() -> None:
    bad = {"ClientId": "", "spikeURL": "x", "retries": "a", "useRedis": 1, "other": 1}
    with pytest.raises(tokenstore.ConfigurationError) as caught:
        get_token_creator(bad)
    message = str(caught.value)
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


def test_no_verification_is_allowed_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    with get_token_creator(options("https://spike.example", httpsValidation=False)):
        assert "not verified" in caplog.text


def test_the_camel_case_name() -> None:
    assert tokenstore.getTokenCreator is get_token_creator


def test_sleeps_are_milliseconds() -> None:
    with endpoint(lambda asked: granted()) as server:
        with get_token_creator(options(server.url, sleepBetweenRetries=50)) as creator:
            begin = time.monotonic()
            with pytest.raises(tokenstore.SpikeError):  # opaque where a JWT is due
                creator()
            assert time.monotonic() - begin < 2
