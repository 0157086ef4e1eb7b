"""Fixtures: one server for the whole run, emptied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokenstore
from servers import Server


@pytest.fixture
def client(server: Server) -> Iterator[tokenstore.Client]:
    with tokenstore.Client(server.url) as client:
        yield client


@pytest.fixture
def tokens(client: tokenstore.Client) -> tokenstore.RedisTokens:
    return tokenstore.RedisTokens(client)


@pytest.fixture
def sessions(client: tokenstore.Client) -> tokenstore.Sessions:
    return tokenstore.Sessions(client)
