"""A real cluster for the whole run: three primaries with a replica each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tokenstore
from clusters import Cluster, running_cluster


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Cluster]:
    with running_cluster(replicas=1) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """Emptied for each test."""
    for node in shared_cluster.primaries:
        node("FLUSHALL")
    return shared_cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[tokenstore.Client]:
    with tokenstore.Client(cluster.url, timeout=20) as client:
        yield client


@pytest.fixture
def tokens(client: tokenstore.Client) -> tokenstore.RedisTokens:
    return tokenstore.RedisTokens(client)
