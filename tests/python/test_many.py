"""create_many and get_many."""

from __future__ import annotations

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import RedisTokens

APP = {"app": "web", "type": "login"}


def test_create_many_and_get_many_keep_order(tokens: RedisTokens) -> None:
    made = tokens.create_many(
        [{**APP, "owner": f"o{n % 7}", "data": {"n": n}, "duration": 60} for n in range(100)]
    )
    assert [t.data["n"] for t in made] == list(range(100))
    assert len({t.token for t in made}) == 100
    secrets = [t.token for t in made]
    secrets[10:10] = ["no such token", "", "x" * 1025]
    found = tokens.get_many(**APP, tokens=secrets)
    assert [None if t is None else t.data["n"] for t in found] == [
        *range(10),
        None,
        None,
        None,
        *range(10, 100),
    ]
    assert len(tokens.list(**APP, owner="o3")) == 14


def test_delete_all_of_very_many_does_not_look_at_each(tokens: RedisTokens, server: Server) -> None:
    one = {"app": "web", "type": "login", "owner": "bob", "data": {}, "duration": 60}
    for _ in range(11):
        tokens.create_many([one] * 1000)
    last = tokens.create_many([one])[0]
    assert tokens.rotate("web", "login", last.token, grace=30) is not None
    server("CONFIG", "RESETSTAT")
    assert tokens.delete_all("web", "login", "bob") == 11_002  # with what the rotation left
    assert b"cmdstat_hgetall" not in server("INFO", "commandstats")
    assert tokens.count("web", "login", "bob") == 0


def test_delete_all_of_thousands(tokens: RedisTokens, server: Server) -> None:
    """More than one call in a script can handle."""
    made = tokens.create_many({**APP, "owner": "bob"} for _ in range(2501))
    assert len(tokens.list(**APP, owner="bob")) == 2501
    assert tokens.delete_all(**APP, owner="bob") == len(made)
    assert stored.keys(server) == []


def test_create_many_with_custom_tokens(tokens: RedisTokens, server: Server) -> None:
    made = tokens.create_many([{**APP, "owner": "bob", "custom_token": t} for t in ("a", "b")])
    assert [t.token for t in made] == ["a", "b"]
    with pytest.raises(tokenstore.DataError):
        tokens.create_many([{**APP, "owner": "eve"}, {**APP, "owner": "eve", "custom_token": "b"}])
    assert tokens.list(**APP, owner="eve") == []
    assert len(tokens.list(**APP, owner="bob")) == 2


def test_what_could_not_be_created_is_free_at_once(tokens: RedisTokens, server: Server) -> None:
    free = {**APP, "owner": "eve", "custom_token": "free"}
    tokens.create(**APP, owner="bob", custom_token="taken")
    stored_keys = stored.keys(server)
    with pytest.raises(tokenstore.DataError, match="in use"):
        tokens.create_many([free, {**APP, "owner": "eve", "custom_token": "taken"}])
    assert stored.keys(server) == stored_keys
    assert tokens.create(**free).token == "free"


def test_many_of_none(tokens: RedisTokens) -> None:
    assert tokens.create_many([]) == []
    assert tokens.get_many(**APP, tokens=[]) == []


def test_many_take_any_iterable(tokens: RedisTokens) -> None:
    made = tokens.create_many({**APP, "owner": "bob"} for _ in range(3))
    assert len([t for t in tokens.get_many(**APP, tokens=(t.token for t in made)) if t]) == 3


def test_many_refuse_the_whole_call(tokens: RedisTokens, server: Server) -> None:
    good = {**APP, "owner": "bob"}
    with pytest.raises(tokenstore.DataError, match="owner"):
        tokens.create_many([good, {**APP, "owner": ""}])
    with pytest.raises(TypeError):
        tokens.create_many([good, {"app": "web"}])
    with pytest.raises(TypeError):
        tokens.create_many([{**good, "colour": "red"}])
    with pytest.raises(TypeError):
        tokens.get_many(**APP, tokens="one")
    with pytest.raises(TypeError):
        tokens.get_many(**APP, tokens=["one", 1])
    assert server.keys() == []
