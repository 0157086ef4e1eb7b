"""No token, secret, password or data is in what is exported, in spans, in measures, or in logs of any level; and no token in MONITOR."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from exported import export
from test_opentelemetry import Telemetry

import tokenstore
import tokenstore.asyncio
from servers import Server
from tokenstore.ext.opentelemetry import instrument
from tokenstore.ext.prometheus import Collector

CANARY = "CANARY-5f1d0c"
TOKEN = f"{CANARY}-token"
SECRET = f"{CANARY}-secret-that-is-long-enough-to-be-one"
PASSWORD = f"{CANARY}-password"
DATA = {"name": f"{CANARY}-data"}
USER = "measured"


class Monitor:
    """What MONITOR says, until `end` is seen in it."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(server.socket_path))
        self._socket.sendall(b"MONITOR\r\n")
        self.text = ""

    def read_until(self, end: str) -> str:
        while end not in self.text:
            self.text += self._socket.recv(65536).decode(errors="replace")
        self._socket.close()
        return self.text


@pytest.fixture
def monitor(server: Server) -> Monitor:
    return Monitor(server)


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    server("ACL", "SETUSER", USER, "reset", "on", ">" + PASSWORD, "~*", "&*", "+@all")
    yield server.url.replace("://", f"://{USER}:{PASSWORD}@", 1)
    server("ACL", "DELUSER", USER)


@contextmanager
def logged() -> Iterator[list[str]]:
    """All that is logged, of every level and logger."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record) + repr(record.args))

    handler = Handler(logging.NOTSET)
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.NOTSET)
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


async def use(module: Any, client: Any) -> list[str]:
    """Runs operations of each kind that succeed, find nothing, and fail; returns the tokens."""

    async def run(call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    tokens = module.RedisTokens(client, pepper=SECRET)
    sessions = module.Sessions(client)
    jwts = module.RedisJWT(client, secret=SECRET)
    of = {"app": "web", "type": "login"}
    made = await run(tokens.create, **of, owner="bob", custom_token=TOKEN, data=DATA)
    cookie = await run(sessions.create, app="web", owner_id="bob", data=DATA)
    jwt = await run(jwts.sign, "bob", data_token=DATA, data_session=DATA)
    await run(tokens.get, **of, token=TOKEN)
    await run(tokens.get, **of, token=TOKEN + "-not-there")
    await run(tokens.get_many, **of, tokens=[TOKEN, TOKEN + "-not-there"])
    await run(sessions.update, app="web", token=cookie, data=DATA)
    rotated = await run(sessions.rotate, app="web", token=cookie)
    await run(sessions.list, app="web", owner_id="bob")
    await run(jwts.verify, jwt)
    with suppress(tokenstore.ServerError):
        await run(client.execute, "NO-SUCH-COMMAND", DATA["name"])
    with suppress(tokenstore.Error):
        await run(client.execute, "HGET", DATA["name"], timeout=0.001)
    with suppress(tokenstore.InvalidTokenError):
        await run(jwts.verify, jwt + CANARY)
    await run(tokens.delete_all, **of, owner="bob")
    return [made.token, cookie, rotated, jwt]


def assert_clean(where: str, text: str, tokens: list[str]) -> None:
    assert len(text) > 100, where
    for canary in (CANARY, *tokens):
        assert canary not in text, where


@pytest.mark.parametrize("module", [tokenstore, tokenstore.asyncio], ids=["blocking", "asyncio"])
def test_no_canary(module: Any, url: str, monitor: Monitor, server: Server) -> None:
    telemetry = Telemetry()
    measures: list[tokenstore.Measure] = []

    async def main() -> tuple[list[str], str, str]:
        client = module.Client(url, near_cache=10)
        collector = Collector(client)
        end = instrument(client, **telemetry.given)
        client.on_operation(measures.append)
        tokens = await use(module, client)
        exported, spans = export(collector).text, telemetry.everything()
        end()
        await client.aclose() if hasattr(client, "aclose") else client.close()
        return tokens, exported, spans

    with logged() as lines:
        tokens, exported, spans = asyncio.run(main())
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()
    assert len(tokens) == 4
    assert all(tokens)
    assert len(telemetry.spans()) >= 12
    assert "client made for" in "".join(lines)
    assert_clean("Prometheus", exported, tokens)
    assert_clean("OpenTelemetry", spans, tokens)
    assert_clean("measures", repr(measures), tokens)
    assert_clean("logs", "\n".join(lines), tokens)
    server("PING", "the-end")
    seen = monitor.read_until("the-end").replace(DATA["name"], "")  # Redis keeps data; no token, and no secret
    assert_clean("MONITOR", seen, tokens)
