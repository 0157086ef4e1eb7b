"""SessionStore itself, both by its blocking and by its awaitable methods."""

from __future__ import annotations

import asyncio
import json
import pickle
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.serializers import JSONSerializer
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import tokenstore
from django_site import sessions_at
from servers import Server
from tokenstore.ext.django import conf, sessions
from tokenstore.ext.django.sessions import SessionStore
from tokenstore.values import Session

pytest_plugins = ["django_fixtures"]

Do = Callable[..., Any]


@pytest.fixture(params=["blocking", "awaitable"])
def do(request: pytest.FixtureRequest) -> Do:
    """``do(session, "save")``: save(), or asave() in a loop of its own."""
    if request.param == "blocking":
        return do_blocking
    return lambda session, name, *args: asyncio.run(getattr(session, f"a{name}")(*args))


def do_blocking(session: SessionStore, name: str, *arguments: Any) -> Any:
    return getattr(session, name)(*arguments)


def made(do: Do, **fields: Any) -> SessionStore:
    session = SessionStore()
    session.update(fields)
    do(session, "save")
    return session


def again(do: Do, session: SessionStore) -> SessionStore:
    """The same one in another request."""
    other = SessionStore(session.session_key)
    other._session_cache = do(other, "load")
    return other


def fields(do: Do, session: SessionStore) -> dict[str, Any]:
    loaded: dict[str, Any] = do(SessionStore(session.session_key), "load")
    return loaded


@pytest.fixture
def stored(site: Server) -> Callable[[SessionStore], Session | None]:
    """What tokenstore.Sessions finds by the key."""
    store = conf.stores().blocking
    return lambda session: store.get("django", session.session_key, expiry=True)


Stored = Callable[[SessionStore], "Session | None"]


# ---- keys --------------------------------------------------------------------------------------------


def test_sessions_are_those_of_the_package(do: Do, stored: Stored) -> None:
    session = made(do, **{SESSION_KEY: "5", "a": 1})
    found = stored(session)
    assert found is not None
    assert (found.owner_id, found.data) == ("5", {SESSION_KEY: "5", "a": 1})
    assert do(session, "exists", session.session_key)
    assert session.owner == "5"


def test_who_notes_the_key_at_a_login_has_one_that_lasts(do: Do, stored: Stored) -> None:
    """As receivers of user_logged_in do; for new visitors, too."""
    for session in (SessionStore(), made(do, cart=1)):
        before = session._session_key
        do(session, "cycle_key")
        session[SESSION_KEY] = "5"
        noted = session.session_key
        assert noted not in (None, before)
        do(session, "save")
        assert session.session_key == noted
        found = stored(session)
        assert found is not None
        assert found.owner_id == "5"


def test_the_sid_stays(do: Do, site: Server) -> None:
    session = SessionStore()
    assert session.sid is None
    session["a"] = 1
    do(session, "save")
    sid = session.sid
    assert sid
    assert sid not in session.session_key  # type: ignore[operator]
    do(session, "cycle_key")
    session[SESSION_KEY] = "5"
    do(session, "save")
    assert session.sid == again(do, session).sid == asyncio.run(session.asid()) == sid
    do(session, "delete")
    session.flush()
    assert session.sid is None


def test_a_login_that_changes_more(do: Do, stored: Stored) -> None:
    """Also to None, and what it deletes."""
    session = made(do, kept=1, gone=1, none=1)
    do(session, "cycle_key")
    session[SESSION_KEY] = "5"
    session["none"] = session["new_none"] = None
    session["new"] = [1]
    del session["gone"]
    do(session, "save")
    found = stored(session)
    assert found is not None
    assert found.owner_id == "5"
    assert found.data == {SESSION_KEY: "5", "kept": 1, "none": None, "new_none": None, "new": [1]}


def test_it_goes_on_after_a_login(do: Do, stored: Stored) -> None:
    """With the same object: it is the user's from then on, so that the next key has a grace."""
    session = made(do, cart=1)
    do(session, "cycle_key")
    session[SESSION_KEY] = "5"
    do(session, "save")
    key = session.session_key
    do(session, "cycle_key")
    session["cart"] = 2
    do(session, "save")
    assert session.session_key != key
    assert fields(do, session) == do(SessionStore(key), "load") == {SESSION_KEY: "5", "cart": 2}


