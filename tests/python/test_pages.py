"""An owner's tokens in pages, and their number."""

from __future__ import annotations

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import RedisTokens, Sessions, Token

APP = {"app": "web", "type": "login"}


def make(tokens: RedisTokens, count: int, **more: object) -> list[Token]:
    """Tokens and their ids in the order of a listing: newest first."""
    return [tokens.create(**APP, owner="bob", **more) for _ in range(count)][::-1]  # type: ignore[arg-type]


def pages(tokens: RedisTokens, limit: int) -> list[list[Token]]:
    found = [tokens.list(**APP, owner="bob", limit=limit)]
    while found[-1]:
        found.append(tokens.list(**APP, owner="bob", limit=limit, after=found[-1][-1].id))
    return found[:-1]


@pytest.mark.parametrize("limit", [1, 2, 7, 20, 21, 1_000_000])
def test_pages_are_the_listing_in_pieces(tokens: RedisTokens, limit: int) -> None:
    made = make(tokens, 20, duration=60)
    whole = tokens.list(**APP, owner="bob")
    assert [t.id for t in whole] == [t.id for t in made]
    found = pages(tokens, limit)
    assert [len(page) for page in found] == [limit] * (20 // limit) + [20 % limit] * (20 % limit > 0)
    together = [t for page in found for t in page]
    assert [t.id for t in together] == [t.id for t in whole]
    for one, again in zip(together, whole):
        assert one.expires_at == pytest.approx(again.expires_at, abs=0.01)
    assert [t.id for t in tokens.list(**APP, owner="bob", after=whole[4].id)] == [t.id for t in whole[5:]]
    assert tokens.count(**APP, owner="bob") == 20


def test_custom_tokens_are_among_them(tokens: RedisTokens) -> None:
    for i in range(9):
        tokens.create(**APP, owner="bob", custom_token=f"custom {i}")
        tokens.create(**APP, owner="bob")
    whole = tokens.list(**APP, owner="bob")
    assert [t.id for page in pages(tokens, 4) for t in page] == [t.id for t in whole]
    assert len(whole) == 18


def test_tokens_made_meanwhile_move_no_page(tokens: RedisTokens) -> None:
    whole = make(tokens, 12)
    seen: list[str] = []
    after = None
    while page := tokens.list(**APP, owner="bob", limit=5, after=after):
        seen += [t.id for t in page]
        after = page[-1].id
        make(tokens, 3)
    assert seen == [t.id for t in whole]


def test_tokens_that_end_meanwhile(tokens: RedisTokens) -> None:
    whole = make(tokens, 10)
    page = tokens.list(**APP, owner="bob", limit=4)
    for token in (whole[1], whole[5]):
        assert tokens.delete(**APP, token=token.token)
    rest = tokens.list(**APP, owner="bob", limit=4, after=page[-1].id)
    assert [t.id for t in rest] == [whole[i].id for i in (4, 6, 7, 8)]
    assert tokens.count(**APP, owner="bob") == 8
    assert tokens.delete(**APP, token=whole[3].token)
    with pytest.raises(tokenstore.DataError, match="after: no live token of this owner has this id"):
        tokens.list(**APP, owner="bob", limit=4, after=page[-1].id)


def test_an_id_of_another_owner(tokens: RedisTokens) -> None:
    other = tokens.create(**APP, owner="alice")
    make(tokens, 2)
    with pytest.raises(tokenstore.DataError, match="after"):
        tokens.list(**APP, owner="bob", after=other.id)


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, 2**70, -(2**70)])
def test_limits_that_are_none(tokens: RedisTokens, limit: int) -> None:
    with pytest.raises(tokenstore.DataError, match="limit must be 1 to 1000000"):
        tokens.list(**APP, owner="bob", limit=limit)


@pytest.mark.parametrize("limit", ["5", 5.0, True])
def test_limits_of_another_type(tokens: RedisTokens, limit: object) -> None:
    with pytest.raises(TypeError, match="limit must be int"):
        tokens.list(**APP, owner="bob", limit=limit)  # type: ignore[arg-type]


def test_nobody_and_nothing(tokens: RedisTokens, server: Server) -> None:
    assert tokens.list(**APP, owner="nobody", limit=5) == []
    assert tokens.count(**APP, owner="nobody") == 0
    make(tokens, 1, duration=60)
    for key in stored.hashes(server):
        server("DEL", key)  # as eviction does
    assert tokens.count(**APP, owner="bob") == 0
    assert tokens.list(**APP, owner="bob", limit=5) == []


def test_sessions(sessions: Sessions) -> None:
    made = [sessions.create(app="web", owner_id="bob", duration=60) for _ in range(5)]
    first = sessions.list(app="web", owner_id="bob", limit=2)
    rest = sessions.list(app="web", owner_id="bob", after=first[-1].id)
    assert len(first) == 2
    assert len(rest) == 3
    assert sessions.count(app="web", owner_id="bob") == 5
    assert sessions.kill(app="web", token=made[0])
    assert sessions.count(app="web", owner_id="bob") == 4


def test_a_listing_that_is_too_large_in_one(server: Server) -> None:
    with tokenstore.Client(server.url, max_reply_size=1 << 20) as client:
        tokens = RedisTokens(client)
        whole = make(tokens, 40, data={"filler": "x" * 60_000})
        with pytest.raises(tokenstore.LimitError, match="pass limit and after to list"):
            tokens.list(**APP, owner="bob")
        assert [t.id for page in pages(tokens, 10) for t in page] == [t.id for t in whole]
        assert tokens.count(**APP, owner="bob") == 40
