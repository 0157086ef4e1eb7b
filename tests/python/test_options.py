"""Each option of a store has its effect."""

from __future__ import annotations

import itertools
import string
import time

import pytest

import stored
import tokenstore
from servers import Server
from tokenstore import Client, RedisTokens, Token

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


OLD, NEW, NEWER = (name.encode() * 16 for name in "onw")


def test_peppers(client: Client, server: Server) -> None:
    """The first makes, all find: each operation, on tokens of each pepper."""
    old = RedisTokens(client, pepper=OLD)
    both = RedisTokens(client, pepper=[NEW, OLD])
    new = RedisTokens(client, pepper=(NEW,))
    for maker, custom in itertools.product((old, both, new), (None, "mine")):

        def make() -> Token:
            return maker.create(  # noqa: B023
                **APP, owner="bob", data={"n": 1}, duration=1000, custom_token=custom  # noqa: B023
            )

        made = make()
        other = maker.create(**APP, owner="bob")
        assert (new.get(**APP, token=made.token) is None) == (maker is old)
        found = both.get(**APP, token=made.token, expiry=True)
        assert found is not None
        assert found.to_dict(secret=True) == made.to_dict(secret=True)
        many = both.get_many(**APP, tokens=["x", made.token, "y", other.token])
        assert [t and t.id for t in many] == [None, made.id, None, other.id]
        slid = both.get(**APP, token=made.token, refresh=3000)
        assert slid is not None
        assert slid.expires_at is not None
        assert slid.expires_at == pytest.approx(time.time() + 3000, abs=3)
        assert both.refresh(**APP, token=made.token, duration=2000)
        assert stored.left(server, made) == pytest.approx(2_000_000, abs=3000)
        updated = both.update(**APP, token=made.token, data={"m": 2})
        assert updated is not None
        assert (updated.id, updated.data) == (made.id, {"n": 1, "m": 2})
        assert both.delete_all(**APP, owner="bob", keep=made.token) == 1
        rotated = both.rotate(**APP, token=made.token)
        assert rotated is not None
        assert rotated.data == updated.data
        assert both.get(**APP, token=made.token) is None
        assert new.get(**APP, token=rotated.token) is not None  # it has the new pepper
        assert new.delete(**APP, token=rotated.token)
        made = make()
        taken = both.take(**APP, token=made.token)
        assert taken is not None
        assert taken.id == made.id
        made = make()
        assert both.delete(**APP, token=made.token) is True
        assert both.delete(**APP, token=made.token) is False
        assert both.get(**APP, token=made.token) is None
        assert stored.keys(server) == []  # no alias, too


def test_a_custom_token_is_in_use_by_any_pepper(client: Client) -> None:
    old, both = RedisTokens(client, pepper=OLD), RedisTokens(client, pepper=[NEW, NEWER, OLD])
    first = old.create(**APP, owner="bob", data={"n": 1}, custom_token="mine")
    for _ in range(2):
        with pytest.raises(tokenstore.DataError, match="in use"):
            both.create(**APP, owner="eve", custom_token="mine")
    found = both.get(**APP, token="mine")
    assert found is not None
    assert found.id == first.id
    own = old.create(**APP, owner="bob")
    with pytest.raises(tokenstore.DataError, match="in use"):
        both.create_many([{**APP, "owner": "bob"}, {**APP, "owner": "bob", "custom_token": own.token}])
    assert both.count(**APP, owner="bob") == 2
    assert both.delete_all(**APP, owner="bob") == 2  # the alias stays, and leads nowhere
    made = both.create(**APP, owner="eve", custom_token="mine")
    assert both.get(**APP, token="mine") is not None
    assert made.id != first.id


def test_peppers_are_one_to_eight(client: Client) -> None:
    peppers = [bytes([65 + n]) * (16 + n) for n in range(8)]
    store = RedisTokens(client, pepper=peppers)
    for pepper in peppers:
        token = RedisTokens(client, pepper=pepper).create(**APP, owner="bob").token
        assert store.get(**APP, token=token) is not None
    for bad in ([], (), [*peppers, peppers[0]], [peppers[0], "short"], [b""], "", [b"x" * 65]):
        with pytest.raises(tokenstore.ConfigurationError, match="^pepper must be 16 to 64 bytes"):
            RedisTokens(client, pepper=bad)
    for wrong in ([peppers[0], 5], [None], {"a": 1}, 5, iter(peppers)):
        with pytest.raises(TypeError, match="^pepper must be "):
            RedisTokens(client, pepper=wrong)  # type: ignore[arg-type]