def test_the_sid_of_a_session_that_was_read_costs_nothing(
    site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = again(do_blocking, made(do_blocking, a=1))
    session["a"] = 2
    session.save()
    monkeypatch.delattr(sessions, "Call")
    assert session.sid


def test_create(do: Do, stored: Stored) -> None:
    session = SessionStore()
    do(session, "create")
    assert session.session_key is not None
    assert session.modified
    found = stored(session)
    assert found is not None
    assert (found.owner_id, found.data) == (None, {})
    with pytest.raises(UpdateError):
        do(SessionStore("x" * 32), "save")
    other = SessionStore(session.session_key)
    do(other, "save", True)  # must_create: never at a key that was given
    assert other.session_key != session.session_key


def test_a_new_key_of_a_session_that_was_ended(do: Do, site: Server) -> None:
    for owner in ({}, {SESSION_KEY: "5"}):
        session = made(do, a=1, **owner)
        other = again(do, session)
        do(other, "cycle_key")
        do(session, "delete")
        assert other.session_key == session.session_key
        with pytest.raises(UpdateError):
            do(other, "save")
    assert tokenstore.Sessions(site.url).count("django", "5") == 0


# ---- what is written ---------------------------------------------------------------------------------


def test_changes_inside_of_a_field(do: Do, site: Server) -> None:
    session = made(do, cart={"items": [1]}, other=1)
    session = again(do, session)
    session["cart"]["items"].append(2)
    assert not session.modified
    do(session, "save")
    assert fields(do, session) == {"cart": {"items": [1, 2]}, "other": 1}


def test_a_value_of_another_type_is_a_change(do: Do, site: Server) -> None:
    session = made(do, a=1)
    session["a"] = True
    do(session, "save")
    assert fields(do, session)["a"] is True


def test_emptied_before_it_was_read(do: Do, stored: Stored) -> None:
    session = SessionStore(made(do, a=1, b=2, **{SESSION_KEY: "5"}).session_key)
    session.clear()
    session["b"] = 3
    do(session, "save")
    found = stored(session)
    assert found is not None
    assert (found.owner_id, found.data) == (None, {"b": 3})
    assert tokenstore.Sessions(site_url()).count("django", "5") == 0


def site_url() -> str:
    return conf.stores().blocking.client.url


def test_a_new_key_for_one_that_was_emptied_before_it_was_read(do: Do, site: Server) -> None:
    session = made(do, a=1)
    other = SessionStore(session.session_key)
    other.clear()
    do(other, "cycle_key")
    other["b"] = 2
    do(other, "save")
    assert other.session_key != session.session_key
    assert (fields(do, other), fields(do, session)) == ({"b": 2}, {})


def test_another_user_without_flush(do: Do, stored: Stored) -> None:
    session = made(do, a=1, **{SESSION_KEY: "5"})
    old = SessionStore(session.session_key)
    session[SESSION_KEY] = "6"
    do(session, "save")
    found = stored(session)
    assert found is not None
    assert found.owner_id == "6"
    assert do(old, "load") == {}


def test_a_session_of_another_program(do: Do, stored: Stored) -> None:
    """It has an owner, but Django's user is not in it: it is read and changed, and neither ended nor taken away."""
    key = conf.stores().blocking.create("django", "5", {"a": 1})
    session = SessionStore(key)
    session["b"] = 2
    do(session, "save")
    found = stored(session)
    assert found is not None
    assert (session.session_key, found.owner_id, found.data) == (key, "5", {"a": 1, "b": 2})
    session[SESSION_KEY] = "5"
    do(session, "save")
    found = stored(session)
    assert found is not None
    assert (session.session_key != key, found.owner_id) == (True, "5")


def test_a_save_without_changes_writes_as_seldom_as_touches(do: Do, site: Server) -> None:
    session = made(do, a=1)
    (key,) = [key for key in site.keys() if site("TYPE", key) == "hash" and b"kinds" not in key]
    before = site("HGETALL", key)
    do(again(do, session), "save")
    assert site("HGETALL", key) == before
    do(session, "delete")
    with pytest.raises(UpdateError):
        do(session, "save")


# ---- when it ends ------------------------------------------------------------------------------------


def left(stored: Stored, session: SessionStore) -> float:
    found = stored(session)
    assert found is not None
    assert found.expires_at is not None
    return found.expires_at - time.time()


def test_expiry(do: Do, stored: Stored) -> None:
    session = made(do, a=1)
    assert left(stored, session) == pytest.approx(14 * 86400, abs=3)
    soon = datetime.now(timezone.utc) + timedelta(seconds=300)
    for expiry, seconds in (
        (60, 60),
        (7200, 7200),
        (soon, 300),
        (timedelta(minutes=20), 1200),
        (0, 14 * 86400),
        (30, 30),
        (None, 14 * 86400),
        (10**12, 315360000),
    ):
        session.set_expiry(expiry)
        do(session, "save")
        assert left(stored, session) == pytest.approx(seconds, abs=3)
        assert left(stored, again(do, session)) == pytest.approx(seconds, abs=3)


def test_expiry_set_at_the_login(do: Do, stored: Stored) -> None:
    """Remember me, or not."""
    for seconds in (60, 30 * 86400):
        session = made(do, cart=1)
        do(session, "cycle_key")
        session[SESSION_KEY] = "5"
        session.set_expiry(seconds)
        do(session, "save")
        assert left(stored, session) == pytest.approx(seconds, abs=3)


def test_expiry_in_the_past_ends_it(do: Do, stored: Stored) -> None:
    session = made(do, a=1)
    session.set_expiry(-10)
    do(session, "save")
    assert stored(session) is None
    new = SessionStore()
    new.set_expiry(-10)
    do(new, "save")
    assert new.session_key is None


def test_an_age_of_a_subclass(do: Do, stored: Stored) -> None:
    class Day(SessionStore):
        def get_session_cookie_age(self) -> int:
            return 86400

    session = Day()
    session["a"] = 1
    do(session, "save")
    assert left(stored, session) == pytest.approx(86400, abs=3)


# ---- values ------------------------------------------------------------------------------------------


def test_what_djangos_serializer_converts(do: Do, site: Server) -> None:
    assert fields(do, made(do, pair=(1, 2), numbered={1: "a"})) == {
        "pair": [1, 2],
        "numbered": {"1": "a"},
    }


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 1), [Decimal("1.5")], {"deep": {"er": UUID(int=1)}}, {1}, b"x", object()],
)
def test_what_json_lacks(do: Do, site: Server, value: Any) -> None:
    session = made(do, before=1)
    session["good"], session["bad one"] = 2, value
    with pytest.raises(tokenstore.DataError, match=r"session\['bad one'\] cannot be stored"):
        do(session, "save")
    assert fields(do, session) == {"before": 1}
    with pytest.raises(tokenstore.DataError, match="bad one"):
        made(do, **{"bad one": value})


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "a\0b", "\ud800"])
def test_what_other_readers_of_json_would_change(do: Do, site: Server, value: Any) -> None:
    with pytest.raises(tokenstore.DataError, match="data.bad"):
        made(do, bad=value)


