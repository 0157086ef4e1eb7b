"""Fixtures: consoles on a real server, of both kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokenstore
from asking import Asker, Consoles
from servers import Server


@pytest.fixture(params=["wsgi", "asgi"])
def make(request: pytest.FixtureRequest, server: Server) -> Iterator[Consoles]:
    """``make(actor=…)``: a console, to be asked."""
    consoles = Consoles(server.url, is_async=request.param == "asgi")
    yield consoles
    consoles.close()


@pytest.fixture
def ask(make: Consoles) -> Asker:
    return make()


@pytest.fixture
def tokens(server: Server) -> Iterator[tokenstore.RedisTokens]:
    """What the tests prepare and look with."""
    with tokenstore.RedisTokens(server.url) as tokens:
        yield tokens
