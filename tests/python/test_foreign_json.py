"""JSON of other writers is read exactly, like by Python's json; and is not stored again if it would
change."""

from __future__ import annotations

import json
import random
import struct
import sys
from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes
from servers import Server
from tokenstore import RedisJWT, Tokenstore, jwt
from topologies import NODE, TOKEN, tagged

VECTORS = load("json.json")
BOB = tagged("bob")
SECRET = "a secret of thirty-two bytes, yes"
KEY, ID = "k" * 24, "the-id"


@pytest.fixture
def store(client: tokenstore.Client) -> Tokenstore:
    return Tokenstore(client, **NODE)


@pytest.fixture
def sessions(client: tokenstore.Client) -> RedisJWT:
    return RedisJWT(client, secret=SECRET)


def write(server: Server, attrs: bytes) -> None:
    """A token as written by the Node package, with exactly this text as its attrs."""
    server("SET", f"{TOKEN}:id:{ID}", KEY)
    server("SADD", f"{TOKEN}:tokens:bob", ID)
    server(
        "SET",
        f"{TOKEN}:key:{KEY}",
        b'{"owner_id":"bob","attrs":%s,"key":"%s","id":"%s"}' % (attrs, KEY.encode(), ID.encode()),
    )


def read(store: Tokenstore) -> Any:
    token = store.get_key(KEY)
    assert token is not None
    assert token == store.get(ID) == store.list("bob")[0]
    return token["attrs"]


def same(a: Any, b: Any) -> bool:
    """Equal, with the same types and exact doubles."""
    while isinstance(a, list) and isinstance(b, list) and len(a) == len(b) == 1:
        a, b = a[0], b[0]
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("case", VECTORS["foreign"], ids=[c["name"] for c in VECTORS["foreign"]])
def test_vectors(store: Tokenstore, server: Server, case: dict[str, Any]) -> None:
    text = to_bytes(case["text"])
    write(server, text)
    assert same(read(store), json.loads(text))


@pytest.mark.parametrize(
    "case", VECTORS["refuse_foreign"], ids=[c["name"] for c in VECTORS["refuse_foreign"]]
)
def test_vectors_that_are_refused(
    store: Tokenstore, server: Server, case: dict[str, Any]
) -> None:
    write(server, to_bytes(case["text"]))
    with pytest.raises(tokenstore.DataError, match="unreadable"):
        read(store)


STRINGS = (
    "a", "é", "€", "😀", "\x7f", '"', "\\", "/", "\n", "\0", "\x1f", "\ud800", "\udfff", "\u2028", "0", "\ufffd",
)  # fmt: skip


def document(rng: random.Random, depth: int = 0) -> str:
    """A random JSON text with random formatting."""
    kind = rng.randrange(12 if depth < 6 else 9)
    space = rng.choice(["", "", "", " ", "\n\t", "\r "])
    if kind < 3:
        return space + rng.choice(["true", "false", "null"])
    if kind < 5:
        digits = rng.choice([1, 2, 15, 16, 17, 18, 19, 20, 30, 80, 400])
        number = rng.choice(["", "-"]) + str(rng.randrange(10**digits))
        if rng.random() < 0.5:
            number += "." + "".join(rng.choices("0123456789", k=rng.choice([1, 2, 17, 30, 70])))
        if rng.random() < 0.4:
            number += rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randrange(420))
        return space + number
    if kind < 9:
        return space + string(rng)
    items = [document(rng, depth + 1) for _ in range(rng.choice([0, 1, 2, 3, 12]))]
    if kind == 9:
        return space + "[" + ",".join(items) + space + "]"
    return space + "{" + ",".join(string(rng, 2) + space + ":" + item for item in items) + space + "}"


def string(rng: random.Random, most: int = 6) -> str:
    parts = []
    for c in rng.choices(STRINGS, k=rng.randrange(most + 1)):
        escaped = json.dumps(c)[1:-1]
        if rng.random() < 0.3 or "\ud800" <= c <= "\udfff" or c < " " or c in '"\\':
            parts.append(escaped if rng.random() < 0.7 or len(c.encode("utf-16-le", "surrogatepass")) > 2
                         else f"\\u{ord(c):04X}")  # fmt: skip
        else:
            parts.append(c)
    return '"' + "".join(parts) + '"'


def test_random_documents_are_read_as_python_reads_them(store: Tokenstore, server: Server) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    with server.wire() as wire:
        for _ in range(2000):
            text = document(rng)
            record = f'{{"attrs":{text},"key":"{KEY}","id":"{ID}"}}'.encode()
            wire("SET", f"{TOKEN}:key:{KEY}", record)
            token = store.get_key(KEY)
            assert token is not None
            assert same(dict(token), json.loads(record)), (seed, record)


