"""RedisJWT.create: the client's address and user agent, read the same from WSGI, ASGI and a mapping, and in
Lua."""

from __future__ import annotations

from typing import Any

import pytest

import tokenstore
from tokenstore import RedisJWT
from topologies import tagged

SECRET = "a secret of thirty-two bytes, yes"
ID = tagged("507f191e810c19729de860ea")

# tests/lua/test_redis_jwt.lua has the same list.
HEADERS = {
    "caf\xe9".encode(): "caf\xe9",
    b"caf\xe9": "caf\xe9",  # Latin-1
    b"caf\xc3\xa9 \xe9": "caf\xc3\xa9 \xe9",  # not UTF-8 as a whole
    "\u20ac \U0001f600".encode(): "\u20ac \U0001f600",
    b"\xe2\x82": "\xe2\x82",  # truncated
    b"\xc0\x80": "\xc0\x80",  # overlong
    b"\xed\xa0\x80": "\xed\xa0\x80",  # a surrogate
    b"\xe0\x80\x80": "\xe0\x80\x80",
    b"\xf0\x80\x80\x80": "\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80": "\xf4\x90\x80\x80",  # beyond Unicode
    b"\xe2\xc3\xa9\x82\xac": "\xe2\xc3\xa9\x82\xac",
    b"\xff": "\xff",
    b"a\0\xe9": "a \xe9",  # http.server lets it through
    b"": "",
}


@pytest.fixture
def sessions(client: tokenstore.Client) -> RedisJWT:
    return RedisJWT(client, secret=SECRET)


def kept(sessions: RedisJWT, request: dict[str, Any]) -> dict[str, Any]:
    """The session's `request`."""
    token = sessions.create(ID, request=request)
    return sessions.verify(token, value_session=True)["dataSession"]["request"]


def test_it_stands_beside_the_data(sessions: RedisJWT) -> None:
    token = sessions.create(ID, {"role": "admin"}, "1 hour", {"address": "a", "user_agent": "b"})
    found = sessions.verify(token, True)
    assert found["dataSession"] == {"role": "admin", "request": {"address": "a", "user_agent": "b"}}
    assert found["ttl"] == 3600
    with pytest.raises(tokenstore.DataError, match="request"):
        sessions.create(ID, {"request": 1}, request={})
    with pytest.raises(TypeError, match="mapping"):
        sessions.create(ID, request="curl/8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("request_", "address", "agent"),
    [
        ({"REQUEST_METHOD": "GET", "REMOTE_ADDR": "10.0.0.1", "HTTP_USER_AGENT": "w3m"}, "10.0.0.1", "w3m"),
        ({"REQUEST_METHOD": "GET"}, None, None),
        ({"type": "http", "client": ("::1", 99), "headers": [(b"user-agent", b"w3m")]}, "::1", "w3m"),
        ({"type": "websocket", "client": None, "headers": [(b"User-Agent", b"w3m")]}, None, "w3m"),
        ({"type": "http", "headers": [(b"user-agent", b"w3m"), (b"user-agent", b"x")]}, None, "w3m, x"),
        ({"type": "http", "headers": []}, None, None),
        ({"asgi": {}}, None, None),
        ({"address": "10.0.0.1", "user_agent": "w3m"}, "10.0.0.1", "w3m"),
        ({"address": None, "user_agent": ["caf\udce9", "caf\xe9"]}, None, "caf\xe9, caf\xe9"),
        ({}, None, None),
    ],
)
def test_where_it_is_found(
    sessions: RedisJWT, request_: dict[str, Any], address: str | None, agent: str | None
) -> None:
    assert kept(sessions, request_) == {"address": address, "user_agent": agent}


def test_whatever_a_client_put_into_its_headers_is_taken(sessions: RedisJWT) -> None:
    for sent, text in HEADERS.items():
        for request in (
            {"REQUEST_METHOD": "GET", "HTTP_USER_AGENT": sent.decode("latin-1")},
            {"type": "http", "headers": [(b"user-agent", sent)]},
            {"user_agent": sent},
            {"user_agent": sent.decode(errors="surrogateescape")},  # as aiohttp decodes headers
        ):
            assert kept(sessions, request) == {"address": None, "user_agent": text}


def test_what_is_no_text_elsewhere_or_too_long_is_refused(client: tokenstore.Client) -> None:
    sessions = RedisJWT(client, secret=SECRET, max_data_size=100)
    for data, request, part in (
        ({"note": "caf\udce9"}, {}, "surrogate"),
        ({}, {"user_agent": "\ud800"}, "surrogate"),
        ({}, {"user_agent": "x" * 100}, "max_data_size"),
    ):
        with pytest.raises(tokenstore.DataError, match=part):
            sessions.create(ID, data, request=request)
