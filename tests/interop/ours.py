"""Our classes for the tests in this directory: the same methods and plain results, in Python or in a Lua
interpreter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tokenstore
from lua_process import Lua, quote


def literal(value: object) -> str:
    """A value as Lua source, with null and lists preserved."""
    if value is None:
        return "tokenstore.null"
    if isinstance(value, list):
        return "tokenstore.array {" + ", ".join(map(literal, value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{quote(k)}] = {literal(v)}" for k, v in value.items()) + "}"
    return quote(value)


class OursFailedError(Exception):
    """A method raised, or returned a message and a code."""


class InPython:
    """``ours("add", owner_id="bob")``; a single argument may be positional."""

    def __init__(self, name: str, **options: Any) -> None:
        self.store = getattr(tokenstore, name)(**options)

    def __call__(self, method: str, *single: Any, **args: Any) -> Any:
        target: Any = self.store
        *path, last = method.split(".")
        for step in path:
            target = getattr(target, step)()
        try:
            return _plain(getattr(target, last)(*single, **args))
        except tokenstore.Error as error:
            raise OursFailedError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        self.store.close()


def _plain(value: Any) -> Any:
    """Values that are mappings become plain dicts."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


class InLua:
    """The same in an interpreter."""

    def __init__(self, lua: Lua, name: str, **options: Any) -> None:
        self.lua = lua
        lua(f"store = assert(tokenstore.{name}({literal(options)}))")

    def __call__(self, method: str, *single: Any, **args: Any) -> Any:
        given = ", ".join(map(literal, single or [args]))
        path = "".join(f":{step}()" for step in method.split(".")[:-1])
        results = self.lua.all(
            f"""
            local core = require "tokenstore.core"
            local value, message, code = store{path}:{method.split(".")[-1]}({given})
            if message then return nil, message, code end
            if value == nil then value = core.null end
            return assert(core.encode(core.array {{ value }}, 1000000))
            """
        )
        if len(results) == 3:
            raise OursFailedError(f"{results[2]}: {results[1]}")
        return json.loads(results[0])[0]

    def close(self) -> None:
        self.lua("store:close()")


Ours = InPython | InLua
