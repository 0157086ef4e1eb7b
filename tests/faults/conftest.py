"""Fixtures: one real redis-server for the whole run, and a fault server in front of it, plain and TLS."""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from certs import Authority
from fault_server import FaultServer, record
from operations import LONG, MANY, SOME
from servers import Server

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"
# Tests that wait for deadlines, which TLS does not change.
WAITING = (
    r"^test_(hang|a_server_that_is_(gone_keeps_the_deadline|slow_answers_all_the_same)|an_answer_that_has_begun_is_not_silent"
    r"|one_call_is_slow_and_none_fails|who_did_not_look_for_long_has_lost_nothing|a_server_that_falls_silent)\[tls"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [i for i in items if SOAK or not re.search(f"{LONG}|{WAITING}", i.name) or i.name.endswith(SOME)]


@pytest.fixture(scope="session")
def redis(shared_server: Server) -> Server:
    return shared_server


@pytest.fixture(autouse=True)
def empty(redis: Server) -> None:
    """The duration of KEYS and SCAN must not depend on previous tests."""
    redis("FLUSHALL")


class Setup:
    """A fault server and the options to reach it."""

    def __init__(self, redis: Server, tls: ssl.SSLContext | None, ca: Path | None) -> None:
        self.server = FaultServer(str(redis.socket_path), tls)
        self.options = {} if ca is None else {"ca": str(ca)}
        self.tls = tls is not None
        self.greeting = (record,)  # a new connection's greeting: a separate exchange
        # Number of offsets at which a fault is tried. With TLS each costs a handshake, for the same bytes; asyncio has
        # the same parser.
        self.offsets = 12 if self.tls or "blocking_shim" in sys.modules else MANY
        self.slack = 0.1 if self.tls else 0.05  # tolerance of deadlines
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            self.slack += 0.3  # slow with large blocks

    def client(self, **options: object) -> tokenstore.Client:
        return tokenstore.Client(self.server.url, **{**self.options, **options})

    def tokens(self, **options: object) -> tokenstore.RedisTokens:
        return tokenstore.RedisTokens(self.server.url, **{**self.options, **options})


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
