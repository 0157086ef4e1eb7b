"""What create keeps of a token's use and origin: idle, request, and an owner or none."""

from __future__ import annotations

import time
from typing import Any

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import RedisTokens, Sessions, Token

BOB = {"app": "web", "type": "login", "owner": "bob"}
AGENT = {"address": "192.0.2.7", "user_agent": "Mozilla/5.0"}


@pytest.fixture
def touching(client: tokenstore.Client) -> RedisTokens:
    """Writes each use."""
    return RedisTokens(client, touch_interval=0)


def get(tokens: RedisTokens, token: Token, **more: Any) -> Token | None:
    return tokens.get("web", "login", token.token, **more)


def age(token: Token, name: str) -> float:
    """A time of the token, in seconds after its creation."""
    value: float = getattr(token, name)
    return value - token.created_at


# ---- idle ------------------------------------------------------------------------------------------


def test_idle_ends_a_token_that_is_not_used(touching: RedisTokens, server: Server) -> None:
    token = touching.create(**BOB, idle=1, duration=60)
    assert token.idle == 1
    assert age(token, "expires_at") == pytest.approx(1, abs=0.002)
    stored.wait_for_end(server, token)
    assert get(touching, token, refresh=True) is None
    assert touching.list(**BOB) == []


def test_use_slides_by_the_tokens_own_idle(touching: RedisTokens, server: Server) -> None:
    token = touching.create(**BOB, idle=100)
    stored.set_left(server, token, 30)
    found = get(touching, token, refresh=True)
    assert found is not None
    assert 99 < found.expires_at - time.time() < 101  # type: ignore[operator]
    assert 99_000 < stored.left(server, token) <= 100_000
    assert get(touching, token, expiry=True) == found


def test_idle_never_outlives_duration(touching: RedisTokens, server: Server) -> None:
    token = touching.create(**BOB, idle=100, duration=130)
    stored.set_left(server, token, 30)
    found = get(touching, token, refresh=True)
    assert found is not None
    assert 99_000 < stored.left(server, token) <= 100_000
    token = touching.create(**BOB, idle=100, duration=100)
    stored.set_left(server, token, 30)
    found = get(touching, token, refresh=True)
    assert found is not None
    assert age(found, "expires_at") == pytest.approx(100, abs=0.002)
    assert age(touching.create(**BOB, idle=100, duration=5), "expires_at") == pytest.approx(5, abs=0.002)


def test_another_refresh_does_not_outlive_duration(touching: RedisTokens) -> None:
    token = touching.create(**BOB, idle=100, duration=130)
    found = get(touching, token, refresh=3600)
    assert found is not None
    assert age(found, "expires_at") == pytest.approx(130, abs=0.002)


def test_a_token_without_idle_is_left_alone(touching: RedisTokens) -> None:
    for token in (touching.create(**BOB, duration=100), touching.create(**BOB)):
        found = get(touching, token, refresh=True)
        assert found is not None
        assert found.expires_at == token.expires_at
        assert found.seen_at is None


def test_no_use_shortens_what_refresh_has_given(touching: RedisTokens) -> None:
    token = touching.create(**BOB, idle=100, duration=130)
    assert touching.refresh("web", "login", token.token, 5000)
    found = get(touching, token, refresh=True)
    assert found is not None
    assert 4990 < age(found, "expires_at") < 5100


def test_idle_under_max_age(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, max_age=50, touch_interval=0)
    token = tokens.create(**BOB, idle=100, duration=1000)
    assert age(token, "expires_at") == pytest.approx(50, abs=0.002)
    stored.set_left(server, token, 10)
    found = get(tokens, token, refresh=True)
    assert found is not None
    assert age(found, "expires_at") == pytest.approx(50, abs=0.002)


