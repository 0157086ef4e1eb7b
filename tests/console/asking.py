"""Asks a console as a browser does, under WSGI and ASGI alike, without a socket between."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from selectolax.lexbor import LexborHTMLParser

import tokenstore
import tokenstore.asyncio
from tokenstore.console import Actor, Console

HOST = "console.example"
ORIGIN = f"https://{HOST}"
OWN = {"sec-fetch-site": "same-origin", "origin": ORIGIN}
"""What browsers send with a form of the console."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def tree(self) -> LexborHTMLParser:
        return LexborHTMLParser(self.text)

    def shown(self, selector: str = "main") -> str:
        """What a part of the page says, each run of blanks as one."""
        return " ".join(node_text for node in self.tree.css(selector) for node_text in node.text().split())


class Asker:
    """``ask("GET", "/owner", owner="bob")``, or with the query in the path."""

    def __init__(self, console: Console, run: Callable[[Any], Any] | None, base: str = "") -> None:
        self.console, self._run, self.base = console, run, base

    def __call__(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **fields: str | bytes,
    ) -> Answer:
        body = b"" if form is None else urlencode(form).encode()
        sent = {"host": HOST, **(OWN if headers is None and method == "POST" else headers or {})}
        ask = self._by_wsgi if self._run is None else self._by_asgi
        path, _, given = path.partition("?")
        return ask(method, path, given or urlencode(fields), sent, body)

    def get(self, path: str, **fields: str | bytes) -> Answer:
        return self("GET", path, **fields)

    def post(self, path: str, form: dict[str, str] | None = None, **fields: str | bytes) -> Answer:
        return self("POST", path, form=form or {}, **fields)

    def _by_wsgi(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": self.base,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "192.0.2.1",
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
        }
        return by_wsgi(self.console.wsgi, environ)

    def _by_asgi(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Answer:
        scope = {
            "type": "http",
            "method": method,
            "root_path": self.base,
            "path": self.base + path,
            "query_string": query.encode(),
            "scheme": "https",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        # In two parts: whoever reads only the first misses some of it.
        parts = [
            {"type": "http.request", "body": body[:3], "more_body": True},
            {"type": "http.request", "body": body[3:]},
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            return parts.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        assert self._run is not None
        self._run(self.console.asgi(scope, receive, send))
        start, *bodies = sent
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], headers, b"".join(part["body"] for part in bodies))


def by_wsgi(app: Any, environ: dict[str, Any]) -> Answer:
    started: list[Any] = []
    body = b"".join(app(environ, lambda status, headers: started.append((status, headers))))
    [(status, headers)] = started
    return Answer(int(status.split()[0]), {name.lower(): value for name, value in headers}, body)


class Consoles:
    """Makes them, with a store each; ``close`` when all is done."""

    def __init__(self, url: str, is_async: bool) -> None:
        self._url = url
        self._module: Any = tokenstore.asyncio if is_async else tokenstore
        self._runner = asyncio.Runner() if is_async else None
        self._clients: list[Any] = []

    def __call__(self, *, actor: Actor | str | None = "alice", base: str = "", jwt: bool = False, **options: Any) -> Asker:
        run = None if self._runner is None else self._runner.run
        client = self._module.Client(self._url, **options.pop("client", {}))
        self._clients.append(client)
        if jwt:
            options["jwt"] = self._module.RedisJWT(client, secret=JWT_SECRET, multiple=True)
        store = self._module.RedisTokens(client, **options.pop("store", {}))
        options.setdefault("authorize", lambda request: actor)
        return Asker(Console(store, **options), run, base)

    def close(self) -> None:
        for client in self._clients:
            client.close() if self._runner is None else self._runner.run(client.aclose())
        if self._runner is not None:
            self._runner.close()


JWT_SECRET = b"only-of-the-tests-of-the-console"
