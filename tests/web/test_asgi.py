"""tokenstore.ext.asgi beside the contract: WebSockets, headers, lifespans, errors, a real uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

import tokenstore
from servers import Server
from tokenstore.asyncio import Sessions
from tokenstore.ext.asgi import SessionMiddleware
from tokenstore.web import UNAVAILABLE


def client_of(server: Server, *routes: Any, **options: Any) -> TestClient:
    store = options.pop("store", None) or Sessions(server.url, timeout=0.5)
    app = Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, store, **options)])
    return TestClient(app, base_url="https://test", raise_server_exceptions=False)


def get(path: str, handler: Callable[[Request], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        return handler(request)

    return Route(path, endpoint)


def login(request: Request) -> Response:
    request.session.login("bob")
    return Response()


# ---- headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "Cookie"),
        ("Accept-Encoding", "Accept-Encoding, Cookie"),
        ("cookie", "cookie"),
        ("Accept, Cookie", "Accept, Cookie"),
        ("*", "*"),
    ],
)
def test_vary(server: Server, before: str | None, after: str) -> None:
    def handle(request: Request) -> Response:
        request.session.get("n")
        return Response(headers={} if before is None else {"Vary": before})

    answer = client_of(server, get("/", handle)).get("/")
    assert answer.headers.get_list("vary") == [after]


def test_the_apps_cache_control_and_cookies_stay(server: Server) -> None:
    def handle(request: Request) -> Response:
        request.session["n"] = 1
        response = Response(headers={"Cache-Control": "private"})
        response.set_cookie("other", "1")
        return response

    answer = client_of(server, get("/", handle)).get("/")
    assert answer.headers.get_list("cache-control") == ["private"]
    names = [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")]
    assert sorted(names) == ["other", "session"]


def test_a_cookie_header_in_parts(server: Server, sessions: tokenstore.Sessions) -> None:
    """As HTTP/2 sends it."""
    token = sessions.create(app="web", owner_id="bob")
    client = client_of(server, get("/", lambda r: JSONResponse(r.session.principal)))
    answer = client.get("/", headers=[("cookie", "a=1"), ("cookie", f"session={token}")])
    assert answer.json() == "bob"


def test_the_app_name_and_the_cookies_name(server: Server, sessions: tokenstore.Sessions) -> None:
    client = client_of(server, get("/", login), app_name="shop", cookie="__Host-shop")
    answer = client.get("/")
    assert answer.headers["set-cookie"].startswith("__Host-shop=")
    assert sessions.count(app="shop", owner_id="bob") == 1


def test_the_request_is_kept(server: Server, sessions: tokenstore.Sessions) -> None:
    client_of(server, get("/", login)).get("/", headers={"user-agent": "Mozilla"})
    (session,) = sessions.list(app="web", owner_id="bob")
    assert session.request == {"address": "testclient", "user_agent": "Mozilla"}


# ---- what an app does with the scope -----------------------------------------------------------------


@pytest.mark.parametrize("instead", [{"b": 2, "c": 3}, {}, None])
def test_an_app_replaces_the_session(
    server: Server, sessions: tokenstore.Sessions, instead: Any
) -> None:
    token = sessions.create(app="web", owner_id="bob", data={"a": 1, "b": 1})

    def handle(request: Request) -> Response:
        request.scope["session"] = instead
        return Response()

    client_of(server, get("/", handle)).get("/", headers={"cookie": f"session={token}"})
    session = sessions.get(app="web", token=token)
    assert (None if session is None else session.data) == (instead or None)


def test_a_stream_stores_what_was_set_before_it(
    server: Server, sessions: tokenstore.Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    """What is set later is lost, so the log says where that was."""
    token = sessions.create(app="web", owner_id="bob")

    def handle(request: Request) -> Response:
        request.session["before"] = 1

        async def body() -> Any:
            yield b"a"
            request.session.setdefault("before", 2)
            request.session.pop("absent", None)
            assert not caplog.records
            request.session["after"] = 1
            yield b"b"

        return StreamingResponse(body())

    answer = client_of(server, get("/", handle)).get("/", headers={"cookie": f"session={token}"})
    assert answer.content == b"ab"
    session = sessions.get(app="web", token=token)
    assert session is not None
    assert session.data == {"before": 1}
    (record,) = caplog.records
    assert "after its response had begun" in record.getMessage()
    assert record.pathname == __file__


# ---- WebSockets --------------------------------------------------------------------------------------


async def talk(websocket: WebSocket) -> None:
    websocket.session["seen"] = websocket.session.get("seen", 0) + 1
    await websocket.accept()
    await websocket.send_json([websocket.session.principal, websocket.session["seen"]])
    await websocket.close()


def test_a_websocket(server: Server, sessions: tokenstore.Sessions) -> None:
    token = sessions.create(app="web", owner_id="bob")
    client = client_of(server, WebSocketRoute("/", talk))
    for n in (1, 2):
        with client.websocket_connect("/", headers={"cookie": f"session={token}"}) as socket:
            assert socket.receive_json() == ["bob", n]
    with client.websocket_connect("/") as socket:
        assert socket.receive_json() == [None, 1]
        lines = [value for name, value in socket.extra_headers or () if name == b"set-cookie"]
        assert len(lines) == 1
        assert lines[0].startswith(b"session=")


def test_a_websocket_while_redis_is_away(server: Server, sessions: tokenstore.Sessions) -> None:
    token = sessions.create(app="web", owner_id="bob")
    client = client_of(server, WebSocketRoute("/", talk))
    server.stop()
    try:
        with pytest.raises(WebSocketDisconnect) as caught:
            with client.websocket_connect("/", headers={"cookie": f"session={token}"}):
                pass
    finally:
        server.cont()
    assert caught.value.code == 1013


# ---- Redis away --------------------------------------------------------------------------------------


def test_another_response_while_redis_is_away(server: Server) -> None:
    async def sorry(scope: Any, receive: Any, send: Any) -> None:
        await Response("sorry", 503)(scope, receive, send)

    client = client_of(server, get("/", login), on_unavailable=sorry)
    server.stop()
    try:
        answer = client.get("/")
    finally:
        server.cont()
    assert (answer.status_code, answer.text) == (503, "sorry")


def test_raising_while_redis_is_away(server: Server) -> None:
    async def handler(request: Request, error: Exception) -> Response:
        assert isinstance(error, UNAVAILABLE)
        return Response("busy", 529)

    client = client_of(server, get("/", login), on_unavailable=None)
    client.app.add_exception_handler(Exception, handler)  # type: ignore[attr-defined]
    server.stop()
    try:
        answer = client.get("/")
    finally:
        server.cont()
    assert (answer.status_code, answer.text) == (529, "busy")
    assert "set-cookie" not in answer.headers


def test_nothing_follows_the_refusal(server: Server) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["session"]["n"] = 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"confidential"})

    async def ask() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async with Sessions(server.url, timeout=0.3) as store:
            scope = {"type": "http", "headers": []}
            await SessionMiddleware(app, store)(scope, None, send)  # type: ignore[arg-type]
        return sent

    server.stop()
    try:
        start, body = asyncio.run(ask())
    finally:
        server.cont()
    assert (start["status"], body["body"]) == (503, b"Service Unavailable")


def test_the_log_of_a_failure(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(server, get("/", login))
    server.stop()
    try:
        assert client.get("/", headers={"cookie": "session=confidential"}).status_code == 503
    finally:
        server.cont()
    assert "the session could not be read or stored" in caplog.text
    assert "confidential" not in caplog.text


# ---- with a URL, and with uvicorn --------------------------------------------------------------------


def test_a_url_for_a_store(server: Server) -> None:
    """Its connections end with the loop."""
    app = Starlette(routes=[get("/", login)])
    app.add_middleware(SessionMiddleware, store=server.url)
    before = server.info("clients", "connected_clients")
    for _ in range(2):
        with TestClient(app, base_url="https://test") as client:
            assert client.get("/").status_code == 200
    assert server.info("clients", "connected_clients") == before


APP = """
import os
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from tokenstore.ext.asgi import SessionMiddleware

