"""Data survives the round trip exactly, or is rejected with the path of the problem."""

from __future__ import annotations

import collections
import decimal
import enum
import json
import math
import random
import struct
import time
import types
from datetime import datetime, timezone
from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes
from servers import Server
from tokenstore import DataError, RedisTokens
from topologies import NODE

VECTORS = load("json.json")


def there_and_back(tokens: RedisTokens, data: dict[str, Any]) -> dict[str, Any]:
    made = tokens.create("a", "t", "o", data)
    found = tokens.get("a", "t", made.token)
    assert found is not None
    assert same(made.data, found.data)
    return found.data


def same(a: Any, b: Any) -> bool:
    """Equal, with the same types, exact floats, and the same order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    return bool(a == b)


# ---- accepted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", VECTORS["accept"], ids=[c["name"] for c in VECTORS["accept"]])
def test_vectors(client: tokenstore.Client, case: dict[str, Any]) -> None:
    tokens = RedisTokens(client, max_data_size=100_000)
    value = json.loads(to_bytes(case["canonical"]))
    data = value if isinstance(value, dict) else {"value": value}
    if depth(data) > 32:
        with pytest.raises(DataError):
            there_and_back(tokens, data)
    else:
        assert same(there_and_back(tokens, data), data)


def depth(value: Any) -> int:
    if isinstance(value, (dict, list)):
        children = value.values() if isinstance(value, dict) else value
        return 1 + max((depth(child) for child in children), default=0)
    return 0


def random_value(rng: random.Random, level: int) -> Any:
    kind = rng.randrange(10 if level < 5 else 7)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind in (1, 2):
        return rng.randrange(-(2 ** rng.randrange(1, 54)) + 1, 2 ** rng.randrange(1, 54))
    if kind in (3, 4):
        while True:
            (number,) = struct.unpack("d", rng.randbytes(8))
            if math.isfinite(number):
                return number
    if kind in (5, 6):
        return random_text(rng)
    if kind == 7:
        return [random_value(rng, level + 1) for _ in range(rng.randrange(5))]
    return {random_text(rng): random_value(rng, level + 1) for _ in range(rng.randrange(5))}


def random_text(rng: random.Random) -> str:
    top = rng.choice([0x7F, 0x7FF, 0xFFFF, 0x10FFFF])
    characters = (rng.randrange(1, top + 1) for _ in range(rng.randrange(12)))
    return "".join(chr(c) for c in characters if not 0xD800 <= c <= 0xDFFF)


def test_random_data(tokens: RedisTokens) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    batch = [
        {random_text(rng): random_value(rng, 1) for _ in range(rng.randrange(8))}
        for _ in range(2000)
    ]
    made = tokens.create_many([{"app": "a", "type": "t", "owner": "o", "data": d} for d in batch])
    found = tokens.get_many("a", "t", [t.token for t in made])
    for data, token in zip(batch, found):
        assert token is not None
        assert same(token.data, data), f"seed {seed}: {data!r}"


def test_names_are_made_once(tokens: RedisTokens) -> None:
    """And are correct, also with collisions in the cache."""
    store = RedisTokens(tokens.client, max_data_size=10**6)
    few = {"role": 1, "größe": 2, "": 3}
    first, second = there_and_back(store, few), there_and_back(store, few)
    assert all(a is b for a, b in zip(first, second))
    many = {f"{'n' * (i % 40)}{i}{'ß' * (i % 2)}": i for i in range(5000)}
    assert same(there_and_back(store, many), many)
    assert same(there_and_back(store, many), many)


def test_random_doubles(tokens: RedisTokens) -> None:
    rng = random.Random(20)
    numbers = [n for n in (struct.unpack("d", rng.randbytes(8))[0] for _ in range(3000))
               if math.isfinite(n)]  # fmt: skip
    numbers += [0.1 + 0.2, 1e22, 1e23, 2.0**53, 2.0**63, 1e15, 1e16, 1e17, 5e-324, -0.0, 1.0, 100.0]
    store = RedisTokens(tokens.client, max_data_size=10**6)
    assert same(there_and_back(store, {"n": numbers}), {"n": numbers})


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class MyStr(str):
    def encode(self, *args: Any) -> bytes:
        raise AssertionError("no Python code runs")


class MyKey(str):
    """A str subclass with another hash and equality."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__


