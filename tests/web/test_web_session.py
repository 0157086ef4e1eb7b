"""WebSession as a dict: what counts as a use, and what as a change."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tokenstore.web import WebSession


def made() -> WebSession:
    return WebSession({"a": "1", "b": ["2"]})


USES: dict[str, Callable[[WebSession], Any]] = {
    "[]": lambda s: s["a"],
    "[] of none": lambda s: pytest.raises(KeyError, s.__getitem__, "c"),
    "get": lambda s: s.get("a"),
    "get of none": lambda s: s.get("c"),
    "in": lambda s: "c" in s,
    "len": len,
    "bool": bool,
    "for": lambda s: list(s),
    "reversed": lambda s: list(reversed(s)),
    "keys": lambda s: s.keys(),
    "values": lambda s: s.values(),
    "items": lambda s: s.items(),
    "==": lambda s: s == {},
    "!=": lambda s: s != {},
    "|": lambda s: s | {},
    "reversed |": lambda s: {} | s,
    "copy": lambda s: s.copy(),
    "copy.copy": copy.copy,
    "dict": dict,
    "**": lambda s: dict(**s),
    "json": json.dumps,
    "pop of none": lambda s: s.pop("c", None),
    "setdefault": lambda s: s.setdefault("a", 1),
    "same": lambda s: s.update(a="1"),
    "principal": lambda s: s.principal,
    "new": lambda s: s.new,
    "stored": lambda s: s.stored,
    "sid": lambda s: s.sid,
    "created_at": lambda s: s.created_at,
}

CHANGES: dict[str, Callable[[WebSession], Any]] = {
    "[]": lambda s: s.__setitem__("a", 1),
    "new": lambda s: s.__setitem__("c", None),
    "del": lambda s: s.__delitem__("a"),
    "pop": lambda s: s.pop("a"),
    "popitem": lambda s: s.popitem(),
    "setdefault": lambda s: s.setdefault("c", 1),
    "update": lambda s: s.update(c=1),
    "|=": lambda s: s.__ior__({"c": 1}),
    "inside": lambda s: s["b"].append(1),
    "login": lambda s: s.login("bob"),
    "rotate": lambda s: s.rotate(),
    "logout_others": lambda s: s.logout_others(),
}

NEITHER: dict[str, Callable[[WebSession], Any]] = {
    "repr": repr,
    "modified": lambda s: s.modified,
    "isinstance": lambda s: isinstance(s, dict),
}


@pytest.mark.parametrize("name", USES)
def test_uses(name: str) -> None:
    session = made()
    USES[name](session)
    assert session.accessed
    assert not session.modified


@pytest.mark.parametrize("name", CHANGES)
def test_changes(name: str) -> None:
    session = made()
    CHANGES[name](session)
    assert session.accessed
    assert session.modified


@pytest.mark.parametrize("name", NEITHER)
def test_neither(name: str) -> None:
    session = made()
    NEITHER[name](session)
    assert not session.accessed
    assert not session.modified


def test_it_is_a_dict() -> None:
    session = made()
    assert json.dumps(session) == '{"a": "1", "b": ["2"]}'
    assert session == {"a": "1", "b": ["2"]}
    assert type(session | {"c": 1}) is dict
    assert type(session.copy()) is dict
    session |= {"c": 3}
    assert type(session) is WebSession
    assert dict(session) == {"a": "1", "b": ["2"], "c": 3}
    session.clear()
    assert dict(session) == {}


def test_every_method_of_dict_is_noticed() -> None:
    """Or is known not to need it: a new Python may have more of them."""
    inherited = {
        name
        for name in dir(dict)
        if getattr(dict, name) is getattr(WebSession, name, None) and callable(getattr(dict, name))
    } - set(dir(object))
    assert inherited <= {"fromkeys", "__class_getitem__"}
