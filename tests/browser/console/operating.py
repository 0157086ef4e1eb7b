"""Somebody who uses the console with a browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

AXE = Path(__file__).resolve().parents[2] / "console/node_modules/axe-core/axe.min.js"


class Operator:
    """``Operator(browser, url)``."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, path: str) -> None:
        self.browser.get(self.url + path)

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        """And wait for the page that follows."""
        self._leave(lambda element: element.click(), self.find(selector))

    def search(self, owner: str) -> None:
        field = self.find("#owner")
        field.clear()
        self._leave(lambda element: element.send_keys(owner, Keys.ENTER), field)

    def press(self, *keys: str, leaves: bool = False) -> None:
        """On the keyboard alone, wherever the focus is."""
        actions = ActionChains(self.browser)
        for key in keys:
            actions.send_keys(key)
        if not leaves:
            actions.perform()
            return
        self._leave(lambda element: actions.perform(), self.find("html"))

    def tab_to(self, selector: str, most: int = 60) -> None:
        """By the tabulator; each step has to be visible."""
        for _ in range(most):
            self.press(Keys.TAB)
            focused = self.browser.switch_to.active_element
            assert self.browser.execute_script(_HAS_RING, focused), focused.get_attribute("outerHTML")
            if self.browser.execute_script("return arguments[0].matches(arguments[1])", focused, selector):
                return
        raise AssertionError(f"the tabulator does not lead to {selector}")

    def text(self, selector: str = "main") -> str:
        return " ".join(self.find(selector).text.split())

    def rows(self) -> list[str]:
        return [" ".join(row.text.split()) for row in self.find_all("tbody tr")]

    def look(self, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Change the size of the window, and the colours that are preferred."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def violations(self) -> list[str]:
        """What axe-core has against the page: all its rules, best practices too."""
        if not AXE.exists():
            pytest.skip("no axe-core here: scripts/setup installs it where there is npm")
        self.browser.execute_script(AXE.read_text())
        result: dict[str, Any] = self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document).then(done, error => done({failed: String(error)}))"
        )
        assert len(result.get("passes", ())) > 10, result.get("failed")
        return [
            f"{each['id']}: {json.dumps([node['html'] for node in each['nodes'][:3]])}" for each in result["violations"]
        ]

    def _leave(self, act: Any, element: WebElement) -> None:
        before = self.find("html")
        act(element)
        WebDriverWait(self.browser, 60).until(lambda _: _is_gone(before))


def _is_gone(element: WebElement) -> bool:
    """With its page. While that is being left, chromedriver may say so in words of its own."""
    try:
        element.is_enabled()
    except StaleElementReferenceException:
        return True
    except WebDriverException as error:
        if "does not belong to the document" in str(error):
            return True
        raise
    return False


_HAS_RING = """
const style = getComputedStyle(arguments[0]);
return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
"""