def test_when_full_refuse(client: Client) -> None:
    tokens = RedisTokens(client, max_per_owner=2, when_full="refuse")
    first = tokens.create(**APP, owner="bob")
    tokens.create(**APP, owner="bob")
    for custom in (None, "mine", "mine"):  # the name is free again
        with pytest.raises(tokenstore.LimitError, match=r"the owner .* max_per_owner allows \(2\)"):
            tokens.create(**APP, owner="bob", custom_token=custom)
    tokens.create(**APP, owner="eve")
    with pytest.raises(tokenstore.LimitError):  # all or none
        tokens.create_many([{**APP, "owner": name} for name in ("eve", "amy", "bob")])
    assert [tokens.count(**APP, owner=name) for name in ("bob", "eve", "amy")] == [2, 1, 0]
    assert tokens.delete(**APP, token=first.token)
    tokens.create(**APP, owner="bob", custom_token="mine")
    assert tokens.rotate(**APP, token="mine") is not None
    sessions = tokenstore.Sessions(client, max_per_owner=1, when_full="refuse")
    sessions.create("web", "bob")
    with pytest.raises(tokenstore.LimitError, match="the owner_id has"):
        sessions.create("web", "bob")


def test_when_full_refuse_counts_the_living(client: Client, server: Server) -> None:
    lasting = RedisTokens(client)
    for n in range(40):
        lasting.create(**APP, owner="bob", duration=1)
        lasting.create(**APP, owner="amy", duration=(None, 1000)[n % 2])
    time.sleep(1.05)
    tokens = RedisTokens(client, max_per_owner=1, when_full="refuse", max_age=1)
    for owner in ("bob", "amy"):  # bob's have ended, amy's are older than max_age
        assert tokens.count(**APP, owner=owner) == 0
        made = tokens.create(**APP, owner=owner)
        assert tokens.get(**APP, token=made.token) is not None
        with pytest.raises(tokenstore.LimitError):
            tokens.create(**APP, owner=owner)
        key, _ = stored.place_of(server, made)
        assert server("HKEYS", key) == [made.id.encode()]


def test_when_full_idle(client: Client, server: Server) -> None:
    tokens = RedisTokens(client, max_per_owner=3, when_full="idle")
    made = [tokens.create(**APP, owner="bob", duration=1000) for _ in range(3)]
    for token in (made[0], made[2]):  # touched in a while
        record = stored.record_of(server, token)
        at = 21 if record[13:14] == b"e" else 13
        seen = int(time.time() * 1000) + 60000
        mark = "s" + "".join(stored.B64[seen >> 6 * place & 63] for place in range(6, -1, -1))
        stored.replace(server, token, record[:at] + mark.encode() + record[at:])
    new = tokens.create(**APP, owner="bob")
    alive = [tokens.get(**APP, token=t.token) is not None for t in (*made, new)]
    assert alive == [True, False, True, True]
    newer = tokens.create(**APP, owner="bob")  # new was never touched
    alive = [tokens.get(**APP, token=t.token) is not None for t in (*made, new, newer)]
    assert alive == [True, False, True, False, True]


def test_when_full_needs_a_cap(client: Client) -> None:
    for how in ("idle", "refuse"):
        with pytest.raises(tokenstore.ConfigurationError, match="when_full needs max_per_owner"):
            RedisTokens(client, when_full=how)
    with pytest.raises(tokenstore.ConfigurationError, match="when_full must be 'oldest', 'idle' or 'refuse'"):
        RedisTokens(client, max_per_owner=1, when_full="error")


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
        ("when_full", True),
        ("when_full", None),
        ("max_data_size", None),
        ("colour", "red"),
    ],
)
def test_a_wrong_type_or_an_unknown_option(client: Client, option: str, wrong: object) -> None:
    with pytest.raises(TypeError, match=option):
        RedisTokens(client, **{option: wrong})
    with pytest.raises(TypeError, match=option):
        tokenstore.Sessions(client, **{option: wrong})
