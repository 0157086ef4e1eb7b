"""tokenstore.ext.litestar beside the contract: Litestar's own ways to set and clear, the end of the app."""

import asyncio
from typing import Any

from litestar import Litestar, Request, get

import tokenstore
from acting import Asgi, Loop
from servers import Server
from tokenstore.asyncio import Sessions
from tokenstore.ext.litestar import SessionPlugin, session_of


@get("/login")
async def login(request: Request[Any, Any, Any]) -> None:
    session_of(request).login("bob")
    request.session["n"] = 1


@get("/me")
async def me(request: Request[Any, Any, Any]) -> list[Any]:
    return [session_of(request).principal, dict(request.session)]


@get("/set")
async def set_session(request: Request[Any, Any, Any]) -> None:
    request.set_session({"m": 2})


@get("/clear")
async def clear_session(request: Request[Any, Any, Any]) -> None:
    request.clear_session()


def test_litestars_ways(server: Server, sessions: tokenstore.Sessions) -> None:
    loop = Loop()
    store = Sessions(server.url)
    app = Litestar([login, me, set_session, clear_session], plugins=[SessionPlugin(store)])
    client = Asgi(app, loop)
    try:
        token = client.get("/login").token
        assert client.get("/me", token).json == ["bob", {"n": 1}]
        client.get("/set", token)
        assert client.get("/me", token).json == ["bob", {"m": 2}]
        assert client.get("/clear", token).cookie is not None
        assert client.get("/me", token).json == [None, {}]
        assert sessions.count(app="web", owner_id="bob") == 0
    finally:
        loop.run(store.aclose())
        loop.close()


def test_a_url_for_a_store(server: Server) -> None:
    """Its connections end with the loop: an open one would be a ResourceWarning, which fails the test."""

    async def run() -> None:
        plugin = SessionPlugin(server.url)
        app = Litestar([login], plugins=[plugin])
        async with app.lifespan():
            assert await plugin.web.store.client.ping()

    asyncio.run(run())
