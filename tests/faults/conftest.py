"""Fixtures: one real redis-server for the whole run, and a fault server before it, plain and TLS."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

import tokenstore
from certs import LOCAL, SERVER, Authority
from fault_server import FaultServer
from servers import Server, running

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(redis: Server) -> None:
    """What KEYS and SCAN take shall not depend on how many tests have been."""
    redis("FLUSHALL")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    pair = authority.sign("server", LOCAL, *SERVER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


class Setup:
    """A fault server and what it takes to reach it."""

    def __init__(self, redis: Server, tls: ssl.SSLContext | None, ca: Path | None) -> None:
        self.server = FaultServer(str(redis.socket_path), tls)
        self.options = {} if ca is None else {"ca": str(ca)}
        self.tls = tls is not None
        self.offsets = 30 if self.tls else None  # at how many bytes a fault is tried; None: at each
        self.slack = 0.1 if self.tls else 0.05  # what a deadline may be late
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            self.slack += 0.3  # it takes long over large blocks

    def client(self, **options: object) -> tokenstore.Client:
        return tokenstore.Client(self.server.url, **{**self.options, **options})


@pytest.fixture(scope="session", params=["plain", "tls"])
def setup(
    request: pytest.FixtureRequest,
    redis: Server,
    server_tls: ssl.SSLContext,
    authority: Authority,
) -> Iterator[Setup]:
    tls = request.param == "tls"
    made = Setup(redis, server_tls if tls else None, authority.cert if tls else None)
    with made.server:
        yield made


@pytest.fixture(scope="session")
def direct(redis: Server) -> Iterator[tokenstore.RedisTokens]:
    """Around the fault server: to prepare things, and to see what truly happened."""
    with tokenstore.Client(redis.url) as client:
        yield tokenstore.RedisTokens(client)
