"""What tokenstore-auth does in Kong alone: consumers, credentials, and other plugins that authenticate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokenstore
from gateways import Gateways, running_gateways, seen
from servers import Server

FORGED = {
    "X-Owner-Id": "forged",
    "X-Consumer-Id": "forged",
    "X-Consumer-Username": "forged",
    "X-Consumer-Custom-Id": "forged",
    "X-Credential-Identifier": "forged",
    "X-Anonymous-Consumer": "forged",
}


@pytest.fixture(scope="module")
def kong(redis: Server) -> Iterator[Gateways]:
    with running_gateways() as made:
        config = {"redis": redis.url, "app": "web", "cookie": "sid"}
        made.configure("kong", "web", config)
        made.configure("kong", "guest", {**config, "anonymous": "guest"})
        made.configure("kong", "nobody", {**config, "anonymous": "no-such-consumer"})
        made.configure("kong", "broken", {**config, "anonymous": "broken"})
        made.configure("kong", "consumers", {**config, "owner_is_consumer": True, "anonymous_sessions": True})
        away = {"redis": "unix:///no/such/socket", "app": "web", "cookie": "sid"}
        made.configure("kong", "away", {**away, "anonymous": "guest"})
        made.configure("kong", "open", {**away, "fail_open": True})
        made.nginx.explained += ["cannot connect", "failed .2: No such file"]
        yield made


@pytest.fixture(scope="module")
def sessions(redis: Server) -> Iterator[tokenstore.Sessions]:
    with tokenstore.Sessions(redis.url) as made:
        yield made


def ask(kong: Gateways, name: str, token: str | None = None) -> dict[str, str]:
    """The headers at the upstream that Kong and the plugin set, of a request that forged all of them."""
    headers = {**FORGED, **({"Cookie": f"sid={token}"} if token else {})}
    got = seen(kong.get("kong", name, headers))
    assert "forged" not in got.values()
    names = {*map(str.lower, FORGED), "x-consumer", "x-credential"}
    return {name: value for name, value in got.items() if name in names}


def test_the_owner_is_the_credential(kong: Gateways, sessions: tokenstore.Sessions) -> None:
    """So that other plugins count by owner. The consumer is left alone."""
    token = sessions.create("web", "bob", {})
    assert ask(kong, "web", token) == {
        "x-owner-id": "bob",
        "x-credential": "bob",
        "x-credential-identifier": "bob",
    }


def test_the_owner_as_a_consumer(kong: Gateways, sessions: tokenstore.Sessions) -> None:
    consumer = {
        "x-consumer": "11",
        "x-consumer-id": "11",
        "x-consumer-username": "bob",
        "x-consumer-custom-id": "b-1",
    }
    got = ask(kong, "consumers", sessions.create("web", "bob", {}))
    assert got == {"x-owner-id": "bob", "x-credential": "bob", "x-credential-identifier": "bob", **consumer}
    answer = kong.get("kong", "consumers", {"Cookie": f"sid={sessions.create('web', 'alice', {})}"})
    assert (answer.status, answer.text) == (403, '{"message":"The owner of the session is no consumer"}')
    token = sessions.create("web", None, {})
    visitor = sessions.get("web", token)
    assert visitor is not None
    assert ask(kong, "consumers", token) == {
        "x-credential": visitor.sid,
        "x-credential-identifier": visitor.sid,
    }
    kong.nginx.explained.append("the database is away")
    assert (
        kong.get("kong", "consumers", {"Cookie": f"sid={sessions.create('web', 'broken', {})}"}).status == 500
    )


def test_an_anonymous_consumer(kong: Gateways, sessions: tokenstore.Sessions) -> None:
    guest = {
        "x-consumer": "22",
        "x-consumer-id": "22",
        "x-consumer-username": "guest",
        "x-anonymous-consumer": "true",
    }
    assert ask(kong, "guest") == guest
    assert ask(kong, "guest", "unknown") == guest
    answer = kong.get("kong", "guest", {"Authorization": "Bearer a b"})
    assert seen(answer)["x-consumer"] == "22"
    assert ask(kong, "guest", sessions.create("web", "bob", {}))["x-owner-id"] == "bob"


def test_an_anonymous_consumer_that_does_not_exist(kong: Gateways) -> None:
    kong.nginx.explained += [
        "the anonymous consumer does not exist: no-such-consumer",
        "the database is away",
    ]
    assert kong.get("kong", "nobody").status == 500
    assert kong.get("kong", "broken").status == 500


def test_nobody_becomes_anonymous_because_redis_is_away(kong: Gateways) -> None:
    answer = kong.get("kong", "away", {"Cookie": "sid=" + "x" * 43})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert ask(kong, "open", "x" * 43) == {}


def test_another_plugin_has_authenticated(kong: Gateways, sessions: tokenstore.Sessions) -> None:
    """One of several ways to log in; without `anonymous` each must succeed."""
    got = seen(kong.get("kong", "other/guest", {"X-Owner-Id": "forged"}))
    assert (got["x-consumer"], got["x-credential"]) == ("other", "theirs")
    assert "x-owner-id" not in got
    assert kong.get("kong", "other/web").status == 401
