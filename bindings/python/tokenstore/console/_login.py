"""Who may use a console that is served by itself: whoever has its link, or its password."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from tokenstore._web_cookie import Cookie, cookie_values
from tokenstore.console import _pages, _wsgi
from tokenstore.console._guard import HEADERS, check_origin
from tokenstore.console._messages import Actor, Failure, Request, Response, View
from tokenstore.console._throttle import Throttle

__all__ = ["IDLE", "LINK_LASTS", "Door"]

LINK_LASTS = 300.0  # seconds
IDLE = 1800.0  # seconds without a request, after which one has to log in again
_LASTS = 8 * 3600.0
_MOST = 100  # browsers that are logged in


class Door:
    """Around a console's WSGI application: adds ``/login`` and ``/logout``, and says who is logged in.

    With a ``password`` that is asked for; without one there are links, each good for one login. Everything is in the
    memory of this process, and as a digest.
    """

    def __init__(
        self,
        actor: Actor,
        *,
        password: bytes | None = None,
        hosts: Iterable[str] | None = None,
        origin: str | None = None,
        is_secure: bool = False,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._actor, self._origin, self._clock = actor, origin, clock
        self._password = None if password is None else _digest(password)
        self._hosts = None if hosts is None else frozenset(hosts)
        name = "__Host-tokenstore-console" if is_secure else f"tokenstore-console-{port}"
        self._cookie = Cookie(name, secure=is_secure, same_site="strict")
        self._throttle = Throttle(clock)
        self._lock = threading.Lock()
        self._links: dict[bytes, float] = {}  # until when
        self._logins: dict[bytes, tuple[float, float]] = {}  # since when, and the last request

    def new_link(self) -> str:
        """The path and query of a login."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._links[_digest(code.encode())] = self._clock() + LINK_LASTS
        return f"/login?code={code}"

    def authorize(self, environ: dict[str, Any]) -> Actor | None:
        """For :class:`Console`: None if this browser has to log in."""
        now = self._clock()
        with self._lock:
            for value in cookie_values(environ.get("HTTP_COOKIE"), self._cookie.name):
                digest = _digest(value.encode("latin-1"))
                since, last = self._logins.get(digest, (-math.inf, -math.inf))
                if now < since + _LASTS and now < last + IDLE:
                    self._logins[digest] = (since, now)
                    return self._actor
        return None

    def app(self, console: _wsgi.App) -> _wsgi.App:
        """The application with the door."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "")
            if self._hosts is not None and environ.get("HTTP_HOST") not in self._hosts:
                return _wsgi.send(_wsgi.refusal(Failure(403, "This host is not the console's.")), environ, start_response)
            if path not in ("/login", "/logout"):
                return console(environ, start_response)
            try:
                request = _wsgi.request_of(environ)
            except Failure as failure:
                return _wsgi.send(_wsgi.refusal(failure), environ, start_response)
            return _wsgi.send(self._respond(request), environ, start_response)

        return answer

    def _respond(self, request: Request) -> Response:
        try:
            if request.path == "/logout":
                return self._log_out(request)
            if request.method == "POST":
                return self._by_password(request)
            if request.method != "GET":
                raise Failure(405, "This page does not take such a request.")
            if "code" in request.query:
                return self._by_link(request)
            return _page(View("login", {"by_password": self._password is not None}), request)
        except Failure as failure:
            view = View("failure", {"status": failure.status, "reason": str(failure)}, failure.status)
            return _page(view, request)

    def _by_link(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site") not in ("none", "same-origin"):
            raise Failure(403, "Copy the link into the address bar of a browser of 2023 or later: another site may not open it.")
        with self._attempt(request):
            digest = _digest(request.query["code"].encode(errors="surrogateescape"))
            with self._lock:
                until = self._links.pop(digest, -math.inf)
            if self._clock() >= until:
                raise _WrongError(
                    "This link is wrong, has been used, or is older than five minutes. Press Enter where the console "
                    "runs: it shows a new one."
                )
        return self._log_in()

    def _by_password(self, request: Request) -> Response:
        check_origin(request, self._origin)
        if self._password is None:
            raise Failure(405, "This console has no password: open the link that it has shown.")
        with self._attempt(request):
            given = request.form.get("password", "").encode(errors="surrogateescape")
            if not hmac.compare_digest(_digest(given), self._password):
                raise _WrongError("This is not the password.")
        return self._log_in()

    def _attempt(self, request: Request) -> _Attempt:
        return _Attempt(self._throttle, request.raw.get("REMOTE_ADDR", ""))

    def _log_in(self) -> Response:
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._logins[_digest(cookie.encode())] = (now, now)
            if len(self._logins) > _MOST:
                del self._logins[next(iter(self._logins))]
        return _to("/", self._cookie.line(cookie))

    def _log_out(self, request: Request) -> Response:
        if request.method != "POST":
            raise Failure(405, "This page does not take such a request.")
        check_origin(request, self._origin)
        with self._lock:
            for value in cookie_values(request.headers.get("cookie"), self._cookie.name):
                self._logins.pop(_digest(value.encode("latin-1")), None)
        return _to("/login", self._cookie.deletion())


class _WrongError(Failure):
    def __init__(self, reason: str) -> None:
        super().__init__(403, reason)


class _Attempt:
    """A try to log in: counted, and refused while the address has to wait."""

    def __init__(self, throttle: Throttle, address: str) -> None:
        self._throttle, self._address = throttle, address

    def __enter__(self) -> None:
        left = self._throttle.wait(self._address)
        if left > 0:
            raise Failure(429, f"There were too many wrong tries: wait {math.ceil(left)} seconds.")

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, _WrongError):
            self._throttle.note_wrong(self._address)
        elif error is None:
            self._throttle.note_right(self._address)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _page(view: View, request: Request) -> Response:
    text = _pages.render(view, _pages.Context(request, None, ""))
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), *HEADERS]
    return Response(view.status, headers, text.encode())


def _to(path: str, cookie: str) -> Response:
    return Response(303, [("Location", path), ("Set-Cookie", cookie), ("Cache-Control", "no-store"), *HEADERS], b"")
