"""An owner's hash as it stands in the server: it forgets what has ended, and goes with its last record."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import RedisTokens, Token

APP = {"app": "web", "type": "login"}
BOB = {**APP, "owner": "bob"}


def fields(server: Server) -> set[str]:
    (key,) = stored.hashes(server)
    return {field.decode() for field in server("HKEYS", key)}


def key_left(server: Server) -> float:
    """Seconds that the hash has left, but for the one after its last record; -1: it goes with its last field."""
    (key,) = stored.hashes(server)
    left = int(server("PTTL", key))
    return left if left < 0 else left / 1000 - 1


def ends_fields(server: Server) -> bool:
    try:
        server("HPTTL", "none", "FIELDS", 1, "x")
    except Exception:
        return False
    return True


def end(server: Server, *tokens: Token) -> None:
    """Waits for the end of tokens of one duration."""
    stored.wait_for_end(server, tokens[-1])


def test_one_owner_is_one_hash(tokens: RedisTokens, server: Server) -> None:
    made = [tokens.create(**BOB, duration=60) for _ in range(3)]
    tokens.create("web", "login", "amy")
    assert len(stored.hashes(server)) == 2
    assert {stored.place_of(server, token)[0] for token in made} == {stored.place_of(server, made[0])[0]}


def test_what_has_ended_leaves_with_new_ones(tokens: RedisTokens, server: Server) -> None:
    """At the latest with every fourth field."""
    alive = []
    for count in range(1, 6):
        owner = {**APP, "owner": f"bob with {count}"}
        dead = [tokens.create(**owner, duration=1) for _ in range(count)]
        alive.append(tokens.create(**owner, duration=60))
    end(server, *dead)
    for token in alive:
        owner = {**APP, "owner": token.owner}
        assert [found.id for found in tokens.list(**owner)] == [token.id]
        assert tokens.count(**owner) == 1
        ids = {token.id} | {tokens.create(**owner, duration=60).id for _ in range(4)}
        key, _ = stored.place_of(server, token)
        assert {field.decode() for field in server("HKEYS", key)} == ids


def test_list_leaves_out_what_cannot_be_read(
    tokens: RedisTokens, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = (tokens.create(**BOB, duration=60) for _ in range(2))
    stored.replace(server, bad, stored.record_of(server, bad)[:-1])
    assert [token.id for token in tokens.list(**BOB)] == [good.id]
    (line,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "tokens: 1" in line
    assert bad.id in line
    with pytest.raises(tokenstore.DataError, match=f"the token {bad.id} .*delete_all"):
        tokens.list(**BOB, limit=1, after=good.id)
    assert tokens.delete_all(**BOB) == 2
    assert stored.keys(server) == []


def test_a_cap_counts_the_living(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, max_per_owner=2)
    alive = tokens.create(**BOB, duration=60)
    end(server, tokens.create(**BOB, duration=1))
    new = tokens.create(**BOB, duration=60)
    assert fields(server) == {alive.id, new.id}


def test_it_lives_as_long_as_its_last_record(tokens: RedisTokens, server: Server) -> None:
    if ends_fields(server):
        pytest.skip("the fields have their own ends here")
    tokens.create(**BOB, duration=100)
    assert 99 < key_left(server) <= 100
    longer = tokens.create(**BOB, duration=1000)
    assert 999 < key_left(server) <= 1000
    tokens.create(**BOB, duration=100)
    assert 999 < key_left(server) <= 1000
    assert tokens.delete("web", "login", longer.token)
    assert 999 < key_left(server) <= 1000
    for _ in range(2):
        tokens.create(**BOB, duration=100)
    assert 99 < key_left(server) <= 100  # the fourth one looked


def test_it_stays_for_a_record_that_stays(tokens: RedisTokens, server: Server) -> None:
    tokens.create(**BOB, duration=100)
    forever = tokens.create(**BOB)
    assert key_left(server) == -1
    tokens.create(**BOB, duration=1000)
    assert key_left(server) == -1
    assert tokens.delete_by_id(**BOB, id=forever.id)
    assert key_left(server) == -1 if ends_fields(server) else 999 < key_left(server) <= 1000


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
        assert duration - 1 < stored.left(server, token) / 1000 <= duration
        if not ends_fields(server):
            assert duration - 1 < key_left(server) <= 1000
    assert fields(server) == {token.id}


def test_the_last_one_takes_it_along(tokens: RedisTokens, server: Server) -> None:
    first, second = (tokens.create(**BOB, duration=60) for _ in range(2))
    assert tokens.delete("web", "login", first.token)
    assert fields(server) == {second.id}
    assert tokens.delete("web", "login", second.token)
    assert stored.keys(server) == []


def test_many_dead_leave_by_and_by(tokens: RedisTokens, server: Server) -> None:
    """Where the server cannot end fields, every fourth creation drops those that have ended of 32."""
    tokens.create_many({**BOB, "duration": 1} for _ in range(400))
    time.sleep(1.1)
    for _ in range(200):
        tokens.create(**BOB, duration=60)
    assert len(fields(server)) <= 200 + 40
    assert tokens.count(**BOB) == 200


# ---- an upgrade of the server --------------------------------------------------------------------------


def make_old(server: Server, token: Token) -> None:
    """As a server wrote it that could not end fields: with a stamp, and an end of the hash."""
    key, field = stored.place_of(server, token)
    ends, record = stored.end_of(server, token), stored.record_of(server, token)
    stamp = "".join(stored.B64[ends >> 6 * place & 63] for place in range(6, -1, -1))
    server("HSET", key, field, record[:13] + b"e" + stamp.encode() + record[13:])
    server("PEXPIREAT", key, ends)


def test_a_hash_from_before_an_upgrade_is_turned_over(tokens: RedisTokens, server: Server) -> None:
    if not ends_fields(server):
        pytest.skip("this server cannot end fields")
    old, dying = tokens.create(**BOB, duration=60), tokens.create(**BOB, duration=1)
    for token in (old, dying):
        make_old(server, token)
    server("PEXPIREAT", stored.hashes(server)[0], stored.end_of(server, old))
    found = tokens.get("web", "login", old.token, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(old.expires_at, abs=0.002)
    time.sleep(1.1)
    assert tokens.get("web", "login", dying.token) is None
    longer = tokens.create(**BOB, duration=1000)
    assert fields(server) == {old.id, longer.id}
    assert key_left(server) == -1
    assert stored.record_of(server, old)[13:14] == b'"'  # no stamp any more
    assert 0 < stored.left(server, old) <= 60000


def test_what_ended_before_an_upgrade_is_not_updated(tokens: RedisTokens, server: Server) -> None:
    if not ends_fields(server):
        pytest.skip("this server cannot end fields")
    token = tokens.create(**BOB, duration=1)
    tokens.create(**BOB, duration=60)
    make_old(server, token)
    server("PERSIST", stored.hashes(server)[0])
    assert tokens.update(**APP, token=token.token, data={"a": 1})
    assert stored.end_of(server, token) == round((token.expires_at or 0) * 1000)
    time.sleep(1.1)
    assert tokens.update(**APP, token=token.token, data={"a": 2}) is None


# Each lets a token live longer than its owner's hash was to.
WRITES: dict[str, Callable[[RedisTokens, Token], Any]] = {
    "create by script": lambda tokens, token: tokens.create(**APP, owner=token.owner, custom_token="c", duration=600),
    "create a lasting one": lambda tokens, token: tokens.create(**APP, owner=token.owner),
    "get": lambda tokens, token: tokens.get(**APP, token=token.token, refresh=600),
    "refresh": lambda tokens, token: tokens.refresh(**APP, token=token.token, duration=600) and token,
    "rotate": lambda tokens, token: tokens.rotate(**APP, token=token.token, duration=600),
    "update": lambda tokens, token: tokens.update(**APP, token=token.token, data={"a": 1}, refresh=600),
    "create": lambda tokens, token: tokens.create(**APP, owner=token.owner, duration=600),
}


@pytest.mark.parametrize("how", WRITES)
def test_each_write_turns_it_over(tokens: RedisTokens, server: Server, how: str) -> None:
    if not ends_fields(server):
        pytest.skip("this server cannot end fields")
    one, other = (tokens.create(**BOB, duration=60) for _ in range(2))
    for token in (one, other):
        make_old(server, token)
    written = WRITES[how](tokens, one)
    assert written is not None
    assert key_left(server) == -1
    for token in (written, other):
        assert stored.record_of(server, token)[13:14] != b"e"
    assert 59 < stored.left(server, other) / 1000 <= 60


def test_a_hash_of_many_goes_with_them_however_they_are_moved(tokens: RedisTokens, server: Server) -> None:
    if ends_fields(server):
        pytest.skip("the fields have their own ends here")
    made = tokens.create_many([{**BOB, "duration": 100}] * 40)
    for duration in (50, 1000):
        assert tokens.refresh(**APP, token=made[0].token, duration=duration)
        assert max(duration, 100) - 1 < key_left(server) <= max(duration, 100)


@pytest.mark.parametrize("duration", [100, None])
def test_update_keeps_the_end_without_hsetex(tokens: RedisTokens, server: Server, duration: int | None) -> None:
    """As on Redis 7.4, which ends fields, and has no command that sets one and keeps its end."""
    if not ends_fields(server):
        pytest.skip("this server cannot end fields")
    token = tokens.create(**BOB, duration=duration)
    server("ACL", "SETUSER", "late", "on", ">pw", "~*", "&*", "+@all", "-hsetex")
    try:
        with RedisTokens(server.url.replace("://", "://late:pw@")) as theirs:
            assert theirs.update(**APP, token=token.token, data={"a": 1})
    finally:
        server("ACL", "DELUSER", "late")
    found = tokens.get(**APP, token=token.token, expiry=True)
    assert found is not None
    assert found.data["a"] == 1
    assert found.expires_at == token.expires_at


def test_one_who_takes_the_server_for_an_old_one_keeps_all_ends(tokens: RedisTokens, server: Server) -> None:
    if not ends_fields(server):
        pytest.skip("this server cannot end fields")
    late = ("ACL", "SETUSER", "late", "on", ">pw", "~*", "&*", "+@all")
    server(*late, "-hsetex", "-hpttl", "-hpexpiretime")
    try:
        with RedisTokens(server.url.replace("://", "://late:pw@")) as theirs:
            stamped = theirs.create(**BOB, duration=60)
            assert stored.record_of(server, stamped)[13:14] == b"e"
            native = [tokens.create(**BOB, duration=100) for _ in range(2)]
            ends = {token.id: token.expires_at for token in (stamped, *native)}
            server(*late)
            assert {token.id: token.expires_at for token in theirs.list(**BOB)} == ends
            server(*late, "-hsetex", "-hpttl", "-hpexpiretime")
            assert theirs.count(**BOB) == 3  # it forgets again
            server(*late)
            assert theirs.delete_all(**BOB, keep=native[0].id) == 2
            assert stored.end_of(server, native[0]) == round((native[0].expires_at or 0) * 1000)
            assert key_left(server) == -1
    finally:
        server("ACL", "DELUSER", "late")
