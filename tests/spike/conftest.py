"""Fixtures: a real authorization server and a real redis-server for the whole run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))

from authorization import Provider, node_is_there, provider
from certs import Authority
from lua_process import ABI, BEGIN, Lua, is_there
from servers import Server, running


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[Provider]:
    if not node_is_there():
        pytest.skip("no Node with oidc-provider here: scripts/setup installs it")
    with provider() as server:
        yield server


@pytest.fixture
def authority_server(shared_provider: Provider) -> Provider:
    shared_provider.issued.clear()
    shared_provider.refused.clear()
    return shared_provider


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def redis(shared_redis: Server) -> Server:
    shared_redis("FLUSHALL")
    return shared_redis


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(
    params=[name for name in ABI if is_there(name)]
    or [pytest.param("lua", marks=pytest.mark.skip(reason="no Lua that anything was built for"))]
)
def lua(request: pytest.FixtureRequest) -> Iterator[Lua]:
    """Each interpreter that there is."""
    process = Lua(request.param)
    try:
        process(BEGIN)
        yield process
        assert process.end() == 0  # closing the state frees all, and well
    finally:
        process.process.kill()
        process.process.wait()
