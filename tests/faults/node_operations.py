"""Tokenstore's operations, as operations.py has those of RedisTokens; importing this adds them to its list.

All keys of a Tokenstore under the case's owner belong to the case. Most operations are tried only in the long
run: for the drivers they are like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from conftest import SOAK
from operations import OPERATIONS, Case, Operation
from tokenstore import NodeToken, Tokenstore

ATTRS = {"name": "n", "roles": ["a", "b"], "deep": {"x": [1.5, {}]}}
ALWAYS = {"add", "list", "take_hash"}
CHANGED = {"changed": [[], 2**53 - 1]}


def store_of(client: Any, c: Case) -> Tokenstore:
    """A client in another host has its own."""
    make = getattr(client, "node_store", None) or partial(Tokenstore, client)
    store: Tokenstore = make(prefix=c.owner)
    return store


def direct(c: Case) -> Tokenstore:
    return store_of(c.direct.client, c)


def keys(c: Case) -> dict[str, Any]:
    """All keys of this case."""
    execute = c.direct.client.execute
    names = [name.decode() for name in execute("KEYS", f"{c.owner}:*")]
    return {
        name: sorted(execute("SMEMBERS", name)) if ":tokens:" in name else execute("GET", name)
        for name in names
    }


def prepared(count: int) -> Callable[[Case], None]:
    def prepare(c: Case) -> None:
        c.made = [direct(c).add("bob", {**ATTRS, "i": i}, duration=1000) for i in range(count)]
        c.hash = direct(c).make_hash("value")
        c.before = keys(c)

    return prepare


def unchanged(c: Case) -> None:
    assert keys(c) == c.before


def whole(c: Case, *tokens: NodeToken) -> None:
    """Exactly these tokens exist, complete."""
    listed = {t.id: t for t in direct(c).list("bob")}
    assert listed == {t.id: t for t in tokens}
    assert [direct(c).get_key(t.key) for t in tokens] == list(tokens)
    assert len(keys(c)) == 2 * len(tokens) + bool(tokens) + (f"{c.owner}:hash:{c.hash}" in keys(c))


def add(
    name: str,
    call: Callable[[Tokenstore, Case], Any],
    done: Callable[[Case, Any], None],
    after: Callable[[Case], tuple[NodeToken, ...]] | None = None,
    *,
    once: bool = True,
    reads_first: bool = False,
    count: int = 2,
    trips: int = 1,
) -> None:
    """`after`: the tokens after the operation; None: a read."""

    if not SOAK and name not in ALWAYS:
        return

    def either(c: Case) -> None:
        if keys(c) != c.before:
            assert after is not None
            whole(c, *after(c))

    OPERATIONS.append(
        Operation(
            f"node_{name}",
            prepared(count),
            lambda s, c: call(store_of(s.client, c), c),
            done,
            unchanged if after is None else either,
            unchanged,
            once=once and not reads_first and after is not None,
            reads=after is None,
            reads_first=reads_first,
            trips=trips,
        )
    )


# ---- reading ---------------------------------------------------------------------------------------


def got(c: Case, result: NodeToken | None) -> None:
    assert result == c.made[0]
    unchanged(c)


def listed(c: Case, result: list[NodeToken]) -> None:
    assert {t.id: t for t in result} == {t.id: t for t in c.made}
    unchanged(c)


def valued(c: Case, result: str | None) -> None:
    assert result == "value"
    unchanged(c)


add("get", lambda s, c: s.get(c.made[0].id), got, trips=2)
add("get_key", lambda s, c: s.get_key(c.made[0].key), got)
add("list", lambda s, c: s.list("bob"), listed, trips=3)
add("get_hash", lambda s, c: s.get_hash(c.hash), valued)

# ---- changing --------------------------------------------------------------------------------------


def added(c: Case, result: NodeToken) -> None:
    assert result.attrs == ATTRS
    whole(c, *c.made, result)


def with_one_more(c: Case) -> tuple[NodeToken, ...]:
    tokens = tuple(direct(c).list("bob"))
    assert len(tokens) == 3
    return tokens


def changed(c: Case) -> tuple[NodeToken, ...]:
    return NodeToken({**c.made[0], "attrs": CHANGED}), c.made[1]


def was_changed(c: Case, result: bool) -> None:
    assert result is True
    whole(c, *changed(c))


def second_alone(c: Case) -> tuple[NodeToken, ...]:
    return (c.made[1],)


def first_gone(c: Case, result: bool) -> None:
    assert result is True
    whole(c, c.made[1])


def both(c: Case) -> tuple[NodeToken, ...]:
    assert f"{c.owner}:hash:{c.hash}" not in keys(c)
    return tuple(c.made)


def taken(c: Case, result: str | None) -> None:
    assert result == "value"
    whole(c, *both(c))


def hash_gone(c: Case, result: bool) -> None:
    assert result is True
    whole(c, *both(c))


def nothing(c: Case) -> tuple[NodeToken, ...]:
    """An interrupted reset has removed some tokens, each completely."""
    return tuple(direct(c).list("bob"))


def was_reset(c: Case, result: int) -> None:
    assert result <= 2  # those in a lost reply are not counted
    assert keys(c) == {}


for _key in (None, "x" * 24):
    add(
        "add" if _key is None else "add_key",
        lambda s, c, key=_key: s.add("bob", ATTRS, key=key, duration=1000),
        added,
        with_one_more,
        once=False,
    )
add("set", lambda s, c: s.set(c.made[0].id, CHANGED), was_changed, changed, reads_first=True, trips=2)
add("delete", lambda s, c: s.delete(c.made[0].id), first_gone, second_alone, reads_first=True, trips=3)
add("delete_key", lambda s, c: s.delete_key(c.made[0].key), first_gone, second_alone, trips=2)
add("take_hash", lambda s, c: s.take_hash(c.hash), taken, both)
add("del_hash", lambda s, c: s.del_hash(c.hash), hash_gone, both)
add("reset", lambda s, c: s.reset(), was_reset, nothing, once=False, trips=2)
