"""The ends of sessions, awaited."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import tokenstore
from conftest import Run
from servers import Server
from tokenstore import asyncio as aio
from topologies import tagged

ANN, BOB, CID = map(tagged, ("ann", "bob", "cid"))


def test_events(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisJWT(server.url, secret="s" * 32, multiple=True) as jwt:
            async with aio.SessionEvents(jwt.client, kea=True) as events:
                keys = []
                for name in (ANN, BOB, CID):
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
                assert sorted(seen) == [("del", ANN), ("del", BOB), ("del", CID)]

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


def test_callbacks(server: Server, run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        seen: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def fails(event: object) -> None:
            raise ValueError("of no importance")

        async def awaited(event: Any) -> None:
            await asyncio.sleep(0)
            await seen.put((event.kind, event.id))

        async with aio.RedisJWT(server.url, secret="s" * 32, kea=True) as jwt:
            with pytest.raises(ValueError, match="unknown event"):
                await jwt.on("died", awaited)
            await jwt.on("del", fails)
            await jwt.on("del", awaited)
            for name in (ANN, BOB):
                key = (await jwt.verify(await jwt.sign(name)))["rjwt"]
                await jwt.destroy(key)
                assert await asyncio.wait_for(seen.get(), 20) == ("del", name)
            await jwt.off("del", awaited)
            async with jwt.events() as events:
                await jwt.call().destroy_multiple((await jwt.verify(await jwt.sign(CID)))["id"])
                event = await events.next(20)
                assert event is not None
                assert (event.kind, event.id) == ("del", CID)
            assert seen.empty()
        assert caplog.text.count("a callback for") >= 2  # the third may be on its way

    run(main())
