"""The door of a console that is served by itself: links, the password, and whoever guesses."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

import tokenstore
from asking import Answer, by_wsgi
from servers import Server
from tokenstore.console import Actor, Console
from tokenstore.console._login import Door
from tokenstore.console._throttle import Throttle

HOST = "127.0.0.1:8810"
TYPED = {"sec-fetch-site": "none"}
OWN = {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"}
PASSWORD = b"correct horse battery"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Browser:
    """Keeps the cookie."""

    def __init__(self, app: Any, address: str = "192.0.2.1") -> None:
        self.app, self.address, self.cookie = app, address, ""

    def ask(self, method: str, path: str, headers: dict[str, str], form: dict[str, str] | None = None) -> Answer:
        body = urlencode(form or {}).encode()
        path, _, query = path.partition("?")
        headers = {"host": HOST, "cookie": self.cookie, **headers}
        answer = by_wsgi(
            self.app,
            {
                "REQUEST_METHOD": method,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_LENGTH": str(len(body)),
                "REMOTE_ADDR": self.address,
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(body),
                **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
            },
        )
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def get(self, path: str, headers: dict[str, str] = TYPED) -> Answer:
        return self.ask("GET", path, headers)

    def log_in(self, password: bytes, headers: dict[str, str] = OWN) -> Answer:
        return self.ask("POST", "/login", headers, {"password": password.decode()})

    @property
    def is_in(self) -> bool:
        return self.get("/").status == 200


class Site:
    def __init__(self, store: tokenstore.RedisTokens, **options: Any) -> None:
        self.clock = Clock()
        self.door = Door(Actor("alice"), hosts=[HOST], port=8810, clock=self.clock, **options)
        console = Console(store, authorize=self.door.authorize, login_url="/login", logout_url="/logout")
        self.app = self.door.app(console.wsgi)

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self.app, address)


@pytest.fixture
def store(server: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(server.url) as store:
        yield store


@pytest.fixture
def by_link(store: tokenstore.RedisTokens) -> Site:
    return Site(store)


@pytest.fixture
def by_password(store: tokenstore.RedisTokens) -> Site:
    return Site(store, password=PASSWORD)


def test_a_link_is_good_for_one_login(by_link: Site) -> None:
    browser, thief = by_link.browser(), by_link.browser("192.0.2.2")
    assert browser.get("/").headers["location"] == "/login"
    assert "Open the link that the console shows" in browser.get("/login").shown()
    link = by_link.door.new_link()
    answer = browser.get(link)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert re.fullmatch(
        r"tokenstore-console-8810=[\w-]{43}; path=/; httponly; samesite=strict", answer.headers["set-cookie"]
    )
    assert browser.is_in
    assert link.partition("=")[2] not in browser.get("/").text
    used = thief.get(link)
    assert (used.status, "has been used" in used.shown()) == (403, True)
    assert not thief.is_in
    assert browser.is_in


def test_wrong_and_old_links(by_link: Site) -> None:
    browser = by_link.browser()
    link = by_link.door.new_link()
    for wrong in (link[:-1] + ("A" if link[-1] != "A" else "B"), "/login?code=", "/login?code=%ff"):
        assert browser.get(wrong).status == 403
        by_link.clock.now += 20
    assert browser.get(link).status == 303
    late = by_link.browser()
    link = by_link.door.new_link()
    by_link.clock.now += 300
    assert late.get(link).status == 403
    assert not late.is_in


def test_other_sites_may_not_open_a_link(by_link: Site) -> None:
    browser = by_link.browser()
    link = by_link.door.new_link()
    for headers in ({}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}):
        assert browser.get(link, headers).status == 403
    assert not browser.is_in
    assert browser.get(link).status == 303  # it is unused


def test_a_login_ends(by_link: Site) -> None:
    browser, other = by_link.browser(), by_link.browser()
    for each in (browser, other):
        each.get(by_link.door.new_link())
    for _ in range(15):
        by_link.clock.now += 1799
        assert browser.is_in
    assert not other.is_in  # unused for half an hour
    by_link.clock.now += 1799
    assert browser.is_in
    by_link.clock.now += 8 * 3600 - 16 * 1799
    assert not browser.is_in  # after eight hours, used or not
    browser.get(by_link.door.new_link())
    before = browser.cookie
    assert browser.ask("POST", "/logout", {}).status == 403
    assert browser.ask("GET", "/logout", OWN).status == 405
    assert browser.is_in
    answer = browser.ask("POST", "/logout", OWN)
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    browser.cookie = before
    assert not browser.is_in


def test_the_password(by_password: Site) -> None:
    browser = by_password.browser()
    assert browser.get("/login").tree.css_first("input[type=password]") is not None
    assert browser.log_in(b"wrong").status == 403
    for headers in ({}, OWN | {"origin": "https://evil.example"}, TYPED, {"sec-fetch-site": "same-origin"}):
        assert browser.log_in(PASSWORD, headers).status == 403
    assert not browser.is_in
    assert browser.log_in(PASSWORD).status == 303
    assert browser.is_in
    assert by_password.browser().get("/login?code=x").status == 403
    link = Browser(Site(tokenstore.RedisTokens("redis://127.0.0.1:1")).app)
    assert link.log_in(PASSWORD).status == 405


def test_whoever_guesses_has_to_wait(by_password: Site) -> None:
    browser, friend = by_password.browser(), by_password.browser("192.0.2.99")
    for _ in range(3):
        assert browser.log_in(b"guess").status == 403
    waits = []
    for _ in range(4):
        refused = browser.log_in(PASSWORD)  # the right one: whoever waits learns nothing
        assert refused.status == 429
        waits.append(int(re.findall(r"wait (\d+) second", refused.shown())[0]))
        by_password.clock.now += waits[-1]
        assert browser.log_in(b"guess").status == 403
    assert waits == [1, 2, 4, 8]
    assert friend.log_in(PASSWORD).status == 303
    by_password.clock.now += 16
    assert browser.log_in(PASSWORD).status == 303
    for number in range(30):
        by_password.browser(f"198.51.100.{number}").log_in(b"guess")
    assert by_password.browser("203.0.113.1").log_in(PASSWORD).status == 429
    assert friend.is_in  # who is in stays in


def test_hosts(by_link: Site) -> None:
    """A name of somebody else's that leads to this machine."""
    browser = by_link.browser()
    for host in ("evil.example", "evil.example:8810", "127.0.0.1", ""):
        assert browser.get(by_link.door.new_link(), TYPED | {"host": host}).status == 403
    assert not browser.is_in


def test_delays_double() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(16):
        waits.append(throttle.wait("192.0.2.1"))
        clock.now += waits[-1]
        throttle.note_wrong("192.0.2.1")
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]
    assert throttle.wait("192.0.2.2") == 0
    throttle.note_right("192.0.2.1")
    assert throttle.wait("192.0.2.1") == 0


def test_many_addresses() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(30):
        assert throttle.wait(f"192.0.2.{number}") == 0
        throttle.note_wrong(f"192.0.2.{number}")
    assert throttle.wait("192.0.2.99") == 60
    clock.now += 60
    assert throttle.wait("192.0.2.99") == 0
    for number in range(4):
        throttle.note_wrong(f"2001:db8::{number}")
    assert throttle.wait("2001:db8::ffff") > 0  # one network
    assert throttle.wait("2001:db8:1::1") == 0
    for number in range(20_000):
        throttle.note_wrong(f"host-{number}")
    assert len(throttle._wrong) == 10_000
