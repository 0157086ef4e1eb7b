"""The console in a real browser."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from operating import Operator
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

import tokenstore
from odd_names import names, visible
from served import console
from servers import Server

PICTURES = Path(__file__).resolve().parents[3] / "docs/images"

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "curl/8.5.0",
)


@pytest.fixture
def tokens(server: Server) -> Iterator[tokenstore.RedisTokens]:
    with tokenstore.RedisTokens(server.url, audit_stream=100_000) as tokens:
        yield tokens


@pytest.fixture
def operator(server: Server, browser: Chrome) -> Iterator[Operator]:
    """Logged in by the link."""
    with console(server.url, "--jwt", "--actor", "alice") as (_, said):
        browser.get(said["link"])
        operator = Operator(browser, said["url"])
        assert browser.current_url == said["url"] + "/"
        assert browser.get_cookies()[0]["httpOnly"]
        yield operator


def make_sessions(tokens: tokenstore.RedisTokens, owner: str = "bob") -> None:
    for number, agent in enumerate(AGENTS):
        request = {"address": f"203.0.113.{number}", "user_agent": agent}
        tokens.create("shop", "session", owner, idle=3600, duration=86400 * 30, request=request)
    tokens.create("api", "key", owner)


def test_find_and_end(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    """One, the others, all."""
    make_sessions(tokens)
    operator.search("bob")
    assert operator.text("h1") == "bob"
    assert len(operator.rows()) == 5
    assert "Chrome on Windows" in operator.rows()[2]

    operator.click("tbody tr:nth-child(3) td:nth-child(7) a")
    assert operator.text("h1") == "End this session?"
    operator.click("form.choices a")  # cancel
    assert tokens.count("shop", "session", "bob") == 4
    operator.browser.back()
    operator.click("form.choices button")
    assert operator.text("[role=status]") == "1 ended."
    assert "Chrome on Windows" not in operator.text()
    assert len(operator.rows()) == 4

    operator.click("tbody tr:nth-child(2) .device")  # its own page
    assert "curl" in operator.text("h1")
    operator.click("p.choices a:nth-child(2)")
    assert "2 other sessions of bob in shop / session will end" in operator.text()
    operator.click("form.choices button")
    assert [row.split()[0] for row in operator.rows()] == ["Unknown", "curl"]

    operator.click("a.danger")
    operator.click("form.choices button")
    assert operator.text("[role=status]") == "2 ended."
    assert "no live token" in operator.text()
    assert tokens.count("api", "key", "bob") == 0


def test_a_pasted_token(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    made = tokens.create("shop", "session", "bob")
    operator.click("nav a[href='/find']")
    operator.find("#token").send_keys(made.token or "")
    operator.click("main button")
    assert operator.browser.current_url.endswith(f"id={made.sid}")
    assert (made.token or "") not in operator.browser.page_source
    assert "bob" in operator.text(".facts")


def test_by_keyboard_alone(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    make_sessions(tokens)
    operator.open("/")
    operator.press(Keys.TAB)
    focused = operator.browser.switch_to.active_element
    assert (focused.text, focused.is_displayed()) == ("Skip to the content", True)
    operator.press(Keys.ENTER)
    assert operator.browser.switch_to.active_element.get_attribute("id") == "main"
    operator.open("/")
    operator.tab_to("#owner")
    operator.press(*"bob", Keys.ENTER, leaves=True)
    operator.tab_to("tbody tr:nth-child(2) td:nth-child(7) a")
    operator.press(Keys.ENTER, leaves=True)
    operator.tab_to("form.choices button")
    operator.press(Keys.SPACE, leaves=True)
    assert operator.text("[role=status]") == "1 ended."
    operator.tab_to("a.danger")
    operator.press(Keys.ENTER, leaves=True)
    operator.tab_to("form.choices button")
    operator.press(Keys.ENTER, leaves=True)
    assert operator.text("[role=status]") == "4 ended."
    operator.tab_to("button.quiet")
    operator.press(Keys.ENTER, leaves=True)
    assert operator.text("h1") == "Log in"
    operator.open("/owner?owner=bob")
    assert operator.text("h1") == "Log in"


def test_accessible_and_dark(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    """axe-core finds nothing on any page, nor on some in dark and narrow; and none is wider than the window."""
    make_sessions(tokens)
    [one, *_] = tokens.list("shop", "session", "bob")
    which = f"app=shop&type=session&owner=bob&id={one.id}"
    pages = ["/", "/owner?owner=bob&ended=1", f"/session?{which}", f"/end?{which}&what=one", "/end?what=all&owner=bob"]
    pages += ["/find", "/activity"]
    for width, dark, shown in ((1200, False, pages), (1200, True, pages[:2]), (360, False, pages[:2])):
        operator.look(width, 800, dark)
        for page in shown:
            operator.open(page)
            assert operator.violations() == [], page
            ground = operator.find("body").value_of_css_property("background-color")
            assert ground == ("rgba(17, 20, 24, 1)" if dark else "rgba(245, 246, 248, 1)")
            assert operator.browser.execute_script("return document.documentElement.scrollWidth") <= width, page


def test_ten_thousand_sessions(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    """A page shows a hundred, and is there at once."""
    for _ in range(10):
        tokens.create_many(
            {"app": "shop", "type": "session", "owner": "many", "request": {"user_agent": AGENTS[n % 4]}} for n in range(1000)
        )
    operator.search("many")
    seen = set()
    took = []
    for _ in range(3):
        assert len(operator.find_all("tbody tr")) == 100
        seen |= {link.get_attribute("href") for link in operator.find_all(".device")}
        began = time.monotonic()
        operator.click("a[rel=next]")
        took.append(time.monotonic() - began)
    assert len(seen) == 300
    assert min(took) < 2, took
    assert "10\u202f000" in operator.find(".count").text


def test_names_make_no_element_in_a_browser(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    given = [name.encode(errors="surrogateescape") for name in names(100)]
    for agent in given:
        tokens.create("shop", "session", "bob", request={"address": agent, "user_agent": agent})
    operator.search("bob")
    script = "return [...document.querySelectorAll('main *')].map(e => e.tagName + ' ' + e.getAttributeNames()).join()"
    assert len(operator.find_all("tbody tr")) == 100
    counted = [operator.browser.execute_script(script)]
    shown = [cell.get_property("textContent") for cell in operator.find_all("tbody tr td:nth-child(2) bdi")]
    listed = tokens.list("shop", "session", "bob")
    assert shown == [visible((token.request or {})["address"]) for token in listed]
    tokens.delete_all("shop", "session", "bob")
    for _ in given:
        tokens.create("shop", "session", "bob", request={"address": "plain", "user_agent": "words"})
    operator.open("/owner?owner=bob")
    counted.append(operator.browser.execute_script(script))
    assert counted[0] == counted[1]
    assert operator.browser.title == "bob – tokenstore console"


@pytest.mark.skipif("TOKENSTORE_PICTURES" not in os.environ, reason="make console-pictures")
def test_pictures_for_the_documentation(operator: Operator, tokens: tokenstore.RedisTokens, server: Server) -> None:
    make_a_day(server)
    make_sessions(tokens, "bob@example.com")
    for number in range(40):
        tokens.create("shop", "session", f"customer-{number}")
    for name, path, width, height, dark in (
        ("console-owner", "/owner?owner=bob%40example.com", 1200, 620, False),
        ("console-owner-dark", "/owner?owner=bob%40example.com", 1200, 620, True),
        ("console-overview", "/?count=again", 1200, 420, False),
        ("console-phone", "/owner?owner=bob%40example.com", 390, 760, False),
    ):
        operator.look(width, height, dark)
        operator.open(path)
        operator.browser.save_screenshot(str(PICTURES / f"{name}.png"))


def make_a_day(server: Server) -> None:
    """Events of the last 24 hours, more by day than by night."""
    now = time.time()
    with server.wire() as wire:
        for hour in range(24):
            ms = int((now - (23.5 - hour) * 3600) * 1000)
            day = 1 + math.cos((hour - 14) / 24 * 2 * math.pi)
            for number, (type, kind, share) in enumerate(
                (("session", "created", 40), ("session", "ended", 22), ("key", "created", 3), ("key", "ended", 1))
            ):
                app = "shop" if type == "session" else "api"
                count = str(round(share * day))
                wire("XADD", "ts:audit", f"{ms}-{number}", "kind", kind, "count", count, "app", app, "type", type)


def test_no_page_asks_for_anything_else(operator: Operator) -> None:
    """Style and icon come from the console, and nothing from elsewhere."""
    operator.open("/")
    names = operator.browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert names
    assert all(name.startswith(operator.url + "/") for name in names)
    assert operator.find("main").find_element(By.XPATH, "..").tag_name == "body"


def test_another_site_ends_nothing(operator: Operator, tokens: tokenstore.RedisTokens) -> None:
    """A form of another origin, sent by somebody who is logged in to the console."""
    tokens.create("shop", "session", "bob")
    form = f'<form method="post" action="{operator.url}/end?what=all&amp;owner=bob"><button>Win</button></form>'
    with elsewhere(f"<!doctype html><title>Win</title>{form}") as url:
        operator.browser.get(url)
        operator.click("button")
        assert operator.text("h1") == "Refused"
    operator.open("/owner?owner=bob")
    assert operator.text("h1") == "bob"  # still logged in
    assert tokens.count("shop", "session", "bob") == 1
    log = [entry["message"] for entry in operator.browser.get_log("browser") if "favicon" not in entry["message"]]
    assert [("403 (Forbidden)" in message) for message in log] == [True]


@contextmanager
def elsewhere(page: str) -> Iterator[str]:
    """A page of another site: localhost is none of 127.0.0.1's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
