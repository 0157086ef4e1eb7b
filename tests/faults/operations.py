"""Every operation, with its required effects for each kind of end.

An operation is prepared and inspected through `direct`, which goes around the fault server, and called
through the store or client under test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tokenstore

# A read, a change, and raw commands: slow tests use only these by default.
SOME = ("-get]", "-update]", "-execute]", "-pipeline]")
LONG = r"^test_(enormous|endless)_values\["
MANY = 40  # offsets at which a fault is tried where that is cheap

A = {"app": "faults", "type": "login"}
DATA = {"name": "n", "roles": ["a", "b"], "deep": {"x": 1.5}}

_numbers = itertools.count()


@dataclass
class Case:
    """One call of one operation."""

    direct: tokenstore.RedisTokens
    owner: str
    tokens: list[tokenstore.Token] = field(default_factory=list)
    made: list[tokenstore.NodeToken] = field(default_factory=list)
    hash: str = ""
    before: dict[str, Any] = field(default_factory=dict)

    def make(self, count: int) -> None:
        self.tokens = [
            self.direct.create(**A, owner=self.owner, data={**DATA, "i": i}, duration=1000)
            for i in range(count)
        ]

    def get(self, token: str | None) -> tokenstore.Token | None:
        assert token is not None
        return self.direct.get(**A, token=token, expiry=True)

    def alive(self) -> list[tokenstore.Token]:
        return self.direct.list(**A, owner=self.owner)

    def ids(self) -> set[str]:
        return {t.id for t in self.alive()}


@dataclass
class Operation:
    name: str
    prepare: Callable[[Case], None]
    call: Callable[[tokenstore.RedisTokens, Case], Any]
    done: Callable[[Case, Any], None]
    """The call returned this result: is it right, and did it happen exactly once?"""
    either: Callable[[Case], None]
    """Nobody knows whether it happened: is everything as before it or as after it, not between?"""
    undone: Callable[[Case], None]
    """It says that it did not happen."""
    once: bool = True
    """A lost answer is an OutcomeUnknownError; otherwise it is asked again."""
    reads: bool = False
    """It changes nothing, so its outcome is never in doubt."""
    reads_first: bool = False
    """Its first round trip changes nothing."""
    trips: int = 1
    """Round trips: an answer that comes twice may meet the next one."""

    def begin(self, direct: tokenstore.RedisTokens) -> Case:
        case = Case(direct, f"{self.name}-{next(_numbers)}")
        self.prepare(case)
        return case


OPERATIONS: list[Operation] = []


def same(found: tokenstore.Token | None, made: tokenstore.Token, **changed: Any) -> None:
    assert found is not None
    assert found.id == made.id
    assert found.owner == made.owner
    assert found.data == {**made.data, **changed}


# ---- create ----------------------------------------------------------------------------------------


def _created(c: Case, result: tokenstore.Token) -> None:
    same(c.get(result.token), result)
    assert result.data == DATA
    assert c.ids() == {result.id}


def _at_most_one(c: Case) -> None:
    assert len(c.alive()) <= 1


def _none(c: Case) -> None:
    assert c.alive() == []


OPERATIONS.append(
    Operation(
        "create",
        lambda c: None,
        lambda s, c: s.create(**A, owner=c.owner, data=DATA, duration=1000),
        _created,
        _at_most_one,
        _none,
        once=False,
    )
)
OPERATIONS.append(
    Operation(
        "create_custom",
        lambda c: None,
        lambda s, c: s.create(
            **A, owner=c.owner, data=DATA, duration=1000, custom_token="my " + c.owner
        ),
        _created,
        _at_most_one,
        _none,
    )
)


def _created_many(c: Case, result: list[tokenstore.Token]) -> None:
    assert [t.data for t in result] == [{"i": i} for i in range(3)]
    assert c.ids() == {t.id for t in result}
    assert len(c.alive()) == 3
    for token in result:
        same(c.get(token.token), token)


def _at_most_three(c: Case) -> None:
    assert len(c.alive()) <= 3


OPERATIONS.append(
    Operation(
        "create_many",
        lambda c: None,
        lambda s, c: s.create_many(
            [{**A, "owner": c.owner, "data": {"i": i}, "duration": 1000} for i in range(3)]
        ),
        _created_many,
        _at_most_three,
        _none,
        once=False,
    )
)

# ---- reading ---------------------------------------------------------------------------------------


def _unchanged(c: Case) -> None:
    assert c.ids() == {t.id for t in c.tokens}
    for token in c.tokens:
        same(c.get(token.token), token)


def _got(c: Case, result: tokenstore.Token) -> None:
    same(result, c.tokens[0])


def _got_expiry(c: Case, result: tokenstore.Token) -> None:
    same(result, c.tokens[0])
    assert result.expires_at is not None
    # The slide, or its reply, may be lost: then the token is returned with its old expiry.
    left = result.expires_at - result.created_at
    slid = left > 1900
    assert slid or abs(left - 1000) < 1
    found = c.get(c.tokens[0].token)
    assert found is not None
    assert abs(found.expires_at - result.expires_at) < 1 or not slid


def _got_many(c: Case, result: list[tokenstore.Token | None]) -> None:
    assert result[1] is None
    same(result[0], c.tokens[0])
    same(result[2], c.tokens[1])


def _listed(c: Case, result: list[tokenstore.Token]) -> None:
    assert [t.id for t in result] == [t.id for t in reversed(c.tokens)]
    for found, made in zip(result, reversed(c.tokens)):
        same(found, made)


def _reading(name: str, count: int, call: Any, done: Any) -> None:
    OPERATIONS.append(
        Operation(
            name,
            lambda c: c.make(count),
            call,
            done,
            _unchanged,
            _unchanged,
            once=False,
            reads=True,
        )
    )


_reading("get", 1, lambda s, c: s.get(**A, token=c.tokens[0].token), _got)
_reading(
    "get_refresh",
    1,
    lambda s, c: s.get(**A, token=c.tokens[0].token, refresh=2000, expiry=True),
    _got_expiry,
)
_reading(
    "get_many",
    2,
    lambda s, c: s.get_many(**A, tokens=[c.tokens[0].token, "none", c.tokens[1].token]),
    _got_many,
)
_reading("list", 2, lambda s, c: s.list(**A, owner=c.owner), _listed)

# ---- changing --------------------------------------------------------------------------------------


def _refreshed(c: Case, result: bool) -> None:
    assert result is True
    found = c.get(c.tokens[0].token)
    assert found is not None
    assert found.expires_at - found.created_at > 4900


OPERATIONS.append(
    Operation(
        "refresh",
        lambda c: c.make(1),
        lambda s, c: s.refresh(**A, token=c.tokens[0].token, duration=5000),
        _refreshed,
        _unchanged,
        _unchanged,
        once=False,
    )
)

PATCH = {"name": "other", "new": [1, {}]}


def _updated(c: Case, result: tokenstore.Token) -> None:
    same(result, c.tokens[0], **PATCH)
    same(c.get(c.tokens[0].token), c.tokens[0], **PATCH)


def _perhaps_updated(c: Case) -> None:
    found = c.get(c.tokens[0].token)
    assert found is not None
    assert found.data in (c.tokens[0].data, {**c.tokens[0].data, **PATCH})


OPERATIONS.append(
    Operation(
        "update",
        lambda c: c.make(1),
        lambda s, c: s.update(**A, token=c.tokens[0].token, data=PATCH),
        _updated,
        _perhaps_updated,
        _unchanged,
    )
)


def _first_gone(c: Case, result: bool) -> None:
    assert result is True
    assert c.get(c.tokens[0].token) is None
    assert c.ids() == {c.tokens[1].id}


def _first_perhaps_gone(c: Case) -> None:
    ids = {t.id for t in c.tokens}
    assert c.ids() == (ids if c.get(c.tokens[0].token) else {c.tokens[1].id})


for _name, _call in (
    ("delete", lambda s, c: s.delete(**A, token=c.tokens[0].token)),
    ("delete_by_id", lambda s, c: s.delete_by_id(**A, owner=c.owner, id=c.tokens[0].id)),
):
    OPERATIONS.append(
        Operation(
            _name,
            lambda c: c.make(2),
            _call,
            _first_gone,
            _first_perhaps_gone,
            _unchanged,
        )
    )


def _taken(c: Case, result: tokenstore.Token) -> None:
    assert result.data == c.tokens[0].data
    assert result.token == c.tokens[0].token
    _first_gone(c, True)


OPERATIONS.append(
    Operation(
        "take",
        lambda c: c.make(2),
        lambda s, c: s.take(**A, token=c.tokens[0].token),
        _taken,
        _first_perhaps_gone,
        _unchanged,
    )
)


def _all_gone(c: Case, result: int) -> None:
    assert result == 2
    assert c.alive() == []
    assert [c.get(t.token) for t in c.tokens] == [None, None]


def _all_or_none_gone(c: Case) -> None:
    assert len(c.alive()) in (0, 2)


OPERATIONS.append(
    Operation(
        "delete_all",
        lambda c: c.make(2),
        lambda s, c: s.delete_all(**A, owner=c.owner),
        _all_gone,
        _all_or_none_gone,
        _unchanged,
    )
)


def _others_gone(c: Case, result: int) -> None:
    assert result == 1
    assert c.ids() == {c.tokens[0].id}


def _others_perhaps_gone(c: Case) -> None:
    assert c.get(c.tokens[0].token) is not None
    assert len(c.alive()) in (1, 2)


OPERATIONS.append(
    Operation(
        "delete_all(keep)",
        lambda c: c.make(2),
        lambda s, c: s.delete_all(**A, owner=c.owner, keep=c.tokens[0].token),
        _others_gone,
        _others_perhaps_gone,
        _unchanged,
    )
)


def _rotated(c: Case, result: tokenstore.Token) -> None:
    assert result.token != c.tokens[0].token
    assert result.data == c.tokens[0].data
    same(c.get(result.token), result)
    assert c.get(c.tokens[0].token) is None
    assert c.ids() == {result.id}


def _one_alive(c: Case) -> None:
    ids = c.ids()
    assert len(ids) == 1
    assert (c.get(c.tokens[0].token) is not None) == (c.tokens[0].id in ids)


OPERATIONS.append(
    Operation(
        "rotate",
        lambda c: c.make(1),
        lambda s, c: s.rotate(**A, token=c.tokens[0].token),
        _rotated,
        _one_alive,
        _unchanged,
        once=False,
    )
)

# ---- raw commands ------------------------------------------------------------------------------------


def _counter(c: Case) -> int:
    return int(c.direct.client.execute("GET", "n:" + c.owner) or 0)


def _counted(c: Case, result: int) -> None:
    assert result == 1
    assert _counter(c) == 1


def _counted_in_pipeline(c: Case, result: list[Any]) -> None:
    assert result == [1, "OK", b"\x00\r\n$5\r\n"]
    assert _counter(c) == 1


def _counted_at_most_once(c: Case) -> None:
    assert _counter(c) <= 1


def _not_counted(c: Case) -> None:
    assert _counter(c) == 0


OPERATIONS.append(
    Operation(
        "execute",
        lambda c: None,
        lambda s, c: s.client.execute("INCR", "n:" + c.owner),
        _counted,
        _counted_at_most_once,
        _not_counted,
    )
)
OPERATIONS.append(
    Operation(
        "pipeline",
        lambda c: None,
        lambda s, c: s.client.pipeline(
            [
                ("INCR", "n:" + c.owner),
                ("SET", "v:" + c.owner, b"\x00\r\n$5\r\n", "EX", 1000),
                ("GET", "v:" + c.owner),
            ]
        ),
        _counted_in_pipeline,
        _counted_at_most_once,
        _not_counted,
    )
)
