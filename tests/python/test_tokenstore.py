"""Tokenstore: the Node package's behaviour row by row (docs/reference/tokenstore.md), stored form, limits."""

from __future__ import annotations

import json
import re
import string
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import Server
from tokenstore import NodeToken, Tokenstore
from topologies import NODE, TOKEN, tagged

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(client: tokenstore.Client) -> Tokenstore:
    return Tokenstore(client, **NODE)


def found(token: NodeToken | None) -> NodeToken:
    assert token is not None
    return token


# ---- the rows of docs/reference/tokenstore.md ------------------------------------------------------------------


def test_reset(store: Tokenstore, server: Server) -> None:
    for n in range(5):
        store.add(f"o{n}")
    assert store.reset() == 5
    assert store.reset() == 0
    assert server.keys() == []


def test_get_not_found(store: Tokenstore) -> None:
    assert store.get("012345678901234567890123") is None
    assert store.get_key("012345678901234567890123") is None


def test_add(store: Tokenstore) -> None:
    token = store.add("testowner", {"foo": "bar"})
    assert set(token) == {"owner_id", "attrs", "key", "id"}
    assert (token.owner_id, token.attrs) == ("testowner", {"foo": "bar"})
    assert len(token.key) == 24
    assert set(token.key) <= set(string.ascii_letters + string.digits)
    assert uuid.UUID(token.id).version == 4
    assert uuid.UUID(token.id).variant == uuid.RFC_4122
    assert str(uuid.UUID(token.id)) == token.id


def test_get_by_id(store: Tokenstore) -> None:
    token = store.add("testowner", {"foo": "bar"})
    assert store.get(token.id) == token


def test_get_by_key(store: Tokenstore) -> None:
    token = store.add("testowner", {"foo": "bar"})
    assert store.get_key(token.key) == token
    assert store.getKey(token.key) == token


def test_set_attrs(store: Tokenstore) -> None:
    token = store.add("testowner", {"foo": "bar"})
    assert store.set(token.id, {"foo": "bar", "baz": "quxx"}) is True
    assert store.set_attrs(token.id, {"a": 1}) is True
    assert store.setAttrs(token.id, {"a": 1, "b": 2}) is True


def test_get_changed_attrs(store: Tokenstore) -> None:
    token = store.add("testowner", {"foo": "bar"})
    store.set(token.id, {"foo": "bar", "baz": "quxx"})
    assert found(store.get(token.id)).attrs == {"foo": "bar", "baz": "quxx"}
    changed = found(store.get_key(token.key))
    assert {**token, "attrs": changed.attrs} == changed


def test_set_attrs_not_found(store: Tokenstore, server: Server) -> None:
    assert store.set("nobody", {"a": 1}) is False
    assert server.keys() == []


def test_add_forced_key(store: Tokenstore) -> None:
    token = store.add("testowner", {"ping": "pong"}, key="forced678901234567890123")
    assert token.key == "forced678901234567890123"
    assert store.get_key("forced678901234567890123") == token


def test_add_forced_key_length(store: Tokenstore, server: Server) -> None:
    for key in ("short", "x" * 23, "x" * 25, "é" * 12):
        with pytest.raises(tokenstore.DataError, match="key must be 24 characters long"):
            store.add("o", key=key)
    assert server.keys() == []
    # Counted as JavaScript does: in UTF-16.
    for key in ("é" * 24, "€" * 24, "\U0001f600" * 12):
        assert store.add("o", key=key).key == key
        assert found(store.get_key(key)).key == key


def test_add_forced_key_in_use(store: Tokenstore, server: Server) -> None:
    token = store.add("bob", {"a": 1}, key="x" * 24)
    before = server.keys()
    with pytest.raises(tokenstore.DataError, match="already in use"):
        store.add("eve", {"a": 2}, key="x" * 24)
    assert server.keys() == before
    assert store.get_key("x" * 24) == token


