"""Fixtures: each server and each language once for the whole run, started when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from asking import Driver, InAsyncio, InLua, InPython
from lua_process import Lua, is_there
from nginx_lua import nginx_lua
from nginx_server import MISSING
from real_servers import RealServer, drawn, missing, running

DRIVERS = ("python", "asyncio", "lua5.4", "luajit", "nginx")

Start = Callable[[type[RealServer]], RealServer]
Make = Callable[[str], Driver]


@pytest.fixture(scope="session")
def many_clients() -> dict[str, str]:
    """A hundred ids and secrets of OSpike's alphabet, registered at every server."""
    return drawn(100)


@pytest.fixture(scope="session")
def start(many_clients: dict[str, str]) -> Iterator[Start]:
    """Starts the server of this class for the whole run."""
    servers: dict[type[RealServer], RealServer] = {}
    with ExitStack() as stack:

        def of(kind: type[RealServer]) -> RealServer:
            reason = missing(kind)
            if reason is not None:
                pytest.skip(reason)
            if kind not in servers:
                servers[kind] = stack.enter_context(running(kind, clients=many_clients))
            return servers[kind]

        yield of


@contextmanager
def _made(name: str) -> Iterator[Driver]:
    if name == "python":
        yield InPython()
    elif name == "asyncio":
        driver = InAsyncio()
        yield driver
        driver.close()
    elif name == "nginx":
        with nginx_lua() as worker:
            yield InLua(worker)
    else:
        lua = Lua(name)
        yield InLua(lua)
        assert lua.end() == 0


def absent(name: str) -> str | None:
    """Why this language is not available; None: it is."""
    if name == "nginx":
        return MISSING
    if name.startswith("lua") and not is_there(name):
        return f"no {name} that anything was built for"
    return None


@pytest.fixture(scope="session")
def make() -> Iterator[Make]:
    """Spike in the language of this name, in one process for the whole run."""
    drivers: dict[str, Driver] = {}
    with ExitStack() as stack:

        def of(name: str) -> Driver:
            if name not in drivers:
                drivers[name] = stack.enter_context(_made(name))
            return drivers[name]

        yield of


@pytest.fixture(scope="session", params=DRIVERS)
def driver(request: pytest.FixtureRequest, make: Make) -> Driver:
    """Spike in each language."""
    reason = absent(request.param)
    if reason is not None:
        pytest.skip(reason)
    return make(request.param)
