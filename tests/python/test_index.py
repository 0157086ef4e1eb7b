"""An owner's index on the server: it drops expired tokens, and ends with its last record."""

from __future__ import annotations

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisTokens, Token

BOB = {"app": "web", "type": "login", "owner": "bob"}


def index_of(server: Server) -> bytes:
    """The key of the only index."""
    (key,) = [key for key in server.keys() if server("TYPE", key) == "zset"]
    return key


def record_of(server: Server, token: Token) -> bytes:
    (key,) = [key for key in server.keys() if token.id.encode() in key]
    return key


def vanish(server: Server, *tokens: Token) -> None:
    """Like expiry or eviction: the records are gone, the index is unchanged."""
    for token in tokens:
        assert server("DEL", record_of(server, token)) == 1


def seconds_left(server: Server) -> float:
    return int(server("PTTL", index_of(server))) / 1000


def test_list_forgets_the_dead(tokens: RedisTokens, server: Server) -> None:
    dead, alive, also_dead = (tokens.create(**BOB, duration=60) for _ in range(3))
    vanish(server, dead, also_dead)
    assert server("ZCARD", index_of(server)) == 3
    assert [token.id for token in tokens.list(**BOB)] == [alive.id]
    assert server("ZRANGE", index_of(server), 0, -1) == [alive.id.encode()]


def test_list_leaves_out_what_cannot_be_read(
    tokens: RedisTokens, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (tokens.create(**BOB, duration=60) for _ in range(2))
    key = record_of(server, bad)
    server("SET", key, server("GET", key)[:-1], "KEEPTTL")
    assert [token.id for token in tokens.list(**BOB)] == [good.id]
    (line,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "tokens: 1" in line
    assert bad.id in line
    with pytest.raises(tokenstore.DataError, match=f"the token {bad.id} .*delete_all"):
        tokens.list(**BOB, limit=1, after=good.id)
    assert tokens.delete_all(**BOB) == 2
    assert server.keys() == []


def test_a_list_of_the_dead_leaves_nothing(tokens: RedisTokens, server: Server) -> None:
    vanish(server, *(tokens.create(**BOB, duration=60) for _ in range(2)))
    assert tokens.list(**BOB) == []
    assert server.keys() == []


def test_a_cap_counts_the_living(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, max_per_owner=2)
    alive = tokens.create(**BOB, duration=60)
    dead = tokens.create(**BOB, duration=60)
    vanish(server, dead)
    new = tokens.create(**BOB, duration=60)
    assert server("ZCARD", index_of(server)) == 2
    assert {token.id for token in tokens.list(**BOB)} == {alive.id, new.id}


def test_create_forgets_the_expired(tokens: RedisTokens, server: Server) -> None:
    dead = tokens.create(**BOB, duration=60)
    vanish(server, dead)
    server("ZADD", index_of(server), 1, dead.id)  # expired in 1970
    new = tokens.create(**BOB, duration=120)
    assert server("ZRANGE", index_of(server), 0, -1) == [new.id.encode()]


def test_it_lives_as_long_as_its_last_record(tokens: RedisTokens, server: Server) -> None:
    tokens.create(**BOB, duration=100)
    assert 99 < seconds_left(server) <= 102
    longer = tokens.create(**BOB, duration=1000)
    assert 999 < seconds_left(server) <= 1002
    tokens.create(**BOB, duration=100)
    assert 999 < seconds_left(server) <= 1002
    assert tokens.delete("web", "login", longer.token)
    assert 99 < seconds_left(server) <= 102


def test_it_stays_for_a_record_that_stays(tokens: RedisTokens, server: Server) -> None:
    tokens.create(**BOB, duration=100)
    forever = tokens.create(**BOB)
    assert server("PTTL", index_of(server)) == -1
    tokens.create(**BOB, duration=1000)
    assert server("PTTL", index_of(server)) == -1
    assert tokens.delete_by_id(**BOB, id=forever.id)
    assert 999 < seconds_left(server) <= 1002


@pytest.mark.parametrize("how", ["refresh", "rotate"])
def test_it_follows_a_record_that_is_moved(tokens: RedisTokens, server: Server, how: str) -> None:
    token = tokens.create(**BOB, duration=100)
    for duration in (1000, 10):
        if how == "refresh":
            assert tokens.refresh("web", "login", token.token, duration)
        else:
            moved = tokens.rotate("web", "login", token.token, duration)
            assert moved is not None
            token = moved
        assert duration - 1 < seconds_left(server) <= duration + 2
    assert server("ZRANGE", index_of(server), 0, -1) == [token.id.encode()]


def test_the_last_one_takes_it_along(tokens: RedisTokens, server: Server) -> None:
    first, second = (tokens.create(**BOB, duration=60) for _ in range(2))
    assert tokens.delete("web", "login", first.token)
    assert server("ZCARD", index_of(server)) == 1
    assert tokens.delete("web", "login", second.token)
    assert server.keys() == []
