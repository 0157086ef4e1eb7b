"""Lifetimes of tokens: sliding expiry, limits, and servers that cannot write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import stored
import tokenstore
from servers import Server, running
from tokenstore import RedisTokens, Token

APP = {"app": "web", "type": "login"}


# ---- get(refresh=) never shortens ------------------------------------------------------------------


def test_a_token_without_expiry_stays_so(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob")
    found = tokens.get(**APP, token=token.token, refresh=100)
    assert found is not None
    assert found.expires_at is None
    assert stored.left(server, token) == -1


@pytest.mark.parametrize("interval", [None, 0, 5])
def test_a_token_that_lives_longer_stays_so(client: tokenstore.Client, server: Server, interval: int | None) -> None:
    tokens = RedisTokens(client, touch_interval=interval)
    token = tokens.create(**APP, owner="bob", duration=1000)
    found = tokens.get(**APP, token=token.token, refresh=100)
    assert found is not None
    assert found.expires_at == pytest.approx(token.expires_at, abs=0.1)
    assert 990_000 < stored.left(server, token) <= 1000_000


def test_refresh_sets_the_end_whatever_it_was(tokens: RedisTokens, server: Server) -> None:
    lasting, long = tokens.create(**APP, owner="bob"), tokens.create(**APP, owner="bob", duration=1000)
    for token in (lasting, long):
        assert tokens.refresh(**APP, token=token.token, duration=100)
        assert 90_000 < stored.left(server, token) <= 100_000


def test_rotate_keeps_the_end_or_sets_it(tokens: RedisTokens, server: Server) -> None:
    lasting, short = tokens.create(**APP, owner="bob"), tokens.create(**APP, owner="bob", duration=100)
    new_lasting, new_short = (tokens.rotate(**APP, token=token.token) for token in (lasting, short))
    assert new_lasting is not None
    assert new_lasting.expires_at is None
    assert stored.left(server, new_lasting) == -1
    assert new_short is not None
    assert new_short.expires_at == pytest.approx(short.expires_at, abs=0.1)
    longer = tokens.rotate(**APP, token=str(new_short.token), duration=1000)
    assert longer is not None
    assert longer.expires_at == pytest.approx(time.time() + 1000, abs=1)


# ---- max_age ---------------------------------------------------------------------------------------


USES: dict[str, tuple[Any, Any]] = {
    "get": (lambda store, t: store.get(**APP, token=t.token), None),
    "get(expiry)": (lambda store, t: store.get(**APP, token=t.token, expiry=True), None),
    "get(refresh)": (lambda store, t: store.get(**APP, token=t.token, refresh=60), None),
    "get_many": (lambda store, t: store.get_many(**APP, tokens=[t.token]), [None]),
    "list": (lambda store, t: store.list(**APP, owner="bob"), []),
    "list(limit)": (lambda store, t: store.list(**APP, owner="bob", limit=3), []),
    "count": (lambda store, t: store.count(**APP, owner="bob"), 0),
    "update": (lambda store, t: store.update(**APP, token=t.token, data={"a": 1}), None),
    "update(refresh)": (lambda store, t: store.update(**APP, token=t.token, refresh=60), None),
    "update(expect)": (lambda store, t: store.update(**APP, token=t.token, expect={"a": 1}), None),
    "get_by_id": (lambda store, t: store.get_by_id(**APP, owner="bob", id=t.id), None),
    "update_by_id": (lambda store, t: store.update_by_id(**APP, owner="bob", id=t.id, data={"a": 1}), None),
    "update_all": (lambda store, t: store.update_all(**APP, owner="bob", data={"a": 1}), 0),
    "refresh": (lambda store, t: store.refresh(**APP, token=t.token, duration=60), False),
    "rotate": (lambda store, t: store.rotate(**APP, token=t.token), None),
    "take": (lambda store, t: store.take(**APP, token=t.token), None),
    "delete": (lambda store, t: store.delete(**APP, token=t.token), False),
    "delete_by_id": (lambda store, t: store.delete_by_id(**APP, owner="bob", id=t.id), False),
}


@pytest.fixture(scope="module")
def aged() -> Iterator[tuple[tokenstore.Client, list[Token]]]:
    """Tokens created more than a second ago by a store without max_age: without expiry, and with an hour."""
    with running() as server, tokenstore.Client(server.url) as client:
        store = RedisTokens(client)
        made = [store.create(**APP, owner="bob", duration=d) for d in (None, 3600) * len(USES)]
        time.sleep(1.1)
        yield client, made


LATE: dict[str, Callable[[RedisTokens, Token], Any]] = {
    "list": lambda tokens, token: next(iter(tokens.list(**APP, owner=token.owner)), None),  # type: ignore[arg-type]
    "rotate": lambda tokens, token: tokens.rotate(**APP, token=token.token),
    "update": lambda tokens, token: tokens.update(**APP, token=token.token, data={"n": 1}) and token,
    "update, a use": lambda tokens, token: tokens.update(**APP, token=token.token, data={"n": 1}, refresh=True),
    "update_all": lambda tokens, token: (
        tokens.update_all(**APP, owner=token.owner, data={"n": time.time()}) and token  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("how", LATE)
def test_a_token_keeps_its_end_in_its_last_millisecond(tokens: RedisTokens, how: str) -> None:
    """In which Redis 8.0 finds the field with HGET, and says with HPEXPIRETIME that there is none."""
    for token in tokens.create_many({**APP, "owner": f"owner {n}", "duration": 1 + n / 200} for n in range(40)):
        assert token.expires_at is not None
        time.sleep(max(0, token.expires_at - time.time() - 0.002))
        last = found = token
        while found:
            last, found = found, LATE[how](tokens, found)
            assert not found or found.expires_at is not None
            assert time.time() < token.expires_at + 10
        assert tokens.get(**APP, token=last.token or token.token, expiry=True) is None


@pytest.mark.parametrize("use", USES)
def test_max_age_holds_for_tokens_made_before_it(aged: tuple[tokenstore.Client, list[Token]], use: str) -> None:
    client, made = aged
    store = RedisTokens(client, max_age=1)
    do, nothing = USES[use]
    at = 2 * list(USES).index(use)
    for token in made[at : at + 2]:  # some uses end it
        assert do(store, token) == nothing


def test_max_age_is_the_end_that_is_shown(client: tokenstore.Client) -> None:
    before = RedisTokens(client)
    store = RedisTokens(client, max_age=100)
    for duration in (None, 3600):
        token = before.create(**APP, owner="bob", duration=duration)
        shown = [
            store.get(**APP, token=token.token, expiry=True),
            store.get(**APP, token=token.token, refresh=3600),
            *[t for t in store.list(**APP, owner="bob") if t.id == token.id],
        ]
        assert len(shown) == 3
        for found in shown:
            assert found is not None
            assert found.expires_at == pytest.approx(token.created_at + 100, abs=0.01)


# ---- servers that cannot write ---------------------------------------------------------------------


@contextmanager
def misconf(server: Server) -> Iterator[None]:
    """The last snapshot failed: its file name is a directory."""
    (server.directory / "dump.rdb").mkdir()
    server("CONFIG", "SET", "save", "3600 1")
    server("BGSAVE")
    until = time.monotonic() + 20
    while b"rdb_last_bgsave_status:err" not in server("INFO", "persistence"):
        assert time.monotonic() < until
        time.sleep(0.01)
    yield


@contextmanager
def after(server: Server, *commands: tuple[str, ...]) -> Iterator[None]:
    for command in commands:
        server(*command)
    yield


NO_WRITES = {
    "NOREPLICAS": lambda s: after(s, ("CONFIG", "SET", "min-replicas-to-write", "1")),
    "READONLY": lambda s: after(s, ("REPLICAOF", "127.0.0.1", "1")),
    "OOM": lambda s: after(s, ("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("CONFIG", "SET", "maxmemory", "1")),
    "NOPERM": lambda s: after(s, ("ACL", "SETUSER", "default", "-@write", "-evalsha", "-eval")),
    "MISCONF": misconf,
}


@pytest.mark.parametrize("interval", [None, 0])
@pytest.mark.parametrize("word", NO_WRITES)
def test_a_live_token_is_given_all_the_same(word: str, interval: int | None) -> None:
    """With its old expiry, at once."""
    with running() as server, tokenstore.Client(server.url, timeout=20) as client:
        store = RedisTokens(client, touch_interval=interval)
        sessions = tokenstore.Sessions(client, touch_interval=interval)
        token = store.create(**APP, owner="bob", data={"a": 1}, duration=60)
        cookie = sessions.create(app="web", owner_id="bob", duration=60)
        with NO_WRITES[word](server):
            began = time.monotonic()
            for _ in range(3):
                found = store.get(**APP, token=token.token, refresh=3600)
                assert found is not None
                assert found.data == {"a": 1}
                assert found.expires_at == pytest.approx(token.expires_at, abs=0.1) or word == "OOM"
                session = sessions.get(app="web", token=cookie, refresh=3600)
                assert session is not None
                assert session.owner_id == "bob"
            assert time.monotonic() - began < 5
            if word != "NOPERM":
                assert len(store.list(**APP, owner="bob")) == 1
                assert store.count(**APP, owner="bob") == 1
            with pytest.raises(tokenstore.Error):
                store.create(**APP, owner="bob") if word != "READONLY" else client.execute("SET", "x", "1")


@pytest.mark.parametrize("word", [word for word in NO_WRITES if word != "NOPERM"])
def test_what_ended_by_another_hand_hinders_no_listing(word: str) -> None:
    """Listing what lives forgets what does not; where it cannot, it lists all the same."""
    with running() as server, tokenstore.Client(server.url, timeout=20) as client:
        jwt = tokenstore.RedisJWT(client, secret="s" * 32, multiple=True)
        store = tokenstore.Tokenstore(client)
        sessions = [jwt.verify(jwt.sign("bob"))["rjwt"] for _ in range(3)]
        live, no_id, no_record, other = (store.add("bob") for _ in range(4))
        server("DEL", sessions[0], f"token:id:{no_id.id}", f"token:key:{no_record.key}")
        server("SET", f"token:id:{other.id}", live.key)  # its key was given to another token
        with NO_WRITES[word](server):
            for _ in range(2):
                assert {session["rjwt"] for session in jwt.list("bob")} == {*sessions[1:]}
                assert jwt.call().get_count_by_pattern("bob") == 2
                assert [token.id for token in store.list("bob")] == [live.id]
        if word == "OOM":  # which lets us delete
            assert server("ZCARD", "rjwt-sessions/bob") == 2
            assert server("SMEMBERS", "token:tokens:bob") == [live.id.encode()]


def test_a_replica_costs_no_connection_for_each_call() -> None:
    """While the server is one, its connections are dropped at most once a second."""
    with running() as server, tokenstore.Client(server.url, pool_size=1) as client:
        store = RedisTokens(client, touch_interval=0)
        token = store.create(**APP, owner="bob", duration=60).token
        first = client.execute("CLIENT", "ID")
        server("REPLICAOF", "127.0.0.1", "1")
        began, ids = time.monotonic(), set()
        for _ in range(50):
            assert store.get(**APP, token=token, refresh=3600) is not None
            ids.add(client.execute("CLIENT", "ID"))
        assert first not in ids
        assert len(ids) <= 1 + (time.monotonic() - began)
