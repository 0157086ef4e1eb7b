"""Fixtures: one real redis-server, emptied for each test, and the packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokenstore
from lua_process import ABI, BEGIN, Lua, is_there
from ours import InLua, InPython, Ours
from servers import Server, running


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """TCP, because the Node packages support nothing else."""
    with running(transport="tcp") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[tokenstore.Client]:
    with tokenstore.Client(server.url) as client:
        yield client


@pytest.fixture(params=["python", *filter(is_there, ABI)])
def make_ours(request: pytest.FixtureRequest, server: Server) -> Iterator[Callable[..., Ours]]:
    """``make_ours("Tokenstore", …)``, in Python and in each installed Lua."""
    made: list[Ours] = []
    lua = None
    if request.param != "python":
        lua = Lua(request.param)
        lua(BEGIN)

    def make(name: str, **options: Any) -> Ours:
        options.setdefault("redis", server.url)
        made.append(InPython(name, **options) if lua is None else InLua(lua, name, **options))
        return made[-1]

    yield make
    for ours in made:
        ours.close()
    if lua is not None:
        assert lua.end() == 0
