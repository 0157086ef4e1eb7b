"""The console as an application: who may use it, and what is answered."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Union

import tokenstore
from tokenstore.audit import acting
from tokenstore.console import _asgi, _pages, _static, _wsgi
from tokenstore.console._census import Census
from tokenstore.console._guard import HEADERS, check_origin
from tokenstore.console._listing import Stores
from tokenstore.console._messages import (
    Actor,
    Failure,
    Redirect,
    Request,
    Response,
    Steps,
    View,
    query_of,
)
from tokenstore.console._routes import ROUTES, Site
from tokenstore.errors import DataError, Error, LimitError

__all__ = ["Authorize", "Console"]

_log = logging.getLogger("tokenstore")

Answer = Union[Actor, str, None]
Authorize = Callable[[Any], Union[Answer, Awaitable[Answer]]]


class Console:
    """Pages to find an owner's tokens and sessions, and to end them.

    ``store`` is a :class:`tokenstore.RedisTokens`, for :attr:`wsgi`, or a :class:`tokenstore.asyncio.RedisTokens`, for
    :attr:`asgi`. It finds what its ``prefix`` and ``pepper`` find: the sessions of :class:`tokenstore.Sessions` too.

    ``authorize(request)`` says who asks, by the WSGI environ or the ASGI scope: an :class:`Actor`, or its name as a str;
    None refuses. With :attr:`asgi` it may be an async function. There is no default: whoever may use the console may
    end every session.

    ``jwt``
        a :class:`tokenstore.RedisJWT` of the same module, whose sessions are shown too
    ``read_only``
        nobody may end anything
    ``kinds``
        pairs of app and type in which owners are looked for, besides those that the server has in its registry: for
        stores whose user may not write to that
    ``origin``
        ``"https://admin.example"``: what browsers see, where a proxy changes scheme or host
    ``login_url``
        where to send browsers for which ``authorize`` returned None; without it they get a 403
    ``logout_url``
        what the button "Log out" posts to; without it there is none
    """

    def __init__(
        self,
        store: Any,
        *,
        authorize: Authorize,
        jwt: Any = None,
        read_only: bool = False,
        kinds: Sequence[tuple[str, str]] = (),
        origin: str | None = None,
        login_url: str | None = None,
        logout_url: str | None = None,
    ) -> None:
        if not isinstance(store, tokenstore.RedisTokens):
            raise TypeError(
                "store must be a RedisTokens of tokenstore or tokenstore.asyncio, not "
                + type(store).__name__
            )
        if jwt is not None and not (
            isinstance(jwt, tokenstore.RedisJWT) and jwt._module == store._module
        ):
            raise TypeError(f"jwt must be a {store._module}.RedisJWT")
        if not callable(authorize):
            raise TypeError("authorize must be a function that says who asks")
        stores = Stores(store, jwt, kinds)
        self._site = Site(stores, Census(store, stores.prefix))
        self._module = store._module
        self._authorize = authorize
        self._read_only, self._origin = read_only, origin
        self._login_url, self._logout_url = login_url, logout_url

    @property
    def wsgi(self) -> _wsgi.App:
        """The WSGI application."""
        if self._module != "tokenstore":
            raise TypeError("wsgi needs a store of tokenstore: with one of tokenstore.asyncio use asgi")
        return _wsgi.app(self.respond)

    @property
    def asgi(self) -> _asgi.App:
        """The ASGI application."""
        if self._module != "tokenstore.asyncio":
            raise TypeError("asgi needs a store of tokenstore.asyncio: with one of tokenstore use wsgi")
        return _asgi.app(self.respond)

    def respond(self, request: Request) -> Steps[Response]:
        """The response to a request; for :attr:`wsgi` and :attr:`asgi`."""
        file = _static.FILES.get(request.path)
        if file is not None and request.method in ("GET", "HEAD"):
            return file
        try:
            actor = yield from self._actor(request)
        except Failure as failure:
            return self._failed(request, None, failure)
        if actor is None:
            return _sent_to(self._login_url or "")
        try:
            return self._shown(request, actor, (yield from self._answer(request, actor)))
        except Failure as failure:
            return self._failed(request, actor, failure)
        except (DataError, LimitError) as error:
            return self._failed(request, actor, Failure(400, f"{error}."))
        except Error as error:
            _log.error("the console could not ask the server: %s", error)
            return self._failed(request, actor, Failure(503, f"The server could not be asked: {error}."))

    def _actor(self, request: Request) -> Steps[Actor | None]:
        """None is somebody who should log in first."""
        who = self._authorize(request.raw)
        if inspect.isawaitable(who):
            if self._module == "tokenstore":
                if inspect.iscoroutine(who):
                    who.close()
                raise TypeError("authorize must not be async with wsgi")
            who = yield who
        if who is None:
            if self._login_url is not None and request.method in ("GET", "HEAD"):
                return None
            raise Failure(403, "You may not use this console.")
        actor = Actor(who) if isinstance(who, str) else who
        if not isinstance(actor, Actor):
            raise TypeError(f"authorize must return an Actor, a str or None, not {type(actor).__name__}")
        return actor._replace(read_only=True) if self._read_only else actor

    def _answer(self, request: Request, actor: Actor) -> Steps[View | Redirect]:
        methods = ROUTES.get(request.path)
        if methods is None:
            raise Failure(404, "The console has no such page.")
        handler = methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise Failure(405, "This page does not take such a request.")
        if request.method == "POST":
            check_origin(request, self._origin)
        with acting(actor.name):
            answer = yield from handler(self._site, request, actor)
        return answer

    def _shown(self, request: Request, actor: Actor | None, answer: View | Redirect) -> Response:
        as_json = _wants_json(request)
        if isinstance(answer, Redirect):
            if as_json:
                return _response(200, "application/json", json.dumps(answer.query))
            return _sent_to(f"{request.base}{answer.path}?{query_of(answer.query)}")
        if as_json:
            return _response(answer.status, "application/json", json.dumps(answer.data))
        server = self._site.stores.tokens.client.url
        context = _pages.Context(request, actor, server, self._logout_url)
        return _response(answer.status, "text/html", _pages.render(answer, context))

    def _failed(self, request: Request, actor: Actor | None, failure: Failure) -> Response:
        view = View("failure", {"status": failure.status, "reason": str(failure)}, failure.status)
        return self._shown(request, actor, view)


def _wants_json(request: Request) -> bool:
    if request.query.get("format") == "json":
        return True
    return request.headers.get("accept", "").partition(",")[0].strip() == "application/json"


def _sent_to(where: str) -> Response:
    return Response(303, [("Location", where), ("Cache-Control", "no-store"), *HEADERS], b"")


def _response(status: int, kind: str, text: str) -> Response:
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Cache-Control", "no-store"), *HEADERS]
    if status == 503:
        headers.append(("Retry-After", "1"))
    return Response(status, headers, text.encode())
