"""tokenstore.ext.starsessions: the rules of the contract, behind the middleware of starsessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starsessions import (
    SessionAutoloadMiddleware,
    SessionMiddleware,
    get_session_remaining_seconds,
    regenerate_session_id,
)

import tokenstore
from acting import Asgi, Loop, Meanwhile
from plugins import pause
from servers import Server
from stored import keys
from tokenstore.asyncio import Sessions
from tokenstore.ext.starsessions import TokenstoreStore

Start = Callable[..., Asgi]


@pytest.fixture
def meanwhile() -> Meanwhile:
    return Meanwhile()


@pytest.fixture
def start(server: Server, meanwhile: Meanwhile) -> Iterator[Start]:
    loop = Loop()
    store = Sessions(server.url, timeout=0.5)

    async def handle(request: Request) -> JSONResponse:
        op, argument = request.path_params["op"], (await request.json())["argument"]
        await pause(op, meanwhile)
        session = request.session
        if op == "clear":
            session.clear()
        elif op == "delete":
            del session[argument]
        elif op == "append":
            session["cart"].append(argument)
        elif op == "left":
            return JSONResponse(get_session_remaining_seconds(request))
        elif op != "read":
            session.update(argument)
        if op == "login":
            regenerate_session_id(request)
        return JSONResponse(dict(session))

    def make(lifetime: int = 0, **options: Any) -> Asgi:
        ours = TokenstoreStore(store, **options)
        middleware = [
            Middleware(SessionMiddleware, ours, lifetime=lifetime),
            Middleware(SessionAutoloadMiddleware),
        ]
        app = Starlette(routes=[Route("/{op}", handle, methods=["POST"])], middleware=middleware)
        return Asgi(app, loop)

    yield make
    loop.run(store.aclose())
    loop.close()


@pytest.fixture
def app(start: Start) -> Asgi:
    return start()


def test_it_works(app: Asgi) -> None:
    token = app.ask("set", {"cart": ["book"], "none": None}).token
    assert app.ask("append", "pen", token).token == token
    app.ask("set", {"n": 1}, token)
    app.ask("delete", "n", token)
    assert app.ask("read", token=token).json == {"cart": ["book", "pen"], "none": None}


def test_what_is_read_is_not_written(app: Asgi, server: Server) -> None:
    token = app.ask("set", {"n": 1}).token
    (key,) = keys(server)
    before = server("HGETALL", key)
    assert app.ask("read", token=token).json == {"n": 1}
    assert server("HGETALL", key) == before


@pytest.mark.parametrize("planted", ["a" * 32, "A" * 64, "junk"])
def test_an_unknown_id_is_not_adopted(app: Asgi, planted: str) -> None:
    token = app.ask("set", {"n": 1}, planted).token
    assert token != planted
    assert app.ask("read", token=planted).json == {}
    assert app.ask("read", token=token).json == {"n": 1}


def test_nothing_in_redis_equals_the_id(app: Asgi, server: Server) -> None:
    token = app.ask("set", {"n": 1}).token
    token = app.ask("login", {"m": 1}, token).token
    (key,) = keys(server)
    for each in (key, *server("HGETALL", key)):
        assert token[:32].encode() not in each


def test_a_new_id(app: Asgi) -> None:
    old = app.ask("set", {"cart": ["book"]}).token
    new = app.ask("login", {"user_id": "bob"}, old).token
    assert new != old
    assert app.ask("read", token=old).json == {}
    assert app.ask("read", token=new).json == {"cart": ["book"], "user_id": "bob"}


def test_the_users_field(start: Start, sessions: tokenstore.Sessions) -> None:
    app = start(principal="user_id")
    for op in ("set", "login"):
        old = app.ask("set", {"cart": ["book"]}).token
        new = app.ask(op, {"user_id": "bob"}, old).token
        assert new != old
        assert app.ask("read", token=old).json == {}
    assert sessions.count(app="web", owner_id="bob") == 2
    assert sessions.kill_all(app="web", owner_id="bob")
    assert app.ask("read", token=new).json == {}


def test_two_writers(app: Asgi, meanwhile: Meanwhile) -> None:
    token = app.ask("set", {"a": 0, "b": 0}).token
    meanwhile.call = lambda: app.ask("set", {"b": 1}, token)
    app.ask("meanwhile", {"a": 1}, token)
    assert app.ask("read", token=token).json == {"a": 1, "b": 1}


def test_logout_beats_a_late_save(app: Asgi, meanwhile: Meanwhile, server: Server) -> None:
    token = app.ask("set", {"a": 0}).token
    meanwhile.call = lambda: app.ask("clear", None, token)
    app.ask("meanwhile", {"a": 1}, token)
    assert app.ask("read", token=token).json == {}
    assert keys(server) == []


def test_the_rest_of_a_lifetime(start: Start) -> None:
    app = start(lifetime=1000)
    token = app.ask("set", {"n": 1}).token
    assert app.ask("left", token=token).json in (998, 999, 1000)


def test_redis_away(app: Asgi, server: Server) -> None:
    token = app.ask("set", {"n": 1}).token
    server.stop()
    try:
        assert app.ask("read", token=token).status == 500
    finally:
        server.cont()
    assert app.ask("read", token=token).json == {"n": 1}
