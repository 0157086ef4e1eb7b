"""Keys of redis-tokens and @spots-tech/sessions become our tokens: none lost, none revived.

tests/interop uses the real package; here the keys are written directly, so that changes between reading and
moving can be arranged."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

import stored
import tokenstore
from servers import Server, running
from tokenstore import _core, migrate
from tokenstore.values import Token

DOC = Path(__file__).resolve().parents[2] / "docs/how-to/migrating.md"
GONE, MOVED, MOVED_AGAIN, CHANGED, TAKEN = range(5)


def old_key(app: str = "web", type: str = "login", owner: str = "bob", token: str = "secret") -> str:
    return f"app:{app}|type:{type}|owner:{owner}|token:{token}"


def dump(server: Server) -> dict[bytes, tuple[bytes, int]]:
    return {key: (server("DUMP", key), server.expires_at(key)) for key in server.keys()}


def test_redis_tokens(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), '{"role": "admin", "n": [1, 2.50, {}], "e": [], "u": "\\u00e9"}', "EX", 100)
    server("SET", old_key(token="lasting"), "{}")
    report = migrate.redis_tokens(tokens.client)
    assert (report.moved, report.odd_count, report.complete) == (2, 0, True)
    token = tokens.get("web", "login", "secret", expiry=True)
    assert token is not None
    assert token.expires_at is not None
    assert (token.owner, token.data) == ("bob", {"role": "admin", "n": [1, 2.5, {}], "e": [], "u": "é"})
    assert 99 <= token.expires_at - time.time() <= 100
    lasting = tokens.get("web", "login", "lasting", expiry=True)
    assert lasting is not None
    assert lasting.expires_at is None
    assert {t.id for t in tokens.list("web", "login", "bob")} == {token.id, lasting.id}
    assert not [key for key in server.keys() if key.startswith(b"app:")]
    assert tokens.delete_all("web", "login", "bob") == 2


def test_spots_sessions(server: Server, sessions: tokenstore.Sessions) -> None:
    server("SET", "app:web|token:secret|ownerId:bob", '{"cart":["book"]}', "EX", 100)
    server("SET", old_key(), "{}")
    assert migrate.spots_sessions(sessions.client).moved == 1
    session = sessions.get("web", "secret", expiry=True)
    assert session is not None
    assert session.expires_at is not None
    assert (session.owner_id, session.data) == ("bob", {"cart": ["book"]})
    assert 99 <= session.expires_at - time.time() <= 100
    assert sessions.kill_all("web", "bob")
    assert server("EXISTS", old_key()) == 1  # of the other format


def test_a_token_that_looks_like_ours(server: Server, tokens: tokenstore.RedisTokens) -> None:
    """Its tag is not its owner's, so the record contains the owner's tag."""
    for n in range(20):
        server("SET", old_key(token=f"0ab{n:x}rest"), '{"a":1}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 20
    for n in range(20):
        token = tokens.get("web", "login", f"0ab{n:x}rest")
        assert token is not None
        assert tokens.update("web", "login", f"0ab{n:x}rest", {"b": 2}) is not None
    assert tokens.rotate("web", "login", "0ab0rest") is not None
    assert tokens.delete_all("web", "login", "bob") == 20


def test_names_of_every_kind(server: Server, tokens: tokenstore.RedisTokens) -> None:
    names = ["a b", "*", "[x]", "a:b", "é", 'q"q', "back\\slash", "{t}", "new\nline", "type:", "x" * 1024]
    for name in names:
        server("SET", old_key(name, name, name, name), "{}")
    server("SET", b"app:a|type:t|owner:\xff|token:\xfe", "{}")
    assert migrate.redis_tokens(tokens.client).moved == len(names) + 1
    for name in names:
        token = tokens.get(name, name, name)
        assert token is not None
        assert token.owner == name
    assert tokens.get("a", "t", b"\xfe") is not None


FOREIGN = [
    '{"n":281674916028284930,"m":-9007199254740993}',
    '{"n":1e400,"m":[]}',
    '{"n":"\\u0000","\\u0000":1}',
    '{"n":"\\ud800","\\udc00":{"\\ud800":[1, 2]}}',
    ' { "n" : ' + "[" * 500 + "1" + "]" * 500 + ' , "a b" : "c  \\" d" } ',
    '{"n":1,"n":2}',
    '{"n":1,"\\u006d":18446744073709551616,"m/\\/":[{},[]]}',
]


@pytest.mark.parametrize("value", FOREIGN)
def test_what_another_writer_stored_is_moved_exactly(
    server: Server, tokens: tokenstore.RedisTokens, value: str
) -> None:
    server("SET", old_key(app="a", type="t", owner="bob", token="x" * 171), value)
    report = migrate.redis_tokens(tokens.client)
    assert (report.moved, report.odd) == (1, [])
    names = {"app": "a", "type": "t"}
    (listed,) = tokens.list(**names, owner="bob")
    expected = json.loads(value)
    assert listed.data == expected
    found = tokens.get(**names, token="x" * 171)
    assert found is not None
    assert found.data == expected
    updated = tokens.update(**names, token="x" * 171, data={"n": "new", "m": None})
    assert updated is not None
    expected.pop("m", None)
    assert updated.data == {**expected, "n": "new"}
    rotated = tokens.rotate(**names, token="x" * 171)
    assert rotated is not None
    assert rotated.data == updated.data


def test_odd_keys_are_reported_and_left(server: Server, tokens: tokenstore.RedisTokens) -> None:
    odd = {
        old_key(token="s3cret|token:more"): "its name is ambiguous",
        old_key(owner="x|owner:y", token="s3cret"): "its name is ambiguous",
        old_key(token="s3cret|ownerId:more"): "its name is ambiguous",
        "app:a|owner:b|type:t|owner:o|token:s3cret": "its name is ambiguous",
        old_key(app="", token="s3cret"): "app is empty",
        old_key(owner="", token="s3cret"): "owner is empty",
        old_key(token=""): "token is empty",
        old_key(owner="x" * 1025, token="s3cret"): "owner is longer than 1024 bytes",
    }
    for key in odd:
        server("SET", key, '{"private":1}', "EX", 1000)
    bad = {
        "[1]": "the data is not an object",
        '"private"': "the data is not an object",
        "null": "the data is not an object",
        '{"private":': None,
        "": None,
        '{"private":1' + "0" * 4300 + "}": None,
        '{"n":9007199254740993,"private":1,"priv\\u0061te":1}': None,
        '{"private":' + "[" * 512 + "]" * 512 + "}": None,
        '{"private":9007199254740993,"x":"' + "x" * 65536 + '"}': None,
        '{"private":"' + "x" * 65536 + '"}': None,
    }
    for number, value in enumerate(bad):
        server("SET", old_key(token=f"s3cret{number}"), value, "EX", 1000)
    server("HSET", old_key(token="s3cret-hash"), "a", "b")
    server("SET", old_key(token="good"), "{}")
    before = dump(server)
    report = migrate.redis_tokens(tokens.client)
    assert report.moved == 1
    assert report.odd_count == len(report.odd) == len(odd) + len(bad) + 1
    reasons = [found.reason for found in report.odd]
    for reason in [*odd.values(), *bad.values(), "not a string: it belongs to another program"]:
        assert reason is None or reason in reasons
    assert not re.search("s3cret|private", repr(report))
    after = dump(server)
    assert {k: v for k, v in after.items() if k.startswith(b"app:")} == {
        k: v for k, v in before.items() if k != old_key(token="good").encode()
    }
    # A second run changes nothing.
    again = migrate.redis_tokens(tokens.client)
    assert (again.moved, again.odd_count) == (0, report.odd_count)
    assert dump(server) == after


def test_a_dry_run_writes_nothing(server: Server, tokens: tokenstore.RedisTokens) -> None:
    for n in range(30):
        server("SET", old_key(token=f"t{n}"), "{}", "EX", 1000)
    server("SET", old_key(token="odd"), "[]")
    before = dump(server)
    report = migrate.redis_tokens(tokens.client, dry_run=True, batch=7)
    assert (report.moved, report.odd_count, report.passes, report.complete) == (30, 1, 1, True)
    assert dump(server) == before


def test_prefix_and_pepper_are_the_stores(server: Server, client: tokenstore.Client) -> None:
    server("SET", old_key(), "{}")
    options: Any = {"prefix": "other", "pepper": "p" * 32}
    assert migrate.redis_tokens(client, **options).moved == 1
    assert tokenstore.RedisTokens(client, prefix="other").get("web", "login", "secret") is None
    assert tokenstore.RedisTokens(client, **options).get("web", "login", "secret") is not None


def test_it_goes_on_where_it_was_interrupted(server: Server, tokens: tokenstore.RedisTokens) -> None:
    for n in range(100):
        server("SET", old_key(token=f"t{n}"), f'{{"n":{n}}}', "EX", 1000)

    class InterruptedHereError(Exception):
        pass

    def interrupt(report: migrate.Report) -> None:
        raise InterruptedHereError

    for _ in range(3):
        with pytest.raises(InterruptedHereError):
            migrate.redis_tokens(tokens.client, batch=10, progress=interrupt)
    moved = 100 - len([key for key in server.keys() if key.startswith(b"app:")])
    assert moved >= 30
    assert migrate.redis_tokens(tokens.client, batch=10).moved == 100 - moved
    found = tokens.get_many("web", "login", [f"t{n}" for n in range(100)])
    assert [token.data["n"] for token in found if token is not None] == [*range(100)]


def test_arguments(client: tokenstore.Client) -> None:
    with pytest.raises(ValueError, match="redis-tokens, spots-sessions"):
        migrate.run("other", client)
    for batch in (0, 10_001):
        with pytest.raises(ValueError, match="batch"):
            migrate.redis_tokens(client, batch=batch)
    with pytest.raises(TypeError, match="batch"):
        migrate.redis_tokens(client, batch=1.5)


# ---- changes between reading and moving ---------------------------------------------------------------


class Move:
    """A key that was read; `run` moves it."""

    def __init__(self, client: tokenstore.Client, value: str = '{"a":1}') -> None:
        self.client = client
        self.store = _core.redis_tokens(Token)
        self.value = value.encode()

    def run(self) -> int:
        item = (old_key().encode(), self.value, b"web", b"login", b"bob", b"secret", False)
        op, problems = _core.move(self.store.store, [item])
        assert problems == [None]
        (outcome,) = self.client._core.run(op)
        return outcome


def test_a_key_deleted_meanwhile_stays_deleted(server: Server, tokens: tokenstore.RedisTokens) -> None:
    assert Move(tokens.client).run() == GONE
    assert server.keys() == []


def test_a_value_written_meanwhile_is_not_lost(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), '{"a":2}')
    assert Move(tokens.client).run() == CHANGED
    assert server.keys() == [old_key().encode()]
    server("DEL", old_key())
    server("HSET", old_key(), "a", "b")
    assert Move(tokens.client).run() == CHANGED
    assert server.keys() == [old_key().encode()]


def test_the_time_left_is_that_of_the_move(server: Server, tokens: tokenstore.RedisTokens) -> None:
    move = Move(tokens.client)
    server("SET", old_key(), '{"a":1}', "EX", 10)
    server("EXPIRE", old_key(), 1000)
    assert move.run() == MOVED
    token = tokens.get("web", "login", "secret", expiry=True)
    assert token is not None
    assert token.expires_at is not None
    assert 999 <= token.expires_at - time.time() <= 1000


def test_sent_twice_it_is_moved_once(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), '{"a":1}', "EX", 100)
    assert Move(tokens.client).run() == MOVED
    before = dump(server)
    assert Move(tokens.client).run() == MOVED
    assert dump(server) == before


def test_a_token_that_is_here_already_stays(server: Server, tokens: tokenstore.RedisTokens) -> None:
    tokens.create("web", "login", "ann", {"ours": 1}, custom_token="secret")
    server("SET", old_key(), '{"a":1}', "EX", 100)
    before = dump(server)
    assert Move(tokens.client).run() == TAKEN
    assert dump(server) == before
    report = migrate.redis_tokens(tokens.client)
    assert (report.moved, report.odd[0].reason) == (0, "this store already has a token of that name")


def test_a_late_update_is_taken_over(server: Server, tokens: tokenstore.RedisTokens) -> None:
    """The old program read the key before it was moved and wrote it after, which creates a key without an
    expiry."""
    server("SET", old_key(), '{"a":1}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 1
    server("SET", old_key(), '{"a":1,"late":true}', "KEEPTTL")
    report = migrate.redis_tokens(tokens.client)
    assert (report.moved, report.updated, report.odd_count) == (0, 1, 0)
    token = tokens.get("web", "login", "secret", expiry=True)
    assert token is not None
    assert token.expires_at is not None
    assert token.data == {"a": 1, "late": True}
    assert 98 <= token.expires_at - time.time() <= 100
    assert [t.id for t in tokens.list("web", "login", "bob")] == [token.id]
    assert server("EXISTS", old_key()) == 0


def test_a_late_update_brings_nothing_back(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), '{"a":1}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 1
    assert tokens.delete("web", "login", "secret")
    server("SET", old_key(), '{"a":1,"late":true}', "KEEPTTL")
    report = migrate.redis_tokens(tokens.client)
    assert (report.moved, report.updated, report.gone, report.odd_count) == (0, 0, 1, 0)
    assert tokens.get("web", "login", "secret") is None
    assert stored.keys(server) == [b"ts:moved"]


RANDOM = "A" * 171  # as long as generated tokens of redis-tokens


def test_a_late_update_and_a_refresh_are_taken_over(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    for token in (RANDOM, "chosen"):
        server("SET", old_key(token=token), '{"a":1}', "EX", 100)
        assert migrate.redis_tokens(tokens.client).moved == 1
        server("SET", old_key(token=token), '{"a":2}', "EX", 500)
        report = migrate.redis_tokens(tokens.client)
        assert (report.moved, report.updated, report.odd_count) == (0, 1, 0)
        (found,) = tokens.list("web", "login", "bob")
        assert found.data == {"a": 2}
        assert found.expires_at is not None
        assert 498 <= found.expires_at - time.time() <= 500
        assert tokens.delete("web", "login", token)


def test_a_late_update_and_a_refresh_bring_nothing_back(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    server("SET", old_key(token=RANDOM), '{"a":1}', "EX", 100)
    server("SET", f"app:web|token:{RANDOM[:43]}|ownerId:bob", '{"a":1}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 1
    assert migrate.spots_sessions(tokens.client).moved == 1
    assert tokens.delete("web", "login", RANDOM)
    assert tokens.delete("web", "session", RANDOM[:43])
    server("SET", old_key(token=RANDOM), '{"a":2}', "EX", 500)
    server("SET", f"app:web|token:{RANDOM[:43]}|ownerId:bob", '{"a":2}', "EX", 500)
    for run in (migrate.redis_tokens, migrate.spots_sessions):
        report = run(tokens.client)
        assert (report.moved, report.gone, report.odd_count) == (0, 1, 0)
    assert stored.keys(server) == [b"ts:moved"]


def test_another_owners_key_is_no_late_update(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), '{"a":1}')
    assert migrate.redis_tokens(tokens.client).moved == 1
    server("SET", old_key(owner="mallory"), '{"a":2}')
    assert migrate.redis_tokens(tokens.client).odd_count == 1
    token = tokens.get("web", "login", "secret")
    assert token is not None
    assert (token.owner, token.data) == ("bob", {"a": 1})


def test_a_new_key_of_the_same_name_is_no_late_update(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    """Unlike update, create sets an expiry: a custom token was created again."""
    server("SET", old_key(), '{"a":1}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 1
    assert tokens.delete("web", "login", "secret")
    server("SET", old_key(), '{"a":2}', "EX", 100)
    assert migrate.redis_tokens(tokens.client).moved == 1
    token = tokens.get("web", "login", "secret")
    assert token is not None
    assert token.data == {"a": 2}


def test_moves_are_remembered_for_ten_minutes(server: Server, tokens: tokenstore.RedisTokens) -> None:
    server("SET", old_key(), "{}")
    migrate.redis_tokens(tokens.client)
    assert 599 <= server("TTL", "ts:moved") <= 601
    now = server("TIME")[0]
    (mark,) = server("ZRANGE", "ts:moved", 0, -1)
    server("ZADD", "ts:moved", int(now) - 601, mark)
    server("SET", old_key(token="second"), "{}")
    migrate.redis_tokens(tokens.client)
    assert mark not in server("ZRANGE", "ts:moved", 0, -1)
    assert server("ZCARD", "ts:moved") == 1


# ---- the ACL of docs/how-to/migrating.md ---------------------------------------------------------------------


def test_the_printed_acl_is_enough_and_the_least() -> None:
    (line,) = re.findall(r"<!-- acl: .*?-->\s*```\s*\n(.*)\n", DOC.read_text(encoding="utf-8"))
    rule = line.replace("PASSWORD", "secret").split()
    assert rule[:3] == ["ACL", "SETUSER", "migration"]
    idle = []
    with running(transport="tcp") as server:
        url = f"redis://migration:secret@127.0.0.1:{server.port}"
        for word in ["", *(w for w in rule if w.startswith("+"))]:
            server("FLUSHALL")
            server("SCRIPT", "FLUSH")
            server("ACL", "DELUSER", "migration")
            server(*[w for w in rule if w != word])
            server("SET", old_key(), "{}", "EX", 100)
            server("SET", old_key(token="lasting"), "{}")
            try:
                report = migrate.redis_tokens(url)
                server("SET", old_key(), '{"late":1}', "EX", 200)
                report.updated = migrate.redis_tokens(url).updated
            except tokenstore.ServerError as error:
                assert word, error
            else:
                assert (report.moved, report.updated) == (2, 1)
                idle.append(word)
    # TIME and PERSIST are needed only by some keys or servers.
    assert set(idle) <= {"", "+eval", "+time", "+persist"}
