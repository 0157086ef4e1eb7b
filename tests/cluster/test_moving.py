"""Tokenstore and RedisJWT while a slot moves that some of their keys have left already: right answers, or none before
the slot has moved; never a wrong one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from clusters import Cluster, slot_of
from tokenstore import Client, InvalidTokenError, RedisJWT, Tokenstore

SECRET = "a secret of thirty-two bytes, yes"
HALF_WAY = 0.5
"""Seconds."""


def while_moving(
    cluster: Cluster, tag: str, leave: list[str], acts: dict[str, Callable[[], Any]]
) -> dict[str, Any]:
    """What `acts` give, begun when these keys have left and the others have not, and those that were done by then."""
    slot = slot_of(tag)
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)
    target("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
    source("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
    source("MIGRATE", target.host, target.port, "", 0, 10_000, "KEYS", *leave)
    with ThreadPoolExecutor(len(acts)) as pool:
        futures: dict[str, Future[Any]] = {name: pool.submit(act) for name, act in acts.items()}
        time.sleep(HALF_WAY)
        early = {name for name, future in futures.items() if future.done()}
        cluster.move_slots([slot], source, target)
    return {"early": early, **{name: future.result() for name, future in futures.items()}}


@pytest.mark.parametrize("left", ["key", "id", "tokens", "key id", "key tokens", "id tokens"])
def test_tokenstore(cluster: Cluster, client: Client, left: str) -> None:
    store = Tokenstore(client, prefix="{token}")
    names = ["get", "get_key", "set", "delete", "delete_key", "list", "add"]
    made = {name: store.add(name, {"of": name}) for name in names}
    dead = store.add("list")
    cluster.primary_of("{token}")("DEL", f"{{token}}:key:{dead.key}", f"{{token}}:id:{dead.id}")
    rest = {"key": "key", "id": "id", "tokens": "owner_id"}
    gone = [
        f"{{token}}:{kind}:{getattr(made[name], rest[kind])}"
        for kind in left.split()
        for name in names
    ]
    did = while_moving(cluster, "{token}", gone, {
        "get": lambda: store.get(made["get"].id),
        "get_key": lambda: store.get_key(made["get_key"].key),
        "unknown": lambda: store.get("unknown"),
        "set": lambda: store.set(made["set"].id, {"new": 1}),
        "delete": lambda: store.delete(made["delete"].id),
        "delete_key": lambda: store.delete_key(made["delete_key"].key),
        "list": lambda: store.list("list"),
        "add": lambda: store.add("add", {"n": 2}),
    })  # fmt: skip
    assert did["get"] == made["get"]
    assert did["get_key"] == made["get_key"]
    assert did["unknown"] is None
    assert did["set"] is did["delete"] is did["delete_key"] is True
    assert did["list"] == [made["list"]]
    assert {"get_key", "unknown"} <= did["early"]
    after = store.get(made["set"].id)
    assert after is not None
    assert after.attrs == {"new": 1}
    for name in ("delete", "delete_key"):
        assert store.get(made[name].id) is store.get_key(made[name].key) is None
        assert store.list(name) == []
    assert store.list("list") == [made["list"]]
    assert sorted(token.id for token in store.list("add")) == sorted(
        [made["add"].id, did["add"].id]
    )
    assert store.reset() == 6
    assert sum(node("DBSIZE") for node in cluster.primaries) == 0


@pytest.mark.parametrize("left", ["one", "all", "index"])
def test_redis_jwt(cluster: Cluster, client: Client, left: str) -> None:
    many = RedisJWT(client, secret=SECRET, multiple=True)
    single = RedisJWT(client, secret=SECRET)
    names = ["verify", "list", "count", "destroy", "destroy_multiple", "sign", "login"]
    users = {name: f"{name}{{bob}}" for name in names}
    made = {name: [many.sign(user, ttl=1000) for _ in range(3)] for name, user in users.items()}
    keys = {name: [many.verify(token)["rjwt"] for token in tokens] for name, tokens in made.items()}
    gone = {
        "one": [sessions[0] for sessions in keys.values()],
        "all": [key for sessions in keys.values() for key in sessions],
        "index": [f"rjwt-sessions/{user}" for user in users.values()],
    }[left]
    did = while_moving(cluster, "{bob}", gone, {
        "verify": lambda: [many.verify(token)["rjwt"] for token in made["verify"]],
        "list": lambda: many.list(users["list"]),
        "count": lambda: many.call().get_count_by_pattern(users["count"]),
        "destroy": lambda: many.destroy(keys["destroy"][0]),
        "destroy_multiple": lambda: many.destroy_multiple(users["destroy_multiple"]),
        "sign": lambda: many.sign(users["sign"]),
        "login": lambda: single.sign(users["login"]),
    })  # fmt: skip
    assert did["verify"] == keys["verify"]
    assert "verify" in did["early"]
    assert sorted(each["rjwt"] for each in did["list"]) == sorted(keys["list"])
    assert did["count"] == 3
    assert did["destroy"] is True
    assert did["destroy_multiple"] == 3
    for token in [made["destroy"][0], *made["destroy_multiple"], *made["login"]]:
        with pytest.raises(InvalidTokenError):
            many.verify(token)
    for name, count in {
        "list": 3,
        "count": 3,
        "destroy": 2,
        "destroy_multiple": 0,
        "sign": 4,
        "login": 1,
    }.items():
        assert len(many.list(users[name])) == count, name
    assert many.verify(did["login"])["id"] == users["login"]
