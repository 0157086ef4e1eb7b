"""get_by_id, update_by_id, update_all: an administrator changes live tokens without their secrets."""

from __future__ import annotations

import time

import pytest

import stored
import tokenstore
from racing import look, race
from servers import Server
from tokenstore import UNSET, ConflictError, DataError, RedisTokens, Sessions

A = {"app": "web", "type": "login"}
BOB = {**A, "owner": "bob"}

# A process with a watching thread forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


# ---- by id -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duration", [None, 100])
@pytest.mark.parametrize("custom", [None, "c"])
def test_by_id(tokens: RedisTokens, custom: str | None, duration: int | None) -> None:
    token = tokens.create(**BOB, data={"role": "admin"}, duration=duration, custom_token=custom)
    shown = tokens.get(**A, token=token.token, expiry=True)
    found = tokens.get_by_id(**BOB, id=token.id)
    assert shown is not None
    assert found is not None
    assert found.to_dict() == shown.to_dict()
    assert found.token is None
    updated = tokens.update_by_id(**BOB, id=token.id, data={"role": "guest"}, unset=["x"])
    assert updated is not None
    assert updated.to_dict() == {**shown.to_dict(), "data": {"role": "guest"}, "expires_at": None}
    assert updated.token is None
    assert tokens.get(**A, token=token.token).data == {"role": "guest"}  # type: ignore[union-attr]


def test_nobody_else_and_nothing_else(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, data={"role": "admin"})
    for wrong in (
        {**BOB, "owner": "bobby"},
        {**BOB, "type": "other"},
        {**BOB, "app": "other"},
        {**BOB, "id": "x"},
        {**BOB, "id": None},
        {**BOB, "id": token.token},
    ):
        given = {"id": token.id, **wrong}
        assert tokens.get_by_id(**given) is None
        assert tokens.update_by_id(**given, data={"role": "guest"}) is None
    assert len(stored.keys(server)) == 1
    assert tokens.get_by_id(**BOB, id=token.id).data == {"role": "admin"}  # type: ignore[union-attr]
    assert tokens.delete(**A, token=token.token)
    assert tokens.get_by_id(**BOB, id=token.id) is None
    assert tokens.update_by_id(**BOB, id=token.id, data={"role": "guest"}) is None
    assert stored.keys(server) == []


def test_what_update_takes(tokens: RedisTokens, server: Server) -> None:
    token = tokens.create(**BOB, data={"n": 1}, duration=10, custom_token="c")
    by_id = {**BOB, "id": token.id}
    with pytest.raises(ConflictError, match='"n"'):
        tokens.update_by_id(**by_id, data={"n": 2}, expect={"n": 2}, refresh=100)
    assert stored.left(server, token) <= 10_000
    updated = tokens.update_by_id(
        **by_id, data={"n": None}, keep_null=True, expect={"n": 1, "x": UNSET}, refresh=100
    )
    assert updated is not None
    assert updated.data == {"n": None}
    assert updated.expires_at == pytest.approx(stored.end_of(server, token) / 1000, abs=0.001)
    (alias,) = set(stored.keys(server)) - set(stored.hashes(server))
    assert 159_000 < int(server("PTTL", alias)) <= 160_000  # it ends no sooner than its token
    assert tokens.update_by_id(**by_id, data={"m": 1}, replace=True).data == {"m": 1}  # type: ignore[union-attr]
    with pytest.raises(DataError, match="unset and data"):
        tokens.update_by_id(**by_id, data={"m": 1}, unset=["m"])
    with pytest.raises(DataError, match="owner is empty"):
        tokens.update_by_id(**A, owner="", id=token.id)


# ---- update_all --------------------------------------------------------------------------------------


def test_all_of_one_owner(tokens: RedisTokens, server: Server) -> None:
    made = [tokens.create(**BOB, data={"n": n, "old": n}, duration=d) for n, d in enumerate((None, 100, 1000))]
    custom = tokens.create(**BOB, custom_token="c", duration=50)
    other = tokens.create(**A, owner="bobby", data={"old": 1})
    ends = [stored.end_of(server, token) for token in (*made, custom)]
    assert tokens.update_all(**BOB, data={"role": "guest", "old": None, "none": UNSET}) == 4
    for n, token in enumerate(made):
        assert tokens.get(**A, token=token.token).data == {"n": n, "role": "guest"}  # type: ignore[union-attr]
    assert tokens.get(**A, token="c").data == {"role": "guest"}  # type: ignore[union-attr]
    assert tokens.get(**A, token=other.token).data == {"old": 1}  # type: ignore[union-attr]
    assert [stored.end_of(server, token) for token in (*made, custom)] == ends
    assert tokens.update_all(**BOB, data={"role": "guest"}) == 4
    assert tokens.update_all(**BOB, data={}) == 4


def test_of_many(tokens: RedisTokens, server: Server) -> None:
    made = tokens.create_many([{**BOB, "duration": 1000, "data": {"n": n}} for n in range(2500)])
    assert tokens.update_all(**BOB, data={"x": 1}) == 2500
    found = tokens.get_many(**A, tokens=[token.token for token in made])
    assert [t.data for t in found if t is not None] == [{"n": n, "x": 1} for n in range(2500)]
    assert look(server) == 2500


def test_none_is_created_or_revived(tokens: RedisTokens, server: Server) -> None:
    assert tokens.update_all(**BOB, data={"x": 1}) == 0
    assert stored.keys(server) == []
    dead = [tokens.create(**BOB, duration=1) for _ in range(3)]
    alive = tokens.create(**BOB, duration=100)
    gone = tokens.create(**BOB)
    assert tokens.delete(**A, token=gone.token)
    stored.wait_for_end(server, dead[-1])
    assert tokens.update_all(**BOB, data={"x": 1}) == 1
    assert [token.id for token in tokens.list(**BOB)] == [alive.id]
    (key,) = stored.hashes(server)
    assert {field.decode() for field in server("HKEYS", key)} - {token.id for token in dead} == {alive.id}
    assert not any(b'"x"' in record for record in server("HVALS", key) if record != stored.record_of(server, alive))


