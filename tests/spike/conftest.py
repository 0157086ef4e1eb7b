"""Fixtures: a real authorization server and a real redis-server for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callers import LANGUAGES, Caller, caller
from lua_process import ABI, BEGIN, Lua, is_there
from servers import Server


@pytest.fixture
def redis(shared_server: Server) -> Server:
    """Emptied for each test."""
    shared_server("FLUSHALL")
    return shared_server


@pytest.fixture(params=LANGUAGES)
def call(request: pytest.FixtureRequest) -> Iterator[Caller]:
    with caller(request.param) as made:
        yield made


@pytest.fixture(
    params=[name for name in ABI if is_there(name)]
    or [pytest.param("lua", marks=pytest.mark.skip(reason="no Lua that anything was built for"))]
)
def lua(request: pytest.FixtureRequest) -> Iterator[Lua]:
    """Each installed interpreter."""
    process = Lua(request.param)
    try:
        process(BEGIN)
        yield process
        assert process.end() == 0  # closing the state frees everything
    finally:
        process.process.kill()
        process.process.wait()