def test_uses_are_written_as_seldom_as_touches(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, idle=100)
    before = stored.record_of(server, token)
    assert get(tokens, token, refresh=True) is not None
    assert stored.record_of(server, token) == before
    stored.set_left(server, token, 80)
    assert get(tokens, token, refresh=True) is not None
    assert stored.record_of(server, token) != before


def test_seen_at(touching: RedisTokens) -> None:
    token = touching.create(**BOB, idle=100)
    assert token.seen_at is None
    time.sleep(0.05)
    found = get(touching, token, refresh=True)
    assert found is not None
    assert 0.04 < age(found, "seen_at") < 30
    (listed,) = touching.list(**BOB)
    assert listed.seen_at == found.seen_at
    time.sleep(0.01)
    again = get(touching, token, refresh=True)
    assert again is not None
    assert again.seen_at > found.seen_at  # type: ignore[operator]


def test_updates_and_rotations_keep_what_is_beside_the_data(touching: RedisTokens) -> None:
    token = touching.create(**BOB, data={"a": 1}, idle=100, duration=130, request=AGENT)
    found = get(touching, token, refresh=True)
    assert found is not None
    updated = touching.update("web", "login", token.token, {"b": 2})
    assert updated is not None
    rotated = touching.rotate("web", "login", token.token)
    assert rotated is not None
    for later in (updated, rotated):
        assert (later.idle, later.seen_at, later.request) == (100, found.seen_at, AGENT)
    again = get(touching, rotated, refresh=True)
    assert again is not None
    assert age(again, "expires_at") <= 130.001


@pytest.mark.parametrize("idle", [0, -1, float("nan"), 10**10])
def test_bad_idle(tokens: RedisTokens, idle: Any) -> None:
    with pytest.raises(tokenstore.DataError, match="idle must be 1 to 315360000 seconds"):
        tokens.create(**BOB, idle=idle)


# ---- request ---------------------------------------------------------------------------------------

SCOPE = {
    "type": "http",
    "client": ("192.0.2.7", 5000),
    "headers": [(b"host", b"x"), (b"User-Agent", b"Mozilla/5.0")],
}
ENVIRON = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Mozilla/5.0"}


class Holder:
    """A request object of a framework."""

    def __init__(self, **inner: Any) -> None:
        self.__dict__.update(inner)


@pytest.mark.parametrize(
    "source",
    [AGENT, SCOPE, ENVIRON, Holder(environ=ENVIRON), Holder(scope=SCOPE), Holder(META=ENVIRON)],
    ids=["mapping", "asgi", "wsgi", "flask", "starlette", "django"],
)
def test_who_asked(tokens: RedisTokens, source: Any) -> None:
    token = tokens.create(**BOB, request=source)
    assert token.request == AGENT
    assert get(tokens, token) == token
    (listed,) = tokens.list(**BOB)
    assert listed.request == AGENT


def test_parts_of_a_request_may_be_unknown(tokens: RedisTokens) -> None:
    for source, request in (
        ({}, None),
        ({"address": None}, None),
        ({"address": "::1"}, {"address": "::1", "user_agent": None}),
        ({"user_agent": "x"}, {"address": None, "user_agent": "x"}),
        ({"type": "websocket", "headers": [], "client": None}, None),
        ({"REQUEST_METHOD": "GET"}, None),
    ):
        token = tokens.create(**BOB, request=source)
        found = get(tokens, token)
        assert found is not None
        assert found.request == token.request == request


def test_a_request_is_cut_at_a_character(tokens: RedisTokens) -> None:
    for text, kept in (("x" * 300, "x" * 256), ("x" + "é" * 200, "x" + "é" * 127), ("x" * 256, "x" * 256)):
        token = tokens.create(**BOB, request={"user_agent": text, "address": text})
        found = get(tokens, token)
        assert found is not None
        assert found.request == {"user_agent": kept, "address": kept}


