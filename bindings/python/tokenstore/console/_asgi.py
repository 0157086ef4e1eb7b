"""The console under ASGI."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tokenstore.console._messages import BODY_MAX, Failure, Request, Response, Steps, fields_of
from tokenstore.console._wsgi import refusal

__all__ = ["App", "app"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def app(respond: Callable[[Request], Steps[Response]]) -> App:
    """The application that answers by ``respond``; it serves HTTP alone."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"the console serves http, not {scope['type']}: mount it below a router")
        try:
            response = await _run(respond(await _request_of(scope, receive)))
        except Failure as failure:
            response = refusal(failure)
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        await send(
            {
                "type": "http.response.start",
                "status": response.status,
                "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
            }
        )
        body = b"" if scope["method"] == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    return answer


async def _run(steps: Steps[Response]) -> Response:
    """Awaits what the stores' methods have returned."""
    result: Any = None
    error: Exception | None = None
    try:
        while True:
            wanted = steps.send(result) if error is None else steps.throw(error)
            result = error = None
            try:
                result = await wanted if inspect.isawaitable(wanted) else wanted
            except Exception as caught:
                error = caught
    except StopIteration as end:
        response: Response = end.value
        return response


async def _request_of(scope: Scope, receive: Receive) -> Request:
    base = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    headers: dict[str, str] = {}
    for key, value in scope["headers"]:
        name = key.decode("latin-1").lower()
        joined = "; " if name == "cookie" else ", "
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]}{joined}{text}" if name in headers else text
    return Request(
        method=scope["method"],
        base=base,
        path=(path[len(base) :] if (path + "/").startswith(base + "/") else path) or "/",
        query=fields_of(scope.get("query_string", b"").decode("latin-1")),
        headers=headers,
        scheme=scope.get("scheme", "http"),
        body=await _body_of(receive),
        raw=scope,
    )


async def _body_of(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > BODY_MAX:
            raise Failure(413, "The request is too large.")
        if message["type"] != "http.request" or not message.get("more_body", False):
            return body
