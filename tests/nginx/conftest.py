"""Fixtures: one real redis-server for the whole run; a fault server in front of it, plain and TLS, and an
nginx that uses that."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from certs import Authority
from fault_server import FaultServer
from nginx_server import MISSING, Nginx
from nginx_server import running as running_nginx
from operations import LONG, SOME
from remote import LOCATION, RemoteTokens
from servers import Server

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"
# They wait for deadlines, which TLS does not change.
WAITING = (
    r"^test_(one_call_is_slow_and_none_fails|a_server_that_is_slow_answers_all_the_same"
    r"|an_answer_that_has_begun_is_not_silent)\[tls"
)


def is_repeated(item: pytest.Item) -> bool:
    """A test of tests/spike for one language of several: here they are all nginx."""
    return getattr(item, "callspec", None) is not None and item.callspec.params.get("call", "python") != "python"  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [i for i in items if SOAK or not re.search(rf"\[tls-|{LONG}", i.name) or i.name.endswith(SOME)]
    items[:] = [i for i in items if SOAK or not re.search(WAITING, i.name)]
    items[:] = [item for item in items if not is_repeated(item)]
    for item in items:
        if MISSING is not None and item.path.name != "test_module.py":
            item.add_marker(pytest.mark.skip(reason=MISSING))


@pytest.fixture(scope="session")
def redis(shared_server: Server) -> Server:
    return shared_server


class Setup:
    """A fault server, and an nginx that uses it. test_faults.py runs the tests of tests/faults with it."""

    def __init__(self, redis: Server, tls: ssl.SSLContext | None, nginx: Nginx) -> None:
        self.server = FaultServer(str(redis.socket_path), tls)
        self.url = self.server.url.replace("127.0.0.1", "localhost")
        self.nginx = nginx
        self.tls = tls is not None
        self.greeting = ()  # sent together with the request
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