def test_a_request_may_hold_anything(tokens: RedisTokens) -> None:
    for text in ('"', "\\", '"{}', "}\n", "\x01", "{", "é😀", '","'):
        request = {"address": text, "user_agent": text}
        token = tokens.create(**BOB, data={"a": 1}, request=request)
        updated = tokens.update("web", "login", token.token, {"b": 2})
        assert updated is not None
        assert (updated.request, updated.data) == (request, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("source", "error", "fault"),
    [
        ({"address": 5}, tokenstore.DataError, "request.address must be text"),
        (5, TypeError, "request must be"),
        ("text", TypeError, "request must be"),
    ],
)
def test_bad_requests(tokens: RedisTokens, server: Server, source: Any, error: Any, fault: str) -> None:
    with pytest.raises(error, match=fault):
        tokens.create(**BOB, request=source)
    assert server.keys() == []


# ---- anonymous -------------------------------------------------------------------------------------


def test_a_token_of_nobody(tokens: RedisTokens, server: Server) -> None:
    one, other = (tokens.create("web", "login", data={"n": n}, duration=60) for n in range(2))
    assert one.owner is None
    assert len(stored.hashes(server)) == 2  # nothing is shared
    found = get(tokens, one, expiry=True)
    assert found == one
    assert b"owner" not in stored.record_of(server, one)
    assert tokens.update("web", "login", one.token, {"m": 1}).data == {"n": 0, "m": 1}  # type: ignore[union-attr]
    rotated = tokens.rotate("web", "login", one.token)
    assert rotated is not None
    assert rotated.owner is None
    assert get(tokens, one) is None
    assert tokens.refresh("web", "login", rotated.token, 100)
    assert tokens.delete("web", "login", rotated.token)
    assert tokens.take("web", "login", other.token) is not None
    assert stored.keys(server) == []


def test_a_custom_token_of_nobody(tokens: RedisTokens) -> None:
    token = tokens.create("web", "login", custom_token="chosen", duration=60)
    assert get(tokens, token, expiry=True) == token
    with pytest.raises(tokenstore.DataError, match="already in use"):
        tokens.create("web", "login", custom_token="chosen")


def test_an_empty_owner_is_not_nobody(tokens: RedisTokens, sessions: Sessions) -> None:
    with pytest.raises(tokenstore.DataError, match="owner is empty"):
        tokens.create("web", "login", "")
    with pytest.raises(tokenstore.DataError, match="owner_id is empty"):
        sessions.create("web", "")


def test_sessions_have_all_of_it(sessions: Sessions) -> None:
    cookie = sessions.create("web", idle=50, request=AGENT)
    found = sessions.get("web", cookie, refresh=True)
    assert found is not None
    assert (found.owner_id, found.idle, found.request) == (None, 50, AGENT)


def test_many_have_all_of_it(tokens: RedisTokens) -> None:
    made = tokens.create_many([{**BOB, "idle": 50, "request": AGENT}, {"app": "web", "type": "login"}])
    assert (made[0].idle, made[0].request, made[1].owner) == (50, AGENT, None)
    assert tokens.get_many("web", "login", [t.token for t in made])[1].owner is None  # type: ignore[union-attr]


# ---- sid -------------------------------------------------------------------------------------------


def test_the_sid_stays_over_rotations(touching: RedisTokens) -> None:
    token = touching.create(**BOB, idle=100, request=AGENT)
    assert token.sid == token.id
    latest = token
    for _ in range(3):
        assert get(touching, latest, refresh=True) is not None
        rotated = touching.rotate("web", "login", latest.token)
        assert rotated is not None
        assert rotated.id != latest.id
        assert rotated.sid == token.sid
        assert (rotated.idle, rotated.request) == (100, AGENT)
        latest = rotated
    found = get(touching, latest, expiry=True)
    assert found is not None
    assert found == latest
    (listed,) = touching.list(**BOB)
    assert (listed.id, listed.sid) == (latest.id, token.sid)
    updated = touching.update("web", "login", latest.token, {"a": 1})
    assert updated is not None
    assert updated.sid == token.sid
