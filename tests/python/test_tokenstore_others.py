"""Tokenstore: data of other programs in the shared format, and their leftovers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import tokenstore
from servers import Server
from tokenstore import NodeToken, Tokenstore
from topologies import NODE, TOKEN


@pytest.fixture
def store(client: tokenstore.Client) -> Tokenstore:
    return Tokenstore(client, **NODE)


def found(token: NodeToken | None) -> NodeToken:
    assert token is not None
    return token


@pytest.fixture
def write(server: Server) -> Iterator[Any]:
    """Stores a record as text, with id and set as written by the Node package."""
    with server.wire() as wire:

        def write(record: str, owner: str = "bob", key: str = "k" * 24, id: str = "the-id") -> None:
            wire("SET", f"{TOKEN}:id:{id}", key)
            wire("SADD", f"{TOKEN}:tokens:{owner}", id)
            wire("SET", f"{TOKEN}:key:{key}", record)

        yield write


TAIL = '"key":"kkkkkkkkkkkkkkkkkkkkkkkk","id":"the-id"}'


@pytest.mark.parametrize(
    ("record", "owner", "owner_id", "attrs"),
    [
        ('{"owner_id":"bob",' + TAIL, "bob", "bob", {}),
        ('{"owner_id":42,"attrs":{},' + TAIL, "42", 42, {}),
        ('{"owner_id":9007199254740991,"attrs":{},' + TAIL, "9007199254740991", 2**53 - 1, {}),
        ('{"owner_id":1.5,"attrs":{},' + TAIL, "1.5", 1.5, {}),
        ('{"owner_id":1e+21,"attrs":{},' + TAIL, "1e+21", 1e21, {}),
        ('{"owner_id":null,"attrs":null,' + TAIL, "null", None, None),
        ('{"owner_id":true,"attrs":"text",' + TAIL, "true", True, "text"),
        ('{"owner_id":"b\\u00f6b","attrs":[1],' + TAIL, "böb", "böb", [1]),
        (' { "owner_id" : "bob" ,\n"attrs" : { "a" : [ ] } , ' + TAIL + "\n", "bob", "bob", {"a": []}),
        ('{"attrs":{"a":1},"more":[1,{}],"owner_id":"bob",' + TAIL, "bob", "bob", {"a": 1}),
    ],
)
def test_other_spellings_are_read_changed_and_deleted(
    store: Tokenstore,
    server: Server,
    write: Any,
    record: str,
    owner: str,
    owner_id: object,
    attrs: object,
) -> None:
    write(record, owner)
    token = found(store.get("the-id"))
    assert token.owner_id == owner_id
    assert token.attrs == attrs
    assert dict(token) == json.loads(record)
    assert store.list(owner) == [token]
    assert store.set("the-id", {"x": [], "y": {}}) is True
    changed = json.loads(server("GET", f"{TOKEN}:key:" + "k" * 24))
    assert changed == {**json.loads(record), "attrs": {"x": [], "y": {}}}
    assert store.delete("the-id") is True
    assert server.keys() == []
    write(record, owner)
    assert store.delete_key("k" * 24) is True
    assert server.keys() == []
    write(record, owner)
    assert store.reset() == 1
    assert server.keys() == []


def test_a_token_without_an_owner(store: Tokenstore, server: Server, write: Any) -> None:
    write('{"attrs":{},' + TAIL, "undefined")
    assert "owner_id" not in found(store.get("the-id"))
    assert store.delete("the-id") is True
    assert server.keys() == []


HOSTILE = [
    r'{"z":"\"attrs\":{}","attrs":{"s":"}]\\\"","n":[[{"attrs":{}}]]},"q":"\\","big":12345678901234567890,',
    r'{"attrs":{"attrs":{"attrs":[]}},"e":[],"f":1.0,"g":1e400,"owner_id":"\\\"attrs\":1",',
    r'{"x":{"attrs":{"a":"\\"}},"attrs":{"b":"[{"},"u":"\ud83d\ude00",',
]


@pytest.mark.parametrize("head", HOSTILE)
def test_set_changes_the_attrs_and_not_one_byte_more(
    store: Tokenstore, server: Server, write: Any, head: str
) -> None:
    record = head + TAIL
    write(record)
    # The text of the attrs: the top-level member.
    old = json.dumps(json.loads(record)["attrs"], separators=(",", ":"))
    assert record.count(f'"attrs":{old},') == 1
    assert store.set("the-id", {"new": [2**53 - 1, 0.1, []]})
    assert server("GET", f"{TOKEN}:key:" + "k" * 24).decode() == record.replace(
        f'"attrs":{old},', '"attrs":{"new":[9007199254740991,0.1,[]]},'
    )


UNREADABLE = [
    '{"owner_id":"bob","attrs":{"n":' + "7" * 4301 + "}," + TAIL,
    '{"owner_id":"bob","attrs":' + "[" * 600 + "]" * 600 + "," + TAIL,
    "no JSON at all",
    "",
]


@pytest.mark.parametrize("record", UNREADABLE)
def test_what_cannot_be_read_is_an_error_and_stays(
    store: Tokenstore, server: Server, write: Any, record: str
) -> None:
    id = "01234567-89ab-4def-8123-456789abcdef"
    record = record.replace("the-id", id)
    write(record, id=id)
    before = server("GET", f"{TOKEN}:key:" + "k" * 24)
    for call, argument in (
        (store.get, id),
        (store.get_key, "k" * 24),
        (store.list, "bob"),
    ):
        with pytest.raises(tokenstore.DataError, match="unreadable") as error:
            call(argument)
        assert "kkkk" not in str(error.value)
        assert (id in str(error.value)) == (call != store.get_key)
    assert server("GET", f"{TOKEN}:key:" + "k" * 24) == before
    assert store.delete(id) is True
    assert store.get(id) is None
    assert store.list("bob") == []
    write(record, id=id)
    assert store.delete_key("k" * 24) is True
    assert store.list("bob") == []
    assert server.keys() == []
    write(record, id=id)
    assert store.reset() == 1
    assert server.keys() == []


def test_list_leaves_out_what_cannot_be_read(
    store: Tokenstore, server: Server, write: Any, caplog: pytest.LogCaptureFixture
) -> None:
    id = "01234567-89ab-4def-8123-456789abcdef"
    write("no JSON at all", id=id)
    good = [store.add("bob") for _ in range(3)]
    listed = store.list("bob")
    assert len(listed) == len(good)
    assert id not in {token["id"] for token in listed}
    (line,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "tokens: 1" in line
    assert id in line
    assert "kkkk" not in line
    assert server("GET", f"{TOKEN}:key:" + "k" * 24) == b"no JSON at all"
    assert server("SISMEMBER", f"{TOKEN}:tokens:bob", id) == 1
    assert store.delete(id) is True


def test_set_of_what_cannot_be_read_changes_nothing(
    store: Tokenstore, server: Server, write: Any
) -> None:
    for record in ("no JSON", '{"owner_id":"bob","\\u0061ttrs":{},' + TAIL):
        write(record)
        with pytest.raises(tokenstore.DataError, match="nothing was changed"):
            store.set("the-id", {})
        assert server("GET", f"{TOKEN}:key:" + "k" * 24) == record.encode()


def test_a_record_of_another_key_is_no_token(
    store: Tokenstore, server: Server, write: Any
) -> None:
    write('{"owner_id":"bob","attrs":{},"key":"other","id":"the-id"}')
    for call in (store.get, store.list):
        with pytest.raises(tokenstore.DataError, match="another key"):
            call("the-id" if call == store.get else "bob")
    with pytest.raises(tokenstore.DataError, match="another key"):
        store.get_key("k" * 24)
    with pytest.raises(tokenstore.DataError, match="not a readable token"):
        store.delete_key("k" * 24)
    assert server("EXISTS", f"{TOKEN}:key:" + "k" * 24) == 1


def test_an_id_whose_key_was_given_away_is_dead(
    store: Tokenstore, server: Server, write: Any
) -> None:
    """The Node package overwrites a given key: then two ids lead to one record."""
    for end in (store.list, store.delete):
        write('{"owner_id":"bob","attrs":{},' + TAIL, id="old-id")
        write('{"owner_id":"bob","attrs":{},' + TAIL)
        assert store.get("old-id") is None
        assert store.set("old-id", {"a": 1}) is False
        if end == store.list:
            assert [t.id for t in store.list("bob")] == ["the-id"]
            assert server("SMEMBERS", f"{TOKEN}:tokens:bob") == [b"the-id"]
        else:
            assert store.delete("old-id") is False
        assert server("EXISTS", f"{TOKEN}:id:old-id") == 0
        assert found(store.get("the-id")).attrs == {}
        assert store.delete("the-id") is True
        assert store.list("bob") == []
        assert server.keys() == []


def test_delete_key_spares_the_id_of_another_key(
    store: Tokenstore, server: Server, write: Any
) -> None:
    """A copied record: two keys have one id, and the id refers to one of them."""
    token = store.add("bob")
    copy = json.dumps({**token, "key": "k" * 24})
    server("SET", f"{TOKEN}:key:" + "k" * 24, copy)
    assert store.delete_key("k" * 24) is True
    assert store.get(token.id) == token
    assert store.list("bob") == [token]


def test_values_of_another_kind(store: Tokenstore, server: Server) -> None:
    """They are not found, and unchanged; only operations on an owner's list fail."""
    hash = "0" * 32
    for key in (f"{TOKEN}:id:x", f"{TOKEN}:key:x", f"{TOKEN}:hash:{hash}"):
        server("HSET", key, "a", "b")
    server("SET", f"{TOKEN}:tokens:x", "a")
    server("SET", f"{TOKEN}:id:y", "x")
    before = server.keys()
    assert store.get("x") is store.get_key("x") is store.get("y") is None
    assert store.set("x", {}) is store.set("y", {}) is False
    assert store.delete("x") is store.delete_key("x") is False
    assert store.get_hash(hash) is store.take_hash(hash) is None
    assert store.del_hash(hash) is False
    assert server.keys() == before
    for call in (store.list, store.add):
        with pytest.raises(tokenstore.ServerError, match="WRONGTYPE"):
            call("x")
    assert server.keys() == before
    assert store.reset() == 0
    assert server.keys() == []


