"""What every plug-in promises (docs/tutorials/django.md), with Django under WSGI, under ASGI, and with async views."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import override_settings

import django_site
import stored
from django_browser import ADDRESS, AGENT, Browser
from django_site import during, make_user, sessions_at
from monitored import monitored
from servers import Server
from tokenstore import RedisTokens, Token
from tokenstore.ext.django import sessions, user_sessions
from tokenstore.ext.django.views import server_error
from tokenstore.web import Call

pytest_plugins = ["django_fixtures"]


@pytest.fixture
def bob(site: Server) -> Any:
    return make_user("bob")


def everything(server: Server) -> bytes:
    """All keys, fields and values."""
    text = b""
    for key in server.keys():
        kind = server("TYPE", key)
        value = server("HGETALL", key) if kind == "hash" else [server("GET", key)]
        text += b"\n".join([key, *value, b""])
    return text


def record_of(server: Server, browser: Browser) -> Token:
    """What stands in the server for the browser's cookie."""
    with RedisTokens(server.url) as tokens:
        found = tokens.get("django", "session", browser.key)
    assert found is not None
    return found


def log_in(browser: Browser, user: str = "bob") -> None:
    assert browser("enter/", user=user).status == 200
    assert browser("show/").json()["user"] == user


# ---- no more than is asked for -----------------------------------------------------------------------


def test_a_request_that_does_not_touch_the_session_costs_nothing(
    browser: Browser, site: Server
) -> None:
    response = browser("untouched/")
    assert response.cookie is None
    assert "vary" not in response.headers
    assert site.keys() == []
    log = site.info("stats", "total_commands_processed")
    browser.cookies["sessionid"] = "of somebody"
    assert "vary" not in browser("untouched/").headers
    assert int(site.info("stats", "total_commands_processed")) - int(log) == 1  # INFO itself


def test_a_session_that_is_only_read_is_not_made(browser: Browser, site: Server) -> None:
    response = browser("show/")
    assert response.cookie is None
    assert response.headers["vary"] == "Cookie"
    assert site.keys() == []


def test_fields_come_back(browser: Browser) -> None:
    value = {"text": "é\n", "list": [1, 2.5, None, True], "empty": {}, "none": None}
    assert browser("put/", data=value).status == 200
    assert browser("show/").json() == {"user": None, "fields": value}


def test_none_is_stored_and_not_absent(browser: Browser, bob: Any) -> None:
    browser("put/", data={"made": None})
    browser("put/", data={"updated": None})
    assert browser("show/").json()["fields"] == {"made": None, "updated": None}
    browser("put/", unset=["made"])
    assert browser("show/").json()["fields"] == {"updated": None}
    log_in(browser)
    assert browser("show/").json()["fields"] == {"updated": None}


def test_only_changed_fields_are_written(browser: Browser) -> None:
    """Two requests, each within the other: both are kept."""
    browser("put/", data={"a": 1, "b": 1, "gone": 1})
    other = browser.twin()
    during["two writers"] = lambda: other("put/", data={"b": 2}, unset=["gone"])
    assert browser("put/", data={"a": 2}, during="two writers").status == 200
    assert browser("show/").json()["fields"] == {"a": 2, "b": 2}


def test_a_server_error_does_not_save(browser: Browser, bob: Any) -> None:
    for status in (500, 503):
        assert browser("put/", data={"a": 1}, status=status).cookie is None
    browser("put/", data={"a": 1})
    key = browser.key
    for status in (500, 503):
        assert browser("put/", data={"a": 2}, status=status).cookie is None
        assert browser("enter/", user="bob", status=status).cookie is None
        assert browser("cycle/", status=status).cookie is None
    assert browser.key == key
    assert browser("show/").json() == {"user": None, "fields": {"a": 1}}
    assert user_sessions(bob) == []


