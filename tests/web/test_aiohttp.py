"""tokenstore.ext.aiohttp beside the contract: streams, WebSockets, HTTP exceptions, sub-applications, the end of the app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

import tokenstore
from servers import Server
from tokenstore.asyncio import Sessions
from tokenstore.ext.aiohttp import get_session, setup

Use = Callable[[TestClient[Any, Any]], Awaitable[None]]


def serve(server: Server, handler: Any, use: Use, url: bool = False, **options: Any) -> None:
    async def run() -> None:
        store = None if url else Sessions(server.url, timeout=0.5)
        app = web.Application()
        setup(app, store or server.url, secure=False, **options)
        app.router.add_get("/", handler)
        async with TestClient(TestServer(app)) as client:
            await use(client)
        if store is not None:
            await store.aclose()

    asyncio.run(run())


async def login(request: web.Request) -> web.Response:
    (await get_session(request)).login("bob")
    return web.Response()


def test_a_stream(server: Server, sessions: tokenstore.Sessions) -> None:
    async def stream(request: web.Request) -> web.StreamResponse:
        session = await get_session(request)
        session["before"] = 1
        response = web.StreamResponse()
        await response.prepare(request)
        session["after"] = 1
        await response.write(b"body")
        return response

    async def use(client: TestClient[Any, Any]) -> None:
        async with client.get("/") as answer:
            assert await answer.read() == b"body"
            token = answer.cookies["session"].value
        found = sessions.get(app="web", token=token)
        assert found is not None
        assert found.data == {"before": 1}

    serve(server, stream, use)


def test_a_websocket(server: Server, sessions: tokenstore.Sessions) -> None:
    async def talk(request: web.Request) -> web.WebSocketResponse:
        session = await get_session(request)
        session["seen"] = session.get("seen", 0) + 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json([session.principal, session["seen"]])
        await socket.close()
        return socket

    token = sessions.create(app="web", owner_id="bob")

    async def use(client: TestClient[Any, Any]) -> None:
        for n in (1, 2):
            async with client.ws_connect("/", headers={"Cookie": f"session={token}"}) as socket:
                message = await socket.receive()
                assert (message.type, message.json()) == (WSMsgType.TEXT, ["bob", n])

    serve(server, talk, use)


@pytest.mark.parametrize(("error", "stored"), [(web.HTTPFound("/"), 1), (web.HTTPBadGateway(), 0)])
def test_an_http_exception(
    server: Server, sessions: tokenstore.Sessions, error: Any, stored: int
) -> None:
    async def fail(request: web.Request) -> web.Response:
        (await get_session(request)).login("bob")
        raise error

    async def use(client: TestClient[Any, Any]) -> None:
        async with client.get("/", allow_redirects=False) as answer:
            assert answer.status == error.status
            assert len(answer.cookies) == stored

    serve(server, fail, use)
    assert sessions.count(app="web", owner_id="bob") == stored


def test_an_http_exception_while_redis_is_away(server: Server) -> None:
    async def fail(request: web.Request) -> web.Response:
        (await get_session(request)).login("bob")
        server.stop()
        raise web.HTTPFound("/")

    async def use(client: TestClient[Any, Any]) -> None:
        try:
            async with client.get("/", allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        finally:
            server.cont()

    serve(server, fail, use)


def test_vary(server: Server) -> None:
    async def handle(request: web.Request) -> web.Response:
        assert (await get_session(request)).principal is None
        return web.Response(headers={"Vary": "Accept"})

    async def use(client: TestClient[Any, Any]) -> None:
        async with client.get("/") as answer:
            assert answer.headers.getall("Vary") == ["Accept, Cookie"]

    serve(server, handle, use)


def test_a_sub_application(server: Server, sessions: tokenstore.Sessions) -> None:
    async def run() -> None:
        app, inner = web.Application(), web.Application()
        async with Sessions(server.url) as store:
            setup(app, store)
            inner.router.add_get("/login", login)
            app.add_subapp("/inner", inner)
            async with TestClient(TestServer(app)) as client, client.get("/inner/login") as answer:
                assert answer.status == 200

    asyncio.run(run())
    (session,) = sessions.list(app="web", owner_id="bob")
    assert session.request is not None
    assert session.request["address"] == "127.0.0.1"


def test_without_setup() -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_get("/", handle)
        async with TestClient(TestServer(app)) as client, client.get("/") as answer:
            assert await answer.text() == "call tokenstore.ext.aiohttp.setup for the app"

    async def handle(request: web.Request) -> web.Response:
        with pytest.raises(tokenstore.ConfigurationError) as caught:
            await get_session(request)
        return web.Response(text=str(caught.value).partition(": ")[2])

    asyncio.run(run())


def test_a_url_for_a_store(server: Server) -> None:
    """Its connections end with the loop: an open one would be a ResourceWarning, which fails the test."""

    async def use(client: TestClient[Any, Any]) -> None:
        async with client.get("/") as answer:
            assert answer.status == 200

    serve(server, login, use, url=True)