def test_an_owner_whose_set_is_another_programs_can_still_be_logged_out(
    store: Tokenstore, server: Server
) -> None:
    for end in (lambda t: store.delete(t.id), lambda t: store.delete_key(t.key), lambda t: store.reset()):
        token = store.add("bob")
        server("DEL", f"{TOKEN}:tokens:bob")
        server("RPUSH", f"{TOKEN}:tokens:bob", "another program's")
        assert end(token)
        assert store.get_key(token.key) is None
        server("DEL", f"{TOKEN}:tokens:bob")
        assert server.keys() == []


# ---- dead ids ----------------------------------------------------------------------------------------


def test_add_keeps_the_dead_fewer_than_the_living(store: Tokenstore, server: Server) -> None:
    for _ in range(300):
        token = store.add("bob", duration=1000)
        server("DEL", f"{TOKEN}:key:{token.key}", f"{TOKEN}:id:{token.id}")
    assert server("SCARD", f"{TOKEN}:tokens:bob") < 10


def test_a_token_that_node_is_just_adding_is_not_dropped(
    server: Server, store: Tokenstore
) -> None:
    """Id and set exist, the record is stored while list waits to check again."""
    server("SET", f"{TOKEN}:id:the-id", "k" * 24)
    server("SADD", f"{TOKEN}:tokens:bob", "the-id")
    with server.wire() as monitor:
        monitor.send("MONITOR")
        monitor.read()
        lists: list[Any] = []
        thread = threading.Thread(target=lambda: lists.append(store.list("bob")))
        thread.start()
        while f"{TOKEN}:key:".encode() not in str(monitor.read()).encode():
            pass  # the first check of the record, in the script
        server("SET", f"{TOKEN}:key:" + "k" * 24, '{"owner_id":"bob","attrs":{},' + TAIL)
        thread.join()
    assert len(lists) == 1
    assert store.list("bob") == [found(store.get("the-id"))]
