"""A browser without a network: it calls a WSGI or an ASGI application, and keeps cookies."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

Environ = dict[str, Any]
AGENT = "Mozilla/5.0 (test)"
ADDRESS = "192.0.2.7"


class Response:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}
        self.cookies: SimpleCookie = SimpleCookie()
        for name, value in headers:
            if name.lower() == "set-cookie":
                self.cookies.load(value)

    @property
    def cookie(self) -> Morsel[str] | None:
        """The session's, if it was set."""
        return self.cookies.get("sessionid")

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def call_wsgi(
    application: Any, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Response:
    environ: Environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": ADDRESS,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    begun: list[Any] = []
    chunks = application(
        environ, lambda status, headers, exc_info=None: begun.extend((status, headers))
    )
    try:
        content = b"".join(chunks)
    finally:
        chunks.close()
    return Response(int(begun[0].split()[0]), begun[1], content)


async def call_asgi(
    application: Any, method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> Response:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": (ADDRESS, 50000),
        "server": ("testserver", 80),
        "scheme": "http",
    }
    given = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if given:
            return given.pop()
        await asyncio.Event().wait()  # the client stays
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    names = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return Response(sent[0]["status"], names, content)


class Browser:
    """``base`` comes before each path; ``browser("put/", data=…)`` is a GET with a query."""

    def __init__(self, call: Callable[..., Response], base: str = "") -> None:
        self._call, self.base = call, base
        self.cookies: dict[str, str] = {}

    def another(self) -> Browser:
        """Of another person."""
        return Browser(self._call, self.base)

    def twin(self) -> Browser:
        """With the same cookies, as they are now."""
        twin = self.another()
        twin.cookies.update(self.cookies)
        return twin

    @property
    def key(self) -> str | None:
        return self.cookies.get("sessionid")

    def __call__(self, path: str, **query: Any) -> Response:
        pairs = {k: json.dumps(v) if k == "data" else v for k, v in query.items()}
        return self.request("GET", f"{self.base}{path}", urlencode(pairs, doseq=True))

    def post(self, path: str, form: dict[str, str], query: str = "") -> Response:
        form = {**form, "csrfmiddlewaretoken": self.cookies["csrftoken"]}
        kind = "application/x-www-form-urlencoded"
        return self.request("POST", path, query, urlencode(form).encode(), {"Content-Type": kind})

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes = b"",
        more: dict[str, str] | None = None,
    ) -> Response:
        headers = {"Host": "testserver", "User-Agent": AGENT, **(more or {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = self._call(method, path, query, headers, body)
        for name, morsel in response.cookies.items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return response


def browser_of(kind: str) -> Browser:
    """Of the project, under "wsgi", "asgi", or "asgi-async": with views that await the session."""
    if kind == "wsgi":
        application = get_wsgi_application()

        def call(*request: Any) -> Response:
            return call_wsgi(application, *request)
    else:
        application = get_asgi_application()

        def call(*request: Any) -> Response:
            return asyncio.run(call_asgi(application, *request))

    return Browser(call, "/async/" if kind == "asgi-async" else "/sync/")
