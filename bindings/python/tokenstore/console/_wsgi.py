"""The console under WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from tokenstore.console._messages import BODY_MAX, Failure, Request, Response, Steps, fields_of

__all__ = ["App", "app", "refusal", "request_of", "run", "send"]

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def app(respond: Callable[[Request], Steps[Response]]) -> App:
    """The application that answers by ``respond``."""

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            response = run(respond(request_of(environ)))
        except Failure as failure:
            response = refusal(failure)
        return send(response, environ, start_response)

    return answer


def send(response: Response, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What a WSGI application returns."""
    status = f"{response.status} {HTTPStatus(response.status).phrase}"
    start_response(status, [*response.headers, ("Content-Length", str(len(response.body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


def run(steps: Steps[Response]) -> Response:
    """The stores' methods have returned their results already."""
    result = None
    try:
        while True:
            result = steps.send(result)
    except StopIteration as end:
        response: Response = end.value
        return response


def refusal(failure: Failure) -> Response:
    """Of a request that cannot be read."""
    return Response(failure.status, [("Content-Type", "text/plain; charset=utf-8")], str(failure).encode())


def request_of(environ: Environ) -> Request:
    """PEP 3333: in text, each character is a byte."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return Request(
        method=environ["REQUEST_METHOD"],
        base=environ.get("SCRIPT_NAME", "").rstrip("/"),
        path=environ.get("PATH_INFO", "") or "/",
        query=fields_of(environ.get("QUERY_STRING", "")),
        headers=headers,
        scheme=environ["wsgi.url_scheme"],
        body=_body_of(environ),
        raw=environ,
    )


def _body_of(environ: Environ) -> bytes:
    size = environ.get("CONTENT_LENGTH") or "0"
    if not size.isdecimal():
        raise Failure(400, "Content-Length must be a number.")
    if int(size) > BODY_MAX:
        raise Failure(413, "The request is too large.")
    body: bytes = environ["wsgi.input"].read(int(size)) if int(size) else b""
    return body
