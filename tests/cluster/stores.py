"""Clients of a cluster behind one set of methods, for load.py: tokenstore's drivers, and others (peers.py).

Each method is a coroutine, also where the client blocks: then it never waits, and `run` runs it without a loop.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import struct
import time
import zlib
from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol

import tokenstore
import tokenstore.asyncio

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
APP, TYPE = "load", "t"
LIVES = 600
"""Seconds that a token lives: longer than any run."""


class Place(NamedTuple):
    """Where a token's record is: in a field of a hash, or alone in a string."""

    key: str
    field: str | None


class Store(Protocol):
    """`get` gives a token's value, or None; `list` the fields, or keys, of an owner's tokens."""

    def place(self, token: Any) -> Place: ...
    def unsure(self, error: Exception) -> bool:
        """Whether a change that failed so may have happened."""

    async def create(self, owner: str, value: str) -> Any: ...
    async def get(self, token: Any) -> str | None: ...
    async def update(self, token: Any, value: str) -> bool: ...
    async def delete(self, token: Any) -> bool: ...
    async def list(self, owner: str) -> set[str]: ...
    async def sleep(self, seconds: float) -> None: ...
    async def close(self) -> None: ...


def run(coroutine: Coroutine[Any, Any, Any]) -> None:
    """One that never waits."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


async def result_of(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


class Waiting:
    """`sleep` of a client of the given kind."""

    def __init__(self, blocking: bool) -> None:
        self._blocking = blocking

    async def sleep(self, seconds: float) -> None:
        if self._blocking:
            time.sleep(seconds)
        else:
            await asyncio.sleep(seconds)


def kind(app: str, type: str) -> str:
    """docs/explanation/stored-format.md: 24 of 32 bits of a CRC of app and type."""
    crc = zlib.crc32(struct.pack("<H", len(app)) + app.encode() + type.encode())
    return "".join(B64[crc >> shift & 63] for shift in (26, 20, 14, 8))


def value_in(record: bytes) -> str:
    """The value in a stored record, which ends with its data."""
    value = json.loads(record[record.index(b'{"v":') :])["v"]
    assert isinstance(value, str)
    return value


class Ours(Waiting):
    def __init__(self, tokens: Any, blocking: bool) -> None:
        super().__init__(blocking)
        self._tokens = tokens
        self._prefix = f"ts:{kind(APP, TYPE)}"

    def place(self, token: tokenstore.Token) -> Place:
        assert token.token is not None
        return Place(self._prefix + token.token[1:17], token.id)

    def unsure(self, error: Exception) -> bool:
        return isinstance(error, tokenstore.OutcomeUnknownError)

    async def create(self, owner: str, value: str) -> Any:
        return await result_of(self._tokens.create(APP, TYPE, owner, {"v": value}, LIVES))

    async def get(self, token: tokenstore.Token) -> str | None:
        found = await result_of(self._tokens.get(APP, TYPE, token.token))
        return None if found is None else found.data["v"]

    async def get_many(self, tokens: list[tokenstore.Token]) -> list[str | None]:
        found = self._tokens.get_many(APP, TYPE, [token.token for token in tokens])
        return [None if token is None else token.data["v"] for token in await result_of(found)]

    async def update(self, token: tokenstore.Token, value: str) -> bool:
        return await result_of(self._tokens.update(APP, TYPE, token.token, {"v": value})) is not None

    async def delete(self, token: tokenstore.Token) -> bool:
        return bool(await result_of(self._tokens.delete(APP, TYPE, token.token)))

    async def list(self, owner: str) -> set[str]:
        return {token.id for token in await result_of(self._tokens.list(APP, TYPE, owner))}

    async def close(self) -> None:
        await result_of(getattr(self._tokens, "aclose", self._tokens.close)())


DRIVERS = ("blocking", "asyncio", "redis-py", "redis-py-asyncio", "ioredis")


def is_blocking(driver: str) -> bool:
    return driver in ("blocking", "redis-py")


def open_store(driver: str, url: str, timeout: float) -> Store:
    """For those that do not block: within a loop. `timeout` is that of tokenstore's drivers."""
    if driver == "blocking":
        return Ours(tokenstore.RedisTokens(url, timeout=timeout), True)
    if driver == "asyncio":
        return Ours(tokenstore.asyncio.RedisTokens(url, timeout=timeout), False)
    import peers

    return peers.open_peer(driver, url)