def test_what_was_read_is_stored_again_equal_or_refused(
    sessions: RedisJWT, store: Tokenstore, server: Server
) -> None:
    """Never changed silently: an error names the path."""
    for case in VECTORS["foreign"]:
        write(server, b'{"x":%s}' % to_bytes(case["text"]))
        value = read(store)
        try:
            token = sessions.sign(BOB, data_session=value)
        except tokenstore.DataError as error:
            assert "data_session.x" in str(error)
            continue
        assert same(sessions.verify(token, True)["dataSession"], value)
    for x in ("281674916028284930", '"\\u0000"', '"\\ud800"', "1e999", "[" * 40 + "]" * 40):
        write(server, b'{"x":%s}' % x.encode())
        with pytest.raises(tokenstore.DataError, match=r"attrs\.x"):
            store.set(ID, read(store))


@pytest.mark.parametrize(
    "more", ['"n":281674916028284930', '"t":"\\ud800\\u0000"', '"d":[1e999,-0,1.10]', '"k":1,"k":2',
             '"deep":' + "[" * 400 + "]" * 400]
)  # fmt: skip
def test_what_set_does_not_concern_stays_byte_for_byte(
    store: Tokenstore, server: Server, more: str
) -> None:
    for attrs in ("{}", "{" + more + "}"):
        head, tail = f'{{"owner_id":"bob",{more},"attrs":', f',"key":"{KEY}","id":"{ID}"}}'
        server("SET", f"{TOKEN}:id:{ID}", KEY)
        server("SADD", f"{TOKEN}:tokens:bob", ID)
        server("SET", f"{TOKEN}:key:{KEY}", head + attrs + tail)
        assert store.set(ID, {"role": "admin"}) is True
        assert server("GET", f"{TOKEN}:key:{KEY}").decode() == head + '{"role":"admin"}' + tail
        assert read(store) == {"role": "admin"}
        assert store.delete(ID) is True
        assert server.keys() == []


@pytest.mark.parametrize("owner", ["281674916028284930", "1e+21", "-9007199254740993", "9007199254740993"])
def test_an_owner_that_is_a_large_number(store: Tokenstore, server: Server, owner: str) -> None:
    """The set's name contains the number as written in the record."""
    for end in (lambda: store.delete(ID), lambda: store.delete_key(KEY), lambda: store.reset()):
        server("SET", f"{TOKEN}:id:{ID}", KEY)
        server("SADD", f"{TOKEN}:tokens:{owner}", ID)
        server("SET", f"{TOKEN}:key:{KEY}", f'{{"owner_id":{owner},"key":"{KEY}","id":"{ID}"}}')
        (token,) = store.list(owner)
        assert same(token["owner_id"], json.loads(owner))
        assert end()
        assert server.keys() == []


def test_sessions_that_node_signed(sessions: RedisJWT, server: Server) -> None:
    key = f"{BOB}:AAAAAAAAAAA"
    for case in VECTORS["foreign"]:
        text = to_bytes(case["text"])
        server("SET", key, b'{"rjwt":"%s","dataSession":%s}' % (key.encode(), text))
        token = jwt.encode({"rjwt": key, "iat": 1}, jwt.Key.from_secret(SECRET), "HS256")
        assert same(sessions.verify(token, True)["dataSession"], json.loads(text))
        assert sessions.verify(token) == {"rjwt": key, "iat": 1, "id": BOB, "ttl": -1}
        assert sessions.call().exists(key) is True
        assert sessions.reindex() == 1
        (listed,) = sessions.list(BOB)
        assert same(listed["dataSession"], json.loads(text))
        assert sessions.destroy(key) is True


def test_claims(sessions: RedisJWT) -> None:
    from test_redis_jwt_claims import make_token

    deep = "[" * 511 + "]" * 511
    for text in ('281674916028284930', '"\\u0000\\ud800"', "1e999", "[-0,-0.0,1" + "0" * 300 + "]", deep):
        claims = '{"user_id":' + text + "}"
        found = jwt.decode(make_token(claims), jwt.Key.from_secret(SECRET), algorithms=["HS256"])
        assert same(found, json.loads(claims))
    for claims in ('{"a":1,"a":2}', '{"a":[' + deep + "]}"):
        with pytest.raises(tokenstore.InvalidTokenError):
            jwt.decode(make_token(claims), jwt.Key.from_secret(SECRET), algorithms=["HS256"])


def test_data_as_deep_as_may_be_is_read_from_the_token(sessions: RedisJWT) -> None:
    """There it is a level deeper."""
    data = {"a": json.loads("[" * 31 + "]" * 31)}
    assert sessions.verify(sessions.sign(BOB, data_token=data))["dataToken"] == data


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="a Python without that limit")
def test_pythons_own_limit_of_digits(store: Tokenstore, server: Server) -> None:
    write(server, b"7" * 4300)
    before = sys.get_int_max_str_digits()
    try:
        sys.set_int_max_str_digits(640)
        with pytest.raises(tokenstore.DataError, match="set_int_max_str_digits"):
            read(store)
    finally:
        sys.set_int_max_str_digits(before)
    assert read(store) == int("7" * 4300)
