"""tokenstore.web: login, logout, rotation, the field of the principal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

import tokenstore
from conftest import Web, data_of, token_of
from servers import Server
from stored import keys
from tokenstore.web import Effect

# ---- login, logout, rotation -------------------------------------------------------------------------


def test_a_login_binds_an_anonymous_session(web: Web, sessions: tokenstore.Sessions) -> None:
    visitor = web.make(cart=["book"])
    session = web.open(visitor)
    assert session.principal is None
    sid = session.sid
    session.login("bob")
    assert session.principal == "bob"
    session["role"] = None
    token = token_of(web.commit(session))
    assert token != visitor
    assert sessions.get(app="web", token=visitor) is None
    stored = sessions.get(app="web", token=token, expiry=True)
    assert stored is not None
    assert stored.sid == sid
    assert (stored.owner_id, stored.data) == ("bob", {"cart": ["book"], "role": None})
    assert stored.expires_at is not None
    assert stored.expires_at - time.time() > 14 * 86400 - 60


def test_a_login_without_a_session(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.login("bob")
    stored = sessions.get(app="web", token=token)
    assert stored is not None
    assert (stored.owner_id, stored.data) == ("bob", {})


@pytest.mark.parametrize("owner", [7, UUID(int=7), b"seven"])
def test_owners_of_other_types(web: Web, owner: Any) -> None:
    session = web.open()
    session.login(owner)
    token = token_of(web.commit(session))
    expected = "seven" if isinstance(owner, bytes) else str(owner)
    assert web.open(token).principal == expected


def test_a_second_login_of_the_same_owner(web: Web, sessions: tokenstore.Sessions) -> None:
    first = web.login("bob", cart=["book"])
    created = web.open(first).created_at
    second = web.login("bob", first)
    assert second != first
    assert sessions.get(app="web", token=first) is None
    session = web.open(second)
    assert session["cart"] == ["book"]
    assert created is not None
    assert session.created_at is not None
    assert session.created_at > created  # so that issued_within begins again
    assert sessions.count(app="web", owner_id="bob") == 1


def test_a_second_login_after_the_session_was_ended(
    web: Web, sessions: tokenstore.Sessions
) -> None:
    token = web.login("bob", role="admin")
    session = web.open(token)
    assert session["role"] == "admin"
    sessions.kill_all(app="web", owner_id="bob")
    session.login("bob")
    session["n"] = 1
    token = token_of(web.commit(session))
    assert dict(web.open(token)) == {"n": 1}


def test_a_login_of_somebody_else(web: Web, sessions: tokenstore.Sessions) -> None:
    bobs = web.login("bob", secret="of bob")
    session = web.open(bobs)
    session.login("eve")
    assert dict(session) == {}
    session["n"] = 1
    token = token_of(web.commit(session))
    assert sessions.get(app="web", token=bobs) is None
    assert (web.open(token).principal, dict(web.open(token))) == ("eve", {"n": 1})


def test_two_logins_with_one_anonymous_session(web: Web, sessions: tokenstore.Sessions) -> None:
    visitor = web.make(cart=["book"])
    first, second = web.open(visitor), web.open(visitor)
    first.login("bob")
    second.login("bob")
    for token in (token_of(web.commit(first)), token_of(web.commit(second))):
        assert (web.open(token).principal, dict(web.open(token))) == ("bob", {"cart": ["book"]})


def test_a_logout(web: Web, sessions: tokenstore.Sessions) -> None:
    for name in ("logout", "clear"):
        token = web.login("bob", n=1)
        session = web.open(token)
        getattr(session, name)()
        assert session.principal is None
        effect = web.commit(session)
        assert effect.set_cookie is not None
        assert effect.set_cookie.startswith("session=; path=/; Max-Age=0;")
        assert sessions.get(app="web", token=token) is None


def test_a_new_session_after_a_logout(web: Web, sessions: tokenstore.Sessions) -> None:
    old = web.login("bob", n=1)
    session = web.open(old)
    session.logout()
    session["flash"] = "bye"
    token = token_of(web.commit(session))
    assert sessions.get(app="web", token=old) is None
    assert (web.open(token).principal, dict(web.open(token))) == (None, {"flash": "bye"})


@pytest.mark.parametrize("absolute", [60, None])
@pytest.mark.parametrize("how", ["update", "rotate", "touch"])
def test_logout_beats_a_late_save(
    make_web: Callable[..., Web],
    sessions: tokenstore.Sessions,
    server: Server,
    how: str,
    absolute: Any,
) -> None:
    web = make_web(idle=1.5, absolute=absolute)
    token = web.login("bob", n=1)
    late = web.open(token)
    if how == "update":
        late["n"] = 2
    elif how == "rotate":
        late.rotate()
    else:
        time.sleep(0.3)
        assert late["n"] == 1
    logout = web.open(token)
    logout.logout()
    web.commit(logout)
    assert web.commit(late) == Effect(vary="Cookie")
    assert keys(server) == []
    assert sessions.count(app="web", owner_id="bob") == 0


def test_rotation_with_a_grace(web: Web, sessions: tokenstore.Sessions) -> None:
    old = web.login("bob", n=1)
    late = web.open(old)
    session = web.open(old)
    session.rotate()
    new = token_of(web.commit(session))
    assert new != old
    late["m"] = 1
    assert web.commit(late) == Effect(vary="Cookie")
    assert data_of(sessions, new) == {"n": 1, "m": 1}
    again = web.open(old)
    assert again["n"] == 1
    assert token_of(web.commit(again)) == new  # its client has yet to learn it
    again = web.open(old)
    again.rotate()
    assert token_of(web.commit(again)) == new


def test_an_anonymous_rotation_has_no_grace(web: Web) -> None:
    """It may be a login of an app that does not say so."""
    old = web.make(n=1)
    session = web.open(old)
    session["user_id"] = 7
    session.rotate()
    new = token_of(web.commit(session))
    assert web.open(old).new
    assert dict(web.open(new)) == {"n": 1, "user_id": 7}


def test_rotation_without_a_grace(make_web: Callable[..., Web]) -> None:
    web = make_web(grace=None)
    old = web.login("bob")
    session = web.open(old)
    session.rotate()
    new = token_of(web.commit(session))
    assert (web.open(old).principal, web.open(new).principal) == (None, "bob")


def test_logging_out_the_others(web: Web, sessions: tokenstore.Sessions) -> None:
    others = [web.login("bob") for _ in range(3)]
    mine = web.login("bob")
    session = web.open(mine)
    session.logout_others()
    assert web.commit(session) == Effect(vary="Cookie")
    assert [web.open(token).principal for token in (*others, mine)] == [None, None, None, "bob"]
    others = [web.login("bob") for _ in range(2)]
    session = web.open(mine)
    session.rotate()
    session.logout_others()
    mine = token_of(web.commit(session))
    assert [web.open(token).principal for token in (*others, mine)] == [None, None, "bob"]
    assert sessions.count(app="web", owner_id="bob") == 1


def test_logging_out_the_others_of_nobody(web: Web) -> None:
    bobs, token = web.login("bob"), web.make(n=1)
    session = web.open(token)
    session.logout_others()
    web.commit(session)
    assert (web.open(bobs).principal, dict(web.open(token))) == ("bob", {"n": 1})


def test_a_reused_token_is_no_session(
    make_web: Callable[..., Web], caplog: pytest.LogCaptureFixture
) -> None:
    web = make_web({"reuse": "revoke"}, grace=None)
    old = web.login("bob")
    session = web.open(old)
    session.rotate()
    new = token_of(web.commit(session))
    assert web.open(old).principal is None
    assert web.open(new).principal is None
    assert "a token of it was reused" in caplog.text
    assert old not in caplog.text


@pytest.mark.parametrize("how", ["update", "rotate", "logout", "login"])
def test_a_token_that_is_reused_by_a_late_request(make_web: Callable[..., Web], how: str) -> None:
    web = make_web({"reuse": "revoke"}, grace=None)
    old = web.login("bob", n=1)
    late, session = web.open(old), web.open(old)
    late["n"] = 2
    if how != "update":
        getattr(late, how)(*(["bob"] if how == "login" else []))
    session.rotate()
    new = token_of(web.commit(session))
    effect = web.commit(late)
    assert web.open(old).new
    assert web.open(new).new
    if how == "login":  # as always, that leads to a session
        assert web.open(token_of(effect)).principal == "bob"
    else:
        assert effect.token is None


# ---- the principal's field ---------------------------------------------------------------------------


def test_a_field_that_says_who_is_logged_in(make_web: Callable[..., Web]) -> None:
    web = make_web(principal="user_id")
    visitor = web.make(cart=["book"])
    session = web.open(visitor)
    session["user_id"] = 7
    bobs = token_of(web.commit(session))
    assert web.open(visitor).new
    session = web.open(bobs)
    assert (session.principal, dict(session)) == ("7", {"cart": ["book"], "user_id": 7})
    session["user_id"] = 7
    assert web.commit(session) == Effect(vary="Cookie")

    session = web.open(bobs)
    session["user_id"] = 8
    session["n"] = 1
    other = token_of(web.commit(session))
    assert web.open(bobs).new
    session = web.open(other)
    assert (session.principal, dict(session)) == ("8", {"user_id": 8, "n": 1})

    del session["user_id"]
    left = token_of(web.commit(session))
    assert web.open(other).new
    assert (web.open(left).principal, dict(web.open(left))) == (None, {"n": 1})


def test_a_login_sets_the_field(make_web: Callable[..., Web]) -> None:
    web = make_web(principal="user_id")
    token = web.login("bob")
    session = web.open(token)
    assert (session.principal, session["user_id"]) == ("bob", "bob")
    session["user_id"] = None
    effect = web.commit(session)
    assert web.open(token).new
    assert web.open(token_of(effect)).principal is None


def test_an_owner_without_the_field(make_web: Callable[..., Web]) -> None:
    """As another program makes it: that the field is absent is no logout."""
    token = make_web().login("bob", n=1)
    web = make_web(principal="user_id")
    session = web.open(token)
    session["n"] = 2
    web.commit(session)
    assert web.open(token).principal == "bob"
