"""The examples in a real browser: two devices log in, one ends the other, which has to log in again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from apps import APPS, App, running

LAPTOP, PHONE = "Laptop of the test", "Phone of the test"


@pytest.fixture(scope="module", params=APPS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[App, str]]:
    app = APPS[request.param]
    with running(app) as address:
        yield app, address


class Device:
    """A browser at an example."""

    def __init__(self, browser: Chrome, app: App, address: str) -> None:
        self.browser, self.app, self.address = browser, app, address

    def open(self, path: str) -> None:
        self.browser.get(self.address + path)

    def click(self, button: WebElement) -> None:
        """And wait for the page that follows."""
        page = self.browser.find_element(By.TAG_NAME, "html").id
        button.click()
        WebDriverWait(self.browser, 60).until(
            lambda browser: browser.find_element(By.TAG_NAME, "html").id != page
        )

    def log_in(self) -> None:
        self.open(self.app.login)
        self.browser.find_element(By.NAME, self.app.user_field).send_keys("bob")
        password = self.browser.find_element(By.NAME, "password")
        password.send_keys(self.app.password)
        self.click(self.browser.find_element(By.TAG_NAME, "button"))

    def is_logged_in(self) -> bool:
        """As its page of devices says, which is else a form to log in."""
        self.open(self.app.devices)
        form = self.browser.find_elements(By.NAME, "password")
        assert bool(form) != bool(self.rows())
        return not form

    def hides_its_cookie(self) -> bool:
        """From scripts, and from most requests of other sites."""
        cookies = {cookie["name"]: cookie for cookie in self.browser.get_cookies()}
        (name,) = cookies.keys() & {"session", "sessionid"}
        assert (cookies[name]["httpOnly"], cookies[name]["sameSite"]) == (True, "Lax")
        return name not in self.browser.execute_script("return document.cookie")

    def rows(self) -> list[WebElement]:
        """Those of the test's devices, on the page that it shows."""
        rows = self.browser.find_elements(By.TAG_NAME, "li")
        return [row for row in rows if "of the test" in row.text]

    def devices(self) -> list[tuple[str, bool]]:
        """Names, and whether that is marked as this one."""
        return [(row.text.partition(",")[0], self.app.here in row.text) for row in self.rows()]

    def end(self, name: str) -> None:
        (row,) = (row for row in self.rows() if row.text.startswith(name))
        self.click(row.find_element(By.TAG_NAME, "button"))

    def log_out_others(self) -> None:
        buttons = self.browser.find_elements(By.TAG_NAME, "button")
        (button,) = (each for each in buttons if each.text == self.app.others)
        self.click(button)


def test_one_device_ends_another(
    served: tuple[App, str], open_browser: Callable[[str], Chrome]
) -> None:
    laptop, phone = (Device(open_browser(name), *served) for name in (LAPTOP, PHONE))
    for device in (phone, laptop):
        assert not device.is_logged_in()
        device.log_in()
        assert device.is_logged_in()
        assert device.hides_its_cookie()
    assert laptop.devices() == [(LAPTOP, True), (PHONE, False)]

    laptop.end(PHONE)
    assert laptop.devices() == [(LAPTOP, True)]
    assert not phone.is_logged_in()
    phone.log_in()
    assert phone.is_logged_in()
    assert phone.devices() == [(PHONE, True), (LAPTOP, False)]

    laptop.open(laptop.app.devices)
    laptop.log_out_others()
    assert laptop.devices() == [(LAPTOP, True)]
    assert not phone.is_logged_in()
    assert laptop.is_logged_in()
