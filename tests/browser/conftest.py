"""A real browser: Debian's Chromium without a window, controlled by Selenium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

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


@pytest.fixture
def open_browser() -> Iterator[Open]:
    """Each call, ``open_browser(user_agent)``, is another device. None may have an error in its console at the end."""
    opened: list[Chrome] = []
    with ExitStack() as stack:

        def open_browser(user_agent: str | None = None) -> Chrome:
            browser = new_browser(user_agent)
            stack.callback(browser.quit)
            opened.append(browser)
            return browser

        yield open_browser
        assert [error for browser in opened for error in errors_of(browser)] == []


@pytest.fixture
def browser(open_browser: Open) -> Chrome:
    """One device."""
    return open_browser()
