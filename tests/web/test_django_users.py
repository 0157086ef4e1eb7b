"""A user's sessions: listed and ended, by calls, on the page of devices, in the admin, by the command, and by a new password."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any

import pytest

import django_site  # sets Django up, which its models need

# isort: split
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.core.signals import request_finished, request_started
from django.db import transaction
from django.test import RequestFactory, override_settings

import tokenstore
from django_browser import ADDRESS, AGENT, Browser, browser_of
from servers import Server
from tokenstore.ext.django import (
    UserSession,
    aend_session,
    aend_sessions,
    auser_sessions,
    conf,
    end_session,
    end_sessions,
    user_sessions,
)
from tokenstore.ext.django.sessions import SessionStore

pytest_plugins = ["django_fixtures"]


@pytest.fixture
def bob(site: Server) -> Any:
    return django_site.make_user("bob")


def logged_in(browser: Browser, user: str = "bob") -> Browser:
    device = browser.another()
    assert device("enter/", user=user).status == 200
    return device


def user_of(browser: Browser) -> Any:
    return browser("show/").json()["user"]


# ---- calls -------------------------------------------------------------------------------------------


@pytest.fixture(params=["blocking", "awaitable"])
def calls(request: pytest.FixtureRequest) -> Any:
    if request.param == "blocking":
        return user_sessions, end_session, end_sessions
    awaitable = auser_sessions, aend_session, aend_sessions
    return [lambda *a, _f=f, **k: asyncio.run(_f(*a, **k)) for f in awaitable]


def request_of(browser: Browser) -> Any:
    request = RequestFactory().get("/")
    request.session = SessionStore(browser.key)
    return request


def test_the_users_sessions(site: Server, bob: Any, calls: Any) -> None:
    the_sessions, end_one, end_all = calls
    browser = browser_of("wsgi")
    devices = [logged_in(browser) for _ in range(3)]
    logged_in(browser, django_site.make_user("amy").username)
    rows = the_sessions(bob)
    assert [type(row) for row in rows] == [UserSession] * 3
    assert rows == the_sessions(bob.pk) == the_sessions(str(bob.pk))
    assert {(row.address, row.user_agent) for row in rows} == {(ADDRESS, AGENT)}
    assert all(row.created <= row.seen < row.expires for row in rows)
    assert not any(row.is_current for row in rows)
    for device in devices:
        (mine,) = [row for row in the_sessions(bob, request_of(device)) if row.is_current]
        assert mine.id == request_of(device).session.sid

    keys = [device.key for device in devices]
    assert not any(key in repr(rows) for key in keys)
    assert end_one(bob, the_sessions(bob)[-1].id)  # the first
    assert not end_one(bob, rows[-1].id)
    assert [user_of(device) for device in devices] == [None, "bob", "bob"]
    assert end_all(bob, keep=request_of(devices[1]))
    assert [user_of(device) for device in devices[1:]] == ["bob", None]
    assert end_all(bob, keep=the_sessions(bob)[0].id) is False
    assert user_of(devices[1]) == "bob"
    assert end_all(bob)
    assert (user_of(devices[1]), the_sessions(bob)) == (None, [])
    with pytest.raises(TypeError, match="keep must be a request"):
        end_all(bob, keep=5)


def test_keep_the_session_of_a_request_that_renews_it(site: Server, bob: Any) -> None:
    browser = browser_of("wsgi")
    here, there = logged_in(browser), logged_in(browser)
    request = request_of(here)
    request.session.cycle_key()
    end_sessions(bob, keep=request)
    request.session.save()
    assert SessionStore(request.session.session_key).owner is None  # not read yet
    assert SessionStore(request.session.session_key).load()["_auth_user_id"] == str(bob.pk)
    assert user_of(there) is None


# ---- a new password ----------------------------------------------------------------------------------


def test_a_new_password_ends_the_other_sessions(browser: Browser, bob: Any) -> None:
    here, there = logged_in(browser), logged_in(browser)
    before = here.twin()
    assert here("change_password/", to="staple").status == 200
    assert len(user_sessions(bob)) == 1
    assert [user_of(each) for each in (here, there)] == ["bob", None]
    assert here.key != before.key
    assert user_of(before) == "bob"  # within the grace: requests under way


def test_a_request_between_the_new_password_and_the_new_session(browser: Browser, bob: Any) -> None:
    """It finds a session of the old password, which Django ends; the one that changes it goes on all the same."""
    here = logged_in(browser)
    other = here.twin()
    django_site.during["poll"] = lambda: user_of(other)
    assert here("change_password/", to="staple", during="poll").status == 200
    assert user_of(here) == "bob"
    assert user_of(other) is None
    assert len(user_sessions(bob)) == 1


def test_a_password_that_is_set_elsewhere_ends_all_sessions(browser: Browser, bob: Any) -> None:
    device = logged_in(browser)
    amy = logged_in(browser, django_site.make_user("amy").username)
    bob.set_password("staple")
    assert len(user_sessions(bob)) == 1
    bob.save()
    assert user_sessions(bob) == []
    assert (user_of(device), user_of(amy)) == (None, "amy")


def test_a_password_that_an_administrator_sets(site: Server, bob: Any) -> None:
    """It proves nothing about the administrator, whose session may end meanwhile as any other."""
    browser = browser_of("wsgi")
    root, device = logged_in(browser, django_site.make_user("root").username), logged_in(browser)
    assert root("reset/", user="bob").status == 200
    assert (user_of(root), user_of(device)) == ("root", None)
    other = root.twin()
    django_site.during["logout"] = lambda: other("leave/")
    assert root("reset/", user="bob", during="logout").status == 400
    assert user_of(root) is None


def test_a_request_that_is_over_keeps_nothing(site: Server, bob: Any) -> None:
    """Its session may still be in memory, and in the same thread."""
    browser = logged_in(browser_of("wsgi"))
    request_started.send(sender=None, environ={})
    session = SessionStore(browser.key)
    assert session.load()
    request_finished.send(sender=None)
    bob.set_password("staple")
    bob.save()
    assert user_sessions(bob) == []


def test_a_new_user_costs_nothing(site: Server) -> None:
    with django_site.sessions_at("redis+unix:///nowhere/redis.sock"):
        user = User(username="bob")
        user.set_password("staple")
        user.save()


def test_what_is_no_new_password(browser: Browser, bob: Any) -> None:
    logged_in(browser)
    bob.first_name = "Robert"
    bob.save()
    with override_settings(
        PASSWORD_HASHERS=[
            "django.contrib.auth.hashers.ScryptPasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]
    ):
        before = bob.password
        assert bob.check_password("correct horse")  # and saves a stronger hash
        assert bob.password != before
    assert len(user_sessions(bob)) == 1


def test_a_password_that_is_rolled_back(site: Server, bob: Any) -> None:
    logged_in(browser_of("wsgi"))
    bob.set_password("staple")
    with transaction.atomic():
        bob.save()
        transaction.set_rollback(True)
    assert len(user_sessions(bob)) == 1


def test_a_password_is_not_changed_in_silence_while_redis_is_away(site: Server, bob: Any) -> None:
    bob.set_password("staple")
    with (
        django_site.sessions_at("redis+unix:///nowhere/redis.sock"),
        pytest.raises(tokenstore.ConnectionError),
    ):
        bob.save()


# ---- the page of devices -----------------------------------------------------------------------------


def test_the_page_of_devices(browser: Browser, bob: Any) -> None:
    here, there = logged_in(browser), logged_in(browser)
    assert (
        here.another().request("GET", "/devices/").headers["location"] == "/login/?next=/devices/"
    )
    page = here.request("GET", "/devices/")
    assert page.status == 200
    assert page.text.count(AGENT) == 2
    assert page.text.count("This device") == 1
    assert "no-store" in page.headers["cache-control"]
    assert not any(key in page.text for key in (here.key, there.key) if key)

    other = next(row.id for row in user_sessions(bob, request_of(here)) if not row.is_current)
    assert here.post("/devices/", {"end": other}).headers["location"] == "/devices/"
    assert (user_of(here), user_of(there)) == ("bob", None)
    here.post("/devices/", {"end": other})  # again: nothing to do

    third = logged_in(browser)
    here.post("/devices/", {"others": "1"})
    assert (user_of(here), user_of(third)) == ("bob", None)

    mine = user_sessions(bob)[0].id
    here.post("/devices/", {"end": mine})
    assert here.key is None
    assert user_sessions(bob) == []


def test_the_page_ends_no_session_of_others(site: Server, bob: Any) -> None:
    browser = browser_of("wsgi")
    here = logged_in(browser)
    amy = logged_in(browser, django_site.make_user("amy").username)
    here.request("GET", "/devices/")
    here.post("/devices/", {"end": user_sessions(User.objects.get(username="amy"))[0].id})
    assert user_of(amy) == "amy"


def test_the_page_wants_a_csrf_token(site: Server, bob: Any) -> None:
    here = logged_in(browser_of("wsgi"))
    here.cookies["csrftoken"] = "x" * 32
    assert here.request("POST", "/devices/", "", b"others=1").status == 403


def test_hostile_user_agents_are_shown_as_text(site: Server, bob: Any) -> None:
    user_agent = "<script>alert(1)</script>"
    conf.stores().blocking.create("django", str(bob.pk), request={"user_agent": user_agent})
    here = logged_in(browser_of("wsgi"))
    assert "<script>" not in here.request("GET", "/devices/").text


# ---- the admin ---------------------------------------------------------------------------------------

PAGE = "/admin/tokenstore/session/"


@pytest.fixture
def root(site: Server) -> Browser:
    django_site.make_user("root", is_staff=True, is_superuser=True)
    return logged_in(browser_of("wsgi"), "root")


def test_the_admins_page(root: Browser, bob: Any) -> None:
    device, other = logged_in(root), logged_in(root)
    assert PAGE in root.request("GET", "/admin/").text
    assert root.request("GET", PAGE).status == 200
    assert "There is no such user" in root.request("GET", PAGE, "user=nobody").text
    for name in ("bob", str(bob.pk)):
        page = root.request("GET", PAGE, f"user={name}").text
        assert page.count(AGENT) == 2
        assert str(device.key) not in page
    assert root.request("POST", PAGE, "user=bob", b"all=1").status == 403  # without a CSRF token
    (button, _) = re.findall(r'name="end" value="([^"]+)"', page)
    answer = root.post(PAGE, {"end": button}, "user=bob")
    assert (answer.status, answer.headers["location"]) == (302, f"{PAGE}?user=bob")
    assert "Ended sessions of bob" in root.request("GET", PAGE, "user=bob").text
    assert sorted(map(str, map(user_of, (device, other)))) == ["None", "bob"]
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.change_message) == ("bob", "Ended sessions.")
    root.post(PAGE, {"end": button}, "user=bob")
    assert "There was no such session" in root.request("GET", PAGE, "user=bob").text
    root.post(PAGE, {"all": "1"}, "user=bob")
    assert user_sessions(bob) == []


def test_administrators_keep_their_own_session(root: Browser) -> None:
    other = logged_in(root, "root")
    user = User.objects.get(username="root")
    page = root.request("GET", PAGE, "user=root").text
    assert "This session" in page
    (button,) = re.findall(r'name="end" value="([^"]+)"', page)
    mine = next(row.id for row in user_sessions(user) if row.id != button)
    root.post(PAGE, {"end": mine}, "user=root")
    root.post(PAGE, {"all": "1"}, "user=root")
    assert (user_of(root), user_of(other)) == ("root", None)


def test_permissions_in_the_admin(root: Browser, bob: Any) -> None:
    logged_in(root)
    clerk = django_site.make_user("clerk", is_staff=True)
    browser = logged_in(root, "clerk")
    assert browser.request("GET", PAGE, "user=bob").status == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_session"))
    page = browser.request("GET", PAGE, "user=bob")
    assert page.status == 200
    assert AGENT in page.text
    assert 'name="end"' not in page.text
    assert 'name="all"' not in page.text
    assert browser.post(PAGE, {"all": "1"}, "user=bob").status == 403
    assert len(user_sessions(bob)) == 1
    clerk.user_permissions.add(Permission.objects.get(codename="delete_session"))
    assert browser.post(PAGE, {"all": "1"}, "user=bob").status == 302
    assert user_sessions(bob) == []
    assert root.another().request("GET", PAGE).status == 302  # to the login
    assert {
        p.codename for p in Permission.objects.filter(content_type__app_label="tokenstore")
    } == {
        "view_session",
        "delete_session",
    }


# ---- the command -------------------------------------------------------------------------------------


def endsessions(*arguments: str) -> str:
    out = io.StringIO()
    call_command("endsessions", *arguments, stdout=out)
    return out.getvalue()


def test_the_command(site: Server, bob: Any) -> None:
    browser = browser_of("wsgi")
    amy = django_site.make_user("amy")
    devices = [logged_in(browser), logged_in(browser), logged_in(browser, "amy")]
    with pytest.raises(CommandError, match="no such user: carl, dora. No session was ended"):
        endsessions("bob", "carl", "dora")
    assert len(user_sessions(bob)) == 2
    assert endsessions("bob") == "bob: ended\n"
    assert endsessions("bob") == "bob: no sessions\n"
    assert [user_of(device) for device in devices] == [None, None, "amy"]
    assert endsessions("--all") == "amy: ended\n"
    assert user_sessions(amy) == []
    for arguments in ((), ("--all", "bob")):
        with pytest.raises(CommandError, match="name users, or give --all"):
            endsessions(*arguments)


# ---- checks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, None),
        ({"SESSION_COOKIE_SAMESITE": "None"}, 'same_site="none" and without secure'),
        ({"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": True}, None),
        ({"SESSION_COOKIE_SAMESITE": False}, None),
        ({"SESSION_COOKIE_NAME": "__Host-id"}, "without secure"),
        (
            {
                "SESSION_COOKIE_NAME": "__Host-id",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_DOMAIN": "example.org",
            },
            "has a domain",
        ),
    ],
)
def test_cookies_that_browsers_would_drop(settings: dict[str, Any], fault: str | None) -> None:
    with override_settings(**settings):
        faults = [each.msg for each in run_checks() if str(each.id).startswith("tokenstore")]
    assert len(faults) == (fault is not None)
    assert fault is None or fault in faults[0]
