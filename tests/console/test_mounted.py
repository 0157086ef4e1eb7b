"""The console in applications of real frameworks, below a path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import tokenstore
import tokenstore.asyncio
from asking import OWN
from servers import Server
from tokenstore.console import Actor, Console

BASE = "/admin/sessions"
URL = "https://console.example"


def who_may(request: Any) -> Actor | None:
    """By a header, as the application would by its own session."""
    headers = dict(request.get("headers", ()))
    given = request.get("HTTP_X_ADMIN") or headers.get(b"x-admin", b"").decode()
    return Actor(given) if given else None


@pytest.fixture(params=["Flask", "Starlette"])
def ask(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    """``ask(method, path)``: status, text and the address that it redirects to."""
    if request.param == "Flask":
        with tokenstore.RedisTokens(server.url) as store:
            app = Flask("outer")
            app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {BASE: Console(store, authorize=who_may).wsgi})  # type: ignore[method-assign]
            client = Client(app)

            def ask(method: str, path: str, **headers: str) -> Any:
                answer = client.open(path, method=method, base_url=URL, headers=headers)
                return answer.status_code, answer.text, answer.headers.get("location")

            yield ask
        return
    store = tokenstore.asyncio.RedisTokens(server.url)
    starlette = Starlette(routes=[Mount(BASE, Console(store, authorize=who_may).asgi)])
    with TestClient(starlette, base_url=URL, follow_redirects=False) as starlette_client:

        def ask_starlette(method: str, path: str, **headers: str) -> Any:
            answer = starlette_client.request(method, path, headers=headers)
            return answer.status_code, answer.text, answer.headers.get("location")

        yield ask_starlette
        starlette_client.portal.call(store.aclose)  # type: ignore[union-attr]


def test_below_a_path(ask: Any, tokens: tokenstore.RedisTokens) -> None:
    made = tokens.create("shop", "session", "b/ö b")
    assert ask("GET", BASE + "/")[0] == 403
    me = {"x-admin": "alice"}
    for path in (BASE + "/", BASE):
        status, page, _ = ask("GET", path, **me)
        if status == 307:  # Starlette adds the slash
            continue
        assert (status, f'href="{BASE}/find"' in page) == (200, True)
    which = f"owner=b%2F%C3%B6%20b&app=shop&type=session&id={made.id}"
    status, page, _ = ask("GET", f"{BASE}/end?{which}", **me)
    assert (status, "b/ö b" in page) == (200, True)
    assert ask("POST", f"{BASE}/end?{which}", **me)[0] == 403
    status, _, location = ask("POST", f"{BASE}/end?{which}", **me, **OWN)
    assert (status, location) == (303, f"{BASE}/owner?owner=b%2F%C3%B6%20b&ended=1")
    assert tokens.count("shop", "session", "b/ö b") == 0
    assert ask("GET", "/elsewhere", **me)[0] == 404
