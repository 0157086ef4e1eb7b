"""Sessions for aiohttp.web.

::

    setup(app, "redis://…")

    async def login(request):
        session = await get_session(request)    # read here, and only once
        session.login("bob")
        session["cart"] = ["book"]              # a dict; only what changes is stored
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tokenstore.errors import ConfigurationError
from tokenstore.web import UNAVAILABLE, AsyncWebSessions, Options, WebSession

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler
    from typing_extensions import Unpack

    from tokenstore.asyncio import Client, Sessions

__all__ = ["get_session", "setup"]

_log = logging.getLogger("tokenstore")

_WEB = web.AppKey("tokenstore.web", AsyncWebSessions)
_SESSION: Any = (  # aiohttp 3.14 asks for a key of this class
    web.RequestKey("tokenstore.session", WebSession)
    if hasattr(web, "RequestKey")
    else "tokenstore.session"
)


def setup(
    app: web.Application,
    store: Sessions | Client | str | None = None,
    **options: Unpack[Options],
) -> AsyncWebSessions:
    """Give the app sessions. The result lists a user's sessions.

    ``store`` is a :class:`tokenstore.asyncio.Sessions`, or a URL or a :class:`tokenstore.asyncio.Client` to make one of;
    its other options are those of :class:`tokenstore.web.Policy`. A session is stored when its response begins: what a
    stream or a WebSocket changes after that is not. While Redis cannot be asked, the response is 503.
    """
    sessions = app[_WEB] = AsyncWebSessions(store, **options)
    app.middlewares.insert(0, _middleware)
    app.on_response_prepare.append(_before_a_stream)
    return sessions


async def get_session(request: web.Request) -> WebSession:
    """The session of the request; empty if it has none."""
    session: WebSession | None = request.get(_SESSION)
    if session is None:
        headers = request.headers
        cookies = "; ".join(headers.getall("Cookie", []))
        try:
            session = await _web_of(request).open(cookies, headers.get("Authorization"))
        except UNAVAILABLE as error:
            raise _unavailable(error) from error
        request[_SESSION] = session
    return session


def _web_of(request: web.Request) -> AsyncWebSessions:
    sessions = request.config_dict.get(_WEB)
    if sessions is None:
        raise ConfigurationError(
            "there are no sessions: call tokenstore.ext.aiohttp.setup for the app"
        )
    return sessions


def _unavailable(error: Exception) -> web.HTTPServiceUnavailable:
    _log.error("the session could not be read or stored: %s", error)
    return web.HTTPServiceUnavailable(headers={"Retry-After": "1", "Cache-Control": "no-store"})


@web.middleware
async def _middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        await _store(request, error)
        raise
    if not response.prepared:
        await _store(request, response)
    return response


async def _before_a_stream(request: web.Request, response: web.StreamResponse) -> None:
    """A handler prepares a stream or a WebSocket itself; for others nothing is left to be done."""
    await _store(request, response)


async def _store(request: web.Request, response: web.StreamResponse) -> None:
    session: WebSession | None = request.get(_SESSION)
    if session is None:
        return
    del request[_SESSION]  # once is enough
    try:
        effect = await _web_of(request).commit(session, response.status, _request_of(request))
    except UNAVAILABLE as error:
        raise _unavailable(error) from error
    headers = response.headers
    if effect.vary is not None:
        headers["Vary"] = ", ".join([*headers.getall("Vary", []), effect.vary])
    if effect.set_cookie is not None:
        headers.add("Set-Cookie", effect.set_cookie)
        headers.setdefault("Cache-Control", "no-store")


def _request_of(request: web.Request) -> dict[str, Any]:
    return {"address": request.remote, "user_agent": request.headers.get("User-Agent")}
