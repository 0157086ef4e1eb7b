"""Spike's options in Python: each, valid and invalid."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest

import tokenstore
from authorization import endpoint, granted
from tokenstore import Spike

GOOD = {"url": "https://spike.example", "client_id": "id", "client_secret": "secret-canary"}

BAD = [
    ({"url": "ftp://x"}, "url must begin with"),
    ({"url": "https://u:canary@x"}, "the server's url: the URL contains a user or a password"),
    ({"token_url": "http://[::1"}, "the server's url: the URL is malformed"),
    ({"jwks_url": "https://a b"}, "the public key's url: the URL is malformed"),
    ({"url": "https://a/?b=c"}, "url has a query"),
    ({"url": "https://a#b"}, "url has a query or a fragment"),
    ({"client_id": ""}, "client_id is missing"),
    ({"client_secret": ""}, "client_secret is missing"),
    ({"redis": "http://x"}, "unknown scheme"),
    ({"public_key_path": "/no/such/file"}, "public_key_path cannot be read"),
    ({"public_key_path": "/"}, "public_key_path cannot be read"),
    ({"public_key_path": __file__}, "PEM"),
    ({"public_key_url": "ftp://a"}, "public key's url must begin with"),
    ({"public_key_url": "https://a", "jwks_url": "https://b"}, "exclude each other"),
    ({"expiration_offset": -1}, "expiration_offset must be"),
    ({"expiration_offset": timedelta(days=2)}, "expiration_offset must be"),
    ({"expiration_offset": float("nan")}, "expiration_offset must be"),
    ({"connect_timeout": 1e99}, "connect_timeout must be"),
    ({"retry": {"retries": 101}}, "retry.retries must be a whole number from 0 to 100"),
    ({"retry": {"factor": 0.5}}, "factor must be"),
    ({"retry": {"factor": float("nan")}}, "factor must be"),
    ({"retry": {"min": 5, "max": 1}}, "retry.min must not be above retry.max"),
    ({"retry": {"max": 5000000}}, "retry.max must be 0 to 600 seconds"),
    ({"retry": {"total": 0}}, "retry.total must be 0.001 to 3600 seconds"),
    ({"retry": {"times": 3}}, "retry has no 'times'"),
    ({"ca": "/no/such/file"}, "ca=/no/such/file"),
    ({"cert": "/no/such/file"}, "cert=/no/such/file"),
    ({"key": "/no/such/file"}, "without cert="),
    ({"proxy": "::"}, "proxy"),
    ({"body_format": "xml"}, "body_format must be"),
    ({"token_format": "saml"}, "token_format must be"),
    ({"host_header": "a\r\nb"}, "host header"),
    ({"redis_key": ""}, "redis_key must be 1 to 65536 bytes"),
    ({"public_key_url": ""}, "a public key is missing"),
    ({"public_key_path": "/dev/null"}, "public_key_path cannot be read: it is empty"),
    ({"public_key_path": __file__ + "\0x"}, "the path contains a NUL byte"),
    ({"ca": "/etc\0/x"}, "ca must be a file name"),
    ({"retry": {"factor": 10**400}}, "factor must be"),
    ({"client_secret": "canary\ud800"}, "client_secret contains a surrogate"),
]

# Wrong types must not be misinterpreted: verify=None as "do not verify", a number as an open file.
WRONG_TYPES = [
    *(({name: 7}, name) for name in ("url", "client_id", "token_key_prefix", "redis", "ca", "proxy")),
    *(({name: 7}, name) for name in ("public_key_path", "public_key_url", "scope", "host_header")),
    *(({"verify": no}, "verify must be True or False") for no in (None, 0, "", "no")),
    ({"grant_type": None}, "grant_type must be str, not NoneType"),
    ({"expiration_offset": "1"}, "expiration_offset must be seconds"),
    ({"connect_timeout": True}, "connect_timeout must be seconds"),
    ({"retry": 3}, "retry must be a mapping"),
    ({"retry": {"retries": 1.5}}, "retry.retries must be int, not float"),
    ({"retry": {"min": "1"}}, "retry.min must be seconds"),
    ({"parameters": ["a"]}, "parameters must be a mapping"),
    ({"parameters": {"a": 1}}, "parameters must be a mapping of str to str"),
    ({"logger": print}, "logger must have info and warning"),
]


@pytest.mark.parametrize(("more", "fault"), BAD, ids=[str(more) for more, _ in BAD])
def test_a_wrong_value_is_named(more: dict[str, Any], fault: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError) as caught:
        Spike(**{**GOOD, **more})
    assert fault in str(caught.value)
    assert ";" not in str(caught.value) or "url" in more  # and nothing else is wrong
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", GOOD)
def test_what_must_be_text(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} must be str, not bytes"):
        Spike(**{**GOOD, name: b"x"})  # type: ignore[arg-type]


@pytest.mark.parametrize(("more", "fault"), WRONG_TYPES, ids=[str(more) for more, _ in WRONG_TYPES])
def test_a_wrong_type_is_named(more: dict[str, Any], fault: str) -> None:
    with pytest.raises(TypeError) as caught:
        Spike(**{**GOOD, **more})
    assert fault in str(caught.value)


def test_a_number_is_no_file() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(TypeError, match="public_key_path"):
            Spike(**GOOD, public_key_path=reader)  # type: ignore[arg-type]
        os.fstat(reader)  # still open
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("more", [{}, {"ca": "/no/such/file"}])
def test_a_fault_too_long_for_the_message_is_one_all_the_same(more: dict[str, Any]) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="^retry has no 'xxx"):
        Spike(**{**GOOD, **more}, retry={"x" * 3000: 1})


def test_all_faults_at_once() -> None:
    with pytest.raises(tokenstore.ConfigurationError) as caught:
        Spike(
            "x",
            "",
            "secret-canary",
            redis="http://x",
            public_key_path="/no/such/file",
            jwks_url="https://b",
            expiration_offset=-1,
            retry={"retries": 101, "factor": 0},
            ca="/no/such/file",
            body_format="xml",  # type: ignore[arg-type]
            token_format="saml",  # type: ignore[arg-type]
        )
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
        assert part in str(caught.value), part


@pytest.mark.parametrize("audience", ["", "a\0b", "a" * 1025])
def test_an_audience_has_limits(audience: str) -> None:
    with Spike(**GOOD) as s:  # type: ignore[arg-type]
        with pytest.raises(tokenstore.DataError, match="audience"):
            s.get_token(audience)


def test_times_as_timedelta() -> None:
    with endpoint(lambda asked: granted(expires_in=70)) as server:
        for offset, good in ((timedelta(seconds=60), True), (timedelta(seconds=80), False)):
            with Spike(
                server.url,
                "id",
                "secret",
                token_format="opaque",
                expiration_offset=offset,
                connect_timeout=timedelta(seconds=5),
            ) as s:
                if good:
                    assert s.get_token("a") == "opaque-token"
                else:
                    with pytest.raises(tokenstore.SpikeError, match="expiration_offset"):
                        s.get_token("a")


def test_a_client_that_is_shared_stays_open() -> None:
    client = tokenstore.Client("redis://127.0.0.1:1")
    with Spike(**GOOD, redis=client):  # type: ignore[arg-type]
        pass
    with pytest.raises(tokenstore.ConnectionError):
        client.execute("PING")  # not closed
    client.close()
