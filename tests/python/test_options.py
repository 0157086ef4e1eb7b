"""Each option of a store has its effect."""

from __future__ import annotations

import string
import time

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import Client, RedisTokens

APP = {"app": "web", "type": "login"}
ALPHABETS = {
    "base64url": string.ascii_letters + string.digits + "-_",
    "base64": string.ascii_letters + string.digits + "+/",
    "hex": "0123456789abcdef",
}
BITS = {"base64url": 6, "base64": 6, "hex": 4}


def writes(server: Server) -> int:
    """The number of changes so far."""
    info = server("INFO", "persistence").decode()
    (line,) = [x for x in info.splitlines() if x.startswith("rdb_changes_since_last_save:")]
    return int(line.partition(":")[2])


def test_prefix(client: Client, server: Server) -> None:
    one, two = RedisTokens(client, prefix="one"), RedisTokens(client, prefix="two")
    default, ts = RedisTokens(client), RedisTokens(client, prefix="ts")
    token = one.create(**APP, owner="bob")
    assert all(key.startswith(b"one:") for key in server.keys())
    assert two.get(**APP, token=token.token) is None
    assert two.list(**APP, owner="bob") == []
    assert two.delete_all(**APP, owner="bob") == 0
    assert one.get(**APP, token=token.token) is not None
    assert ts.get(**APP, token=default.create(**APP, owner="bob").token) is not None


@pytest.mark.parametrize("encoding", ALPHABETS)
@pytest.mark.parametrize("size", [16, 24, 32, 33, 256])
def test_size_and_encoding(client: Client, encoding: str, size: int) -> None:
    tokens = RedisTokens(client, token_size=size, token_encoding=encoding)
    made = tokens.create_many([{**APP, "owner": "bob"}] * 20)
    for token in made:
        assert token.token is not None
        assert set(token.token) <= set(ALPHABETS[encoding])
        # marker, locator and sum, and all the entropy
        entropy = len(token.token) - 1 - 120 // BITS[encoding]
        assert entropy * BITS[encoding] >= size * 8
        assert (entropy - 1) * BITS[encoding] < size * 8
    assert len({t.token for t in made}) == 20
    found = tokens.get_many(**APP, tokens=[t.token for t in made])
    assert [t.id for t in found if t is not None] == [t.id for t in made]
    assert len(tokens.list(**APP, owner="bob")) == 20


def test_stores_of_other_encodings_read_each_other(client: Client) -> None:
    stores = [RedisTokens(client, token_encoding=e) for e in ALPHABETS]
    for maker in stores:
        token = maker.create(**APP, owner="bob")
        for reader in stores:
            assert reader.get(**APP, token=token.token) is not None


def test_pepper(client: Client, server: Server) -> None:
    one = RedisTokens(client, pepper=b"\x00\x01\xff" * 8)
    same = RedisTokens(client, pepper=b"\x00\x01\xff" * 8)
    other = RedisTokens(client, pepper="0123456789abcdef")
    none = RedisTokens(client)
    token = one.create(**APP, owner="bob")
    assert same.get(**APP, token=token.token) is not None
    assert other.get(**APP, token=token.token) is None
    assert none.get(**APP, token=token.token) is None
    assert other.delete(**APP, token=token.token) is False
    again = other.create(**APP, owner="eve", custom_token="c")
    assert again.id != none.create(**APP, owner="eve", custom_token="c").id


def test_max_age(client: Client) -> None:
    tokens = RedisTokens(client, max_age=100, touch_interval=0)
    forever = tokens.create(**APP, owner="bob")
    assert forever.expires_at == pytest.approx(forever.created_at + 100, abs=0.5)
    token = tokens.create(**APP, owner="bob", duration=10)
    assert token.expires_at == pytest.approx(token.created_at + 10, abs=0.5)
    assert tokens.refresh(**APP, token=token.token, duration=50) is True
    assert expiry(tokens, token) == pytest.approx(time.time() + 50, abs=3)
    assert tokens.refresh(**APP, token=token.token, duration=1000) is True
    assert expiry(tokens, token) == pytest.approx(token.created_at + 100, abs=0.5)
    slid = tokens.get(**APP, token=token.token, refresh=1000, expiry=True)
    assert slid is not None
    assert slid.expires_at == pytest.approx(token.created_at + 100, abs=0.5)
    rotated = tokens.rotate(**APP, token=token.token, duration=1000)
    assert rotated is not None
    assert rotated.expires_at is not None
    assert rotated.expires_at <= token.created_at + 100.5


def test_max_age_ends_a_token_that_slides(client: Client) -> None:
    tokens = RedisTokens(client, max_age=2, touch_interval=0)
    token = tokens.create(**APP, owner="bob", duration=1)
    while tokens.get(**APP, token=token.token, refresh=1) is not None:
        assert time.time() < token.created_at + 4
    assert time.time() >= token.created_at + 1.9


