"""A pytest plug-in: aiohttp-session's tests get our plug-in, under its names and with its options."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp_session as theirs
import pytest
from aiohttp import web

import tokenstore
from tokenstore.asyncio import Sessions
from tokenstore.ext.aiohttp import get_session, setup
from tokenstore.web import WebSession

pytest_plugins = ["aiohttp.pytest_plugin"]

URL = os.environ["TOKENSTORE_URL"]
NAME = "AIOHTTP_SESSION"


WebSession._changed = WebSession.modified  # type: ignore[attr-defined]
WebSession.invalidate = WebSession.logout  # type: ignore[attr-defined]


class Redis:
    """What their tests do to the server, done to our sessions: a key is a name and the token."""

    def __init__(self) -> None:
        self.tokens = tokenstore.RedisTokens(URL)

    def found(self, key: str) -> Any:
        return self.tokens.get("web", "session", key.removeprefix(f"{NAME}_"), expiry=True)

    async def set(self, key: str, value: str) -> None:
        token = key.removeprefix(f"{NAME}_")
        self.tokens.create(
            "web", "session", None, json.loads(value or "{}").get("session", {}), 3600, token
        )

    async def get(self, key: str) -> bytes | None:
        found = self.found(key)
        if found is None:
            return None
        return json.dumps({"session": found.data, "created": found.created_at}).encode()

    async def exists(self, key: str) -> bool:
        return self.found(key) is not None

    async def ttl(self, key: str) -> float:
        left: float = self.found(key).expires_at - self.found(key).created_at
        return left

    async def aclose(self) -> None:
        pass


@pytest.fixture
def redis() -> Iterator[Redis]:
    redis = Redis()
    yield redis
    redis.tokens.close()


@pytest.fixture
def redis_url() -> str:
    return URL


def storage(
    redis: Redis | None = None,
    max_age: int | None = None,
    key_factory: object = None,
    path: str = "/",
    domain: str | None = None,
) -> dict[str, Any]:
    """The options of a plug-in for those of a storage."""
    return {"idle": max_age, "absolute": None, "path": path, "domain": domain}


def new_application(
    self: web.Application, *, middlewares: tuple[dict[str, Any], ...] = (), **more: Any
) -> None:
    init(self, **more)
    for options in middlewares:
        setup(self, Sessions(URL), cookie=NAME, secure=False, **options)


init = web.Application.__init__
web.Application.__init__ = new_application  # type: ignore[assignment]

theirs.Session = WebSession
theirs.get_session = get_session
theirs.session_middleware = lambda storage: storage
theirs.SimpleCookieStorage = storage

for name, names in {
    "aiohttp_session.redis_storage": {"RedisStorage": storage},
    "redis": {"asyncio": SimpleNamespace(Redis=Redis, from_url=lambda url: Redis())},
    "pytest_mock": {"MockFixture": object},
}.items():
    module = sys.modules[name] = ModuleType(name)
    vars(module).update(names)
