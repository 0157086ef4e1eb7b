"""Token and Session as values: equality, copies, pickles, and secrecy of repr()."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import pytest

from tokenstore import Session, Token

FIELDS: dict[str, Any] = {
    "app": "web",
    "type": "login",
    "owner": "bob",
    "data": {"password": "CANARY-DATA"},
    "token": "CANARY-TOKEN",
    "id": "abc",
    "created_at": 1.5,
    "expires_at": 2.5,
    "sid": "abd",
    "idle": 60.0,
    "seen_at": 2.0,
    "request": {"address": "::1", "user_agent": "CANARY-AGENT"},
}


@pytest.fixture(params=[Token, Session])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_fields(kind: Any) -> None:
    value = kind(**FIELDS)
    assert {name: getattr(value, name) for name in FIELDS} == FIELDS
    assert kind(*FIELDS.values()) == value


def test_session_owner_id() -> None:
    assert Session(**FIELDS).owner_id == "bob"
    assert "owner_id='bob'" in repr(Session(**FIELDS))


def test_immutable(kind: Any) -> None:
    value = kind(**FIELDS)
    for name in [*FIELDS, "owner_id"]:
        with pytest.raises(AttributeError):
            setattr(value, name, "x")
        with pytest.raises(AttributeError):
            delattr(value, name)
    with pytest.raises(AttributeError):
        value.other = 1


def test_nothing_secret_is_printed(kind: Any) -> None:
    value = kind(**FIELDS)
    for text in (repr(value), str(value), f"{value}", f"{value}", repr([value]), ascii(value)):
        assert "CANARY" not in text
        assert "bob" in text


@pytest.mark.parametrize("name", FIELDS)
def test_equality(kind: Any, name: str) -> None:
    value = kind(**FIELDS)
    assert value == kind(**FIELDS)
    assert hash(value) == hash(kind(**FIELDS))
    other: Any = {"data": {"x": 1}, "created_at": 9.0, "expires_at": None, "idle": None, "seen_at": None, "request": None}.get(
        name, "other"
    )
    assert value != kind(**{**FIELDS, name: other})


def test_not_equal_to_others(kind: Any) -> None:
    value = kind(**FIELDS)
    assert Token(**FIELDS) != Session(**FIELDS)
    assert value != tuple(FIELDS.values())
    assert value != None  # noqa: E711


def test_copies_and_pickles(kind: Any) -> None:
    value = kind(**FIELDS)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(value, protocol))
        assert again == value
        assert type(again) is kind
    assert copy.copy(value) == value
    assert copy.copy(value).data is value.data
    deep = copy.deepcopy(value)
    assert deep == value
    assert deep.data is not value.data


def test_wrong_fields(kind: Any) -> None:
    for name in ("app", "type", "data", "id", "sid"):
        with pytest.raises(TypeError):
            kind(**{**FIELDS, name: None})
    with pytest.raises(TypeError):
        kind(**FIELDS, more=1)
    with pytest.raises(TypeError):
        kind("web")


def test_cycles_are_collected(kind: Any) -> None:
    class Marker:
        pass

    marker = Marker()
    alive = weakref.ref(marker)
    data: dict[str, Any] = {"marker": marker}
    data["me"] = kind(**{**FIELDS, "data": data})
    del data, marker
    gc.collect()
    assert alive() is None


def test_subclasses(kind: Any) -> None:
    class Mine(kind):
        extra = 1

    mine = Mine(**FIELDS)
    assert mine.app == "web"
    assert mine != kind(**FIELDS)
    mine.anything = 2
    assert pickle.HIGHEST_PROTOCOL
    assert copy.copy(mine) == mine
