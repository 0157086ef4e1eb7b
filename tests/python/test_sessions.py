"""Sessions: tokens with the vocabulary of sessions, as in SPEC 2."""

from __future__ import annotations

import time

import pytest

import tokenstore
from servers import Server
from tokenstore import Session, Sessions


def test_a_sessions_life(sessions: Sessions) -> None:
    token = sessions.create(app="web", owner_id="bob", data={"role": "admin"}, duration=60)
    assert isinstance(token, str)
    session = sessions.get(app="web", token=token)
    assert isinstance(session, Session)
    assert (session.app, session.owner_id, session.data) == ("web", "bob", {"role": "admin"})
    assert session.token == token
    assert session.expires_at is None
    assert sessions.refresh(app="web", token=token, duration=120) is True
    found = sessions.get(app="web", token=token, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(time.time() + 120, abs=3)
    assert sessions.update(app="web", token=token, data={"n": 1, "role": None}) is True
    found = sessions.get(app="web", token=token)
    assert found is not None
    assert found.data == {"n": 1}
    new = sessions.rotate(app="web", token=token)
    assert isinstance(new, str)
    assert sessions.get(app="web", token=token) is None
    assert sessions.kill(app="web", token=new) is True
    assert sessions.get(app="web", token=new) is None


def test_kill_the_others(sessions: Sessions) -> None:
    mine, *others = [sessions.create("web", "bob") for _ in range(4)]
    assert sessions.kill_all("web", "bob", keep=mine) is True
    assert sessions.kill_all("web", "bob", keep=mine) is False
    assert [sessions.get("web", token) for token in others] == [None] * 3
    session = sessions.get("web", mine)
    assert session is not None
    assert sessions.kill_all("web", "bob", keep=session.id) is False
    assert sessions.kill_all("web", "bob", keep=others[0]) is True
    assert sessions.count("web", "bob") == 0


def test_take(sessions: Sessions) -> None:
    token = sessions.create(app="web", owner_id="bob", data={"role": "admin"})
    session = sessions.take(app="web", token=token)
    assert isinstance(session, Session)
    assert (session.owner_id, session.data, session.token) == ("bob", {"role": "admin"}, token)
    assert sessions.take(app="web", token=token) is None
    assert sessions.get(app="web", token=token) is None


def test_not_found(sessions: Sessions) -> None:
    assert sessions.get("web", "none") is None
    assert sessions.refresh("web", "none", 60) is False
    assert sessions.update("web", "none", {"a": 1}) is False
    assert sessions.rotate("web", "none") is None
    assert sessions.kill("web", "none") is False
    assert sessions.kill_all("web", "nobody") is False
    assert sessions.kill_by_id("web", "nobody", "none") is False
    assert sessions.list("web", "nobody") == []


def test_list_and_kill_all(sessions: Sessions) -> None:
    made = [sessions.create("web", "bob", {"n": n}) for n in range(4)]
    other = sessions.create("web", "bobby")
    listed = sessions.list("web", "bob")
    assert all(isinstance(s, Session) and s.token is None for s in listed)
    assert [s.data["n"] for s in listed] == [3, 2, 1, 0]
    assert sessions.kill_by_id("web", "bobby", listed[0].id) is False
    assert sessions.kill_by_id("web", "bob", listed[0].id) is True
    assert sessions.get("web", made[3]) is None
    assert sessions.kill_all("web", "bob") is True
    assert sessions.kill_all("web", "bob") is False
    assert sessions.get("web", made[0]) is None
    assert sessions.get("web", other) is not None


def test_sliding(sessions: Sessions) -> None:
    token = sessions.create("web", "bob", duration=10)
    found = sessions.get("web", token, refresh=100, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(time.time() + 100, abs=3)


def test_a_session_is_a_token_of_type_session(client: tokenstore.Client) -> None:
    sessions, tokens = Sessions(client), tokenstore.RedisTokens(client)
    token = sessions.create("web", "bob", {"a": 1})
    found = tokens.get("web", "session", token)
    assert found is not None
    assert found.owner == "bob"
    made = tokens.create("web", "session", "eve", {"b": 2})
    assert made.token is not None
    session = sessions.get("web", made.token)
    assert session is not None
    assert session.owner_id == "eve"
    assert session.type == "session"


def test_get_many(sessions: Sessions) -> None:
    """In the given order; each is a Session with the common fields."""
    made = [sessions.create("web", owner) for owner in ("bob", "eve")]
    assert sessions.create("other", "eve")
    found = sessions.get_many(app="web", tokens=[made[1], "none", made[0], None, made[1]])
    assert [s and (s.app, s.type, s.owner_id, s.token) for s in found] == [
        ("web", "session", "eve", made[1]),
        None,
        ("web", "session", "bob", made[0]),
        None,
        ("web", "session", "eve", made[1]),
    ]
    assert all(s is None or isinstance(s, Session) for s in found)
    with pytest.raises(TypeError, match="tokens must be several tokens, not one text"):
        sessions.get_many("web", made[0])  # type: ignore[arg-type]


def test_names() -> None:
    assert Sessions.getMany is Sessions.get_many
    assert tokenstore.SpotsSessions is Sessions
    assert Sessions.killAll is Sessions.kill_all
    assert Sessions.killById is Sessions.kill_by_id


def test_connection_string_is_redis(server: Server) -> None:
    with Sessions(connection_string=server.url) as sessions:
        token = sessions.create("web", "bob")
        assert sessions.get("web", token) is not None
    with Sessions(server.url, token_encoding="hex", token_size=16) as sessions:
        assert len(sessions.create("web", "bob")) == 63
    with pytest.raises(tokenstore.ConfigurationError, match="connection_string"):
        Sessions(server.url, connection_string=server.url)


def test_options_are_those_of_tokens(client: tokenstore.Client) -> None:
    sessions = Sessions(client, max_per_owner=1, prefix="s", pepper="0123456789abcdef", max_age=50)
    first = sessions.create("web", "bob")
    second = sessions.create("web", "bob")
    assert sessions.get("web", first) is None
    found = sessions.get("web", second, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(found.created_at + 50, abs=0.5)
