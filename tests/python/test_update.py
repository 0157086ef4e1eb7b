"""What update does beyond setting fields: unset, keep_null, replace, expect, refresh. See test_tokens.py for the merge."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest

import stored
import tokenstore
from racing import SOAK, race
from servers import Server
from tokenstore import UNSET, ConflictError, DataError, RedisTokens, Sessions, Token

A = {"app": "web", "type": "login"}
BOB = {**A, "owner": "bob"}

# A process with a watching thread forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def update(tokens: RedisTokens, token: Token, **more: Any) -> Token:
    updated = tokens.update(**A, token=token.token, **more)
    assert updated is not None
    found = tokens.get(**A, token=token.token)
    assert found is not None
    assert found.data == updated.data
    return updated


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({"unset": ["a"]}, {"b": None, "c": [1]}),
        ({"unset": ("a", "x", "a")}, {"b": None, "c": [1]}),
        ({"unset": {"a": 1, "b": 1, "c": 1}}, {}),
        ({"unset": iter(["c"]), "data": {"d": 1}}, {"a": 1, "b": None, "d": 1}),
        ({"unset": []}, {"a": 1, "b": None, "c": [1]}),
        ({"keep_null": True, "data": {"a": None, "d": None}}, {"a": None, "b": None, "c": [1], "d": None}),
        ({"keep_null": True, "data": {"a": UNSET}}, {"a": 1, "b": None, "c": [1]}),
        ({"replace": True, "data": {"d": {"e": None}, "f": None}}, {"d": {"e": None}, "f": None}),
        ({"replace": True, "data": {"d": UNSET}}, {}),
        ({"replace": True}, {}),
        ({"replace": True, "unset": []}, {}),
        ({}, {"a": 1, "b": None, "c": [1]}),
    ],
)
def test_what_is_changed(tokens: RedisTokens, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    token = tokens.create(**BOB, data={"a": 1, "b": None, "c": [1]})
    assert update(tokens, token, **arguments).data == result


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": {"b": 1, "a": 2}, "unset": ["x", "a"]}, '^unset and data both have the field "a": give'),
        ({"data": {"a": None}, "unset": ["a"]}, 'both have the field "a"'),
        ({"data": {'q"': 1}, "unset": ['q"']}, r'both have the field "q\\""'),
        ({"data": {"a": 1}, "unset": ["b"], "replace": True}, "^replace and unset"),
        ({"unset": ["a\0"]}, r"unset\[0\] contains U\+0000"),
        ({"unset": ["a", "\ud800"]}, r"unset\[1\] contains a surrogate"),
        ({"expect": {"a": float("nan")}}, r"expect\.a is NaN"),
        ({"expect": {1: UNSET}}, "expect.* key that is not a string"),
        ({"expect": {1: 1}}, "expect.* key that is not a string"),
        ({"expect": {"a": {"b": UNSET}}}, r"expect\.a\.b is of a type"),
        ({"expect": {"a": "x" * 70000}}, "expect"),
        ({"refresh": 0}, "refresh must be"),
    ],
)
def test_what_is_refused(tokens: RedisTokens, arguments: dict[str, Any], message: str) -> None:
    token = tokens.create(**BOB, data={"a": 1})
    with pytest.raises(DataError, match=message):
        tokens.update(**A, token=token.token, **arguments)
    assert update(tokens, token).data == {"a": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unset": "abc"}, "^unset must be several names of fields, not one text$"),
        ({"unset": b"abc"}, "^unset must be several names"),
        ({"unset": 5}, "^unset must be an iterable of names"),
        ({"unset": ["a", 5]}, r"^unset\[1\] must be str, not <class 'int'>$"),
        ({"unset": [b"a"]}, r"^unset\[0\] must be str"),
        ({"expect": [("a", 1)]}, "^expect must be a dict"),
        ({"data": []}, "^data must be a dict"),
        ({"refresh": "5"}, "^refresh must be seconds"),
    ],
)
def test_wrong_types(tokens: RedisTokens, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tokens.update(**A, token="x", **arguments)


def test_the_size_counts_at_the_server(client: tokenstore.Client) -> None:
    tokens = RedisTokens(client, max_data_size=40)
    token = tokens.create(**BOB, data={"a": "x" * 20})
    with pytest.raises(DataError, match="max_data_size"):
        tokens.update(**A, token=token.token, data={"b": "x" * 20}, expect={"a": "x" * 20})
    assert update(tokens, token, data={"b": "x" * 20}, unset=["a"]).data == {"b": "x" * 20}
    assert update(tokens, token, data={"c": "x" * 30}, replace=True).data == {"c": "x" * 30}


# ---- expect ------------------------------------------------------------------------------------------

VALUES = [
    *(None, True, False, 0, 1, -1, 1.5, -0.25, 5e-324, 2**53 - 1, "", "0", "null", 'q"\\', "ключ", "a,b}", "]"),
    *([], {}, [[]], [{}], [1], [1, 2], [2, 1], ["]"], {"a": 1}, {"a": 1, "b": 2}, {"b": [1, {"c": None}], "a": "}"}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_only_this_value_is_expected(tokens: RedisTokens, value: Any) -> None:
    token = tokens.create(**BOB, data={"before": {"f": 9}, "f": value, "fg": 7})
    for other in [*VALUES, UNSET]:
        if type(other) is type(value) and other == value:
            continue
        with pytest.raises(ConflictError, match='^the field "f" is not as expected: nothing was changed'):
            tokens.update(**A, token=token.token, data={"n": 1}, expect={"fg": 7, "f": other})
    assert "n" not in update(tokens, token).data
    assert update(tokens, token, data={"n": 1}, expect={"f": copy.deepcopy(value)}).data["n"] == 1


def test_what_counts_as_the_same(tokens: RedisTokens) -> None:
    value = {"a": {"x": 1, "y": [1.0, {"p": 1, "q": []}]}, "b": -0.0, "": "s"}
    token = tokens.create(**BOB, data={"f": value, "n": 1.0})
    same = {"": "s", "b": 0, "a": {"y": [1, {"q": [], "p": 1}], "x": 1.0}}
    update(tokens, token, expect={"f": same, "n": 1})
    for other in (
        {**same, "c": 1},
        {"": "s", "b": 0},
        {**same, "a": {**same["a"], "y": [{"q": [], "p": 1}, 1]}},
        {**same, "b": False},
    ):
        with pytest.raises(ConflictError):
            tokens.update(**A, token=token.token, expect={"f": other})


def test_random_values(tokens: RedisTokens) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)

    def value(depth: int) -> Any:
        kind = rng.randrange(6 if depth > 0 else 4)
        if kind == 4:
            return [value(depth - 1) for _ in range(rng.randrange(3))]
        if kind == 5:
            return {rng.choice('a"\\,}]'): value(depth - 1) for _ in range(rng.randrange(4))}
        return [None, rng.random() < 0.5, rng.choice([0, 7, -0.5, 1e300]), rng.choice(["", '"', "]}", "\\"])][kind]

    def text(of: Any) -> str:
        return json.dumps(of, sort_keys=True)

    token = tokens.create(**BOB)
    for _ in range(300):
        have, want = ({rng.choice("abc"): value(3) for _ in range(2)} for _ in range(2))
        update(tokens, token, data=have, replace=True)
        wanted = {n: UNSET if v is None else v for n, v in want.items()}
        same = all(n not in have if v is None else n in have and text(have[n]) == text(v) for n, v in want.items())
        update(tokens, token, expect=have)
        if same:
            update(tokens, token, expect=wanted)
        else:
            with pytest.raises(ConflictError):
                tokens.update(**A, token=token.token, data={"x": 1}, expect=wanted)
        assert tokens.get(**A, token=token.token).data == have, f"seed {seed}"  # type: ignore[union-attr]


def test_a_message_holds_the_name_and_no_value(tokens: RedisTokens) -> None:
    token = tokens.create(**BOB, data={"ü" * 90: "stored-canary"})
    with pytest.raises(ConflictError) as caught:
        tokens.update(**A, token=token.token, expect={"ü" * 90: "given-canary"})
    assert str(caught.value) == (
        f'the field "{"ü" * 49} is not as expected: nothing was changed; read it again'
    )


def test_not_found_is_no_conflict(tokens: RedisTokens, server: Server) -> None:
    for token in ("no such token", None):
        assert tokens.update(**A, token=token, data={"a": 1}, expect={"a": UNSET}, refresh=60) is None
    assert stored.keys(server) == []


def test_what_is_unreadable_is_no_conflict(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, data={"a": 1})
    stored.replace(server, token, b"x" * 20)
    with pytest.raises(DataError, match="not a tokenstore record"):
        tokens.update(**A, token=token.token, data={"a": 1}, expect={"a": 1})


def test_a_conflict_is_no_reason_to_close_the_connection(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client)
    token = tokens.create(**BOB)
    before = client.execute("CLIENT", "ID")
    with pytest.raises(ConflictError):
        tokens.update(**A, token=token.token, expect={"a": 1})
    assert client.execute("CLIENT", "ID") == before


def test_no_increment_is_lost(server: Server, tokens: RedisTokens) -> None:
    """64 threads that compare and set, each 10 times, 40 in `make soak`."""
    writers, times = 64, 40 if SOAK else 10
    token = tokens.create(**BOB, data={"n": 0}, duration=1000).token

    def work(client: tokenstore.Client, _: int) -> int:
        store, conflicts = RedisTokens(client), 0
        for _ in range(times):
            while True:
                found = store.get(**A, token=token)
                assert found is not None
                n = found.data["n"]
                try:
                    updated = store.update(**A, token=token, data={"n": n + 1}, expect={"n": n})
                except ConflictError:
                    conflicts += 1
                    continue
                assert updated is not None
                assert updated.data == {"n": n + 1}
                break
        return conflicts

    conflicts = race(server.url, work, processes=4, threads=writers // 4)
    assert update(tokens, tokens.get(**A, token=token)).data == {"n": writers * times}  # type: ignore[arg-type]
    assert sum(conflicts) > 0  # they did meet


# ---- refresh -----------------------------------------------------------------------------------------


def test_refresh_slides_and_never_shortens(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, duration=10)
    for refresh, left in ((100, 100), (50, 100), (200, 200)):
        updated = update(tokens, token, data={"n": refresh}, refresh=refresh)
        assert updated.expires_at == pytest.approx(stored.end_of(server, token) / 1000, abs=0.001)
        assert left - 1 < stored.left(server, token) / 1000 <= left
    assert update(tokens, token, data={"n": 1}).expires_at is None
    lasting = tokens.create(**BOB)
    assert update(tokens, lasting, data={"n": 1}, refresh=100).expires_at is None
    assert stored.left(server, lasting) == -1


def test_refresh_respects_max_age(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, max_age=60)
    token = tokens.create(**BOB, duration=10)
    assert update(tokens, token, refresh=100).expires_at == pytest.approx(token.created_at + 60, abs=0.001)
    assert 59 < stored.left(server, token) / 1000 <= 60
    for duration in (None, 1000):  # made without the max_age
        older = RedisTokens(client).create(**BOB, duration=duration)
        left = stored.left(server, older)
        shown = update(tokens, older, refresh=100).expires_at
        assert shown == pytest.approx(older.created_at + 60, abs=0.001)
        assert left - 1000 < stored.left(server, older) <= left


def test_refresh_is_a_use_and_ends_where_the_token_does(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, idle=10, duration=60, data={"n": 0}, request={"address": "::1", "user_agent": '"x"'})
    for n in (1, 2):
        updated = update(tokens, token, data={"n": n}, refresh=1000)
        assert updated.expires_at == pytest.approx(token.created_at + 60, abs=0.001)
        assert updated.data == {"n": n}
        assert (updated.idle, updated.request) == (10, token.request)
        assert updated.seen_at is not None
        assert updated.seen_at >= int(token.created_at * 1000) / 1000
    assert 59 < stored.left(server, token) / 1000 <= 60
    before = update(tokens, token, data={"n": 3}).seen_at
    assert before == updated.seen_at  # no use


def test_refresh_by_the_tokens_own_idle(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, idle=100, duration=150)
    stored.set_left(server, token, 30)
    updated = update(tokens, token, data={"a": 1}, refresh=True)
    assert (updated.data, updated.idle) == ({"a": 1}, 100)
    assert updated.expires_at == pytest.approx(stored.end_of(server, token) / 1000, abs=0.001)
    assert 99_000 < stored.left(server, token) <= 100_000
    assert updated.seen_at is not None
    tokens.refresh(**A, token=token.token, duration=140)
    time.sleep(0.002)  # it is told in milliseconds
    assert update(tokens, token, refresh=True).seen_at > updated.seen_at  # type: ignore[operator]
    assert 139_000 < stored.left(server, token) <= 140_000  # never shortened
    short = tokens.create(**BOB, idle=100, duration=40)
    assert update(tokens, short, refresh=True).expires_at == pytest.approx(short.expires_at, abs=0.001)
    aged = RedisTokens(tokens.client, max_age=50)
    token = aged.create(**BOB, idle=100)
    assert update(aged, token, refresh=True).expires_at == pytest.approx(token.created_at + 50, abs=0.001)


def test_refresh_leaves_a_token_without_idle_alone(tokens: RedisTokens, server: Server) -> None:
    for duration in (10, None):
        token = tokens.create(**BOB, duration=duration, request={"address": "::1"})
        updated = update(tokens, token, data={"a": 1}, refresh=True)
        assert updated.expires_at == token.expires_at
        assert updated.seen_at is None
        assert updated.data == {"a": 1}
    assert update(tokens, token, data={"a": 2}, refresh=False).expires_at is None


def test_a_conflict_moves_no_expiry(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, duration=10)
    with pytest.raises(ConflictError):
        tokens.update(**A, token=token.token, expect={"a": 1}, refresh=100)
    assert stored.left(server, token) <= 10_000


def alias_left(server: Server) -> int:
    (alias,) = set(stored.keys(server)) - set(stored.hashes(server))
    return int(server("PTTL", alias))


@pytest.mark.parametrize("how", ["update", "get"])
def test_an_alias_lives_as_long_as_its_token(client: tokenstore.Client, server: Server, how: str) -> None:
    tokens = RedisTokens(client, touch_interval=0)
    token = tokens.create(**BOB, custom_token="c", duration=10)
    getattr(tokens, how)(**A, token="c", refresh=100)
    assert 159_000 < alias_left(server) <= 160_000
    assert tokens.refresh(**A, token="c", duration=1000)
    update(tokens, token, refresh=100)
    assert 1_059_000 < alias_left(server) <= 1_060_000
    lasting = RedisTokens(client, prefix="p")
    token = lasting.create(**BOB, custom_token="c")
    update(lasting, token, refresh=100)
    assert [server("PTTL", k) for k in server.keys() if k.startswith(b"p:") and server("TYPE", k) == "string"] == [-1]


def test_an_alias_lives_as_long_as_a_use_lets_its_token(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(client, touch_interval=0)
    token = tokens.create(**BOB, custom_token="c", idle=100, duration=1000)
    (alias,) = set(stored.keys(server)) - set(stored.hashes(server))
    for use in (tokens.get, tokens.update):
        stored.set_left(server, token, 30)
        server("PEXPIRE", alias, 90_000)
        used: Any = use(**A, token="c", refresh=True)
        assert (used.id, used.idle) == (token.id, 100)
        assert 159_000 < alias_left(server) <= 160_000
    server("PEXPIRE", alias, 90_000)
    by_id = tokens.update_by_id(**BOB, id=token.id, data={"a": 2}, refresh=True)
    assert by_id is not None
    assert by_id.data == {"a": 2}
    assert 159_000 < alias_left(server) <= 160_000
    generated = tokens.create(**BOB, idle=100)
    assert tokens.update_by_id(**BOB, id=generated.id, refresh=True) is not None
    assert tokens.update(**A, token="none", refresh=True) is None


# ---- Sessions ----------------------------------------------------------------------------------------


def test_of_sessions(sessions: Sessions) -> None:
    token = sessions.create("web", "bob", {"a": 1, "b": 2}, 10)
    assert sessions.update("web", token, unset=["a"], expect={"b": 2, "x": UNSET}, refresh=100) is True
    with pytest.raises(ConflictError, match='"b"'):
        sessions.update("web", token, {"b": 3}, expect={"b": 1})
    assert sessions.update("web", token, {"c": None}, keep_null=True) is True
    session = sessions.get("web", token, expiry=True)
    assert session is not None
    assert session.data == {"b": 2, "c": None}
    assert session.expires_at is not None
    assert session.expires_at - session.created_at > 90
    token = sessions.create("web", "bob", idle=100)
    assert sessions.update("web", token, refresh=True) is True
    session = sessions.get("web", token, expiry=True)
    assert session is not None
    assert session.seen_at is not None
    assert sessions.update_by_id("web", "bob", session.id, refresh=True) is True
    assert sessions.update("web", token, {"z": 1}, replace=True) is True
    assert sessions.get("web", token).data == {"z": 1}  # type: ignore[union-attr]
    assert sessions.update("web", "none", expect={"b": 1}) is False
