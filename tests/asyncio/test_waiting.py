"""Calls whose answers come late (wait_replicas): each has a connection of its own, so that they hold up nobody."""

from __future__ import annotations

import asyncio
import time

import pytest

import tokenstore
from conftest import Run, one_loop
from servers import Server
from tokenstore import asyncio as aio

PAUSE = 1.0


@one_loop
def test_they_hold_up_nobody(server: Server, run: Run) -> None:
    """There is no replica at all."""

    async def main() -> None:
        async with aio.Client(server.url) as client:
            tokens = aio.RedisTokens(client, prefix="waiting")
            durable = aio.RedisTokens(client, prefix="waiting", wait_replicas=1, wait_timeout=PAUSE)
            token = await tokens.create("app", "web", "bob")
            began = time.monotonic()
            late = [
                asyncio.ensure_future(durable.create("app", "web", f"owner-{i}")) for i in range(20)
            ]
            await asyncio.sleep(0)
            for _ in range(50):
                assert await tokens.get("app", "web", token.token) is not None
            assert not any(call.done() for call in late)
            results = await asyncio.gather(*late, return_exceptions=True)
            took = time.monotonic() - began
            assert all(isinstance(result, tokenstore.NotReplicatedError) for result in results)
            # 16 connections at most: the last of 20 calls waits for another.
            assert 2 * PAUSE - 0.1 < took < 2 * PAUSE + 10
            assert int(server.info("clients", "connected_clients")) <= 1 + 16 + 2
            for i in range(20):
                assert await tokens.count("app", "web", f"owner-{i}") == 1

    run(main())


@one_loop
def test_their_connections_are_used_again(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url, wait_replicas=1, wait_timeout=0.01) as tokens:
            before = int(server.info("stats", "total_connections_received"))
            for _ in range(8):  # Redis looks at such a timeout ten times a second
                with pytest.raises(tokenstore.NotReplicatedError):
                    await tokens.create("app", "web", "bob")
            assert int(server.info("stats", "total_connections_received")) - before == 2

    run(main())


def test_one_that_is_cancelled(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url, wait_replicas=1, wait_timeout=0.2) as tokens:
            for _ in range(3):
                call = asyncio.ensure_future(tokens.create("app", "web", "bob"))
                await asyncio.sleep(0.05)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                with pytest.raises(tokenstore.NotReplicatedError):
                    await tokens.create("app", "web", "bob")

    run(main())
