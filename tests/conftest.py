"""Fixtures of several suites: a real redis-server and a real authorization server for the whole run, certificates."""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from certs import LOCAL, SERVER, Authority
from servers import Server, running
from topologies import is_left_out, running_topology
from vault import Vault

if TYPE_CHECKING:
    from authorization import Provider
    from tokenstore import RedisTokens

# A shell starts background jobs with SIGINT ignored, which is inherited; but tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if is_left_out(item.path.name, item.name)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if os.environ.get("TOKENSTORE_SOAK") == "1":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: TOKENSTORE_SOAK=1 runs it"))


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with running_topology() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Emptied for each test."""
    shared_server("FLUSHALL")
    return shared_server


@pytest.fixture(scope="session")
def direct(shared_server: Server) -> Iterator[RedisTokens]:
    """Bypasses drivers and faults: prepares data and inspects the real state."""
    from tokenstore import RedisTokens

    with RedisTokens(shared_server.url) as tokens:
        yield tokens


@pytest.fixture(scope="session")
def slots() -> Iterator[Server]:
    """A cluster of one node: it has all slots, and still takes no script of two."""
    with running("--cluster-enabled", "yes", transport="tcp") as node:
        node("CLUSTER", "ADDSLOTS", *range(16384))
        while b"cluster_state:ok" not in node("CLUSTER", "INFO"):
            time.sleep(0.02)
        yield node


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server whose password `vault` changes."""
    with running("--requirepass", "of-the-default-user", transport="tcp") as server:
        yield server


@pytest.fixture
def vault(guarded: Server) -> Iterator[Vault]:
    with guarded.wire() as wire:
        wire("AUTH", "of-the-default-user")
        yield Vault(wire)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    pair = authority.sign("server", LOCAL, *SERVER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[Provider]:
    from authorization import node_is_there, provider

    if not node_is_there():
        pytest.skip("no Node with oidc-provider here: scripts/setup installs it")
    with provider() as server:
        yield server


@pytest.fixture
def authority_server(shared_provider: Provider) -> Provider:
    """With its counters reset."""
    shared_provider.issued.clear()
    shared_provider.refused.clear()
    return shared_provider