def test_owner_list(store: Tokenstore) -> None:
    tokens = [store.add("testowner", {"n": n}) for n in range(2)]
    store.add("testowner2")
    listed = store.list("testowner")
    assert sorted(listed, key=lambda t: t.attrs["n"]) == tokens


def test_owner_list_empty(store: Tokenstore) -> None:
    assert store.list("nobody") == []


def test_owner_list_dead_ids(store: Tokenstore, server: Server) -> None:
    live = store.add("bob", {"n": 1})
    expired = [store.add("bob", duration=1000) for _ in range(3)]
    for token in expired[:2]:  # as if they had expired
        server("DEL", f"{TOKEN}:key:{token.key}", f"{TOKEN}:id:{token.id}")
    server("DEL", f"{TOKEN}:key:{expired[2].key}")  # one of its two keys
    assert server("SCARD", f"{TOKEN}:tokens:bob") == 4
    assert store.list("bob") == [live]
    assert server("SMEMBERS", f"{TOKEN}:tokens:bob") == [live.id.encode()]
    assert server("EXISTS", f"{TOKEN}:id:{expired[2].id}") == 0


def test_del_by_id(store: Tokenstore, server: Server) -> None:
    token, other = store.add("o"), store.add("o")
    third = store.add("o")
    assert store.delete(token.id) is True
    assert getattr(store, "del")(third.id) is True
    assert store.get(token.id) is None
    assert store.get_key(token.key) is None
    assert store.list("o") == [other]
    assert store.delete(other.id) is True
    assert server.keys() == []


def test_del_by_key(store: Tokenstore, server: Server) -> None:
    for delete in (store.delete_key, store.del_key, store.delKey, store.deleteKey):
        token, other = store.add("o"), store.add("o")
        assert delete(token.key) is True
        assert store.get(token.id) is None
        assert store.get_key(token.key) is None
        assert store.list("o") == [other]
        assert store.delete_key(other.key) is True
        assert server.keys() == []


def test_del_not_found(store: Tokenstore) -> None:
    assert store.delete("nobody") is False
    assert store.delete_key("nobody") is False
    token = store.add("o")
    assert store.delete(token.id) is True
    assert store.delete(token.id) is False
    assert store.delete_key(token.key) is False


def test_make_hash(store: Tokenstore, client: tokenstore.Client) -> None:
    value = store.make_hash("foo")
    assert re.fullmatch("[0-9a-f]{32}", value)
    assert store.make_hash("foo") != value
    assert re.fullmatch("[0-9a-f]{16}", Tokenstore(client, **NODE, hash_size=8).makeHash("foo"))


def test_get_hash(store: Tokenstore) -> None:
    value = store.make_hash("foo")
    assert store.get_hash(value) == "foo"
    assert store.getHash(value) == "foo"


def test_make_hash_ttl(store: Tokenstore, server: Server) -> None:
    for options, seconds in (
        ({}, 3600),
        ({"ttl": 5}, 5),
        ({"ttl": timedelta(days=1)}, 86400),
    ):
        value = store.make_hash("foo", **options)
        left = server("PTTL", f"{TOKEN}:hash:{value}")
        assert (seconds - 5) * 1000 < left <= seconds * 1000


def test_del_hash(store: Tokenstore) -> None:
    assert store.del_hash(store.make_hash("foo")) is True
    value = store.make_hash("foo")
    assert store.delHash(value) is True
    assert store.del_hash(value) is False


def test_get_deleted_hash(store: Tokenstore) -> None:
    value = store.make_hash("foo")
    store.del_hash(value)
    assert store.get_hash(value) is None
    assert store.take_hash(value) is None


def test_reset_again(store: Tokenstore, server: Server) -> None:
    token = store.add("testowner", {"foo": "bar"})
    store.make_hash("foo")
    assert store.reset() == 1
    assert store.get(token.id) is None
    assert server.keys() == []


