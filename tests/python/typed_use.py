"""For the type checker only: `make lint` checks it with mypy --strict; it is never run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from typing_extensions import assert_type

import tokenstore
import tokenstore.asyncio
from tokenstore import migrate

client = tokenstore.Client("redis://localhost", timeout=1.5, ca=Path("ca.pem"), pool_size=2)
assert_type(client.url, str)
assert_type(client.execute("GET", b"key", 1, timeout=timedelta(seconds=1)), Any)
assert_type(client.pipeline([["GET", "a"], ("SET", b"b", 1.5)], raise_errors=False), list[Any])

with tokenstore.RedisTokens(client, token_encoding="hex", max_age=timedelta(days=1)) as tokens:
    token = tokens.create(app="web", type="login", owner="bob", data={"n": 1}, duration=60)
    assert_type(token, tokenstore.Token)
    assert_type(token.data, dict[str, Any])
    assert_type(token.expires_at, "float | None")
    assert_type(tokens.get("web", b"login", token.token), "tokenstore.Token | None")
    assert_type(tokens.refresh("web", "login", token.token, 60), bool)
    assert_type(
        tokens.update("web", "login", token.token, {"n": None, "m": tokenstore.UNSET}, unset={"x"}, refresh=60),
        "tokenstore.Token | None",
    )
    tokens.update_by_id("web", "login", "bob", "id", refresh=True)
    assert_type(tokens.list("web", "login", "bob"), list[tokenstore.Token])
    assert_type(tokens.delete_all("web", "login", "bob"), int)
    assert_type(tokens.deleteAll("web", "login", "bob"), int)
    assert_type(
        tokens.get_many("web", "login", (t for t in ["a", "b"])), "list[tokenstore.Token | None]"
    )
    assert_type(
        tokens.create_many([{"app": "web", "type": "login", "owner": "bob"}]),
        list[tokenstore.Token],
    )

sessions = tokenstore.Sessions(connection_string="redis://localhost", timeout=2)
assert_type(sessions.create("web", "bob", {"a": 1}, 60), str)
assert_type(sessions.get("web", "token"), "tokenstore.Session | None")
assert_type(sessions.kill_all("web", "bob"), bool)
assert_type(sessions.list("web", "bob"), list[tokenstore.Session])

report = migrate.redis_tokens("redis://localhost", prefix="ts", dry_run=True, progress=print)
assert_type(report, migrate.Report)
assert_type(report.odd, list[migrate.Odd])
migrate.spots_sessions(colour="red")  # type: ignore[call-arg]

tokens.get("web", "login", 5)  # type: ignore[arg-type]
tokens.create("web", "login", "bob", [1])  # type: ignore[arg-type]
tokens.refresh("web", "login", "token", "60")  # type: ignore[arg-type]
tokenstore.RedisTokens(token_encoding="base32")  # type: ignore[arg-type]
tokenstore.RedisTokens(colour="red")  # type: ignore[call-arg]
token.owner = "eve"  # type: ignore[misc]


async def awaited() -> None:
    async with tokenstore.asyncio.RedisTokens("redis://localhost", connections=2) as tokens:
        assert_type(await tokens.create("web", "login", "bob"), tokenstore.Token)
        assert_type(await tokens.get("web", "login", "t"), "tokenstore.Token | None")
        assert_type(await tokens.take("web", "login", "t"), "tokenstore.Token | None")
        assert_type(await tokens.deleteAll("web", "login", "bob"), int)
        assert_type(tokens.client, tokenstore.asyncio.Client)
        assert_type(await tokens.client.pipeline([["PING"]]), list[Any])
        sessions = tokenstore.asyncio.Sessions(tokens.client)
        assert_type(await sessions.create("web", "bob"), str)
        assert_type(await sessions.rotate("web", "t"), "str | None")
        jwt = tokenstore.asyncio.RedisJWT(tokens.client, secret="s" * 32)
        assert_type(await jwt.call().ping(), str)
        async for event in jwt.events():
            assert_type(event.kind == "gap", bool)
    await tokens.get("web", "login", 5)  # type: ignore[arg-type]
    tokenstore.asyncio.RedisTokens(connections="2")  # type: ignore[arg-type]
    tokenstore.asyncio.RedisTokens(client)  # type: ignore[arg-type]
