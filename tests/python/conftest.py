"""Fixtures: one server for the whole run, emptied for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import tokenstore
from servers import Server, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("TOKENSTORE_SOAK") == "1":
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow: TOKENSTORE_SOAK=1 runs it"))


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    shared_server("FLUSHALL")
    return shared_server


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
