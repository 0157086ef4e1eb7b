"""Stores with reuse="revoke": a rotated token that is presented after its grace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import stored
import tokenstore
from rotating import BOB, KIND, find, make, turn
from servers import Server
from tokenstore import RedisTokens, TokenReusedError


@pytest.fixture
def revoking(client: tokenstore.Client) -> RedisTokens:
    return RedisTokens(client, reuse="revoke")


def test_a_reused_token_ends_its_family(revoking: RedisTokens, server: Server) -> None:
    stolen = make(revoking)
    bystander = make(revoking)
    second = turn(revoking, stolen, grace=30)
    third = turn(revoking, second, grace=30)
    assert find(revoking, stolen) is not None  # within the grace
    stored.end_grace(server, stolen)
    with pytest.raises(TokenReusedError, match="rotated before") as caught:
        find(revoking, stolen)
    assert (caught.value.owner, caught.value.sid) == ("bob", stolen.id)
    assert isinstance(caught.value, tokenstore.InvalidTokenError)
    assert find(revoking, third) is None
    assert find(revoking, bystander) is not None
    assert [t.id for t in revoking.list(**BOB)] == [bystander.id]
    assert second.token not in str(caught.value)
    assert stolen.token not in str(caught.value)
    # The next one that presents it, too.
    with pytest.raises(TokenReusedError):
        find(revoking, stolen)


CALLS: list[Callable[[RedisTokens, str], Any]] = [
    lambda s, token: s.get(**KIND, token=token),
    lambda s, token: s.get(**KIND, token=token, refresh=60, expiry=True),
    lambda s, token: s.refresh(**KIND, token=token, duration=60),
    lambda s, token: s.update(**KIND, token=token, data={"a": 1}),
    lambda s, token: s.update(**KIND, token=token, data={"a": 1}, refresh=60),
    lambda s, token: s.rotate(**KIND, token=token),
    lambda s, token: s.rotate(**KIND, token=token, grace=30, owner="bob"),
    lambda s, token: s.take(**KIND, token=token),
    lambda s, token: s.delete(**KIND, token=token),
]


@pytest.mark.parametrize("call", CALLS)
def test_each_operation_detects_reuse(
    revoking: RedisTokens, tokens: RedisTokens, call: Callable[[RedisTokens, str], Any]
) -> None:
    old = make(revoking)
    new = turn(revoking, old)
    assert not call(tokens, old.token)  # a store that ignores it
    assert find(tokens, new) is not None
    with pytest.raises(TokenReusedError):
        call(revoking, old.token)
    assert find(revoking, new) is None


def test_get_many_detects_reuse(revoking: RedisTokens) -> None:
    old, fine = make(revoking), make(revoking)
    new = turn(revoking, old)
    assert revoking.get_many(**KIND, tokens=[old.token, fine.token]) == [None, find(revoking, fine)]
    assert find(revoking, new) is None


def test_an_anonymous_family(revoking: RedisTokens) -> None:
    guest = make(revoking, owner=None)
    second = turn(revoking, guest)
    with pytest.raises(TokenReusedError) as caught:
        find(revoking, guest)
    assert (caught.value.owner, caught.value.sid) == (None, guest.id)
    assert find(revoking, second) is None


def test_reuse_is_known_for_the_window(client: tokenstore.Client, server: Server) -> None:
    brief = RedisTokens(client, reuse="revoke", reuse_window=50)
    old = make(brief, duration=200)
    new = turn(brief, old)
    (tombstone,) = stored.left_of(server, old)
    key, _ = stored.place_of(server, new)
    record = server("HGET", key, tombstone)
    end = stored.own_end(server, key, tombstone)
    if record[13:14] == b"e":
        end = 0
        for digit in record[14:21].decode():
            end = end * 64 + stored.B64.index(digit)
    seconds, _ = server("TIME")
    assert 45_000 < end - int(seconds) * 1000 <= 51_000
    server("HDEL", key, tombstone)
    assert find(brief, old) is None
    assert find(brief, new) is not None


def test_a_tombstone_lives_no_longer_than_the_token(
    client: tokenstore.Client, server: Server
) -> None:
    store = RedisTokens(client, reuse="revoke")
    old = make(store, duration=1)
    new = turn(store, old)
    stored.wait_for_end(server, new)
    assert find(store, old) is None


def test_reuse_window_needs_reuse(client: tokenstore.Client) -> None:
    with pytest.raises(tokenstore.ConfigurationError, match="reuse_window needs reuse='revoke'"):
        RedisTokens(client, reuse_window=60)
    with pytest.raises(tokenstore.ConfigurationError, match="reuse must be 'ignore' or 'revoke'"):
        RedisTokens(client, reuse="error")  # type: ignore[arg-type]
    with pytest.raises(tokenstore.ConfigurationError, match="reuse_window must be"):
        RedisTokens(client, reuse="revoke", reuse_window=0.5)
