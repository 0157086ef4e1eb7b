"""Rotation with a grace against itself, everything that ends a token, and reuse: never two live successors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tokenstore
from tokenstore import RedisTokens, TokenReusedError

# A process with a watching thread forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

A = {"app": "a", "type": "t"}


@pytest.fixture
def revoking(client: tokenstore.Client) -> RedisTokens:
    return RedisTokens(client, reuse="revoke")


CALLS: list[Callable[[RedisTokens, str], Any]] = [
    lambda s, token: s.get(**A, token=token),
    lambda s, token: s.get(**A, token=token, refresh=60, expiry=True),
    lambda s, token: s.refresh(**A, token=token, duration=60),
    lambda s, token: s.update(**A, token=token, data={"a": 1}),
    lambda s, token: s.rotate(**A, token=token),
    lambda s, token: s.rotate(**A, token=token, grace=30, owner="bob"),
    lambda s, token: s.take(**A, token=token),
    lambda s, token: s.delete(**A, token=token),
]


def turn(store: RedisTokens, token: str, **more: Any) -> str:
    new = store.rotate(**A, token=token, **more)
    assert new is not None
    assert new.token is not None
    return new.token


@pytest.mark.parametrize("call", CALLS)
def test_within_its_grace_a_token_is_not_reused(
    revoking: RedisTokens, call: Callable[[RedisTokens, str], Any]
) -> None:
    """What it leads to was rotated at once, without a grace: it finds nothing, and the session lives."""
    old = str(revoking.create(**A, owner="bob", duration=1000).token)
    second = turn(revoking, old, grace=30)
    last = turn(revoking, second)
    assert not call(revoking, old)
    assert revoking.get_many(**A, tokens=[old]) == [None]
    assert revoking.get(**A, token=last) is not None
    with pytest.raises(TokenReusedError):
        call(revoking, second)
    assert revoking.get(**A, token=last) is None
