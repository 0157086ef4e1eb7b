"""The plug-ins: each makes an app on its framework whose handler is ``acting.act``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from acting import Asgi, Asked, Loop, Meanwhile, act
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


ASGI: dict[str, Make] = {"starlette": starlette_app, "fastapi": fastapi_app}


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
def plugin(
    name: str,
    url: str,
    meanwhile: Meanwhile,
    store_options: dict[str, Any],
    options: dict[str, Any],
) -> Iterator[Asked]:
    with asgi_plugin(ASGI[name], url, meanwhile, store_options, options) as asked:
        yield asked


NAMES = tuple(ASGI)
