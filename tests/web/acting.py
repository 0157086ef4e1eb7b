"""What a handler does in the tests of the plug-ins, the same in every framework, and how it is asked to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
import werkzeug.test


@dataclass
class Reply:
    status: int
    body: bytes
    headers: list[tuple[str, str]] = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def cookie(self) -> str | None:
        """The session's Set-Cookie header; None if there is none."""
        lines = [line for line in self.all("set-cookie") if line.startswith("session=")]
        assert len(lines) <= 1, "more than one cookie"
        return lines[0] if lines else None

    @property
    def token(self) -> str:
        assert self.cookie is not None
        value = self.cookie.partition("=")[2].partition(";")[0].strip('"')
        assert value
        return value

    @property
    def vary(self) -> set[str]:
        return {name.strip().lower() for line in self.all("vary") for name in line.split(",")}


class Asked(Protocol):
    def ask(
        self, op: str, argument: Any = None, token: str | None = None, **headers: str
    ) -> Reply: ...
    def ask_all(self, op: str, argument: Any, token: str, times: int) -> list[Reply]: ...


class Meanwhile:
    """What happens while a handler runs, between what it read and what it changes."""

    def __init__(self) -> None:
        self.call: Callable[[], object] = lambda: None

    def __call__(self) -> None:
        call, self.call = self.call, lambda: None
        call()


def act(session: Any, op: str, argument: Any) -> tuple[int, Any]:
    """Status and JSON of the response."""
    if op == "nothing":
        return 200, None
    if op in ("set", "fail", "raise", "meanwhile"):
        session.update(argument)
    elif op == "append":
        session["cart"].append(argument)
    elif op == "delete":
        del session[argument]
    elif op == "login":
        session.login(argument)
    elif op == "logout":
        session.logout()
    elif op == "rotate":
        session.rotate()
    elif op == "logout_others":
        session.logout_others()
    else:
        assert op == "read"
    if op == "raise":
        raise RuntimeError("the handler failed")
    fields = {name: session[name] for name in session if name != "_user_id"}  # Flask-Login's
    return 500 if op == "fail" else 200, {"principal": session.principal, "fields": fields}


def headers_of(token: str | None, more: dict[str, str]) -> dict[str, str]:
    return more if token is None else more | {"cookie": f"other=1; session={token}"}


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def close(self) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Asgi:
    """Asks an ASGI app, without a server in between; an exception that leaves it is a 500, as a server makes it."""

    def __init__(self, app: Any, loop: Loop, transport: Any = None) -> None:
        self._loop = loop
        in_process = lambda: httpx2.ASGITransport(app, raise_app_exceptions=False)  # noqa: E731
        self._transport = transport or in_process

    async def _ask(
        self, op: str, argument: Any, token: str | None, headers: dict[str, str]
    ) -> Reply:
        async with httpx2.AsyncClient(
            transport=self._transport(), base_url="http://test"
        ) as client:
            url, sent = f"/{op}", headers_of(token, headers)
            answer = await client.post(url, json={"argument": argument}, headers=sent)
            return Reply(answer.status_code, answer.content, answer.headers.multi_items())

    def ask(self, op: str, argument: Any = None, token: str | None = None, **headers: str) -> Reply:
        return self._loop.run(self._ask(op, argument, token, headers))

    def get(self, path: str, token: str | None = None) -> Reply:
        async def one() -> Reply:
            async with httpx2.AsyncClient(
                transport=self._transport(), base_url="http://test"
            ) as client:
                answer = await client.get(path, headers=headers_of(token, {}))
                return Reply(answer.status_code, answer.content, answer.headers.multi_items())

        return self._loop.run(one())

    def ask_all(self, op: str, argument: Any, token: str, times: int) -> list[Reply]:
        async def all_at_once() -> list[Reply]:
            return await asyncio.gather(*(self._ask(op, argument, token, {}) for _ in range(times)))

        return self._loop.run(all_at_once())


class Wsgi:
    """Asks a WSGI app."""

    def __init__(self, app: Any) -> None:
        self._client = werkzeug.test.Client(app, use_cookies=False)

    def ask(self, op: str, argument: Any = None, token: str | None = None, **headers: str) -> Reply:
        answer = self._client.post(
            f"/{op}", json={"argument": argument}, headers=headers_of(token, headers)
        )
        return Reply(answer.status_code, answer.data, list(answer.headers))

    def ask_all(self, op: str, argument: Any, token: str, times: int) -> list[Reply]:
        with ThreadPoolExecutor(times) as pool:
            return list(pool.map(lambda _: self.ask(op, argument, token), range(times)))
