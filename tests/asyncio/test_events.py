"""The ends of sessions, awaited."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

import tokenstore
from conftest import Run
from servers import Server
from tokenstore import asyncio as aio


def test_events(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisJWT(server.url, secret="s" * 32, multiple=True) as jwt:
            async with aio.SessionEvents(jwt.client, kea=True) as events:
                keys = []
                for name in ("ann", "bob", "cid"):
                    token = await jwt.sign(name)
                    keys.append((await jwt.verify(token))["rjwt"])
                assert await events.next(0.01) is None
                waiting = asyncio.ensure_future(events.next())
                await asyncio.sleep(0.01)
                waiting.cancel()  # it loses nothing
                with suppress(asyncio.CancelledError):
                    await waiting
                for key in keys:
                    await jwt.destroy(key)
                seen = []
                async for event in events:
                    seen.append((event.kind, event.id))
                    if len(seen) == 3:
                        break
                assert seen == [("del", "ann"), ("del", "bob"), ("del", "cid")]

                async def rest() -> list[object]:
                    return [event async for event in events]

                last = asyncio.ensure_future(rest())
                await asyncio.sleep(0.01)
                await events.aclose()
                assert await last == []
            assert events.closed
            with pytest.raises(tokenstore.Error, match="closed"):
                await events.next()

    run(main())


def test_nobody_listens_at_a_server_that_is_away(run: Run) -> None:
    async def main() -> None:
        async with aio.Client("redis://127.0.0.1:1") as client:
            with pytest.raises(tokenstore.ConnectionError):
                async with aio.SessionEvents(client):
                    pass

    run(main())