def test_options(client: tokenstore.Client, server: Server) -> None:
    store = Tokenstore(client, prefix="app:{x}*", size=40)
    token = store.add("o")
    assert len(token.key) == 40
    assert f"app:{{x}}*:key:{token.key}".encode() in server.keys()
    assert len(Tokenstore(client, **NODE, size=8).add("o").key) == 8
    for options, problem in (
        ({"size": 7}, "size must be"),
        ({"size": 257}, "size must be"),
        ({"size": 0}, "size must be"),
        ({"hash_size": 7}, "hash_size must be"),
        ({"hash_size": 65}, "hash_size must be"),
        ({"prefix": ""}, "prefix must be 1 to 128 bytes"),
        ({"prefix": "x" * 129}, "prefix must be 1 to 128 bytes"),
        ({"prefix": "a\0b"}, "without NUL"),
        ({"max_data_size": 0}, "max_data_size must be"),
    ):
        with pytest.raises(tokenstore.ConfigurationError, match=problem):
            Tokenstore(client, **options)


def test_prefixes_are_apart(client: tokenstore.Client, server: Server) -> None:
    stores = {p: Tokenstore(client, prefix=tagged(p)) for p in ("a", "ab", "a*", "a?", "[ab]", "a\\", "a:b")}
    tokens = {p: store.add("bob", {"p": p}) for p, store in stores.items()}
    hashes = {p: store.make_hash(p) for p, store in stores.items()}
    for prefix, store in stores.items():
        assert [t.attrs["p"] for t in store.list("bob")] == [prefix]
        others = [t.id for p, t in tokens.items() if p != prefix]
        assert [store.get(id) for id in others] == [None] * len(others)
    for prefix, store in stores.items():
        assert store.reset() == 1
        del tokens[prefix], hashes[prefix]
        for p, token in tokens.items():
            assert stores[p].get(token.id) == token
            assert stores[p].get_hash(hashes[p]) == p
    assert server.keys() == []


def test_quit(server: Server) -> None:
    store = Tokenstore(server.url, **NODE)
    store.add("o")
    store.quit()
    with pytest.raises(tokenstore.Error, match="closed"):
        store.add("o")
    store.quit()
    with Tokenstore(server.url, **NODE) as again:
        again.add("o")
    with pytest.raises(tokenstore.Error, match="closed"):
        again.add("o")


def test_every_row_has_its_test() -> None:
    page = (ROOT / "docs/reference/tokenstore.md").read_text(encoding="utf-8")
    table = page.split("<!-- rows:")[1].split("\n\n")[0]
    rows = re.findall(r"\| `(\w+)` \|$", table, re.M)
    assert len(rows) == len(set(rows)) == 26
    lua = (ROOT / "tests" / "lua" / "test_tokenstore.lua").read_text(encoding="utf-8")
    for row in rows:
        assert callable(globals()[f"test_{row}"])
        assert f'test("{row}", ' in lua


# ---- the stored form ---------------------------------------------------------------------------------


def test_it_is_stored_as_the_node_package_does(store: Tokenstore, server: Server) -> None:
    token = store.add("bob", {"b": [], "a": {}, "n": 2**53 - 1, "f": 0.1, "t": 'ü"\\\n'})
    assert server.keys() == sorted(
        [
            f"{TOKEN}:key:{token.key}".encode(),
            f"{TOKEN}:id:{token.id}".encode(),
            f"{TOKEN}:tokens:bob".encode(),
        ]
    )
    record = server("GET", f"{TOKEN}:key:{token.key}")
    # JSON.stringify's format, in the package's order.
    assert record == json.dumps(token, ensure_ascii=False, separators=(",", ":")).encode()
    assert list(json.loads(record)) == ["owner_id", "attrs", "key", "id"]
    assert server("GET", f"{TOKEN}:id:{token.id}") == token.key.encode()
    assert server("SMEMBERS", f"{TOKEN}:tokens:bob") == [token.id.encode()]
    value = store.make_hash("foo")
    assert server("GET", f"{TOKEN}:hash:{value}") == b"foo"


