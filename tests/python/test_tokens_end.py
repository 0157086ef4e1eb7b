"""delete, delete_by_id, delete_all, take and list of RedisTokens."""

from __future__ import annotations

import time

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import RedisTokens

APP = {"app": "web", "type": "login"}


def test_delete(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob")
    other = tokens.create(**APP, owner="bob")
    assert tokens.delete(**APP, token=token.token) is True
    assert tokens.delete(**APP, token=token.token) is False
    assert tokens.get(**APP, token=token.token) is None
    assert tokens.get(**APP, token=other.token) is not None
    assert tokens.delete(**APP, token=other.token) is True
    assert stored.keys(server) == []


def test_take(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", data={"next": "/cart"}, duration=1000)
    other = tokens.create(**APP, owner="bob")
    end = stored.end_of(server, token)
    taken = tokens.take(**APP, token=token.token)
    assert taken is not None
    assert taken.to_dict(secret=True) == token.to_dict(secret=True)
    assert taken.expires_at == pytest.approx(end / 1000, abs=0.001)
    assert tokens.take(**APP, token=token.token) is None
    assert tokens.get(**APP, token=token.token) is None
    assert tokens.take(**APP, token=other.token) is not None
    assert stored.keys(server) == []
    assert tokens.take(**APP, token=None) is None
    assert tokens.take(**APP, token="no such token") is None


def test_take_of_a_custom_token(tokens: RedisTokens, server: Server) -> None:
    for data in ({"n": 1}, {"n": 2}):
        tokens.create(**APP, owner="bob", data=data, custom_token="1234")
        taken = tokens.take(**APP, token="1234")
        assert taken is not None
        assert (taken.token, taken.data) == ("1234", data)
        assert tokens.take(**APP, token="1234") is None
        assert stored.keys(server) == []


def test_take_of_what_is_no_record(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob")
    stored.replace(server, token, b"nonsense")
    with pytest.raises(tokenstore.DataError, match="not a tokenstore record"):
        tokens.take(**APP, token=token.token)
    assert stored.record_of(server, token) == b"nonsense"  # it is left alone


def test_delete_all_counts_and_spares_the_others(tokens: RedisTokens, server: Server) -> None:
    bobs = [tokens.create(**APP, owner="bob") for _ in range(5)]
    spared = [
        tokens.create(**APP, owner="bobby"),
        tokens.create(**APP, owner="bo"),
        tokens.create(**APP, owner="*"),
        tokens.create(app="web", type="other", owner="bob"),
        tokens.create(app="other", type="login", owner="bob"),
    ]
    assert tokens.delete_all(**APP, owner="b*") == 0
    assert tokens.delete_all(**APP, owner="bob") == 5
    assert tokens.delete_all(**APP, owner="bob") == 0
    assert all(tokens.get(**APP, token=t.token) is None for t in bobs)
    assert all(tokens.get(t.app, t.type, t.token) is not None for t in spared)


def test_delete_all_leaves_nothing(tokens: RedisTokens, server: Server) -> None:
    for n in range(50):
        tokens.create(**APP, owner="bob", duration=60 + n)
    assert tokens.delete_all(**APP, owner="bob") == 50
    assert stored.keys(server) == []


@pytest.mark.parametrize("duration", [None, 1000])
@pytest.mark.parametrize("custom", [None, "my token", "A" * 22])
@pytest.mark.parametrize("by", ["token", "id"])
def test_delete_all_but_one(
    tokens: RedisTokens, server: Server, duration: int | None, custom: str | None, by: str
) -> None:
    tokens.create(**APP, owner="bob", duration=5000)
    kept = tokens.create(**APP, owner="bob", data={"n": 1}, duration=duration, custom_token=custom)
    others = [tokens.create(**APP, owner="bob", duration=n or None) for n in range(0, 90, 3)]
    eve = tokens.create(**APP, owner="eve")
    end = stored.end_of(server, kept)
    assert tokens.delete_all(**APP, owner="bob", keep=getattr(kept, by)) == 31
    assert tokens.delete_all(**APP, owner="bob", keep=getattr(kept, by)) == 0
    assert tokens.get_many(**APP, tokens=[t.token for t in others]) == [None] * 30
    found = tokens.get(**APP, token=kept.token)
    assert found is not None
    assert (found.data, found.created_at) == ({"n": 1}, kept.created_at)
    assert stored.end_of(server, kept) == end
    key, _ = stored.place_of(server, kept)
    if stored.own_end(server, key, kept.id) < 0 < end:  # a server that cannot end a field
        assert 0 < server("PTTL", key) <= 1_001_000
    else:
        assert server("PTTL", key) == -1
    assert [t.id for t in tokens.list(**APP, owner="bob")] == [kept.id]
    assert tokens.get(**APP, token=eve.token) is not None


def test_delete_all_but_what_is_not_live_spares_none(tokens: RedisTokens, server: Server) -> None:
    eve = tokens.create(**APP, owner="eve")
    dead = tokens.create(**APP, owner="bob")
    tokens.delete(**APP, token=dead.token)
    broken = tokens.create(**APP, owner="eve")
    stored.replace(server, broken, b"nonsense")
    for keep in (eve.token, eve.id, dead.token, dead.id, "nonsense", "", b"\0", "x" * 2000, "*" * 22):
        tokens.create(**APP, owner="bob")
        assert tokens.delete_all(**APP, owner="bob", keep=keep) == 1
    assert tokens.get(**APP, token=eve.token) is not None
    assert tokens.delete_all(**APP, owner="eve", keep=broken.id) == 2
    assert stored.keys(server) == []


def test_delete_all_but_one_beyond_max_age(tokens: RedisTokens) -> None:
    kept = tokens.create(**APP, owner="bob")
    young = RedisTokens(tokens.client, max_age=1)
    time.sleep(1.05)
    assert young.delete_all(**APP, owner="bob", keep=kept.token) == 0
    assert tokens.get(**APP, token=kept.token) is None


def test_list_is_newest_first_without_secrets(tokens: RedisTokens) -> None:
    made = [
        tokens.create(**APP, owner="bob", data={"n": n}, duration=60 if n % 2 else None)
        for n in range(10)
    ]
    listed = tokens.list(**APP, owner="bob")
    assert [t.data["n"] for t in listed] == list(range(9, -1, -1))
    assert [t.id for t in listed] == [t.id for t in reversed(made)]
    assert all(t.token is None for t in listed)
    assert [t.expires_at is None for t in listed] == [t.expires_at is None for t in reversed(made)]
    assert tokens.list(**APP, owner="nobody") == []


def test_delete_by_id(tokens: RedisTokens) -> None:
    token = tokens.create(**APP, owner="bob")
    custom = tokens.create(**APP, owner="bob", custom_token="c")
    listed = tokens.list(**APP, owner="bob")
    assert {t.id for t in listed} == {token.id, custom.id}
    assert tokens.delete_by_id(**APP, owner="eve", id=token.id) is False
    assert tokens.delete_by_id(**APP, owner="eve", id=custom.id) is False
    assert tokens.delete_by_id(**APP, owner="bob", id=token.id) is True
    assert tokens.delete_by_id(**APP, owner="bob", id=token.id) is False
    assert tokens.get(**APP, token=token.token) is None
    assert tokens.delete_by_id(**APP, owner="bob", id=custom.id) is True
    assert tokens.get(**APP, token="c") is None
    assert tokens.list(**APP, owner="bob") == []
