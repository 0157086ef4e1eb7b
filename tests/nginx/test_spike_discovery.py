"""Spike in nginx: an issuer's metadata. The tests of the other languages, unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callers import Caller, InLua
from nginx_lua import nginx_lua
from test_discovery import *  # noqa: F403
from test_discovery import ALONE, OIDC, A, Endpoint, paths
from test_spike import redis  # noqa: F401


@pytest.fixture
def call() -> Iterator[Caller]:
    with nginx_lua() as lua:
        yield InLua(lua)


def test_the_worker_has_no_need_of_it_afterwards(call: Caller, server: Endpoint) -> None:
    """A thread reads the metadata for all requests of the worker."""
    call.discover(server.url, **ALONE)
    for audience in (A, A + "/1", A + "/2", A + "/3"):
        assert call.get(audience=audience)
    call.close()
    assert paths(server).count(OIDC) <= 4  # at most once per thread of the pool