def test_a_duration_ends_record_and_id_together(store: Tokenstore, server: Server) -> None:
    token = store.add("o", duration=100)
    ends = [server.expires_at(f"{TOKEN}:{w}") for w in (f"key:{token.key}", f"id:{token.id}")]
    assert abs(ends[0] - ends[1]) <= 1  # the server reads its clock for each of the two
    assert 95_000 < server("PTTL", f"{TOKEN}:key:{token.key}") <= 100_000
    assert server("PTTL", f"{TOKEN}:tokens:o") == -1
    assert store.set(token.id, {"a": [1]})
    assert server.expires_at(f"{TOKEN}:key:{token.key}") == ends[0]
    forever = store.add("o")
    assert server("PTTL", f"{TOKEN}:key:{forever.key}") == -1
    assert store.set(forever.id, {"a": 1})
    assert server("PTTL", f"{TOKEN}:key:{forever.key}") == -1


@pytest.mark.parametrize("duration", [0, -1, 0.5, float("nan"), float("inf"), 315360001])
def test_durations_out_of_range_are_refused(store: Tokenstore, duration: float) -> None:
    with pytest.raises(tokenstore.DataError, match="duration must be"):
        store.add("o", duration=duration)
    with pytest.raises(tokenstore.DataError, match="ttl must be"):
        store.make_hash("v", ttl=duration)


# ---- limits ------------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


def test_attrs_come_back_equal(store: Tokenstore) -> None:
    attrs = {
        "deep": nested(31),
        "numbers": [0, -1, 2**53 - 1, 1 - 2**53, 0.1, -1e300, 5e-324, 1e20, 1.0],
        "text": "\x01\x7f\u2028 é € \U0001f600 \"\\/",
        "": {"": [[], {}, None, True, False]},
        "id": "x",
        "attrs": {"attrs": 1},
    }
    token = store.add("o", attrs)
    for got in (token, store.get(token.id), store.get_key(token.key), store.list("o")[0]):
        assert found(got).attrs == attrs
        assert repr(found(got).attrs["numbers"]) == repr(attrs["numbers"])
    assert store.set(token.id, {"again": attrs["numbers"]})
    assert found(store.get(token.id)).attrs == {"again": attrs["numbers"]}
    assert store.set(token.id, nested(32))
    assert found(store.get(token.id)).attrs == nested(32)


@pytest.mark.parametrize(
    ("attrs", "problem"),
    [
        ({"a": [1, {"b": 2**53}]}, r"attrs\.a\[1\]\.b"),
        ({"a": float("nan")}, r"attrs\.a"),
        ({"a": float("inf")}, r"attrs\.a"),
        ({"a": "x\0"}, r"attrs\.a"),
        ({"a": "\udc80"}, r"attrs\.a"),
        ({"a": {1: 2}}, r"attrs\.a"),
        ({"a": {1, 2}}, r"attrs\.a"),
        (nested(33), "32"),
        ({"a": "x" * 65536}, "65536"),
    ],
)
def test_attrs_that_others_would_misread_are_refused(
    store: Tokenstore, server: Server, attrs: dict[str, Any], problem: str
) -> None:
    with pytest.raises(tokenstore.DataError, match=problem):
        store.add("o", attrs)
    assert server.keys() == []
    token = store.add("o", {"keep": 1})
    with pytest.raises(tokenstore.DataError, match=problem):
        store.set(token.id, attrs)
    assert store.get(token.id) == token