def test_a_serializer_for_more(do: Do, site: Server) -> None:
    given = {"day": date(2026, 11, 30), "price": Decimal("1.50"), "id": UUID(int=1)}
    with override_settings(SESSION_SERIALIZER="tokenstore.ext.django.serializers.JSONSerializer"):
        assert fields(do, made(do, **given)) == {name: str(value) for name, value in given.items()}


class Tagged(JSONSerializer):  # type: ignore[misc]
    """Reads back what it wrote."""

    def dumps(self, obj: Any) -> bytes:
        return json.dumps(obj, default=lambda value: {"decimal": str(value)}).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(
            data, object_hook=lambda d: Decimal(d["decimal"]) if "decimal" in d else d
        )


def test_a_serializer_that_reads_its_own(do: Do, site: Server) -> None:
    with override_settings(SESSION_SERIALIZER=f"{__name__}.Tagged"):
        session = made(do, price=Decimal("1.50"), other=1)
        assert fields(do, session) == {"price": Decimal("1.50"), "other": 1}
        session = again(do, session)
        session["other"] = 2
        do(session, "save")
        assert fields(do, session) == {"price": Decimal("1.50"), "other": 2}


class Pickles:
    def dumps(self, obj: Any) -> bytes:
        return pickle.dumps(obj)

    def loads(self, data: bytes) -> Any:
        raise AssertionError("nothing of a store is unpickled")


def test_pickles_are_refused(do: Do, site: Server) -> None:
    with override_settings(SESSION_SERIALIZER=f"{__name__}.Pickles"):
        with pytest.raises(ImproperlyConfigured, match="must write JSON") as caught:
            made(do, a="secret text")
    assert "secret text" not in repr(caught.value)
    assert caught.value.__context__ is None
    assert site.keys() == []


# ---- TOKENSTORE --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ({"url": "http://localhost"}, "TOKENSTORE: .*scheme"),
        ({"tocken_size": 32}, "TOKENSTORE: .*tocken_size"),
        ({"absolute": -1}, "TOKENSTORE: .*"),
        ({"url": 5}, "TOKENSTORE: redis must be"),
        ("redis://localhost", "TOKENSTORE must be a dict, not str"),
    ],
)
def test_faults_of_the_setting(setting: Any, fault: str) -> None:
    with override_settings(TOKENSTORE=setting), pytest.raises(ImproperlyConfigured, match=fault):
        SessionStore("x" * 32).load()


def test_options_reach_both_stores(do: Do, site: Server) -> None:
    with sessions_at(site.url, app="shop", prefix="own", pepper="p" * 32):
        session = made(do, a=1)
        assert fields(do, session) == {"a": 1}
        store = tokenstore.Sessions(site.url, prefix="own", pepper="p" * 32)
        assert store.get("shop", session.session_key) is not None
    assert fields(do, session) == {}


def test_an_embedded_server_is_one_for_both() -> None:
    with override_settings(TOKENSTORE={"url": "embedded:"}):
        session = SessionStore()
        session["a"] = 1
        session.save()
        assert asyncio.run(SessionStore(session.session_key).aload()) == {"a": 1}


def test_on_a_cluster(do: Do, slots: Server, database: None) -> None:
    """Where an anonymous session and its user's are in different slots."""
    with sessions_at(f"redis+cluster://{slots.address}"):
        session = made(do, cart=1)
        old = SessionStore(session.session_key)
        do(session, "cycle_key")
        session[SESSION_KEY] = "5"
        do(session, "save")
        assert fields(do, session) == {"cart": 1, SESSION_KEY: "5"}
        assert do(old, "load") == {}
