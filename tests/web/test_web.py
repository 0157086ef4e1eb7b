"""tokenstore.web: what is stored and which cookie is sent, in both shells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

import tokenstore
from conftest import Web, data_of, token_of
from servers import Server
from stored import keys
from tokenstore.web import Effect, to_text

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