def test_max_data_size(client: tokenstore.Client) -> None:
    small = Tokenstore(client, **NODE, max_data_size=20)
    token = small.add("o", {"a": "x" * 12})
    with pytest.raises(tokenstore.DataError):
        small.add("o", {"a": "x" * 13})
    with pytest.raises(tokenstore.DataError):
        small.set(token.id, {"a": "x" * 13})
    assert small.get_hash(small.make_hash("x" * 20)) == "x" * 20
    with pytest.raises(tokenstore.DataError, match="over the limit of 20"):
        small.make_hash("x" * 21)
    large = Tokenstore(client, **NODE, max_data_size=1 << 20)
    attrs = {"a": "x" * 500_000}
    assert found(large.get(large.add("o", attrs).id)).attrs == attrs


@pytest.mark.parametrize("owner", ["", "x" * 1025, "a\0b", b"\xff"])
def test_owners_that_cannot_be_stored(store: Tokenstore, server: Server, owner: str) -> None:
    with pytest.raises(tokenstore.DataError, match="owner_id"):
        store.add(owner)
    assert server.keys() == []


def test_owners_with_hostile_characters_never_meet(store: Tokenstore, server: Server) -> None:
    owners = [*'*?[]{}:|"\\\n\r\x01é', "bob", "bobby", "bo*", "a:b", "tokens:x", "x:tokens:y", "x" * 1024]
    tokens = {owner: store.add(owner, {"o": owner}) for owner in owners}
    for owner in owners:
        assert store.list(owner) == [tokens[owner]]
    for owner in owners:
        assert store.delete(tokens[owner].id)
        assert store.list(owner) == []
    assert server.keys() == []


@pytest.mark.parametrize("presented", ["", "x" * 1025, "a\0b", "\udfff", "a:b", b"\xff\xfe"])
def test_what_cannot_exist_is_not_found(store: Tokenstore, presented: str) -> None:
    assert store.get(presented) is None
    assert store.get_key(presented) is None
    assert store.set(presented, {}) is False
    assert store.delete(presented) is False
    assert store.delete_key(presented) is False
    assert store.get_hash(presented) is None
    assert store.take_hash(presented) is None
    assert store.del_hash(presented) is False


def test_keys_that_cannot_be_stored(client: tokenstore.Client) -> None:
    store = Tokenstore(client, **NODE, size=8)
    for key in ("", "a\0bcdefg", b"\xff" * 8):
        with pytest.raises(tokenstore.DataError, match="key"):
            store.add("o", key=key)


def test_wrong_types(store: Tokenstore) -> None:
    calls: list[Any] = [
        lambda: store.add(None),  # type: ignore[arg-type]
        lambda: store.add("o", [1]),  # type: ignore[arg-type]
        lambda: store.add("o", key=1),  # type: ignore[arg-type]
        lambda: store.add("o", duration="5"),  # type: ignore[arg-type]
        lambda: store.set("i", None),  # type: ignore[arg-type]
        lambda: store.get(1.5),  # type: ignore[arg-type]
        lambda: store.make_hash(5),  # type: ignore[arg-type]
        lambda: store.make_hash("v", None),  # type: ignore[arg-type]
        lambda: Tokenstore(prefix=5),  # type: ignore[arg-type]
        lambda: Tokenstore(size="24"),  # type: ignore[arg-type]
        lambda: Tokenstore(nonsense=1),  # type: ignore[call-arg]
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()


def test_hashes_hold_any_bytes(store: Tokenstore) -> None:
    for value in ("", "\0", "ü" * 100, 'a"\r\n'):
        assert store.take_hash(store.make_hash(value)) == value
    taken = store.take_hash(store.make_hash(bytes(range(256))))
    assert taken is not None
    assert taken.encode("utf-8", "surrogateescape") == bytes(range(256))


def test_a_token_shows_no_secret(store: Tokenstore) -> None:
    token = store.add("bob", {"password": "geheim"})
    for text in (repr(token), str(token), f"{token}", repr([token])):
        assert token.key not in text
        assert "geheim" not in text
        assert token.id in text
    assert "token" not in repr(store).replace("tokenstore", "").replace("Tokenstore", "")
