"""Records that cannot be read are their own caller's trouble: the others on the connection get their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import stored
import tokenstore
from conftest import Run
from servers import Server
from tokenstore import asyncio as aio

A = {"app": "a", "type": "t"}
SECRET = "a secret of at least thirty-two bytes"

Call = Callable[[aio.RedisTokens, aio.RedisJWT, str, str], Awaitable[Any]]

CALLS: dict[str, Call] = {
    "get": lambda tokens, jwts, token, jwt: tokens.get(**A, token=token),
    "get, sliding": lambda tokens, jwts, token, jwt: tokens.get(**A, token=token, refresh=60),
    "get_many": lambda tokens, jwts, token, jwt: tokens.get_many(**A, tokens=[token]),
    "update": lambda tokens, jwts, token, jwt: tokens.update(**A, token=token, data={"a": 1}),
    "refresh": lambda tokens, jwts, token, jwt: tokens.refresh(**A, token=token, duration=60),
    "rotate": lambda tokens, jwts, token, jwt: tokens.rotate(**A, token=token),
    "verify": lambda tokens, jwts, token, jwt: jwts.verify(jwt),
}


@pytest.mark.parametrize("name", CALLS)
def test_others_are_unharmed(server: Server, run: Run, name: str) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url) as tokens:
            jwts = aio.RedisJWT(tokens.client, secret=SECRET)
            bad = await tokens.create(**A, owner="eve")
            jwt = await jwts.sign("eve")
            stored.replace(server, bad, b"no record")
            server("SET", (await jwts.verify(jwt))["rjwt"], "no record")
            connection = await tokens.client.execute("CLIENT", "ID")
            failed, *others = await asyncio.gather(
                CALLS[name](tokens, jwts, str(bad.token), jwt),
                *(tokens.client.execute("INCR", "n") for _ in range(3)),
                return_exceptions=True,
            )
            assert isinstance(failed, tokenstore.DataError)
            assert others == [1, 2, 3]
            assert await tokens.client.execute("CLIENT", "ID") == connection

    run(main())
