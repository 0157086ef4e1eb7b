"""Fixtures: one real redis-server for the whole run; a fault server before it, plain and TLS, and an nginx
whose Lua talks to that."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))

import tokenstore
from certs import LOCAL, SERVER, Authority
from fault_server import FaultServer
from nginx_server import MISSING, Nginx
from nginx_server import running as running_nginx
from remote import LOCATION, RemoteTokens
from servers import Server, running

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


# Under TLS the faults are tried on a read, a change, and raw commands.
WITH_TLS = ("-get]", "-update]", "-execute]", "-pipeline]")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [i for i in items if "[tls-" not in i.name or SOAK or i.name.endswith(WITH_TLS)]
    for item in items:
        if MISSING is not None and item.path.name != "test_module.py":
            item.add_marker(pytest.mark.skip(reason=MISSING))
        elif item.get_closest_marker("slow") and not SOAK:
            item.add_marker(pytest.mark.skip(reason="slow: TOKENSTORE_SOAK=1 runs it"))


@pytest.fixture(scope="session")
def redis() -> Iterator[Server]:
    with running() as server:
        yield server


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
    """A fault server, and an nginx to reach it by. test_faults.py runs the tests of tests/faults on it."""

    def __init__(self, redis: Server, tls: ssl.SSLContext | None, nginx: Nginx) -> None:
        self.server = FaultServer(str(redis.socket_path), tls)
        self.url = self.server.url.replace("127.0.0.1", "localhost")
        self.nginx = nginx
        self.tls = tls is not None
        self.offsets = 8

    def tokens(self, **options: Any) -> RemoteTokens:
        return RemoteTokens(self.nginx, self.url, **options)


@pytest.fixture(scope="session")
def setup_nginx(authority: Authority) -> Iterator[Nginx]:
    http = f"""
      lua_ssl_trusted_certificate {authority.cert};
      lua_ssl_protocols TLSv1.2 TLSv1.3;
    """
    explained = (
        r"(recv|send|SSL_write|SSL_read)\(\) failed (\(SSL: [^)]*\) )?"
        r"\((32: Broken pipe|104: Connection reset by peer)\)",
        "tokenstore: the token was found, but its expiry could not be extended",
    )
    with running_nginx(LOCATION, http=http, explained=explained) as nginx:
        yield nginx


@pytest.fixture(scope="session", params=["plain", "tls"])
def setup(
    request: pytest.FixtureRequest, redis: Server, server_tls: ssl.SSLContext, setup_nginx: Nginx
) -> Iterator[Setup]:
    made = Setup(redis, server_tls if request.param == "tls" else None, setup_nginx)
    with made.server:
        yield made


@pytest.fixture(scope="session")
def direct(redis: Server) -> Iterator[tokenstore.RedisTokens]:
    """Around nginx and the fault server: to prepare things, and to see what truly happened."""
    with tokenstore.Client(redis.url) as client:
        yield tokenstore.RedisTokens(client)
