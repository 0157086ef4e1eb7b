"""get_token_creator: every option of spike-get-token, in each spelling, valid and invalid."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import creator_cases
import tokenstore
from authorization import Answer, Asked, Endpoint, Signer, endpoint
from creator_cases import AUDIENCE, in_lower_case, options, with_value
from servers import Server, running
from tokenstore import get_token_creator

SPELLINGS = [lambda given: given, in_lower_case]
BAD = [(name, value) for name, values in creator_cases.BAD.items() for value in values]


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def get(server: Endpoint, spelled: Any = SPELLINGS[0], **more: Any) -> Asked:
    """Gets a token and returns the request; the public key is fetched once, from its usual path."""
    server.asked.clear()
    with get_token_creator(spelled(options(server.url, **more))) as get_token:
        token = get_token()
        assert token.count(".") == 2
        assert get_token() == token
    (asked,) = server.tokens_asked
    return asked


def test_no_option_is_forgotten() -> None:
    assert sorted(creator_cases.BAD) == sorted(creator_cases.spellings())
    assert len(creator_cases.BAD) == 16


# ---- effects ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelled", SPELLINGS, ids=["Spelling", "spelling"])
def test_the_request(signer: Signer, spelled: Any, tmp_path: Path) -> None:
    with endpoint(signer.answer) as server:
        asked = get(server, spelled)
        assert asked.basic == ("id", "secret-canary")
        assert asked.path == "/oauth2/token"
        assert asked.form == {"grant_type": "client_credentials", "audience": AUDIENCE}
        assert [a.path for a in server.asked if a.method == "GET"] == ["/.well-known/publickey.pem"]
        asked = get(
            server, spelled, tokenGrantType="other", tokenAudience="b", hostHeader="h.example"
        )
        assert asked.form == {"grant_type": "other", "audience": "b"}
        assert {a.headers["host"] for a in server.asked} == {"h.example"}
        key = tmp_path / "key.pem"
        key.write_bytes(signer.public)
        get(server, spelled, spikePublicKeyFullPath=str(key))
        assert len(server.asked) == 1  # the key was there


@pytest.mark.parametrize("spelled", SPELLINGS, ids=["spikeURL", "spikeUrl"])
def test_the_url_with_and_without_a_path(signer: Signer, spelled: Any) -> None:
    with endpoint(signer.answer) as server:
        for url in (server.url, server.url + "/", server.url + "/a/b"):
            with get_token_creator(spelled(options(url))) as get_token:
                assert get_token()
        assert [a.path for a in server.tokens_asked] == ["/oauth2/token", "/oauth2/token", "/a/b"]


def test_redis(signer: Signer, redis: Server) -> None:
    with endpoint(signer.answer) as server:
        get(server, redisHost=redis.url)
        assert redis("HKEYS", "spike-tokens-for-clientId-id") == [AUDIENCE.encode()]
        get(server, redisHost=redis.url, useRedis=True, tokenRedisKeyName="mine", clientId=None)
        assert redis("HKEYS", "mineid") == [AUDIENCE.encode()]
        redis("FLUSHALL")
        get(server, redisHost=redis.url, useRedis=False)
        get(server, useRedis=False)
        assert redis.keys() == []


def test_options_as_the_node_package_takes_them(signer: Signer, redis: Server) -> None:
    with endpoint(signer.answer) as server:
        for more in ({"hostHeader": True}, {"hostHeader": False}, {"useRedis": False, "redisHost": ""}):
            get(server, **more)
        assert {asked.headers["host"] for asked in server.asked} == {server.url.split("//")[1]}
        with pytest.raises(tokenstore.ConfigurationError, match="redisHost is empty"):
            get(server, useRedis=True, redisHost="")
        with get_token_creator(options(server.url + "/token?policy=a")) as get_token:
            assert get_token()
        assert server.tokens_asked[-1].path == "/token?policy=a"
    assert redis.keys() == []


def test_redis_host_is_a_host(signer: Signer) -> None:
    with running(transport="tcp") as redis, endpoint(signer.answer) as server:
        get(server, redisHost=f"127.0.0.1:{redis.port}")
        assert redis("HKEYS", "spike-tokens-for-clientId-id") == [AUDIENCE.encode()]


@pytest.mark.parametrize("retries", [0, 1, 2, 3.0])
def test_retries(retries: float) -> None:
    with endpoint(lambda asked: Answer(500)) as server:
        given = options(server.url, retries=retries, sleepBetweenRetries=1)
        with get_token_creator(given) as get_token:
            with pytest.raises(tokenstore.SpikeError, match="answered 500"):
                get_token()
        assert len(server.asked) == retries + 1


def test_retries_by_default() -> None:
    with endpoint(lambda asked: Answer(500)) as server:
        with get_token_creator(options(server.url)) as get_token:
            with pytest.raises(tokenstore.SpikeError, match="after 4 tries"):
                get_token()


def test_sleeps_are_milliseconds_and_have_a_budget(caplog: pytest.LogCaptureFixture) -> None:
    answers = [Answer(500)]
    with endpoint(lambda asked: answers[0]) as server:
        given = options(server.url, retries=1, sleepBetweenRetries=2000)
        with get_token_creator(given) as get_token:
            begin = time.monotonic()
            with pytest.raises(tokenstore.SpikeError, match="after 2 tries"):
                get_token()
            assert time.monotonic() - begin < 4
            time.sleep(1.1)  # until then the failure is returned again
            # More than ten seconds of attempts and two of sleep.
            answers[0] = Answer(500, headers={"Retry-After": "13"})
            with pytest.raises(tokenstore.SpikeError, match="after 1 try"):
                get_token()
    assert "retry 1 of 1 in " in caplog.text


def test_a_mapping_keywords_or_both(signer: Signer) -> None:
    with endpoint(signer.answer) as server:
        given = options(server.url)
        audience = given.pop("tokenAudience")
        with get_token_creator(given, tokenAudience=audience, retries=None) as get_token:
            assert get_token()
    with pytest.raises(tokenstore.ConfigurationError, match="ClientId is given twice"):
        get_token_creator(given, ClientId="x")


def test_the_camel_case_name() -> None:
    assert tokenstore.getTokenCreator is get_token_creator


# ---- rejected --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}-{value!r}" for name, value in BAD])
def test_a_bad_value_is_named(name: str, value: Any) -> None:
    given = with_value(name, value)
    if name == "useRedis":
        given["redisHost"] = "localhost"
    with pytest.raises(tokenstore.ConfigurationError) as caught:
        get_token_creator(given)
    assert creator_cases.CALLED.get(name, name).lower() in str(caught.value).lower()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("pair", creator_cases.TWICE)
def test_two_spellings_of_one_option_exclude_each_other(pair: tuple[str, str]) -> None:
    given = options("https://spike.example")
    given[pair[1]] = given[pair[0]]
    with pytest.raises(tokenstore.ConfigurationError, match=f"{pair[1]} is given twice"):
        get_token_creator(given)


@pytest.mark.parametrize("name", creator_cases.REQUIRED)
@pytest.mark.parametrize("how", ["left out", "None"])
def test_what_is_required(name: str, how: str) -> None:
    given: dict[str, Any] = options("https://spike.example")
    given[name] = None
    if how == "left out":
        del given[name]
    with pytest.raises(tokenstore.ConfigurationError, match=f"^{name} is missing$"):
        get_token_creator(given)


def test_what_goes_together() -> None:
    for more, fault in (
        ({"useRedis": True}, "redisHost is missing"),
        ({"nonsense": 1}, "nonsense is not an option"),
        ({"clientid": "x"}, "clientid is not an option"),
    ):
        with pytest.raises(tokenstore.ConfigurationError, match=fault):
            get_token_creator(options("https://spike.example", **more))


def test_all_faults_at_once() -> None:
    bad = {"ClientId": "", "spikeURL": "x", "retries": "a", "useRedis": 1, "other": 1}
    with pytest.raises(tokenstore.ConfigurationError) as caught:
        get_token_creator(bad)
    for name in (*creator_cases.REQUIRED, "retries", "useRedis", "other"):
        assert name in str(caught.value)