def test_round_trips(browser: Browser, bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of docs/tutorials/django.md."""
    names: list[str] = []

    def call(name: str, arguments: dict[str, Any]) -> Call:
        names.append(name)
        return Call(name, arguments)

    def cost(path: str, **query: Any) -> str:
        names.clear()
        assert browser(path, **query).status == 200
        return " ".join(names)

    monkeypatch.setattr(sessions, "Call", call)
    assert cost("show/") == ""
    assert cost("put/", data={"a": 1}) == "create"
    assert cost("untouched/") == ""
    assert cost("show/") == "get"
    assert cost("put/", data={"a": 2}, unset=["a"]) == "get update"
    assert cost("enter/", user="bob") == "get rotate"
    assert cost("cycle/") == "get rotate"
    assert cost("leave/") == "get kill"
    assert cost("enter/", user="bob") == "create"


# ---- keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planted", ["x" * 32, "1" + "A" * 63, "short", "é" * 20, "x" * 5000])
def test_an_unknown_cookie_is_never_adopted(browser: Browser, planted: str) -> None:
    browser.cookies["sessionid"] = planted
    assert browser("show/").json() == {"user": None, "fields": {}}
    browser.cookies["sessionid"] = planted
    assert browser("put/", data={"a": 1}).cookie is not None
    assert browser.key != planted
    thief = browser.another()
    thief.cookies["sessionid"] = planted
    assert thief("show/").json()["fields"] == {}


def test_a_key_from_before_the_login_leads_nowhere(browser: Browser, bob: Any) -> None:
    browser("put/", data={"cart": ["book"]})
    thief = browser.twin()
    log_in(browser)
    assert browser.key != thief.key
    assert browser("show/").json() == {"user": "bob", "fields": {"cart": ["book"]}}
    assert thief("show/").json() == {"user": None, "fields": {}}


def test_login_binds_the_session_to_the_user(browser: Browser, bob: Any) -> None:
    log_in(browser)
    (session,) = user_sessions(bob)
    assert (session.address, session.user_agent) == (ADDRESS, AGENT)
    visitor = browser.another()
    visitor("put/", data={"cart": 1})
    log_in(visitor)
    sessions = user_sessions(bob)
    assert [(s.address, s.user_agent) for s in sessions] == [(ADDRESS, AGENT)] * 2


def test_a_login_of_another_user_takes_nothing_along(browser: Browser, bob: Any) -> None:
    amy = make_user("amy")
    log_in(browser)
    browser("put/", data={"of": "bob"})
    old = browser.twin()
    log_in(browser, "amy")
    assert browser("show/").json() == {"user": "amy", "fields": {}}
    assert old("show/").json() == {"user": None, "fields": {}}
    assert (len(user_sessions(bob)), len(user_sessions(amy))) == (0, 1)


def test_two_logins_with_one_cookie_both_succeed(browser: Browser, bob: Any) -> None:
    """A double click: the first binds the session, the second has one of its own."""
    browser("put/", data={"cart": 1})
    other = browser.twin()
    during["double click"] = lambda: log_in(other)
    assert browser("enter/", user="bob", during="double click").status == 200
    assert browser.key != other.key
    for each in (browser, other):
        assert each("show/").json() == {"user": "bob", "fields": {"cart": 1}}


def test_twenty_requests_with_the_old_cookie(browser: Browser, bob: Any) -> None:
    log_in(browser)
    old = browser.twin()
    browser("cycle/")
    assert browser.key != old.key
    with ThreadPoolExecutor(20) as pool:
        start = threading.Barrier(20)

        def request(number: int) -> tuple[Any, str | None]:
            twin = old.twin()
            start.wait(60)
            user = twin("show/").json()["user"]
            twin("put/", data={f"n{number}": number})
            return user, twin.key

        found = list(pool.map(request, range(20)))
    assert found == [("bob", browser.key)] * 20  # and each has been told the new key
    assert browser("show/").json()["fields"] == {f"n{n}": n for n in range(20)}
    assert len(user_sessions(bob)) == 1


def test_the_grace_ends(browser: Browser, bob: Any, site: Server) -> None:
    log_in(browser)
    old, record = browser.twin(), record_of(site, browser)
    browser("cycle/")
    assert old.twin()("show/").json()["user"] == "bob"
    stored.end_grace(site, record)
    assert old("show/").json()["user"] is None
    assert browser("show/").json()["user"] == "bob"


def test_no_grace(browser: Browser, bob: Any, site: Server) -> None:
    with sessions_at(site.url, grace=0):
        log_in(browser)
        old = browser.twin()
        browser("cycle/")
        assert old("show/").json()["user"] is None
        assert browser("show/").json()["user"] == "bob"


def test_a_key_that_is_reused_ends_the_session(browser: Browser, bob: Any, site: Server) -> None:
    with sessions_at(site.url, reuse="revoke"):
        log_in(browser)
        thief, record = browser.twin(), record_of(site, browser)
        browser("cycle/")
        stored.end_grace(site, record)
        assert thief("show/").json()["user"] is None
        assert browser("show/").json()["user"] is None


# ---- logout ------------------------------------------------------------------------------------------


def test_logout(browser: Browser, bob: Any, site: Server) -> None:
    log_in(browser)
    old = browser.twin()
    response = browser("leave/")
    assert browser.key is None
    assert response.cookie is not None
    assert response.cookie["max-age"] == "0"
    assert old("show/").json()["user"] is None
    assert b"bob" not in everything(site)


def test_logout_beats_a_late_save(browser: Browser, bob: Any) -> None:
    log_in(browser)
    other = browser.twin()
    during["logout"] = lambda: other("leave/")
    late = browser("put/", data={"a": 1}, during="logout")
    assert late.status == 400  # SessionInterrupted
    assert late.cookie is None
    assert browser("show/").json() == {"user": None, "fields": {}}
    assert user_sessions(bob) == []


def test_a_new_key_does_not_revive(browser: Browser, bob: Any) -> None:
    """cycle_key, and behind it the save, of a session that was logged out in between."""
    log_in(browser)
    other = browser.twin()
    during["logout"] = lambda: other("leave/")
    assert browser("cycle/", during="logout").status == 400
    assert user_sessions(bob) == []


# ---- time --------------------------------------------------------------------------------------------


def seconds_left(site: Server, browser: Browser) -> float:
    return stored.left(site, record_of(site, browser)) / 1000


@pytest.mark.parametrize("every_request", [False, True])
def test_idle(browser: Browser, site: Server, every_request: bool) -> None:
    """SESSION_COOKIE_AGE counts from the last save; with SESSION_SAVE_EVERY_REQUEST from the last use."""
    with override_settings(SESSION_COOKIE_AGE=1000, SESSION_SAVE_EVERY_REQUEST=every_request):
        browser("put/", data={"a": 1})
        assert seconds_left(site, browser) == pytest.approx(1000, abs=20)
        stored.set_left(site, record_of(site, browser), 500)
        browser("show/")
        assert seconds_left(site, browser) == pytest.approx(1000 if every_request else 500, abs=20)
        stored.set_left(site, record_of(site, browser), 500)
        browser("put/", data={"b": 1})
        assert seconds_left(site, browser) == pytest.approx(1000, abs=20)


def test_it_ends(browser: Browser) -> None:
    with override_settings(SESSION_COOKIE_AGE=1):
        browser("put/", data={"a": 1})
    time.sleep(1.1)
    assert browser("show/").json()["fields"] == {}


def test_absolute(browser: Browser, bob: Any, site: Server) -> None:
    with sessions_at(site.url, absolute=500, SESSION_COOKIE_AGE=1000):
        browser("put/", data={"a": 1})
        assert seconds_left(site, browser) == pytest.approx(500, abs=20)
        log_in(browser)
        browser("put/", data={"a": 2})
        assert seconds_left(site, browser) == pytest.approx(500, abs=20)


def test_a_login_lasts_as_long_as_its_settings_say(
    browser: Browser, bob: Any, site: Server
) -> None:
    with override_settings(SESSION_COOKIE_AGE=500):
        browser("put/", data={"cart": 1})
    with override_settings(SESSION_COOKIE_AGE=1000):
        log_in(browser)
        assert seconds_left(site, browser) == pytest.approx(1000, abs=20)


# ---- the cookie, and Redis ---------------------------------------------------------------------------


def test_flags_of_the_cookie(browser: Browser) -> None:
    with override_settings(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Strict"):
        cookie = browser("put/", data={"a": 1}).cookie
    assert cookie is not None
    assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Strict")
    assert (cookie["path"], cookie["max-age"]) == ("/", str(14 * 86400))
    with override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=True):
        cookie = browser("put/", data={"a": 2}).cookie
    assert cookie is not None
    assert (cookie["max-age"], cookie["expires"]) == ("", "")


def test_nothing_in_redis_is_a_cookie(browser: Browser, bob: Any, site: Server) -> None:
    keys = []
    with monitored(site) as seen:
        browser("put/", data={"a": 1})
        keys.append(browser.key)
        log_in(browser)
        keys.append(browser.key)
        browser("cycle/")
        keys.append(browser.key)
        dump = everything(site)
    assert len(set(keys)) == 3
    assert any(b"HGET" in line for line in seen)
    for key in keys:
        assert key is not None
        for part in (key.encode(), key[20:40].encode()):  # the random bytes alone
            assert part not in dump
            assert not any(part in line for line in seen)


def test_without_redis_nobody_is_logged_out(
    browser: Browser, bob: Any, site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(browser)
    key = browser.key
    with sessions_at("redis+unix:///nowhere/redis.sock"):
        for path in ("show/", "put/", "leave/", "cycle/"):
            response = browser(path)
            assert (response.status, response.cookie) == (500, None)
        assert browser.another()("put/", data={"a": 1}).status == 500
        assert browser("untouched/").status == 200
        monkeypatch.setattr(django_site, "handler500", server_error, raising=False)
        for each, path in ((browser, "show/"), (browser.another(), "put/")):
            response = each(path, data={"a": 1})  # while it is read; while it is saved
            assert (response.status, response.headers["retry-after"]) == (503, "1")
            assert response.cookie is None
    assert browser("put/", data={"bad": 2**60}).status == 500  # that is something else
    assert browser.key == key
    assert browser("show/").json()["user"] == "bob"
