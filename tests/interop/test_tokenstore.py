"""The Node package tokenstore 0.0.4 and our Tokenstore on one database: each reads, changes, lists and
deletes the other's tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tokenstore
from node import MISSING, Node, is_there, node
from ours import Ours, OursFailedError
from servers import Server

pytestmark = pytest.mark.skipif(not is_there("tokenstore"), reason=MISSING)

ATTRS = {
    "role": "admin",
    "numbers": [1, -1.5, 1e21, 9007199254740991],
    "empty": {},
    "deep": {"a": [{"b": None}, True]},
    "text": 'é \u2028 " \\ / \n \x7f 😀',
}
KEY = re.compile("[A-Za-z0-9]{24}")
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def theirs(shared_server: Server) -> Iterator[Node]:
    with node("tokenstore", shared_server, prefix="token") as process:
        yield process


@pytest.fixture
def ours(make_ours: Callable[..., Ours]) -> Ours:
    return make_ours("Tokenstore")


def by_id(tokens: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(tokens, key=lambda token: token["id"])


def test_what_node_writes_we_read(server: Server, theirs: Node, ours: Ours) -> None:
    token = theirs("add", {"owner_id": "bob", "attrs": ATTRS})
    other = theirs("add", {"owner_id": "bob", "attrs": {}})
    theirs("add", {"owner_id": "bobby", "attrs": {}})
    assert ours("get", id=token["id"]) == token
    assert ours("get_key", key=token["key"]) == token
    assert by_id(ours("list", owner_id="bob")) == by_id([token, other])
    assert ours("get", id=token["key"]) is None
    assert ours("get_key", key=token["id"]) is None


def test_what_we_write_node_reads(server: Server, theirs: Node, ours: Ours) -> None:
    token = ours("add", owner_id="bob", attrs=ATTRS)
    other = ours("add", owner_id="bob")
    ours("add", owner_id="bobby")
    assert KEY.fullmatch(token["key"])
    assert UUID.fullmatch(token["id"])
    assert token["attrs"] == ATTRS
    assert theirs("get", token["id"]) == token
    assert theirs("getKey", token["key"]) == token
    assert by_id(theirs("list", "bob")) == by_id([token, other])


def test_both_leave_the_same_keys(server: Server, theirs: Node, ours: Ours) -> None:
    def keys_of(token: dict[str, Any]) -> dict[str, Any]:
        return {
            "names": sorted(key.decode() for key in server.keys()),
            "json": json.loads(server("GET", f"token:key:{token['key']}")),
            "key": server("GET", f"token:id:{token['id']}").decode(),
            "ids": [id.decode() for id in server("SMEMBERS", "token:tokens:bob")],
        }

    key = "K" * 24
    first = keys_of(theirs("add", {"owner_id": "bob", "attrs": {"a": 1}, "key": key}))
    server("FLUSHALL")
    second = keys_of(ours("add", owner_id="bob", attrs={"a": 1}, key=key))
    for made in (first, second):
        id = made["json"].pop("id")
        assert made.pop("ids") == [id]
        assert made.pop("names") == [f"token:id:{id}", f"token:key:{key}", "token:tokens:bob"]
    assert first == second


@pytest.mark.parametrize("by", ["id", "key"])
def test_each_deletes_what_the_other_wrote(server: Server, theirs: Node, ours: Ours, by: str) -> None:
    token = theirs("add", {"owner_id": "bob", "attrs": {}})
    stays = theirs("add", {"owner_id": "bob", "attrs": {}})
    assert ours("delete" if by == "id" else "delete_key", **{by: token[by]}) is True
    assert ours("delete" if by == "id" else "delete_key", **{by: token[by]}) is False
    assert theirs("get", token["id"]) is False
    assert theirs("getKey", token["key"]) is False
    assert theirs("list", "bob") == [stays]

    token = ours("add", owner_id="bob")
    theirs("del" if by == "id" else "delKey", token[by])
    assert ours("get", id=token["id"]) is None
    assert ours("get_key", key=token["key"]) is None
    assert ours("list", owner_id="bob") == [stays]
    theirs("del", stays["id"])
    assert server.keys() == []


def test_each_sets_the_attrs_of_what_the_other_wrote(theirs: Node, ours: Ours) -> None:
    token = theirs("add", {"owner_id": "bob", "attrs": {"a": 1}, "extra": [1, {}]})
    assert ours("set", id=token["id"], attrs=ATTRS) is True
    assert theirs("get", token["id"]) == {**token, "attrs": ATTRS}  # the rest is unchanged
    assert ours("set", id="none", attrs={}) is False

    token = ours("add", owner_id="bob", attrs={"a": 1})
    theirs("setAttrs", token["id"], ATTRS)
    assert ours("get", id=token["id"]) == {**token, "attrs": ATTRS}


def test_a_key_of_ones_own(theirs: Node, ours: Ours) -> None:
    key = "0123456789abcdefghijklmn"
    token = theirs("add", {"owner_id": "bob", "attrs": {}, "key": key})
    assert ours("get_key", key=key) == token
    with pytest.raises(OursFailedError, match="key"):
        ours("add", owner_id="ann", key=key)  # in use: the Node package would overwrite bob's
    assert theirs("getKey", key) == token
    with pytest.raises(OursFailedError, match="key"):
        ours("add", owner_id="ann", key=key[1:])
    ours("delete_key", key=key)
    assert theirs("getKey", ours("add", owner_id="ann", key=key)["key"])["owner_id"] == "ann"


def test_hashes(server: Server, theirs: Node, ours: Ours) -> None:
    made = theirs("makeHash", "bob@example.org")
    assert ours("get_hash", hash=made) == "bob@example.org"
    assert ours("take_hash", hash=made) == "bob@example.org"
    assert ours("take_hash", hash=made) is None
    assert theirs("getHash", made) is False
    made = theirs("makeHash", 12)
    assert ours("get_hash", hash=made) == "12"
    assert ours("del_hash", hash=made) is True
    assert ours("del_hash", hash=made) is False
    assert theirs("getHash", made) is False

    made = ours("make_hash", value="bob@example.org", ttl=100)
    assert theirs("getHash", made) == "bob@example.org"
    assert 99 <= server("TTL", f"token:hash:{made}") <= 100
    theirs("delHash", made)
    assert ours("get_hash", hash=made) is None


def test_each_resets_what_the_other_wrote(server: Server, theirs: Node, ours: Ours) -> None:
    def fill() -> None:
        server("SET", "tokens:of:others", "stays")
        for n in range(5):
            theirs("add", {"owner_id": f"o{n}", "attrs": {}})
            ours("add", owner_id=f"o{n}")
        theirs("makeHash", "x")
        ours("make_hash", value="x")

    fill()
    assert ours("reset") == 10
    assert server.keys() == [b"tokens:of:others"]
    fill()
    theirs("reset")
    assert server.keys() == [b"tokens:of:others"]


def test_what_node_leaves_behind_is_cleaned_when_met(server: Server, theirs: Node, ours: Ours) -> None:
    """An id without a token, left by an eviction or an incomplete delete."""
    token = theirs("add", {"owner_id": "bob", "attrs": {}})
    stays = theirs("add", {"owner_id": "bob", "attrs": {}})
    server("DEL", f"token:key:{token['key']}")
    assert ours("list", owner_id="bob") == [stays]
    assert server("SMEMBERS", "token:tokens:bob") == [stays["id"].encode()]
    assert theirs("list", "bob") == [stays]


def test_what_node_stores_is_read_whatever_it_is(server: Server, theirs: Node) -> None:
    """JavaScript writes a large integer as digits, and strings as they are."""
    big = 1152921504606847000  # 2**60 as JavaScript writes it
    attrs = {"big": big, "bigger": 10**20, "nul": "a\0b", "half": "\ud800", "deep": json.loads("[" * 100 + "]" * 100)}
    for owner in ("bob", big, 1e21):
        token = theirs("add", {"owner_id": owner, "attrs": attrs})
        with tokenstore.Tokenstore(server.url) as ours:
            assert ours.get(token["id"]) == ours.get_key(token["key"]) == {**token, "owner_id": owner, "attrs": attrs}
            with pytest.raises(tokenstore.DataError, match=r"attrs\.big"):
                ours.set(token["id"], attrs)
            before = server("GET", f"token:key:{token['key']}")
            assert ours.set(token["id"], {"a": 1}) is True
            text = json.dumps(attrs, separators=(",", ":"), ensure_ascii=True).encode()
            assert server("GET", f"token:key:{token['key']}") == before.replace(text, b'{"a":1}')
            assert ours.delete(token["id"]) is True
    assert server.keys() == []