async def count(request):
    request.session["n"] = request.session.get("n", 0) + 1
    return JSONResponse([os.getpid(), request.session["n"]])

app = Starlette(routes=[Route("/", count)])
app.add_middleware(SessionMiddleware, store=os.environ["TOKENSTORE_URL"])
"""


@pytest.fixture
def uvicorn(server: Server, tmp_path: Path) -> Iterator[str]:
    """The socket of a uvicorn with two workers."""
    (tmp_path / "page.py").write_text(APP)
    path = tmp_path / "uvicorn.sock"
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--uds", str(path), "page:app"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"TOKENSTORE_URL": server.url},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        started = 0
        for line in process.stderr:
            started += "Application startup complete" in line
            if started == 2:
                break
        assert started == 2, "uvicorn did not start"
        try:
            yield str(path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def test_uvicorn_with_workers(uvicorn: str) -> None:
    pids = set()
    token, n = None, 0
    while len(pids) < 2 or n < 10:
        assert n < 200, "one worker answered all requests"
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=uvicorn)) as client:
            headers = {} if token is None else {"cookie": f"session={token}"}
            answer = client.get("http://test/", headers=headers)
        n += 1
        pid, seen = json.loads(answer.content)
        assert seen == n
        pids.add(pid)
        if token is None:
            token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
