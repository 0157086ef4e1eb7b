"""The examples: two browsers log in, one logs the other out, and then all others."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.testclient import TestClient

from servers import Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

Browser = Callable[..., str]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fastapi_browser(app: Any, agent: str) -> Browser:
    client = TestClient(app, base_url="http://localhost", headers={"user-agent": agent})

    def browse(path: str, **form: str) -> str:
        answer = client.post(path, data=form) if path != "/" else client.get(path)
        assert answer.status_code in (200, 401)
        return answer.text

    return browse


def flask_browser(app: Any, agent: str) -> Browser:
    client = app.test_client()

    def browse(path: str, **form: str) -> str:
        method = "GET" if path == "/" else "POST"
        headers = {"User-Agent": agent}
        answer = client.open(path, method=method, data=form, headers=headers, follow_redirects=True)
        assert answer.status_code in (200, 401)
        return str(answer.text)

    return browse


BROWSERS = {"fastapi": fastapi_browser, "flask": flask_browser}


@pytest.fixture(params=BROWSERS)
def open_browser(
    request: pytest.FixtureRequest, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Browser]]:
    monkeypatch.setenv("TOKENSTORE_URL", server.url)
    module = load(request.param)
    yield lambda agent: BROWSERS[request.param](module.app, agent)
    if request.param == "flask":
        module.sessions.web.store.close()


def test_devices(open_browser: Callable[[str], Browser]) -> None:
    laptop, phone, tablet = (open_browser(name) for name in ("Laptop", "Phone", "Tablet"))
    assert "Log in" in laptop("/")
    assert "That was wrong" in laptop("/login", user="bob", password="ann's")
    assert "That was wrong" not in laptop("/")
    assert "That was wrong" in laptop("/login", user="nobody", password="")
    for browser in (phone, tablet, laptop):
        assert "Devices of bob" in browser("/login", user="bob", password="bob's")
    page = laptop("/")
    assert re.findall(r"<li>(\w+)", page) == ["Laptop", "Tablet", "Phone"]
    assert page.count("(this one)") == 1

    phones = re.findall(r'action="/end/([^"]+)"', page)[2]
    assert re.findall(r"<li>(\w+)", laptop(f"/end/{phones}")) == ["Laptop", "Tablet"]
    assert "Devices of" not in phone("/")
    assert "Devices of" not in phone(f"/end/{phones}")
    assert re.findall(r"<li>(\w+)", laptop("/logout-others")) == ["Laptop"]
    assert "Devices of" not in tablet("/")
    assert "Devices of" not in laptop("/logout")
    assert "Devices of" not in laptop("/")
