"""One Spike at a time, in each language, with a common interface for the tests."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from lua_process import ABI, BEGIN, Lua, is_there, quote

QUICK = {"retries": 0, "total": 5}
SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"
LUAS = [*filter(is_there, ABI)]
# Each Lua passes the same values to the core; test_lua.py runs in all of them.
LANGUAGES = ["python", "asyncio", *(LUAS if SOAK else LUAS[:1])]

# For tests of the core's behaviour that wait for seconds: Lua has the blocking driver of Python, and waits in nginx.
waiting = pytest.mark.parametrize("call", LANGUAGES[: 3 if SOAK else 2], indirect=True)


class Function:
    """The same function in each language."""

    def __init__(self, python: Callable[[], Any], lua: str) -> None:
        self.python = python
        self.lua = lua

    async def awaited(self) -> Any:
        await asyncio.sleep(0)
        return self.python()


def _for_python(options: dict[str, Any]) -> dict[str, Any]:
    return {n: o.python if isinstance(o, Function) else o for n, o in options.items()}


def _for_asyncio(options: dict[str, Any]) -> dict[str, Any]:
    return {n: o.awaited if isinstance(o, Function) else o for n, o in options.items()}


class Failed(Exception):
    """No token: `code` as in Lua."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Caller:
    """`open` creates the Spike, `get` requests a token."""

    def open(self, url: str, **options: Any) -> None:
        raise NotImplementedError

    def discover(self, issuer: str, **options: Any) -> None:
        """As `open`, with Spike.discover."""
        raise NotImplementedError

    def get(self, **asked: Any) -> str:
        raise NotImplementedError

    def invalidate(self, token: str, **asked: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def fetch(self, url: str, asked: dict[str, Any], **options: Any) -> str:
        """One token."""
        self.open(url, **options)
        try:
            return self.get(**asked)
        finally:
            self.close()


def _failed(error: tokenstore.Error) -> Failed:
    words = re.findall("[A-Z][a-z]+", type(error).__name__.removesuffix("Error"))
    return Failed(str(error), "_".join(words).lower())


class Blocking(Caller):
    def open(self, url: str, **options: Any) -> None:
        try:
            self.spike = tokenstore.Spike(url, **_for_python(options))
        except tokenstore.Error as error:
            raise _failed(error) from error

    def discover(self, issuer: str, **options: Any) -> None:
        try:
            self.spike = tokenstore.Spike.discover(issuer, **_for_python(options))
        except tokenstore.Error as error:
            raise _failed(error) from error

    def get(self, **asked: Any) -> str:
        try:
            return self.spike.get_token(**asked)
        except tokenstore.Error as error:
            raise _failed(error) from error

    def invalidate(self, token: str, **asked: Any) -> None:
        self.spike.invalidate(asked.pop("audience", None), token, **asked)

    def close(self) -> None:
        self.spike.close()


class Awaiting(Caller):
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def open(self, url: str, **options: Any) -> None:
        try:
            self.spike = tokenstore.asyncio.Spike(url, **_for_asyncio(options))
        except tokenstore.Error as error:
            raise _failed(error) from error

    def discover(self, issuer: str, **options: Any) -> None:
        made = tokenstore.asyncio.Spike.discover(issuer, **_for_asyncio(options))
        try:
            self.spike = self.loop.run_until_complete(made)
        except tokenstore.Error as error:
            raise _failed(error) from error

    def get(self, **asked: Any) -> str:
        try:
            return self.loop.run_until_complete(self.spike.get_token(**asked))
        except tokenstore.Error as error:
            raise _failed(error) from error

    def invalidate(self, token: str, **asked: Any) -> None:
        audience = asked.pop("audience", None)
        self.loop.run_until_complete(self.spike.invalidate(audience, token, **asked))

    def close(self) -> None:
        self.loop.run_until_complete(self.spike.aclose())


class InLua(Caller):
    def __init__(self, lua: Lua) -> None:
        self.lua = lua

    def _call(self, chunk: str) -> Any:
        results = self.lua.all(chunk)
        if len(results) > 1:
            raise Failed(results[1], results[2])
        return results[0] if results else None

    def discover(self, issuer: str, **options: Any) -> None:
        self.open(issuer, make="tokenstore.Spike.discover", **options)

    def open(self, url: str, make: str = "tokenstore.Spike", **options: Any) -> None:
        # None turns an option off; in a Lua table that is false.
        given = {name: False if o is None else o for name, o in options.items()}
        functions = "".join(
            f"options.{name} = {given.pop(name).lua} "
            for name, option in options.items()
            if isinstance(option, Function)
        )
        self._call(
            f"options = {quote({'url': url, **given})} options.logger = log {functions}"
            f"local made, message, code = {make}(options) spike = made "
            "if not made then return nil, message, code end"
        )

    def get(self, **asked: Any) -> str:
        if set(asked) == {"audience"}:
            return str(self._call(f"return spike:get_token({quote(asked['audience'])})"))
        return str(self._call(f"return spike:get_token({quote(asked)})"))

    def invalidate(self, token: str, **asked: Any) -> None:
        self._call(f"return spike:invalidate({quote({'token': token, **asked})})")

    def close(self) -> None:
        self._call("spike:close()")


@contextmanager
def caller(language: str) -> Iterator[Caller]:
    if language == "python":
        yield Blocking()
    elif language == "asyncio":
        awaiting = Awaiting()
        yield awaiting
        awaiting.loop.run_until_complete(awaiting.loop.shutdown_default_executor())
        awaiting.loop.close()
    else:
        lua = Lua(language)
        lua(BEGIN)
        yield InLua(lua)
        assert lua.end() == 0
