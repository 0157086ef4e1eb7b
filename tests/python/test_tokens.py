"""RedisTokens: each operation, as in SPEC 1."""

from __future__ import annotations

import re
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import stored
import tokenstore
from near_help import wait_until
from servers import Server
from tokenstore import RedisTokens

APP = {"app": "web", "type": "login"}
SCRIPTS = Path(__file__).resolve().parents[2] / "core" / "scripts"


# ---- create and get ------------------------------------------------------------------------------


def test_create_gives_all_fields(tokens: RedisTokens) -> None:
    before = time.time()
    token = tokens.create(app="web", type="login", owner="bob", data={"role": "admin"}, duration=60)
    after = time.time()
    assert (token.app, token.type, token.owner, token.data) == (
        "web",
        "login",
        "bob",
        {"role": "admin"},
    )
    assert isinstance(token.token, str)
    assert isinstance(token.id, str)
    assert before - 0.01 <= token.created_at <= after + 0.01
    assert token.expires_at == pytest.approx(token.created_at + 60, abs=0.5)


def test_create_without_duration_never_expires(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create("web", "login", "bob")
    assert token.expires_at is None
    assert token.data == {}
    assert stored.left(server, token) == -1
    found = tokens.get(**APP, token=token.token, expiry=True)
    assert found is not None
    assert found.expires_at is None


def test_the_time_of_creation_is_nine_base64url_digits(server: Server) -> None:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    values = [digit << 6 * place for place in range(8) for digit in range(64)]
    values += [value - 1 for value in values if value > 0]
    script = (
        (SCRIPTS / "lib" / "digits.lua").read_text(encoding="utf-8")
        + (SCRIPTS / "lib" / "stamp.lua").read_text(encoding="utf-8")
        + """
        local stamps = {}
        for i, us in ipairs(ARGV) do stamps[i] = stamp_of(tonumber(us)) end
        return stamps"""
    )
    written = server("EVAL", script, 0, *values)
    assert written == [
        "".join(digits[us >> 6 * place & 63] for place in range(8, -1, -1)).encode()
        for us in values
    ]


def test_get_gives_the_same_token(tokens: RedisTokens) -> None:
    token = tokens.create(**APP, owner="bob", data={"a": [1, {"b": None}]}, duration=60)
    found = tokens.get(**APP, token=token.token, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(token.expires_at, abs=0.5)  # now, plus the remaining time
    found = tokens.get(**APP, token=token.token)
    assert found is not None
    assert found.expires_at is None
    assert found.data == token.data
    assert found.created_at == token.created_at
    assert found.token == token.token


def test_get_of_what_is_not_there(tokens: RedisTokens) -> None:
    token = tokens.create(**APP, owner="bob")
    secret = token.token
    assert secret is not None
    assert tokens.get(**APP, token=secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
    assert tokens.get(**APP, token=secret + "A") is None
    assert tokens.get(**APP, token=secret[:-1]) is None
    assert tokens.get(app="web", type="other", token=secret) is None
    assert tokens.get(app="other", type="login", token=secret) is None
    assert tokens.get(**APP, token=token.id) is None
    assert tokens.get(**APP, token="\ud800") is None


def test_get_is_one_get(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=60)
    with server.wire() as monitor:
        monitor("MONITOR")
        tokens.get(**APP, token=token.token)
        tokens.get(**APP, token=token.token, expiry=True)
        server("ECHO", "end of it")
        commands = []
        while "end of it" not in (line := monitor.read()):
            commands.append(line.split('"')[1])
    # The server ends fields by itself, or the stamp is compared with its clock.
    assert commands in (
        ["HGET", "HGET", "HPEXPIRETIME"],
        ["HGET", "TIME", "HGET", "TIME"],
    )


def test_an_expired_token_is_gone(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=1)
    assert tokens.get(**APP, token=token.token) is not None
    deadline = time.monotonic() + 5
    while tokens.get(**APP, token=token.token) is not None:
        assert time.monotonic() < deadline
    assert time.time() >= token.created_at + 0.99
    assert tokens.refresh(**APP, token=token.token, duration=60) is False
    assert tokens.update(**APP, token=token.token, data={"a": 1}) is None
    assert tokens.rotate(**APP, token=token.token) is None
    assert tokens.delete(**APP, token=token.token) is False
    assert tokens.list(**APP, owner="bob") == []
    assert tokens.delete_all(**APP, owner="bob") == 0
    assert stored.keys(server) == []


def test_custom_token(tokens: RedisTokens) -> None:
    token = tokens.create(**APP, owner="bob", data={"n": 1}, custom_token="my own token")
    assert token.token == "my own token"
    found = tokens.get(**APP, token="my own token")
    assert found is not None
    assert found.owner == "bob"
    assert found.data == {"n": 1}
    assert tokens.list(**APP, owner="bob")[0].id == token.id
    assert tokens.get(app="web", type="other", token="my own token") is None


def test_a_custom_token_in_use_is_refused(tokens: RedisTokens) -> None:
    tokens.create(**APP, owner="bob", data={"n": 1}, custom_token="taken")
    for owner in ("bob", "eve"):
        with pytest.raises(tokenstore.DataError, match="use"):
            tokens.create(**APP, owner=owner, custom_token="taken")
    found = tokens.get(**APP, token="taken")
    assert found is not None
    assert (found.owner, found.data) == ("bob", {"n": 1})
    tokens.delete(**APP, token="taken")
    assert tokens.create(**APP, owner="eve", custom_token="taken").owner == "eve"
    assert tokens.list(**APP, owner="bob") == []


def test_custom_tokens_go_through_all_operations(tokens: RedisTokens) -> None:
    tokens.create(**APP, owner="bob", data={"n": 1}, custom_token="c1", duration=60)
    assert tokens.refresh(**APP, token="c1", duration=120) is True
    updated = tokens.update(**APP, token="c1", data={"m": 2})
    assert updated is not None
    assert updated.data == {"n": 1, "m": 2}
    rotated = tokens.rotate(**APP, token="c1")
    assert rotated is not None
    assert rotated.token != "c1"
    assert tokens.get(**APP, token="c1") is None
    assert tokens.get(**APP, token=rotated.token) is not None
    tokens.create(**APP, owner="bob", custom_token="c2")
    assert tokens.delete_all(**APP, owner="bob") == 2
    assert tokens.get(**APP, token="c2") is None


def test_a_custom_token_that_looks_like_a_generated_one(tokens: RedisTokens) -> None:
    model = tokens.create(**APP, owner="eve").token
    assert model is not None
    lookalike = model[:-4] + "0000"
    tokens.create(**APP, owner="bob", data={"n": 1}, custom_token=lookalike)
    found = tokens.get(**APP, token=lookalike)
    assert found is not None
    assert found.owner == "bob"
    assert tokens.delete(**APP, token=lookalike) is True
    assert tokens.get(**APP, token=lookalike) is None
    assert tokens.get(**APP, token=model) is not None


def test_texts_may_be_bytes(tokens: RedisTokens) -> None:
    token = tokens.create(app=b"\xff", type=b"\xc3\x28", owner=b"o\x80", custom_token=b"\xfe")
    assert token.app == "\udcff"
    assert token.token == "\udcfe"
    assert tokens.get(b"\xff", b"\xc3\x28", b"\xfe") is not None
    found = tokens.get("\udcff", "\udcc3(", "\udcfe")
    assert found is not None
    assert found.owner == "o\udc80"
    assert [t.id for t in tokens.list("\udcff", "\udcc3(", "o\udc80")] == [token.id]
    same = tokens.create(app="é", type="t", owner="ü", custom_token="ö")
    assert tokens.get("é".encode(), "t", "ö".encode()) == tokens.get("é", "t", same.token)


def test_texts_come_back_as_plain_str(tokens: RedisTokens) -> None:
    class Name(str):
        pass

    made = tokens.create(Name("app"), Name("type"), Name("owner"), custom_token=Name("token"))
    found = tokens.get(Name("app"), Name("type"), Name("token"))
    for token in (made, found, *tokens.list(Name("app"), Name("type"), Name("owner"))):
        assert token is not None
        assert [type(x) for x in (token.app, token.type, token.owner, token.id)] == [str] * 4
        assert (token.app, token.type, token.owner) == ("app", "type", "owner")


def test_a_surrogate_that_is_no_byte_is_refused(tokens: RedisTokens) -> None:
    for name in ("app", "type", "owner", "custom_token"):
        args = {"app": "a", "type": "t", "owner": "o", name: "x\ud800"}
        with pytest.raises(tokenstore.DataError, match=name):
            tokens.create(**args)


# ---- refresh -------------------------------------------------------------------------------------


def test_refresh_sets_the_expiry(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=60)
    assert tokens.refresh(**APP, token=token.token, duration=1000) is True
    assert 990_000 < stored.left(server, token) <= 1_000_000
    assert tokens.refresh(**APP, token=token.token, duration=10) is True
    assert 5_000 < stored.left(server, token) <= 10_000
    assert tokens.refresh(**APP, token="no such token", duration=10) is False


def test_refresh_gives_an_expiry_to_one_without(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob")
    assert tokens.refresh(**APP, token=token.token, duration=timedelta(minutes=1)) is True
    assert 50_000 < stored.left(server, token) <= 60_000


def test_get_with_refresh_slides(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=60)
    found = tokens.get(**APP, token=token.token, refresh=1000, expiry=True)
    assert found is not None
    assert found.expires_at == pytest.approx(time.time() + 1000, abs=3)
    assert 990_000 < stored.left(server, token) <= 1_000_000
    listed = tokens.list(**APP, owner="bob")
    assert listed[0].expires_at == pytest.approx(found.expires_at, abs=3)


# ---- update --------------------------------------------------------------------------------------


def test_update_sets_deletes_and_leaves(tokens: RedisTokens) -> None:
    token = tokens.create(
        **APP, owner="bob", data={"keep": [1, {}], "change": 1, "drop": 2, "unset": 3}, duration=60
    )
    updated = tokens.update(
        **APP,
        token=token.token,
        data={"change": {"x": 1.5}, "drop": None, "new": [], "unset": tokenstore.UNSET},
    )
    assert updated is not None
    assert updated.data == {"keep": [1, {}], "change": {"x": 1.5}, "new": [], "unset": 3}
    assert updated.token == token.token
    assert updated.id == token.id
    found = tokens.get(**APP, token=token.token)
    assert found is not None
    assert found.data == updated.data


def test_update_keeps_the_expiry(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=60)
    before = stored.left(server, token)
    for n in range(20):
        tokens.update(**APP, token=token.token, data={"n": n})
    assert 0 < stored.left(server, token) <= before
    forever = tokens.create(**APP, owner="eve")
    tokens.update(**APP, token=forever.token, data={"n": 1})
    assert stored.left(server, forever) == -1


def test_update_never_creates(tokens: RedisTokens, server: Server) -> None:
    assert tokens.update(**APP, token="no such token", data={"a": 1}) is None
    assert stored.keys(server) == []


@pytest.mark.parametrize(
    ("data", "patch", "result"),
    [
        ({}, {}, {}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": 1}, {"b": None}, {"a": 1}),
        ({"a": 1, "b": 2, "c": 3}, {"a": None}, {"b": 2, "c": 3}),
        ({"a": 1, "b": 2, "c": 3}, {"b": None}, {"a": 1, "c": 3}),
        ({"a": 1, "b": 2, "c": 3}, {"c": None}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"b": None, "a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 9}}, {"a": {"b": 9}}),
        ({"a": {"b": 1}}, {"b": 2}, {"a": {"b": 1}, "b": 2}),
        ({'q"uote': 1, "q": 2}, {'q"uote': 3}, {'q"uote': 3, "q": 2}),
        ({"back\\slash": 1}, {"back\\slash": None}, {}),
        ({"a,b": "x,y", "c": 1}, {"c": 2}, {"a,b": "x,y", "c": 2}),
        ({"a": '","b":"', "b": 1}, {"b": 2}, {"a": '","b":"', "b": 2}),
        ({"a": '}],"b":1', "b": 1}, {"b": None}, {"a": '}],"b":1'}),
        ({"ключ": 1, "ключ2": 2}, {"ключ": 3}, {"ключ": 3, "ключ2": 2}),
        ({"a": []}, {"b": {}}, {"a": [], "b": {}}),
        ({"a": 9007199254740991}, {"b": -9007199254740991}, None),
        ({"a": 0.1, "b": -0.0}, {"c": 5e-324}, None),
        ({"": 1}, {"": 2}, {"": 2}),
        ({"a": 1}, {"a": [None]}, {"a": [None]}),
        ({"x\n": 1}, {"x\n": 2, "x": 3}, {"x\n": 2, "x": 3}),
        ({"%s": 1, "%d": "%1"}, {"%s": "%%"}, {"%s": "%%", "%d": "%1"}),
    ],
)
def test_update_merges(
    tokens: RedisTokens,
    data: dict[str, object],
    patch: dict[str, object],
    result: dict[str, object] | None,
) -> None:
    token = tokens.create(**APP, owner="bob", data=data)
    updated = tokens.update(**APP, token=token.token, data=patch)
    assert updated is not None
    expected = {**data, **patch} if result is None else result
    assert updated.data == expected
    assert repr(sorted(updated.data.items())) == repr(sorted(expected.items()))
    assert tokens.get(**APP, token=token.token).data == expected


# ---- rotate --------------------------------------------------------------------------------------


def test_rotate(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", data={"a": 1}, duration=60)
    new = tokens.rotate(**APP, token=token.token)
    assert new is not None
    assert new.token not in (None, token.token)
    assert new.id != token.id
    assert (new.owner, new.data) == ("bob", {"a": 1})
    assert tokens.get(**APP, token=token.token) is None
    assert tokens.rotate(**APP, token=token.token) is None
    found = tokens.get(**APP, token=new.token)
    assert found is not None
    assert found.data == {"a": 1}
    assert 50_000 < stored.left(server, new) <= 60_000
    assert [t.id for t in tokens.list(**APP, owner="bob")] == [new.id]


def test_rotate_with_a_duration(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**APP, owner="bob", duration=60)
    new = tokens.rotate(**APP, token=token.token, duration=1000)
    assert new is not None
    assert 990_000 < stored.left(server, new) <= 1_000_000


# ---- the class -----------------------------------------------------------------------------------


def test_aliases() -> None:
    assert RedisTokens.deleteAll is RedisTokens.delete_all
    assert RedisTokens.createMany is RedisTokens.create_many
    assert RedisTokens.getMany is RedisTokens.get_many
    assert RedisTokens.deleteById is RedisTokens.delete_by_id


def test_default_data_is_not_shared(tokens: RedisTokens) -> None:
    first = tokens.create(**APP, owner="bob")
    first.data["x"] = 1
    assert tokens.create(**APP, owner="bob").data == {}


@pytest.mark.parametrize("wrong", [1.5, ["x"], object(), True, bytearray(b"x")])
def test_a_wrong_type_raises_type_error(tokens: RedisTokens, wrong: object) -> None:
    good = {"app": "a", "type": "t", "owner": "o"}
    calls = {
        "create": good,
        "get": {"app": "a", "type": "t", "token": "x"},
        "refresh": {"app": "a", "type": "t", "token": "x", "duration": 1},
        "update": {"app": "a", "type": "t", "token": "x", "data": {}},
        "delete": {"app": "a", "type": "t", "token": "x"},
        "rotate": {"app": "a", "type": "t", "token": "x"},
        "list": good,
        "delete_all": good,
        "delete_by_id": {**good, "id": "i"},
    }
    for name, args in calls.items():
        for arg in set(args) - {"duration", "data"}:
            with pytest.raises(TypeError, match=arg):
                getattr(tokens, name)(**{**args, arg: wrong})
    with pytest.raises(TypeError, match="data"):
        tokens.create(**good, data=wrong)
    with pytest.raises(TypeError, match="custom_token"):
        tokens.create(**good, custom_token=wrong)
    with pytest.raises(TypeError, match="data"):
        tokens.update("a", "t", "x", wrong)
    if not isinstance(wrong, float) and (wrong != 5 or wrong is True):
        with pytest.raises(TypeError, match="duration"):
            tokens.refresh("a", "t", "x", wrong)


def test_timedelta_everywhere(client: tokenstore.Client, server: Server) -> None:
    tokens = RedisTokens(
        client, max_age=timedelta(days=1), touch_interval=timedelta(0), prefix=b"td"
    )
    token = tokens.create(**APP, owner="bob", duration=timedelta(seconds=90))
    assert 80_000 < stored.left(server, token) <= 90_000
    assert tokens.get(**APP, token=token.token, refresh=timedelta(minutes=2)) is not None
    assert 110_000 < stored.left(server, token) <= 120_000
    with pytest.raises(tokenstore.DataError, match="duration"):
        tokens.create(**APP, owner="bob", duration=timedelta(milliseconds=999))


def test_each_of_many_kinds_is_registered(tokens: RedisTokens, server: Server) -> None:
    """A program with an app for each customer: listings find all of them."""
    for number in range(1500):
        tokens.create(f"customer-{number}", "t", "bob")
    assert server("HLEN", stored.KINDS) == 1500


def test_a_kind_that_a_full_server_refused_is_registered_later(tokens: RedisTokens, server: Server) -> None:
    server("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(tokenstore.ServerError, match="OOM"):
        tokens.create(**APP, owner="bob")
    server("CONFIG", "SET", "maxmemory", "0")
    assert server("EXISTS", stored.KINDS) == 0
    tokens.create(**APP, owner="bob")
    assert server("HLEN", stored.KINDS) == 1


def test_a_kind_that_did_not_arrive_is_registered_later(tokens: RedisTokens, server: Server) -> None:
    tokens.create("other", "t", "bob")  # loads the script
    server("CLIENT", "PAUSE", 20_000, "WRITE")
    failed: list[type] = []

    def create() -> None:
        with pytest.raises(tokenstore.OutcomeUnknownError) as failure:
            tokens.create(**APP, owner="bob")
        failed.append(failure.type)

    def find_waiting() -> str | None:
        found = re.search(r"\bid=(\d+) .* cmd=(?:evalsha|hsetex) ", server("CLIENT", "LIST").decode())
        return found and found[1]

    thread = threading.Thread(target=create)
    thread.start()
    try:
        wait_until(find_waiting)
        server("CLIENT", "KILL", "ID", str(find_waiting()))
        thread.join()
    finally:
        server("CLIENT", "UNPAUSE")
    assert failed
    assert server("HLEN", stored.KINDS) == 1
    tokens.create(**APP, owner="bob")
    assert server("HLEN", stored.KINDS) == 2
