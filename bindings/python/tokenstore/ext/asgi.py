"""Sessions for ASGI: Starlette, FastAPI and all others, instead of Starlette's SessionMiddleware.

::

    app.add_middleware(tokenstore.ext.asgi.SessionMiddleware, store="redis://…")

    async def login(request):
        request.session.login("bob")            # a new token, now bob's
        request.session["cart"] = ["book"]      # a dict; only what changes is stored
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from tokenstore.web import UNAVAILABLE, AsyncWebSessions, Effect, Options, WebSession

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore.asyncio import Client, Sessions

__all__ = ["SessionMiddleware", "unavailable"]

_log = logging.getLogger("tokenstore")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_BEGINS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """The response while Redis cannot be asked: 503, to be tried again; of a WebSocket, a close with 1013."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013})
        return
    body = b"Service Unavailable"
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"1"),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class SessionMiddleware:
    """Puts a :class:`tokenstore.web.WebSession` into ``scope["session"]``, and stores it when the response begins.

    ``scope["tokenstore.web"]`` is the :class:`tokenstore.web.AsyncWebSessions`, for listings of a user's sessions.

    ``store`` is a :class:`tokenstore.asyncio.Sessions`, or a URL or a :class:`tokenstore.asyncio.Client` to make one of;
    its other options are those of :class:`tokenstore.web.Policy`.

    While Redis cannot be asked, a request with a session cookie gets the response of ``on_unavailable``, an ASGI app:
    by default :func:`unavailable`, a 503. With None, the error is raised, for a middleware around this one.

    What changes after the response has begun, in a streamed body or behind a WebSocket's accept, is not stored; a
    warning in the log says where that was.
    """

    def __init__(
        self,
        app: App,
        store: Sessions | Client | str | None = None,
        *,
        on_unavailable: App | None = unavailable,
        **options: Unpack[Options],
    ) -> None:
        self.app = app
        self.web = AsyncWebSessions(store, **options)
        self._on_unavailable = on_unavailable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        serve = self._serve if scope["type"] in ("http", "websocket") else self.app
        await serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = _header(scope, b"cookie"), _header(scope, b"authorization")
            session = await self.web.open(*headers)
        except UNAVAILABLE as error:
            await self._refuse(error, scope, receive, send)
            return
        scope["session"] = session
        scope["tokenstore.web"] = self.web
        begun = refused = False

        async def send_and_store(message: Message) -> None:
            nonlocal begun, refused
            if message["type"] in _BEGINS and not begun:
                begun = True
                status = message.get("status", 200)
                try:
                    effect = await self.web.commit(_current(scope, session), status, scope)
                except UNAVAILABLE as error:
                    refused = True
                    await self._refuse(error, scope, receive, send)
                    return
                message["headers"] = _with_effect(message.get("headers", ()), effect)
            if not refused:
                await send(message)

        await self.app(scope, receive, send_and_store)

    async def _refuse(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        if self._on_unavailable is None:
            raise error
        _log.error("the session could not be read or stored: %s", error)
        await self._on_unavailable(scope, receive, send)


def _header(scope: Scope, name: bytes) -> str | None:
    """The request's header; HTTP/2 may split that of cookies."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return "; ".join(values) if values else None


def _current(scope: Scope, session: WebSession) -> WebSession:
    """The session, with what an application has put in its place; nothing is a logout, as ``clear()`` is."""
    other = scope.get("session")
    if other is not session:
        if isinstance(other, Mapping) and other:
            for name in [name for name in session if name not in other]:
                del session[name]
            session.update(other)
        else:
            session.logout()
    return session


def _with_effect(
    headers: Iterable[tuple[bytes, bytes]], effect: Effect
) -> list[tuple[bytes, bytes]]:
    """The headers of the response, with those of the session."""
    merged = list(headers)
    if effect.vary is not None:
        seen = [value.decode("latin-1") for name, value in merged if name.lower() == b"vary"]
        names = [name.strip() for value in seen for name in value.split(",")]
        if effect.vary.lower() not in (name.lower() for name in names) and "*" not in names:
            merged = [pair for pair in merged if pair[0].lower() != b"vary"]
            vary = ", ".join([*filter(None, names), effect.vary])
            merged.append((b"vary", vary.encode("latin-1")))
    if effect.set_cookie is not None:
        merged.append((b"set-cookie", effect.set_cookie.encode("latin-1")))
        if not any(name.lower() == b"cache-control" for name, _ in merged):
            merged.append((b"cache-control", b"no-store"))
    return merged
