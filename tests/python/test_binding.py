"""rotate(owner=) where the anonymous token and its owner's hash are in different slots of a cluster."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tokenstore
from rotating import BOB, KIND, find, make, turn
from servers import Server
from tokenstore import RedisTokens, Token


@pytest.mark.parametrize("reuse", ["ignore", "revoke"])
def test_binding_across_slots(slots: Server, reuse: Any) -> None:
    with RedisTokens(slots.url, reuse=reuse, prefix=reuse) as tokens:
        guest = make(tokens, owner=None, request={"address": "::1"}, idle=50)
        mine = turn(tokens, guest, owner="bob", data={"role": None, "user": 1}, grace=30, duration=70)
        assert (mine.owner, mine.data, mine.sid, mine.idle) == ("bob", {"user": 1}, guest.id, 50)
        assert mine.created_at > guest.created_at
        assert [t.id for t in tokens.list(**BOB)] == [mine.id]
        assert find(tokens, guest) is None
        assert find(tokens, mine) == tokens.get(**KIND, token=mine.token)
        assert tokens.rotate(**KIND, token=guest.token, owner="bob") is None
        with pytest.raises(tokenstore.DataError, match="another owner"):
            tokens.rotate(**KIND, token=make(tokens, owner="eve").token, owner="bob")


@pytest.mark.parametrize("duration", [None, 60])
def test_max_age_counts_from_the_login_across_slots(slots: Server, duration: int | None) -> None:
    with RedisTokens(slots.url, prefix="day") as tokens:
        guest = make(tokens, owner=None, duration=duration)
    time.sleep(0.3)
    with RedisTokens(slots.url, prefix="day", max_age=50) as tokens:
        mine = turn(tokens, guest, owner="bob")
        assert mine.expires_at is not None
        assert mine.expires_at - mine.created_at == pytest.approx(50, abs=0.1)


def test_binding_across_slots_loses_no_update(slots: Server) -> None:
    """A change that was made between its steps is in the new token, or was not made."""
    with RedisTokens(slots.url, prefix="updates") as tokens, ThreadPoolExecutor(2) as pool:

        def count(guest: Token) -> int:
            made = 0
            while tokens.update(**KIND, token=guest.token, data={"n": made + 1}) is not None:
                made += 1
            return made

        for _ in range(30):
            guest = make(tokens, owner=None, data={"n": 0})
            counting = pool.submit(count, guest)
            while tokens.get(**KIND, token=guest.token).data["n"] == 0:  # type: ignore[union-attr]
                pass
            try:
                mine = turn(tokens, guest, owner="bob")
            except tokenstore.ConflictError:
                assert tokens.delete(**KIND, token=guest.token)
                mine = None
            made = counting.result()
            found = tokens.list(**BOB)
            assert [one.data["n"] for one in found] == ([made] if mine else [])
            tokens.delete_all(**BOB)


def test_binding_across_slots_races_a_logout(slots: Server) -> None:
    """Either the logout ends the session, or it finds it bound; a token of the owner never stays behind it."""
    with RedisTokens(slots.url, prefix="race") as tokens, ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            guest = make(tokens, owner=None)
            binding = pool.submit(tokens.rotate, **KIND, token=guest.token, owner="bob", grace=30)
            ended = pool.submit(tokens.delete, **KIND, token=guest.token).result()
            mine = binding.result()
            assert ended == (mine is None)
            assert find(tokens, guest) is None
            assert tokens.delete_all(**BOB) == int(mine is not None)
