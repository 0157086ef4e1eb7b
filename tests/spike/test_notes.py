"""More log lines than there is room for: whole lines, a count of dropped ones, the last warning."""

from __future__ import annotations

import re
from typing import Any

import pytest

import tokenstore
from lua_process import Lua, get, quote

# Each attempt logs two lines; a long host name makes them long. Nothing listens on port 1.
OPTIONS: dict[str, Any] = {
    "url": "http://" + ".".join(["a" * 60] * 3) + ".localhost:1",
    "client_id": "id",
    "client_secret": "secret-canary",
    "token_format": "opaque",
    "retry": {"retries": 100, "min": 0, "max": 0, "factor": 1, "total": 100},
}
LINE = re.compile(
    r"info: requesting a token"
    r"|warning: retry \d+ of 100 in 0 ms: http://a.*"
    r"|warning: \d+ log lines dropped: too many at once"
    r"|warning: no token after 101 tries in \d+\.\d s; last error: http://a.*"
)


def check(lines: list[str]) -> None:
    for line in lines:
        assert LINE.fullmatch(line), line
    assert lines[-1].startswith("warning: no token after 101 tries")
    dropped = [int(line.split()[1]) for line in lines if "dropped" in line]
    assert len(dropped) == 1
    assert dropped[0] + len(lines) - 1 == 101 + 100 + 1  # requests, retries, the failure


class Logger:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append("info: " + text)

    def warning(self, text: str) -> None:
        self.lines.append("warning: " + text)


def test_python() -> None:
    logger = Logger()
    with tokenstore.Spike(**OPTIONS, logger=logger) as spike:
        for audience in ("a", "b"):
            logger.lines.clear()
            with pytest.raises(tokenstore.SpikeError, match="no token after 101 tries"):
                spike.get_token(audience)
            check(logger.lines)


def test_lua(lua: Lua) -> None:
    lua(f"options = {quote(OPTIONS)} options.logger = log spike = assert(tokenstore.Spike(options))")
    for audience in ("a", "b"):
        lua.fails("spike", "no token after 101 tries", get(audience))
        check(str(lua("local all = table.concat(lines, '\\n') lines = {} return all")).split("\n"))
