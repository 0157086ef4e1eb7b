"""Fixtures: the shells of tokenstore.web on a real server, and the plug-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from servers import Server
from tokenstore.web import AsyncWebSessions, Effect, WebSession, WebSessions


class Web:
    """WebSessions or AsyncWebSessions, called alike."""

    def __init__(self, web: Any, run: Callable[[Any], Any]) -> None:
        self._web, self._run = web, run

    def open(self, token: str | None = None, authorization: str | None = None) -> WebSession:
        header = None if token is None else f"a=b; session={token}; c=d"
        return self._run(self._web.open(header, authorization))

    def commit(self, session: WebSession, status: int = 200, request: Any = None) -> Effect:
        return self._run(self._web.commit(session, status, request))

    def near_cache_stats(self) -> Any:
        return self._web.store.client.near_cache_stats()

    def make(self, **fields: Any) -> str:
        """A session with these fields: its token."""
        session = self.open()
        session.update(fields)
        return token_of(self.commit(session))

    def login(self, owner: str, token: str | None = None, **fields: Any) -> str:
        session = self.open(token)
        session.update(fields)
        session.login(owner)
        return token_of(self.commit(session))


def token_of(effect: Effect) -> str:
    """The token in its cookie."""
    assert effect.set_cookie is not None
    value = effect.set_cookie.partition("=")[2].partition(";")[0]
    assert value == effect.token
    return value


def data_of(sessions: tokenstore.Sessions, token: str) -> dict[str, Any]:
    session = sessions.get(app="web", token=token)
    assert session is not None
    return session.data


@pytest.fixture
def sessions(server: Server) -> Iterator[tokenstore.Sessions]:
    """What the tests look with."""
    with tokenstore.Sessions(server.url) as sessions:
        yield sessions


@pytest.fixture(params=["blocking", "asyncio"])
def make_web(request: pytest.FixtureRequest, server: Server) -> Iterator[Callable[..., Web]]:
    """``make_web(idle=…)``, in both shells; ``store_options`` are those of Sessions."""
    stores: list[Any] = []
    runner = asyncio.Runner() if request.param == "asyncio" else None

    def make(store_options: dict[str, Any] | None = None, **options: Any) -> Web:
        module = tokenstore if runner is None else tokenstore.asyncio
        stores.append(module.Sessions(server.url, **store_options or {}))
        if runner is None:
            return Web(WebSessions(stores[-1], **options), lambda result: result)
        return Web(AsyncWebSessions(stores[-1], **options), runner.run)

    yield make
    for store in stores:
        if runner is None:
            store.close()
        else:
            runner.run(store.aclose())
    if runner is not None:
        runner.close()


@pytest.fixture
def web(make_web: Callable[..., Web]) -> Web:
    return make_web()
