"""tokenstore without blocking: the same classes and names, every method awaitable.

::

    from tokenstore.asyncio import Sessions

    async with Sessions("redis://localhost:6379") as sessions:
        token = await sessions.create(app="web", owner_id="bob", duration=3600)
        session = await sessions.get(app="web", token=token)

All tasks share one connection to the server; simultaneous requests are sent together.
"""

from tokenstore.asyncio._client import Client
from tokenstore.asyncio._events import SessionEvents
from tokenstore.asyncio._spike import Spike, TokenCreator, get_token_creator, getTokenCreator
from tokenstore.asyncio._stores import (
    RedisJWT,
    RedisJwt,
    RedisTokens,
    Sessions,
    SpotsSessions,
    Tokenstore,
)

__all__ = [
    "Client",
    "RedisJWT",
    "RedisJwt",
    "RedisTokens",
    "SessionEvents",
    "Sessions",
    "Spike",
    "SpotsSessions",
    "TokenCreator",
    "Tokenstore",
    "getTokenCreator",
    "get_token_creator",
]