Pair = collections.namedtuple("Pair", "x y")


class MyDict(dict):
    def items(self) -> Any:
        raise AssertionError("no Python code runs")

    __iter__ = keys = __getitem__ = items


def test_subclasses(tokens: RedisTokens) -> None:
    data = {
        "enum": Colour.RED,
        "int": Level.HIGH,
        "str": MyStr("s"),
        MyStr("key"): 1,
        "dict": MyDict(a=1),
        "ordered": collections.OrderedDict(b=1, a=2),
        "default": collections.defaultdict(int, c=1),
        "counter": collections.Counter("aab"),
    }
    assert there_and_back(tokens, data) == {
        "enum": "red",
        "int": 3,
        "str": "s",
        "key": 1,
        "dict": {"a": 1},
        "ordered": {"b": 1, "a": 2},
        "default": {"c": 1},
        "counter": {"a": 2, "b": 1},
    }
    found = there_and_back(tokens, data)
    for name in ("enum", "int", "str", "ordered", "default", "counter"):
        assert found[name] == data[name]
    assert there_and_back(tokens, MyDict(a=1)) == {"a": 1}
    level = there_and_back(tokens, {"x": Level.HIGH, "y": True})
    assert type(level["x"]) is int
    assert level["y"] is True


def test_the_same_object_many_times(tokens: RedisTokens) -> None:
    inner = {"x": [1]}
    assert there_and_back(tokens, {"a": inner, "b": inner, "c": [inner, inner]}) == {
        "a": inner,
        "b": inner,
        "c": [inner, inner],
    }


def test_what_is_given_is_not_changed(tokens: RedisTokens) -> None:
    data = {"a": [1, {"b": None}], "c": tokenstore.UNSET}
    token = tokens.create("a", "t", "o", {"c": 1})
    tokens.update("a", "t", token.token, data)
    assert data == {"a": [1, {"b": None}], "c": tokenstore.UNSET}


def test_two_keys_of_one_text(tokens: RedisTokens) -> None:
    with pytest.raises(DataError, match="two members with the same name"):
        tokens.create("a", "t", "o", {"a": {"b": "x", MyKey("b"): "y"}})
    token = tokens.create("a", "t", "o")
    with pytest.raises(DataError, match="two members with the same name"):
        tokens.update("a", "t", token.token, {"a": {"b": "x", MyKey("b"): "y"}})


def test_a_tuple_is_refused_everywhere(client: tokenstore.Client) -> None:
    tokens, node = RedisTokens(client), tokenstore.Tokenstore(client, **NODE)
    sessions = tokenstore.Sessions(client)
    jwts = tokenstore.RedisJWT(client, secret="x" * 32)
    token, added = tokens.create("a", "t", "o"), node.add("o")
    bad = {"v": (1, 2)}
    for attempt in (
        lambda: tokens.update("a", "t", token.token, bad),
        lambda: tokens.create_many([{"app": "a", "type": "t", "owner": "o", "data": bad}]),
        lambda: sessions.create("a", "o", bad),
        lambda: node.add("o", bad),
        lambda: node.set(added.id, bad),
        lambda: jwts.sign("o", data_session=bad),
        lambda: jwts.sign("o", data_token=bad),
        lambda: jwts.create("o", bad),
        lambda: tokenstore.jwt.encode(bad, tokenstore.jwt.Key.from_secret("x" * 32), algorithm="HS256"),
    ):
        with pytest.raises(DataError, match=r"\.v is a tuple, which would be read back as a list"):
            attempt()


