"""A real browser: Debian's Chromium without a window, controlled by Selenium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

Open = Callable[..., Chrome]


def new_browser(user_agent: str | None) -> Chrome:
    """With a new profile, and a log of its console."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert None not in (chromium, driver), "Chromium is missing: run scripts/setup"
    options = ChromeOptions()
    options.binary_location = str(chromium)
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")  # root has none
    options.add_argument("--disable-dev-shm-usage")  # small in containers
    options.add_argument("--window-size=1200,900")
    if user_agent is not None:
        options.add_argument(f"--user-agent={user_agent}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, ChromeService(driver))
    browser.set_page_load_timeout(60)  # a busy machine
    return browser


def errors_of(browser: Chrome) -> list[str]:
    """What its console has shown as errors since the last call, also of pages that it has left."""
    log = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    return [message for message in log if "/favicon.ico " not in message]  # no page asks for that


@pytest.fixture(scope="session")
def started() -> Iterator[dict[str | None, Chrome]]:
    """By their user agent: to start one takes seconds."""
    browsers: dict[str | None, Chrome] = {}
    yield browsers
    for browser in browsers.values():
        browser.quit()


def forget(browser: Chrome) -> None:
    """As after a start: no cookies, no page, nothing emulated."""
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    errors_of(browser)


@pytest.fixture
def open_browser(started: dict[str | None, Chrome]) -> Iterator[Open]:
    """``open_browser(user_agent)``: each user agent is another device. None may have an error in its console at the end."""
    opened: set[str | None] = set()

    def open_browser(user_agent: str | None = None) -> Chrome:
        if user_agent not in started:
            started[user_agent] = new_browser(user_agent)
        opened.add(user_agent)
        return started[user_agent]

    yield open_browser
    errors = [error for agent in opened for error in errors_of(started[agent])]
    for agent in opened:
        forget(started[agent])
    assert errors == []


@pytest.fixture
def browser(open_browser: Open) -> Chrome:
    """One device."""
    return open_browser()