def test_max_age_ends_them(client: tokenstore.Client, server: Server) -> None:
    before = RedisTokens(client)
    aged = before.create(**BOB, duration=1000)
    time.sleep(1.1)
    young = before.create(**BOB, duration=1000)
    end = stored.end_of(server, young)
    assert RedisTokens(client, max_age=1).update_all(**BOB, data={"x": 1}) == 1
    assert before.get(**A, token=aged.token).data == {}  # type: ignore[union-attr]
    assert before.get(**A, token=young.token).data == {"x": 1}  # type: ignore[union-attr]
    assert stored.end_of(server, young) == end


def test_all_or_none(client: tokenstore.Client) -> None:
    tokens = RedisTokens(client, max_data_size=40)
    made = [tokens.create(**BOB, data={"a": "x" * n}) for n in (1, 30, 2)]
    with pytest.raises(DataError, match="larger than max_data_size .40 bytes.: nothing was changed"):
        tokens.update_all(**BOB, data={"b": "y" * 10})
    assert all("b" not in token.data for token in tokens.list(**BOB))
    assert tokens.update_all(**BOB, data={"a": None}) == len(made)


# Cut off anywhere, or never a record.
def broken(record: bytes) -> list[bytes]:
    return [*(record[:n] for n in range(len(record))), b"x" * 13 + b'e"b"{}', b"x" * 40, record + b"x"]


def test_what_cannot_be_read_is_skipped(
    tokens: RedisTokens, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    token = tokens.create(**BOB, data={"a": {"b": [1, "}"]}, "c": 'x"'}, duration=1000)
    record = stored.record_of(server, token)
    for n, text in enumerate(broken(record)):
        tokens.delete_all(**BOB)
        bad, good = tokens.create(**BOB, duration=1000), tokens.create(**BOB, duration=1000)
        stored.replace(server, bad, text)
        caplog.clear()
        assert tokens.update_all(**BOB, data={"c": n}) == 1, text
        assert stored.record_of(server, bad) == text
        (line,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
        assert line.endswith(f": update_all skipped unreadable tokens: 1; the first: {bad.id}: delete_all removes it too")
        assert tokens.get(**A, token=good.token).data == {"c": n}  # type: ignore[union-attr]
        assert tokens.delete(**A, token=good.token)
        with pytest.raises(DataError, match=f"the token {bad.id} is stored in an unreadable form: nothing"):
            tokens.update_all(**BOB, data={"c": n})


def test_a_key_of_another_type(tokens: RedisTokens, server: Server) -> None:
    tokens.create(**BOB)
    (key,) = stored.hashes(server)
    server("DEL", key)
    server("SET", key, "x")
    with pytest.raises(tokenstore.ServerError, match="WRONGTYPE"):
        tokens.update_all(**BOB, data={"x": 1})


def test_arguments(tokens: RedisTokens) -> None:
    with pytest.raises(DataError, match=r"data\.x is NaN"):
        tokens.update_all(**BOB, data={"x": float("nan")})
    with pytest.raises(TypeError, match="data must be a dict"):
        tokens.update_all(**BOB, data=None)  # type: ignore[arg-type]


def test_it_is_one_step(server: Server, tokens: RedisTokens) -> None:
    """Of two who change all tokens at the same time the last one wins in all, and no other change is lost."""
    made = tokens.create_many([{**BOB, "duration": 1000} for _ in range(20)])

    def work(client: tokenstore.Client, n: int) -> None:
        store = RedisTokens(client)
        for i in range(50):
            if n < 4:
                assert store.update_all(**BOB, data={"by": n, f"{n}": i}) == len(made)
                assert len({t.data["by"] for t in store.list(**BOB) if "by" in t.data}) == 1
            else:
                token = made[(n * 50 + i) % len(made)]
                assert store.update_by_id(**BOB, id=token.id, data={f"{n}-{i}": 1}) is not None

    race(server.url, work, processes=4, threads=2)
    listed = tokens.list(**BOB)
    assert [t.data["3"] for t in listed] == [49] * len(made)
    assert sum(sum("-" in name for name in t.data) for t in listed) == 4 * 50
    assert look(server) == len(made)


# ---- Sessions ----------------------------------------------------------------------------------------


def test_of_sessions(sessions: Sessions) -> None:
    token = sessions.create("web", "bob", {"role": "admin"}, 100)
    (listed,) = sessions.list("web", "bob")
    found = sessions.get_by_id("web", "bob", listed.id)
    assert found == listed
    assert sessions.update_by_id("web", "bob", listed.id, {"role": "guest"}, expect={"role": "admin"}) is True
    assert sessions.update_by_id("web", "bobby", listed.id, {"role": "guest"}) is False
    with pytest.raises(ConflictError):
        sessions.update_by_id("web", "bob", listed.id, expect={"role": "admin"})
    assert sessions.update_all("web", "bob", {"n": 1}) == 1
    assert sessions.get("web", token).data == {"role": "guest", "n": 1}  # type: ignore[union-attr]
    assert sessions.update_all("web", "bobby", {"n": 1}) == 0


def test_aliases() -> None:
    for cls in (RedisTokens, Sessions):
        assert cls.getById is cls.get_by_id
        assert cls.updateById is cls.update_by_id
        assert cls.updateAll is cls.update_all
