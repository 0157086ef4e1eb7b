"""A real cluster for the whole run: three primaries with a replica each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import tokenstore
from clusters import Cluster, running_cluster


class Shared:
    """The cluster of all tests, and a new one where a test has left it without some of its slots."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._cluster: Cluster | None = None

    def get(self) -> Cluster:
        if self._cluster is None or not becomes_whole(self._cluster):
            self._stack.close()
            self._cluster = self._stack.enter_context(running_cluster(replicas=1))
        return self._cluster


def becomes_whole(cluster: Cluster, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while not all(b"cluster_state:ok" in node("CLUSTER", "INFO") for node in cluster.living):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[Shared]:
    with ExitStack() as stack:
        yield Shared(stack)


@pytest.fixture
def cluster(shared_cluster: Shared) -> Cluster:
    """Emptied for each test."""
    cluster = shared_cluster.get()
    for node in cluster.primaries:
        node("FLUSHALL")
    return cluster


@pytest.fixture
def client(cluster: Cluster) -> Iterator[tokenstore.Client]:
    with tokenstore.Client(cluster.url, timeout=20) as client:
        yield client


@pytest.fixture
def tokens(client: tokenstore.Client) -> tokenstore.RedisTokens:
    return tokenstore.RedisTokens(client)
