"""Common inputs are accepted directly (a missing cookie, a number or a UUID as an owner), and values convert
to dicts."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

import tokenstore
from tokenstore import (
    Client,
    DataError,
    InvalidTokenError,
    RedisJWT,
    RedisTokens,
    Sessions,
    Tokenstore,
)
from topologies import NODE

SECRET = "0123456789abcdef" * 2
AN_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")


def test_no_token_is_not_found(tokens: RedisTokens) -> None:
    good = tokens.create("web", "login", "bob").token
    assert tokens.get("web", "login", None) is None
    assert tokens.get(app="web", type="login", token=None, refresh=60, expiry=True) is None
    assert tokens.refresh("web", "login", None, 60) is False
    assert tokens.update("web", "login", None, {"a": 1}) is None
    assert tokens.rotate("web", "login", None) is None
    assert tokens.take("web", "login", None) is None
    assert tokens.delete("web", "login", None) is False
    assert tokens.delete_by_id("web", "login", "bob", None) is False
    assert tokens.get_by_id("web", "login", "bob", None) is None
    assert tokens.update_by_id("web", "login", "bob", None, {"a": 1}) is None
    assert tokens.get_many("web", "login", [None]) == [None]
    found = tokens.get_many("web", "login", [None, good, None])
    assert [token is None for token in found] == [True, False, True]


def test_no_session_is_not_found(sessions: Sessions) -> None:
    assert sessions.get("web", None) is None
    assert sessions.get(app="web", token=None, refresh=60) is None
    assert sessions.refresh("web", None, 60) is False
    assert sessions.update("web", None, {"a": 1}) is False
    assert sessions.rotate("web", None) is None
    assert sessions.take("web", None) is None
    assert sessions.kill("web", None) is False
    assert sessions.kill_by_id("web", "bob", None) is False


def test_no_key_is_not_found(client: Client) -> None:
    store = Tokenstore(client, **NODE)
    assert store.get(None) is None
    assert store.get_key(None) is None
    assert store.set(None, {}) is False
    assert store.delete(None) is False
    assert store.delete_key(None) is False
    assert store.get_hash(None) is None
    assert store.take_hash(None) is None
    assert store.del_hash(None) is False


def test_no_jwt_is_not_valid(client: Client) -> None:
    sessions = RedisJWT(client, secret=SECRET)
    no_tokens: list[Any] = [None, 5, True, 1.5, ["x"], {}, bytearray(b"x")]  # possible in a client's JSON
    for token in no_tokens:
        for value_session in (False, True):
            with pytest.raises(InvalidTokenError):
                sessions.verify(token, value_session)
    assert sessions.destroy(None) is False
    helpers = sessions.call()
    assert helpers.exists(None) is False
    assert helpers.ttl(None) == -2
    assert helpers.get_value_by_key(None) is None
    assert helpers.destroy(None) is False


@pytest.mark.parametrize(
    ("name", "text"),
    [(7, "7"), (-7, "-7"), (0, "0"), (2**80, str(2**80)), (AN_ID, str(AN_ID))],
    ids=["int", "negative", "zero", "big", "uuid"],
)
class TestNamesThatAreNoText:
    def test_tokens(self, tokens: RedisTokens, name: Any, text: str) -> None:
        token = tokens.create(app=name, type=name, owner=name)
        assert (token.app, token.type, token.owner) == (text, text, text)
        [more] = tokens.create_many([{"app": name, "type": name, "owner": name}])
        assert tokens.get(text, text, token.token) == tokens.get(name, name, token.token)
        assert [t.id for t in tokens.get_many(name, name, [more.token])] == [more.id]  # type: ignore[union-attr]
        assert len(tokens.list(text, text, text)) == 2
        assert tokens.delete_by_id(name, name, name, more.id)
        assert tokens.delete_all(name, name, name) == 1

    def test_sessions(self, sessions: Sessions, name: Any, text: str) -> None:
        token = sessions.create(app=name, owner_id=name)
        found = sessions.get(text, token)
        assert found is not None
        assert found.owner_id == text
        assert len(sessions.list(name, text)) == 1
        assert sessions.kill_all(text, name)

    def test_node_tokens(self, client: Client, name: Any, text: str) -> None:
        store = Tokenstore(client, **NODE)
        assert store.add(name).owner_id == text
        assert len(store.list(text)) == 1

    def test_redis_jwt(self, client: Client, name: Any, text: str) -> None:
        sessions = RedisJWT(client, secret=SECRET, multiple=True)
        session = sessions.verify(sessions.sign(name))
        assert session["id"] == text
        sessions.create(name)
        assert len(sessions.list(name)) == 2
        assert sessions.destroy_multiple(name) == 2


def test_a_uuid_is_an_id(client: Client) -> None:
    store = Tokenstore(client, **NODE)
    token = store.add("bob")
    assert store.get(uuid.UUID(token.id)) == token
    assert store.set(uuid.UUID(token.id), {"a": 1})
    assert store.delete(uuid.UUID(token.id))


@pytest.mark.parametrize("wrong", [True, False, 1.5, ["bob"], object()])
def test_other_types_are_no_names(tokens: RedisTokens, wrong: Any) -> None:
    for name in ("app", "type", "owner"):
        with pytest.raises(TypeError, match=rf"^{name} must be str, bytes, int or uuid.UUID, not"):
            tokens.create(**{"app": "a", "type": "t", "owner": "o", name: wrong})


def test_a_number_of_too_many_digits(tokens: RedisTokens) -> None:
    for digits in (1025, 6000):  # Python's default limit is 4300
        with pytest.raises(DataError, match="^owner is longer than 1024 bytes$"):
            tokens.create("a", "t", 10**digits)


# ---- options ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ["Client", "RedisTokens", "Sessions", "Tokenstore", "RedisJWT"])
def test_a_wrong_option_names_the_class(cls: str) -> None:
    made = getattr(tokenstore, cls)
    required = {"secret": SECRET} if cls == "RedisJWT" else {}
    with pytest.raises(TypeError, match=f"^{cls} has no option 'colour'$"):
        made(**required, colour=1)
    with pytest.raises(TypeError, match=f"^{cls} has no option 'colour'$"):
        made("redis://localhost", **required, colour=1, timeout=1)


# ---- to_dict -------------------------------------------------------------------------------------------


def test_values_as_dicts(tokens: RedisTokens, sessions: Sessions, client: Client) -> None:
    token = tokens.create("web", "login", "bob", {"role": "admin"}, 60)
    told = token.to_dict()
    assert told == {
        "app": "web",
        "type": "login",
        "owner": "bob",
        "data": {"role": "admin"},
        "id": token.id,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "sid": token.id,
        "idle": None,
        "seen_at": None,
        "request": None,
        "superseded": False,
    }
    assert token.to_dict(secret=True) == told | {"token": token.token}
    assert json.loads(json.dumps(told)) == told

    secret = sessions.create("web", "bob", {"n": 1})
    session = sessions.get("web", secret)
    assert session is not None
    told = session.to_dict()
    assert (told["owner_id"], told["data"]) == ("bob", {"n": 1})
    assert set(told) == {
        *("app", "owner_id", "data", "id", "created_at", "expires_at"),
        *("sid", "idle", "seen_at", "request", "superseded"),
    }
    assert session.to_dict(secret=True)["token"] == secret

    node = Tokenstore(client, **NODE).add("bob", {"n": 1})
    assert node.to_dict() == {"owner_id": "bob", "attrs": {"n": 1}, "id": node.id}
    assert type(node.to_dict(secret=True)) is dict
    assert node.to_dict(secret=True) == dict(node)


def test_ends_as_dicts() -> None:
    end = tokenstore.SessionEnd("del", "bob", "bob:x")
    assert end.to_dict() == {"kind": "del", "id": "bob", "rjwt": "bob:x"}
    assert tokenstore.SessionGap(1.0, 2.0).to_dict() == {"lost_at": 1.0, "restored_at": 2.0, "kind": "gap"}
