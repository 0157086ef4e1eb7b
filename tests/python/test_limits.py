"""tests/vectors/limits.json: both sides of every limit."""

from __future__ import annotations

from typing import Any

import pytest

import tokenstore
from cases import load, to_bytes, to_value

CASES = load("limits.json")["cases"]
ERRORS = {"data": tokenstore.DataError, "configuration": tokenstore.ConfigurationError}
TEXTS = {"app", "type", "owner", "token", "custom_token", "id", "prefix", "pepper"}
OTHERS = {"data", "duration", "refresh", "token_size", "token_encoding", "max_age",
          "touch_interval", "max_per_owner", "max_data_size"}  # fmt: skip
TAKES_OWNER = {"create", "delete_by_id", "delete_all", "list"}


def arguments(given: dict[str, Any]) -> dict[str, Any]:
    assert set(given) <= TEXTS | OTHERS, "a word this runner does not know"
    return {n: to_bytes(v) if n in TEXTS else to_value(v) for n, v in given.items()}


def prepare(store: tokenstore.RedisTokens, case: dict[str, Any]) -> dict[str, Any]:
    args = {"app": b"app", "type": b"type"}
    call = case["call"]
    if call in TAKES_OWNER:
        args["owner"] = b"owner"
    if "before" in case:
        made = store.create(
            **{"app": b"app", "type": b"type", "owner": b"owner", **arguments(case["before"])}
        )
        assert made.token is not None
        if call == "delete_by_id":
            args["id"] = made.id
        elif call != "create":
            args["token"] = made.token
    args.update(arguments(case["args"]))
    return args


def check_created(store: tokenstore.RedisTokens, args: dict[str, Any], made: Any) -> None:
    found = store.get(args["app"], args["type"], made.token)
    assert found is not None
    assert found == made or found.expires_at is None
    assert found.owner.encode("utf-8", "surrogateescape") == args["owner"]
    assert found.app.encode("utf-8", "surrogateescape") == args["app"]
    assert found.data == args.get("data", {})
    assert repr(found.data) == repr(args.get("data", {}))  # -0.0, 1 and 1.0


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_limit(client: tokenstore.Client, case: dict[str, Any]) -> None:
    assert set(case) <= {"name", "options", "before", "call", "args", "expect", "mentions"}
    options = arguments(case.get("options", {}))
    expect = case["expect"]
    if "call" not in case:
        with pytest.raises(ERRORS[expect]) as caught:
            tokenstore.RedisTokens(client, **options)
        assert case["mentions"] in str(caught.value)
        return
    store = tokenstore.RedisTokens(client, **options)
    args = prepare(store, case)
    call = getattr(store, case["call"])
    if expect in ERRORS:
        with pytest.raises(ERRORS[expect]) as caught:
            call(**args)
        assert case["mentions"] in str(caught.value)
        return
    result = call(**args)
    if expect == "not found":
        assert result is None or result is False
    else:
        assert expect == "ok"
        assert result is not None
        assert result is not False
        if case["call"] == "create":
            check_created(store, args, result)
