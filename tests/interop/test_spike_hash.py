"""The HASH with Spike's tokens, and a Node program with ioredis: both read the other's tokens, and neither
requests new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import authorization
from authorization import CLIENT_ID, CLIENT_SECRET, Provider, provider
from node import MISSING, Node, is_there, node
from ours import Ours
from servers import Server

pytestmark = pytest.mark.skipif(
    not is_there("ioredis") or not authorization.node_is_there(), reason=MISSING
)

A, B = "https://api.example/a", "https://api.example/b"
HASH = "spike-tokens-for-clientId-" + CLIENT_ID


@pytest.fixture(scope="module")
def server_of_tokens() -> Iterator[Provider]:
    with provider() as running:
        yield running


@pytest.fixture(scope="module")
def ioredis(shared_server: Server) -> Iterator[Node]:
    with node("ioredis", shared_server) as process:
        yield process


def test_both_share_the_hash(
    server: Server, server_of_tokens: Provider, ioredis: Node, make_ours: Callable[..., Ours]
) -> None:
    def spike() -> Ours:
        return make_ours(
            "Spike",
            url=server_of_tokens.url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            jwks_url=server_of_tokens.jwks_url,
        )

    asked = len(server_of_tokens.issued)
    tokens = {audience: spike()("get_token", audience) for audience in (A, B)}
    assert len(server_of_tokens.issued) == asked + 2
    assert ioredis("hget", HASH, A) == tokens[A]
    assert ioredis("hgetall", HASH) == tokens

    server("FLUSHALL")
    ioredis("hset", HASH, A, tokens[A])
    assert spike()("get_token", A) == tokens[A]
    assert len(server_of_tokens.issued) == asked + 2
