"""For the tests of rotation: one app and type, an owner, and a token's ways."""

from __future__ import annotations

from typing import Any

from tokenstore import RedisTokens, Token

KIND: Any = {"app": "web", "type": "login"}
BOB: Any = {**KIND, "owner": "bob"}


def make(tokens: RedisTokens, **more: Any) -> Token:
    return tokens.create(**{**BOB, "data": {"role": "admin"}, "duration": 100, **more})


def turn(tokens: RedisTokens, token: Token, **more: Any) -> Token:
    new = tokens.rotate(**KIND, token=token.token, **more)
    assert new is not None
    return new


def find(tokens: RedisTokens, token: Token, **more: Any) -> Token | None:
    return tokens.get(**KIND, token=token.token, **more)
