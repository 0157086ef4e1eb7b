"""Lua interpreters for tests, which send chunks and get their results."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from authorization import CLIENT_ID, CLIENT_SECRET, Endpoint, Provider
from servers import _die_with_parent

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ABI = {"lua5.4": "5.4", "lua5.3": "5.3", "lua5.1": "5.1", "luajit": "5.1"}


def _environment(name: str) -> dict[str, str]:
    """As set by `make env`; otherwise the default build."""
    if "LUA_CPATH" in os.environ:
        return dict(os.environ)
    source = ROOT / "bindings" / "lua"
    return {
        **os.environ,
        "LUA_PATH": f"{source}/?.lua;{source}/?/init.lua;;",
        "LUA_CPATH": f"{ROOT}/build/lua/{ABI[name]}/?.so;;",
    }


@cache
def is_there(name: str) -> bool:
    """True if the interpreter is installed and there is a build for it."""
    if shutil.which(name) is None:
        return False
    command = [name, "-e", 'require "tokenstore.oauth"']
    return subprocess.run(command, env=_environment(name), capture_output=True).returncode == 0


def one_lua() -> pytest.MarkDecorator:
    """For tests of the core's behaviour: one interpreter is enough."""
    return pytest.mark.parametrize("lua", [n for n in ABI if is_there(n)][:1], indirect=True)


def quote(value: object) -> str:
    """A Python value as Lua source."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "math.huge", "-inf": "-math.huge", "nan": "0/0"}[repr(value)]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{quote(k)}] = {quote(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(quote, value)) + "}"
    assert isinstance(value, (str, Path))
    data = str(value).encode()
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


class Raised(Exception):
    """The chunk raised an error."""


class Lua:
    """One interpreter. Globals live from chunk to chunk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [name, str(HERE / "driver.lua")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(name),
            preexec_fn=_die_with_parent,
        )

    def send(self, chunk: str) -> None:
        assert self.process.stdin is not None
        data = chunk.encode()
        self.process.stdin.write(b"%d\n%s" % (len(data), data))
        self.process.stdin.flush()

    def read(self) -> list[Any]:
        assert self.process.stdout is not None
        size = self.process.stdout.readline()
        assert size, f"{self.name} has ended: {self.process.wait()}"
        good, *results = json.loads(self.process.stdout.read(int(size)))
        if not good:
            raise Raised(results[0])
        return results

    def all(self, chunk: str) -> list[Any]:
        """All results of the chunk."""
        self.send(chunk)
        return self.read()

    def __call__(self, chunk: str) -> Any:
        """The single result of the chunk; fails on a failure."""
        results = self.all(chunk)
        assert len(results) <= 1, results
        return results[0] if results else None

    def fails(self, code: str, part: str, chunk: str) -> str:
        """The message of a failure with `code`, which must contain `part`."""
        results = self.all(chunk)
        assert len(results) in (3, 4), results
        assert results[0] is None
        assert results[2] == code, results
        assert part in results[1], results
        return str(results[1])

    def raises(self, part: str, chunk: str) -> str:
        """The message of the error that the chunk raises."""
        try:
            results = self.all(chunk)
        except Raised as error:
            assert part in str(error), error
            return str(error)
        raise AssertionError(f"no error, but {results}")

    def end(self) -> int:
        """Ends it normally; returns its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(30)


# ---- Spike in it ----------------------------------------------------------------------------------

QUICK = {"retries": 2, "min": 0.01, "max": 0.02, "total": 2}
BEGIN = """
    tokenstore = require "tokenstore"
    lines = {}
    function log(level, text) lines[#lines + 1] = level .. ": " .. text end
"""


def make(lua: Lua, options: dict[str, Any], name: str = "spike") -> None:
    lua(
        f"options = {quote(options)} options.logger = log {name} = assert(tokenstore.Spike(options))"
    )


def spike(lua: Lua, server: Provider, name: str = "spike", **options: Any) -> None:
    if options.get("token_format") != "opaque":
        options.setdefault("jwks_url", server.jwks_url)
    make(
        lua,
        {"url": server.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} | options,
        name,
    )


def opaque(lua: Lua, server: Endpoint, **options: Any) -> None:
    make(
        lua,
        {
            "url": server.url,
            "client_id": "id",
            "client_secret": "secret-canary",
            "token_format": "opaque",
            "retry": QUICK,
        }
        | options,
    )


def get(audience: str, name: str = "spike") -> str:
    return f"return {name}:get_token({quote(audience)})"


def log(lua: Lua) -> str:
    return "\n".join(lua("return lines"))
