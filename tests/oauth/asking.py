"""Spike in each language, for the tests: ``with driver.open(options) as get: get(audience)``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tokenstore
import tokenstore.asyncio
from lua_process import BEGIN, Lua, quote

Get = Callable[[str], str]


class NoTokenError(Exception):
    """Spike returned an error."""


class InPython:
    name = "python"
    nothing: bool | None = None  # unsets an option with a default

    @contextmanager
    def open(self, options: dict[str, Any]) -> Iterator[Get]:
        with tokenstore.Spike(**options) as spike:

            def get(audience: str) -> str:
                try:
                    return spike.get_token(audience)
                except tokenstore.Error as error:
                    raise NoTokenError(str(error)) from error

            yield get

    def close(self) -> None:
        pass


class InAsyncio:
    name = "asyncio"
    nothing: bool | None = None

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    @contextmanager
    def open(self, options: dict[str, Any]) -> Iterator[Get]:
        spike = tokenstore.asyncio.Spike(**options)

        def get(audience: str) -> str:
            try:
                return self.loop.run_until_complete(spike.get_token(audience))
            except tokenstore.Error as error:
                raise NoTokenError(str(error)) from error

        yield get
        self.loop.run_until_complete(spike.aclose())

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class InLua:
    """In an interpreter or an nginx worker."""

    nothing: bool | None = False

    def __init__(self, lua: Lua) -> None:
        self.name = lua.name
        self.lua = lua
        self.count = 0
        lua(BEGIN + "spikes = {}")

    @contextmanager
    def open(self, options: dict[str, Any]) -> Iterator[Get]:
        self.count += 1
        spike = f"spikes[{self.count}]"
        given = quote(options)
        self.lua(f"local o = {given} o.logger = log {spike} = assert(tokenstore.Spike(o))")

        def get(audience: str) -> str:
            token, *problem = self.lua.all(f"return {spike}:get_token({quote(audience)})")
            if token is None:
                raise NoTokenError(problem[0])
            return str(token)

        yield get
        self.lua(f"{spike}:close() {spike} = nil")

    def close(self) -> None:
        pass


Driver = InPython | InAsyncio | InLua
