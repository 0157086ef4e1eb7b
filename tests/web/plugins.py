"""The plug-ins: each makes an app on its framework whose handler is ``acting.act``."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx2

import tokenstore
from acting import Asgi, Asked, Loop, Meanwhile, Wsgi, act
from tokenstore.asyncio import Sessions

Make = Callable[[Any, Meanwhile, dict[str, Any]], Any]


async def pause(op: str, meanwhile: Meanwhile) -> None:
    if op == "meanwhile":
        await asyncio.to_thread(meanwhile)


def starlette_app(store: Any, meanwhile: Meanwhile, options: dict[str, Any]) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from tokenstore.ext.asgi import SessionMiddleware

    async def handle(request: Request) -> JSONResponse:
        op, body = request.path_params["op"], await request.json()
        await pause(op, meanwhile)
        status, value = act(request.session, op, body["argument"])
        return JSONResponse(value, status)

    app = Starlette(
        routes=[Route("/{op}", handle, methods=["POST"])],
        middleware=[Middleware(SessionMiddleware, store, **options)],
    )
    app.middleware_stack = app.build_middleware_stack()  # as the lifespan does
    return app


def fastapi_app(store: Any, meanwhile: Meanwhile, options: dict[str, Any]) -> Any:
    from fastapi import Body, FastAPI
    from fastapi.responses import JSONResponse

    from tokenstore.ext.asgi import SessionMiddleware
    from tokenstore.ext.fastapi import SessionDep

    app = FastAPI()

    async def handle(session: SessionDep, op: str, argument: Any = Body(embed=True)) -> Any:  # noqa: B008
        await pause(op, meanwhile)
        status, value = act(session, op, argument)
        return JSONResponse(value, status)

    # Evaluated here: the names are local.
    handle.__annotations__ |= {"session": SessionDep, "op": str, "argument": Any, "return": Any}
    app.post("/{op}")(handle)
    app.add_middleware(SessionMiddleware, store, **options)
    app.middleware_stack = app.build_middleware_stack()
    return app


def quart_app(store: Any, meanwhile: Meanwhile, options: dict[str, Any]) -> Any:
    import quart

    from tokenstore.ext.quart import QuartSessions, session

    app = quart.Quart(__name__)
    QuartSessions(app, store, **options)

    @app.post("/<op>")
    async def handle(op: str) -> Any:
        argument = (await quart.request.get_json())["argument"]
        await pause(op, meanwhile)
        status, value = act(session, op, argument)
        return quart.jsonify(value), status

    return app


def litestar_app(store: Any, meanwhile: Meanwhile, options: dict[str, Any]) -> Any:
    import litestar

    from tokenstore.ext.litestar import SessionPlugin

    async def handle(request: litestar.Request) -> litestar.Response:
        op, argument = request.path_params["op"], (await request.json())["argument"]
        await pause(op, meanwhile)
        status, value = act(request.session, op, argument)
        return litestar.Response(value, status_code=status)

    handle.__annotations__ |= {"request": litestar.Request, "return": litestar.Response}
    route = litestar.post("/{op:str}")(handle)
    return litestar.Litestar([route], plugins=[SessionPlugin(store, **options)])


def flask_app(store: Any, meanwhile: Meanwhile, options: dict[str, Any]) -> Any:
    import flask

    from tokenstore.ext.flask import FlaskSessions, session

    app = flask.Flask(__name__)
    FlaskSessions(app, store, **options)

    @app.post("/<op>")
    def handle(op: str) -> Any:
        if op == "meanwhile":
            session.get("read first")
            meanwhile()
        status, value = act(session, op, flask.request.get_json()["argument"])
        return flask.jsonify(value), status

    return app


ASGI: dict[str, Make] = {
    "starlette": starlette_app,
    "fastapi": fastapi_app,
    "quart": quart_app,
    "litestar": litestar_app,
}
WSGI: dict[str, Make] = {"flask": flask_app}


@contextmanager
def asgi_plugin(
    make: Make,
    url: str,
    meanwhile: Meanwhile,
    store_options: dict[str, Any],
    options: dict[str, Any],
) -> Iterator[Asked]:
    loop = Loop()
    store = Sessions(url, **store_options)
    try:
        yield Asgi(make(store, meanwhile, options), loop)
    finally:
        loop.run(store.aclose())
        loop.close()


@contextmanager
def aiohttp_plugin(
    url: str, meanwhile: Meanwhile, store_options: dict[str, Any], options: dict[str, Any]
) -> Iterator[Asked]:
    """With its own server, on a unix socket: aiohttp has no other way in."""
    from aiohttp import web

    from tokenstore.ext.aiohttp import get_session, setup

    async def handle(request: web.Request) -> web.Response:
        op, argument = request.match_info["op"], (await request.json())["argument"]
        if op == "nothing":
            return web.json_response(None)
        session = await get_session(request)
        await pause(op, meanwhile)
        status, value = act(session, op, argument)
        return web.json_response(value, status=status)

    async def start(store: Any, path: str) -> web.AppRunner:
        app = web.Application()
        setup(app, store, **options)
        app.router.add_post("/{op}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        return runner

    loop = Loop()
    store = Sessions(url, **store_options)
    with tempfile.TemporaryDirectory(prefix="ts-web-") as directory:
        path = f"{directory}/aiohttp.sock"
        try:
            runner = loop.run(start(store, path))
            try:
                yield Asgi(None, loop, lambda: httpx2.AsyncHTTPTransport(uds=path, verify=False))
            finally:
                loop.run(runner.cleanup())
        finally:
            loop.run(store.aclose())
            loop.close()


@contextmanager
def wsgi_plugin(
    make: Make,
    url: str,
    meanwhile: Meanwhile,
    store_options: dict[str, Any],
    options: dict[str, Any],
) -> Iterator[Asked]:
    with tokenstore.Sessions(url, **store_options) as store:
        yield Wsgi(make(store, meanwhile, options))


PLUGINS = {
    **{name: partial(asgi_plugin, make) for name, make in ASGI.items()},
    **{name: partial(wsgi_plugin, make) for name, make in WSGI.items()},
    "aiohttp": aiohttp_plugin,
}