def expiry(tokens: RedisTokens, token: tokenstore.Token) -> float:
    found = tokens.get(**APP, token=token.token, expiry=True)
    assert found is not None
    assert found.expires_at is not None
    return found.expires_at


def test_touch_interval_saves_writes(client: Client, server: Server) -> None:
    tokens = RedisTokens(client, touch_interval=30)
    token = tokens.create(**APP, owner="bob", duration=100)
    before = writes(server)
    for _ in range(10):
        assert tokens.get(**APP, token=token.token, refresh=100) is not None
    assert writes(server) == before
    stored.set_left(server, token, 60)
    before = writes(server)
    for _ in range(10):
        assert tokens.get(**APP, token=token.token, refresh=100) is not None
    assert writes(server) > before
    assert expiry(tokens, token) == pytest.approx(time.time() + 100, abs=3)


def test_touch_interval_zero_writes_each_time(client: Client, server: Server) -> None:
    tokens = RedisTokens(client, touch_interval=0)
    token = tokens.create(**APP, owner="bob", duration=100)
    before = writes(server)
    for _ in range(5):
        time.sleep(0.002)  # within the same millisecond the expiry does not change
        tokens.get(**APP, token=token.token, refresh=100)
    assert writes(server) >= before + 5


@pytest.mark.parametrize(("duration", "left", "touched"), [(100, 95, False), (100, 85, True),
                                                           (6000, 5950, False), (6000, 5930, True)])  # fmt: skip
def test_touch_interval_by_default(
    tokens: RedisTokens, server: Server, duration: int, left: int, touched: bool
) -> None:
    """The lesser of 60 s and a tenth of the duration."""
    token = tokens.create(**APP, owner="bob", duration=duration)
    stored.set_left(server, token, left)
    assert tokens.get(**APP, token=token.token, refresh=duration) is not None
    now = expiry(tokens, token) - time.time()
    assert now == pytest.approx(duration if touched else left, abs=3)


def test_max_per_owner_evicts_the_oldest(client: Client) -> None:
    tokens = RedisTokens(client, max_per_owner=3)
    spared = tokens.create(**APP, owner="eve")
    made = [tokens.create(**APP, owner="bob", data={"n": n}) for n in range(10)]
    assert [t.data["n"] for t in tokens.list(**APP, owner="bob")] == [9, 8, 7]
    alive = [tokens.get(**APP, token=t.token) is not None for t in made]
    assert alive == [False] * 7 + [True] * 3
    assert tokens.get(**APP, token=spared.token) is not None


def test_max_per_owner_counts_the_living(client: Client) -> None:
    tokens = RedisTokens(client, max_per_owner=2)
    first = tokens.create(**APP, owner="bob")
    second = tokens.create(**APP, owner="bob")
    tokens.delete(**APP, token=first.token)
    third = tokens.create(**APP, owner="bob")
    assert tokens.get(**APP, token=second.token) is not None
    assert tokens.get(**APP, token=third.token) is not None
    rotated = tokens.rotate(**APP, token=second.token)
    assert rotated is not None
    assert tokens.get(**APP, token=third.token) is not None


def test_max_per_owner_lowered_later(client: Client) -> None:
    many, few = RedisTokens(client), RedisTokens(client, max_per_owner=2)
    for n in range(10):
        many.create(**APP, owner="bob", data={"n": n})
    few.create(**APP, owner="bob", data={"n": 10})
    assert [t.data["n"] for t in few.list(**APP, owner="bob")] == [10, 9]


def test_max_per_owner_in_create_many(client: Client) -> None:
    tokens = RedisTokens(client, max_per_owner=3)
    tokens.create_many([{**APP, "owner": "bob", "data": {"n": n}} for n in range(10)])
    assert [t.data["n"] for t in tokens.list(**APP, owner="bob")] == [9, 8, 7]


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("prefix", 5),
        ("prefix", None),
        ("token_size", "32"),
        ("token_size", 32.0),
        ("token_size", True),
        ("token_size", None),
        ("token_encoding", None),
        ("token_encoding", b"hex"),
        ("pepper", 5),
        ("max_age", "60"),
        ("max_age", True),
        ("touch_interval", "60"),
        ("max_per_owner", 1.5),
        ("max_per_owner", True),
        ("max_data_size", None),
        ("colour", "red"),
    ],
)
def test_a_wrong_type_or_an_unknown_option(client: Client, option: str, wrong: object) -> None:
    with pytest.raises(TypeError, match=option):
        RedisTokens(client, **{option: wrong})
    with pytest.raises(TypeError, match=option):
        tokenstore.Sessions(client, **{option: wrong})
