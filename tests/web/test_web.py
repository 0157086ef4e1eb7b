"""tokenstore.web: what is stored and which cookie is sent, in both shells."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import tokenstore
from conftest import Web, token_of
from servers import Server
from stored import keys
from tokenstore.web import Effect, to_text


def data_of(sessions: tokenstore.Sessions, token: str) -> dict[str, Any]:
    session = sessions.get(app="web", token=token)
    assert session is not None
    return session.data


# ---- requests that store nothing ---------------------------------------------------------------------


def test_an_unused_session(web: Web, server: Server) -> None:
    assert web.commit(web.open()) == Effect()
    assert web.commit(web.open("unknown")) == Effect()
    assert keys(server) == []


def test_reading_what_is_not_there(web: Web, server: Server) -> None:
    for token in (None, "unknown"):
        session = web.open(token)
        assert session.get("cart") is None
        assert web.commit(session) == Effect(vary="Cookie")
    assert keys(server) == []


def test_reading_writes_nothing(web: Web, server: Server) -> None:
    token = web.make(cart=["book"])
    before = server.info("stats", "total_commands_processed"), written(server)
    session = web.open(token)
    assert session["cart"] == ["book"]
    assert not session.modified
    assert web.commit(session) == Effect(vary="Cookie")
    assert written(server) == before[1]


def written(server: Server) -> dict[str, str]:
    """How often each command that may write was called."""
    text: bytes = server("INFO", "commandstats")
    stats = dict(line.partition(":")[::2] for line in text.decode().splitlines())
    names = ("hset", "hsetex", "eval", "evalsha", "hpexpire", "pexpire", "hdel", "del", "set")
    return {n: stats.get(f"cmdstat_{n}", "").partition(",")[0] for n in names}


def test_setting_a_field_to_what_it_is(web: Web, server: Server) -> None:
    token = web.make(n=1)
    before = written(server)
    session = web.open(token)
    session["n"] = 1
    assert web.commit(session) == Effect(vary="Cookie")
    assert written(server) == before


@pytest.mark.parametrize("status", [500, 503, 599])
def test_a_server_error_stores_nothing(
    web: Web, sessions: tokenstore.Sessions, status: int
) -> None:
    session = web.open()
    session["n"] = 1
    assert web.commit(session, status) == Effect(vary="Cookie")
    token = web.login("bob", n=1)
    for change in ("login", "logout", "rotate", "logout_others"):
        session = web.open(token)
        getattr(session, change)(*(["eve"] if change == "login" else []))
        session["n"] = 2
        assert web.commit(session, status) == Effect(vary="Cookie")
    assert data_of(sessions, token) == {"n": 1}
    assert sessions.count(app="web", owner_id="bob") == 1


def test_an_error_of_the_client_stores(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.make(tries=1)
    session = web.open(token)
    session["tries"] += 1
    web.commit(session, 401)
    assert data_of(sessions, token) == {"tries": 2}


# ---- what is stored ----------------------------------------------------------------------------------


def test_a_new_session(web: Web, sessions: tokenstore.Sessions) -> None:
    session = web.open()
    assert not session.accessed
    assert session.new
    session["cart"] = ["book"]
    assert session.modified
    request = {"address": "192.0.2.7", "user_agent": "Mozilla"}
    token = token_of(web.commit(session, request=request))
    stored = sessions.get(app="web", token=token, expiry=True)
    assert stored is not None
    assert (stored.owner_id, stored.data, stored.request) == (None, {"cart": ["book"]}, request)
    assert stored.idle == 14 * 86400
    assert not web.open(token).new


def test_an_unknown_cookie_is_not_adopted(web: Web, sessions: tokenstore.Sessions) -> None:
    planted = "planted-by-somebody-else"
    session = web.open(planted)
    session["n"] = 1
    token = token_of(web.commit(session))
    assert planted not in token
    assert sessions.get(app="web", token=planted) is None
    assert web.login("bob", planted) not in (planted, token)
    assert sessions.get(app="web", token=planted) is None


def test_only_changed_fields_are_written(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.make(a=1, b=1, c=1, d=1)
    first, second = web.open(token), web.open(token)
    first["a"] = 2
    del first["c"]
    second["b"] = 2
    second["e"] = 2
    web.commit(first)
    web.commit(second)
    assert data_of(sessions, token) == {"a": 2, "b": 2, "d": 1, "e": 2}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (1, True),
        (True, 1),
        (1, 1.0),
        (0.0, -0.0),
        ([1], "[1]"),
        ([1], [1.0]),
        ({"a": 1}, {"a": 2}),
        (None, 0),
    ],
)
def test_what_is_a_change(web: Web, sessions: tokenstore.Sessions, before: Any, after: Any) -> None:
    token = web.make(n=before)
    session = web.open(token)
    session["n"] = after
    web.commit(session)
    assert repr(data_of(sessions, token)["n"]) == repr(after)


def test_changes_inside_of_a_field(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.make(cart=["book"], user={"name": {"first": "Bob"}})
    session = web.open(token)
    session["cart"].append("pen")
    session["user"]["name"]["first"] = "Rob"
    assert session.modified
    web.commit(session)
    assert data_of(sessions, token) == {"cart": ["book", "pen"], "user": {"name": {"first": "Rob"}}}


def test_changes_inside_of_a_field_that_another_view_gave(
    web: Web, sessions: tokenstore.Sessions
) -> None:
    token = web.make(cart=["book"])
    for number, cart in enumerate(
        (
            lambda s: s.get("cart"),
            lambda s: next(iter(s.values())),
            lambda s: dict(s.items())["cart"],
            lambda s: {**s}["cart"],
            lambda s: s.setdefault("cart", []),
            lambda s: s.copy()["cart"],
            lambda s: (s | {})["cart"],
        )
    ):
        session = web.open(token)
        cart(session).append(number)
        web.commit(session)
        assert data_of(sessions, token)["cart"][-1] == number


def test_none_is_stored(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.make(a=None, b=1)
    assert data_of(sessions, token) == {"a": None, "b": 1}
    session = web.open(token)
    assert session["a"] is None
    session["b"] = None
    web.commit(session)
    assert data_of(sessions, token) == {"a": None, "b": None}
    session = web.open(token)
    session["c"], session["d"] = None, 1
    session.rotate()
    del session["b"]
    token = token_of(web.commit(session))
    assert data_of(sessions, token) == {"a": None, "c": None, "d": 1}


def test_an_anonymous_session_without_fields_ends(web: Web, server: Server) -> None:
    token = web.make(flash="saved")
    session = web.open(token)
    session.pop("flash")
    effect = web.commit(session)
    assert effect.set_cookie is not None
    assert effect.set_cookie.startswith("session=; path=/; Max-Age=0;")
    assert keys(server) == []


def test_a_login_outlives_its_last_field(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.login("bob", flash="saved")
    session = web.open(token)
    session.pop("flash")
    assert web.commit(session) == Effect(vary="Cookie")
    assert web.open(token).principal == "bob"


# ---- values that JSON lacks --------------------------------------------------------------------------


def test_tuples_are_lists(web: Web, sessions: tokenstore.Sessions) -> None:
    token = web.make(pairs=[("a", 1)])
    assert data_of(sessions, token) == {"pairs": [["a", 1]]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (datetime(2026, 1, 1), "session.when is of type datetime"),
        ([{"x": {1, 2}}], r"session.when\[0\].x is of type set"),
        ({1: 2}, "session.when has a key that is int"),
        (float("nan"), "data.when is NaN"),
        (2**60, "data.when is beyond"),
    ],
)
def test_a_value_that_json_lacks(web: Web, server: Server, value: Any, words: str) -> None:
    session = web.open()
    session["when"] = value
    with pytest.raises(tokenstore.DataError, match=words):
        web.commit(session)
    assert keys(server) == []


def test_a_value_that_contains_itself(web: Web) -> None:
    session = web.open()
    session["x"] = loop = []  # type: ignore[var-annotated]
    loop.append(loop)
    with pytest.raises(tokenstore.DataError, match=r"session\.x.* nested more than 32 deep"):
        web.commit(session)


def test_a_hook_for_values(make_web: Callable[..., Web], sessions: tokenstore.Sessions) -> None:
    web = make_web(default=to_text)
    when, uuid = datetime(2026, 1, 2, 3, 4), UUID(int=7)
    token = web.make(when=when, price=Decimal("1.20"), ids=[uuid])
    assert data_of(sessions, token) == {
        "when": "2026-01-02T03:04:00",
        "price": "1.20",
        "ids": [str(uuid)],
    }
    session = web.open()
    session["x"] = object()
    with pytest.raises(tokenstore.DataError, match=r"session\.x is of type object"):
        web.commit(session)


def test_hooks_for_both_ways(make_web: Callable[..., Web], server: Server) -> None:
    def default(value: Any) -> Any:
        return {"$when": value.isoformat()}

    def object_hook(read: dict[str, Any]) -> Any:
        return datetime.fromisoformat(read["$when"]) if set(read) == {"$when"} else read

    web = make_web(default=default, object_hook=object_hook)
    when = datetime(2026, 1, 2)
    token = web.make(seen=[when], other={"a": 1})
    session = web.open(token)
    assert dict(session) == {"seen": [when], "other": {"a": 1}}
    assert not session.modified


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


@pytest.mark.parametrize("how", ["update", "rotate", "touch"])
def test_logout_beats_a_late_save(
    make_web: Callable[..., Web], sessions: tokenstore.Sessions, server: Server, how: str
) -> None:
    web = make_web(idle=1.5, absolute=60)
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


# ---- lifetimes ---------------------------------------------------------------------------------------


def test_a_session_slides_by_its_idle_time(make_web: Callable[..., Web]) -> None:
    web = make_web(idle=1.2, absolute=60)
    token = web.login("bob", n=1)
    for _ in range(4):
        time.sleep(0.5)
        session = web.open(token)
        assert session.principal == "bob"
        assert web.commit(session) == Effect(vary="Cookie")
    time.sleep(1.3)
    assert web.open(token).principal is None


def test_a_change_is_a_use(make_web: Callable[..., Web]) -> None:
    web = make_web(idle=1.2, absolute=60)
    token = web.login("bob")
    for n in range(4):
        time.sleep(0.5)
        session = web.open(token)
        assert session.principal == "bob"
        session["n"] = n
        web.commit(session)


def test_an_unused_session_does_not_slide(make_web: Callable[..., Web]) -> None:
    web = make_web(idle=1, absolute=60)
    token = web.login("bob")
    for _ in range(2):
        time.sleep(0.6)
        web.commit(web.open(token))
    assert web.open(token).principal is None


def test_no_use_outlives_the_absolute_end(make_web: Callable[..., Web]) -> None:
    web = make_web(idle=1, absolute=1.5)
    token = web.login("bob", n=0)
    for n in range(4):
        time.sleep(0.4)
        session = web.open(token)
        session["n"] = n
        web.commit(session)
    assert web.open(token).principal is None


def test_the_absolute_end_counts_from_the_login(make_web: Callable[..., Web]) -> None:
    web = make_web(idle=None, absolute=1.5)
    visitor = web.make(n=1)
    time.sleep(1)
    token = web.login("bob", visitor)
    time.sleep(1)
    assert web.open(token).principal == "bob"
    time.sleep(0.6)
    assert web.open(token).principal is None


def test_most_requests_do_not_ask_to_slide(web: Web, server: Server) -> None:
    token = web.login("bob", n=1)
    web.commit(web.open(token))
    before = int(server.info("stats", "total_commands_processed"))
    for _ in range(10):
        session = web.open(token)
        assert session["n"] == 1
        web.commit(session)
    # HGET, and on servers that cannot end a field TIME; and INFO itself.
    assert int(server.info("stats", "total_commands_processed")) - before in (11, 21)


def test_how_long_browsers_keep_the_cookie(make_web: Callable[..., Web]) -> None:
    def age_of(web: Web, session: Any = None) -> str | None:
        session = session if session is not None else web.open()
        session["n"] = 1
        effect = web.commit(session)
        assert effect.set_cookie is not None
        attributes = dict(a.partition("=")[::2] for a in effect.set_cookie.split("; "))
        return attributes.get("Max-Age")

    assert age_of(make_web()) == str(90 * 86400)
    assert age_of(make_web(absolute=None)) == str(14 * 86400)
    assert age_of(make_web(absolute=None, idle=None)) is None
    assert age_of(make_web(persistent=False)) is None
    web = make_web(absolute=None)
    token = web.login("bob")
    session = web.open(token)
    assert age_of(web, session) == str(14 * 86400)  # the cookie slides with the session


# ---- headers -----------------------------------------------------------------------------------------


def test_several_cookies_of_one_name(web: Web) -> None:
    token = web.login("bob")
    assert web.open(f"unknown; session={token}").principal == "bob"
    assert web.open(f"{token}; session=unknown").principal == "bob"


def test_a_bearer_token(make_web: Callable[..., Web], sessions: tokenstore.Sessions) -> None:
    web = make_web(bearer=True)
    token = sessions.create(app="web", owner_id="bob", idle=60)
    assert web.open(None, f"Basic {token}").principal is None
    session = web.open(web.login("eve"), f"bearer {token}")
    assert session.principal == "bob"
    session.rotate()
    session["n"] = 1
    assert web.commit(session) == Effect(vary="Authorization")
    assert data_of(sessions, token) == {"n": 1}
    session = web.open(None, f"Bearer {token}")
    with pytest.raises(tokenstore.ConfigurationError, match="would not learn"):
        session.login("bob")
    session.logout()
    web.commit(session)
    assert sessions.get(app="web", token=token) is None


def test_a_bearer_token_is_not_read_unless_asked_for(
    web: Web, sessions: tokenstore.Sessions
) -> None:
    token = sessions.create(app="web", owner_id="bob")
    assert web.open(None, f"Bearer {token}").principal is None


# ---- errors ------------------------------------------------------------------------------------------


def test_redis_away_is_an_error(make_web: Callable[..., Web], server: Server) -> None:
    web = make_web({"timeout": 0.3})
    token = web.login("bob", n=1)
    session = web.open(token)
    session["n"] = 2
    server.stop()
    try:
        with pytest.raises(tokenstore.web.UNAVAILABLE):
            web.open(token)
        with pytest.raises(tokenstore.web.UNAVAILABLE):
            web.commit(session)
    finally:
        server.cont()
    assert web.open(None).principal is None


def test_what_too_few_replicas_have(make_web: Callable[..., Web], server: Server) -> None:
    """A session that begins or goes on is worth more than the promise; that one ends is not."""
    web = make_web({"wait_replicas": 1, "wait_timeout": 0.1})
    token = web.login("bob", n=1)
    session = web.open(token)
    session["n"] = 2
    web.commit(session)
    session = web.open(token)
    assert session["n"] == 2
    session.rotate()
    session["n"] = None
    token = token_of(web.commit(session))
    session = web.open(token)
    assert session["n"] is None
    session.logout()
    with pytest.raises(tokenstore.NotReplicatedError):
        web.commit(session)


def test_nothing_in_redis_equals_the_token(web: Web, server: Server) -> None:
    tokens = [web.login("bob", web.make(n=1), m=1)]
    session = web.open(tokens[0])
    session.rotate()
    tokens.append(token_of(web.commit(session)))
    everything = [b"".join(flat(server, key)) for key in server.keys()]
    for token in tokens:
        for part in (token, token[:32], token[-32:]):
            assert not any(part.encode() in each for each in everything)


def flat(server: Server, key: bytes) -> list[bytes]:
    kind = server("TYPE", key)
    return [key, *(server("HGETALL", key) if kind == "hash" else [server("GET", key)])]


def test_nothing_prints_the_token_or_the_data(web: Web) -> None:
    session = web.open()
    session["word"] = "confidential"
    effect = web.commit(session)
    token = token_of(effect)
    session = web.open(token)
    session["n"] = 1
    for text in (repr(effect), repr(session), str(session), repr(web.open(token).stored)):
        assert token not in text
        assert "confidential" not in text


def test_a_store_of_the_other_kind() -> None:
    blocking = tokenstore.Sessions("redis://localhost:1")
    other = tokenstore.asyncio.Sessions("redis://localhost:1")
    with pytest.raises(
        TypeError, match=r"store must be a tokenstore\.Sessions, not a tokenstore\.asyncio"
    ):
        tokenstore.web.WebSessions(other)  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"store must be a tokenstore\.asyncio\.Sessions, not a tokenstore\.S"
    ):
        tokenstore.web.AsyncWebSessions(blocking)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"idle": 0}, "idle must be from 1 s"),
        ({"absolute": 1e12}, "absolute must be from 1 s"),
        ({"grace": -1}, "grace must be from 1 s"),
        ({"idle": 100, "absolute": 50}, "idle must not be longer than absolute"),
    ],
)
def test_bad_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match=words):
        tokenstore.web.Policy(**options)