# ---- rejected ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"a": (1, 2)}, "data.a is a tuple"),
        ({"a": ()}, "data.a is a tuple"),
        ({"a": [{"b": (1,)}]}, "data.a[0].b is a tuple"),
        ({"a": Pair(1, 2)}, "data.a is a tuple"),
        ({"a": time.gmtime(0)}, "data.a is a tuple"),
        ({"a": {1, 2}}, "data.a "),
        ({"a": b"bytes"}, "data.a "),
        ({"a": [0, {"b": [1, 2, object()]}]}, "data.a[1].b[2] "),
        ({"a": decimal.Decimal("1.5")}, "data.a "),
        ({"a": datetime.now(timezone.utc)}, "data.a "),
        ({"a": 1j}, "data.a "),
        ({"a": range(3)}, "data.a "),
        ({"a": types.MappingProxyType({})}, "data.a "),
        ({"a": iter([])}, "data.a "),
        ({"a": tokenstore.UNSET}, "data.a "),
        ({"a": float("nan")}, "data.a "),
        ({"a": -float("inf")}, "data.a "),
        ({"a": 2**53}, "data.a "),
        ({"a": -(2**53)}, "data.a "),
        ({"a": 10**100}, "data.a "),
        ({"a": -(10**100)}, "data.a "),
        ({"a": "x\0y"}, "data.a "),
        ({"a": "\ud800"}, "data.a "),
        ({"a": "x\udcff"}, "data.a "),
        ({"a": {1: 2}}, "data.a "),
        ({"a": {"b": 1, None: 2}}, "data.a "),
        ({1: 2}, "data "),
        ({b"a": 2}, "data "),
        ({("a",): 2}, "data "),
        ({"\ud800": 1}, "data "),
        ({"x": {"\udcff": 1}}, "data.x "),
        ({"x": {"a\0": 1}}, "data.x"),
    ],
)
def test_refused_with_the_path(tokens: RedisTokens, data: Any, path: str) -> None:
    with pytest.raises(DataError) as caught:
        tokens.create("a", "t", "o", data)
    assert str(caught.value).startswith(path)
    assert tokens.list("a", "t", "o") == []


def test_unset_only_at_the_top_of_an_update(tokens: RedisTokens) -> None:
    token = tokens.create("a", "t", "o", {"x": 1})
    with pytest.raises(DataError, match=r"data\.a\.b "):
        tokens.update("a", "t", token.token, {"a": {"b": tokenstore.UNSET}})


def test_cycles_end(tokens: RedisTokens) -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with pytest.raises(DataError, match=r"data\.self"):
        tokens.create("a", "t", "o", data)
    items: list[Any] = []
    items.append(items)
    with pytest.raises(DataError):
        tokens.create("a", "t", "o", {"items": items})


def test_nothing_of_the_value_is_in_the_message(tokens: RedisTokens) -> None:
    for value in ("CANARY\0", "CANARY\ud800", {"CANARY"}, b"CANARY"):
        with pytest.raises(DataError) as caught:
            tokens.create("a", "t", "o", {"x": value})
        assert "CANARY" not in str(caught.value)


# ---- invalid stored data -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"CANARY",
        b'{"owner":"CANARY"}',
        b'GCiQYICJACANA"CANARY"',
        b'GCiQYICJACANARY"o"{"a":1,"a":2}',
        b"\xff" * 100,
        b"[" * 1000,
    ],
)
def test_a_record_that_is_none(
    tokens: RedisTokens, client: tokenstore.Client, server: Server, stored: bytes
) -> None:
    token = tokens.create("a", "t", "o")
    (key,) = [k for k in server.keys() if k != b"ts:kinds"]
    client.execute("HSET", key, token.id, stored)
    with pytest.raises(DataError) as caught:
        tokens.get("a", "t", token.token)
    assert "CANARY" not in str(caught.value)
    assert (token.token) not in str(caught.value)
    client.execute("DEL", key)
    client.execute("LPUSH", key, "x")
    with pytest.raises(tokenstore.Error):
        tokens.get("a", "t", token.token)


def test_a_record_of_another_token(tokens: RedisTokens, client: tokenstore.Client, server: Server) -> None:
    """A value is bound to its key: copied to another key it is an error, never another session."""
    mine = tokens.create("a", "t", "mine", {"x": 1})
    other = tokens.create("a", "t", "other", {"x": 2})
    keys = {t.id: k for t in (mine, other) for k in server.keys()
            if k != b"ts:kinds" and client.execute("HEXISTS", k, t.id)}  # fmt: skip
    client.execute("HSET", keys[mine.id], mine.id, client.execute("HGET", keys[other.id], other.id))
    with pytest.raises(tokenstore.Error):
        tokens.get("a", "t", mine.token)
    assert tokens.get("a", "t", other.token) is not None
