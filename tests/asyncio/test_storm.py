"""Cancelled callers, timeouts, resets, a frozen server: no caller ever gets another one's reply."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Callable

import pytest

import tokenstore
from conftest import SOAK, Run
from servers import Server, paused
from tokenstore import asyncio as aio

TASKS = 64
CALLS = 1_000_000 if SOAK else 30_000
A = {"app": "a", "type": "t"}


class Storm:
    """Tasks that get values, each of which names its owner, and are sometimes cancelled."""

    def __init__(self, tokens: aio.RedisTokens, calls: int, timeout: float | None = None) -> None:
        self.tokens = tokens
        self.left = calls
        self.timeout = timeout
        self.answers = self.cancelled = self.failed = 0
        self.secrets: list[tuple[str, str]] = []

    async def fill(self) -> None:
        made = await self.tokens.create_many(
            [{**A, "owner": f"o{n}", "data": {"of": f"o{n}"}} for n in range(200)]
        )
        self.secrets = [(token.owner, token.token) for token in made]
        await self.tokens.client.pipeline([("SET", f"k{n}", f"v{n}") for n in range(200)])

    async def one(self) -> None:
        kind = random.random()
        n = random.randrange(200)
        owner, secret = self.secrets[n]
        if kind < 0.6:
            found = await self.tokens.get(**A, token=secret)
            assert found is not None
            assert (found.owner, found.data["of"]) == (owner, owner)
        elif kind < 0.8:
            value = await self.tokens.client.execute("GET", f"k{n}", timeout=self.timeout)
            assert value == b"v%d" % n
        elif kind < 0.9:
            words = [("GET", f"k{n}"), ("ECHO", owner)] * random.randrange(1, 4)
            replies = await self.tokens.client.pipeline(words, timeout=self.timeout)
            assert replies == [b"v%d" % n, owner.encode()] * (len(words) // 2)
        else:
            found = await self.tokens.update(**A, token=secret, data={"n": n})
            assert found is not None
            assert (found.owner, found.data["of"]) == (owner, owner)
        self.answers += 1

    async def task(self) -> None:
        while self.left > 0:
            self.left -= 1
            call = asyncio.ensure_future(self.one())
            if random.random() < 0.45:
                for _ in range(random.choice((0, 1, 1, 1, 2, 3, 5))):
                    await asyncio.sleep(0)
                if call.cancel():
                    self.cancelled += 1
            try:
                await call
            except asyncio.CancelledError:
                pass
            except (
                tokenstore.ConnectionError,
                tokenstore.TimeoutError,
                tokenstore.OutcomeUnknownError,
            ):
                self.failed += 1

    async def rage(self) -> None:
        await asyncio.gather(*[self.task() for _ in range(TASKS)])

    async def is_over(self) -> None:
        """The client works, and nothing leaks."""
        for _ in range(300):
            await self.one()
        await asyncio.sleep(0)  # a woken task is still referenced for a moment
        assert len(asyncio.all_tasks()) == 1
        assert calls_alive() == 0


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def leaves_nothing_open(run: Run, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(asyncio.sleep(0))  # one-time allocations of a loop
    before = descriptors()
    run(main())
    assert descriptors() == before


def calls_alive() -> int:
    gc.collect()
    return sum(type(o).__name__ == "Call" for o in gc.get_objects())


def test_cancel_storm(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url) as tokens:
            storm = Storm(tokens, CALLS)
            await storm.fill()
            await storm.rage()
            assert storm.cancelled > CALLS * 0.25
            assert storm.failed == 0
            await storm.is_over()

    leaves_nothing_open(run, main)


def test_with_resets(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url, client_name="storm") as tokens:
            storm = Storm(tokens, CALLS // 4)
            await storm.fill()

            async def reset() -> None:
                with server.wire() as wire:
                    while storm.left > 0:
                        for line in wire("CLIENT", "LIST").splitlines():
                            if b"name=storm" in line:
                                with suppress(Exception):
                                    wire("CLIENT", "KILL", "ID", line.split()[0][3:])
                        await asyncio.sleep(0.02)

            await asyncio.gather(storm.rage(), reset())
            assert storm.answers > storm.failed
            await storm.is_over()

    leaves_nothing_open(run, main)


def test_with_timeouts(server: Server, run: Run) -> None:
    """Deadlines at any time of a call."""

    async def main() -> None:
        async with aio.RedisTokens(server.url, timeout=5) as tokens:
            storm = Storm(tokens, CALLS // 8)
            await storm.fill()
            storm.timeout = 0.001
            await storm.rage()
            storm.timeout = None
            await storm.is_over()

    leaves_nothing_open(run, main)


def test_with_a_server_that_stands_still(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(server.url, timeout=0.5) as tokens:
            storm = Storm(tokens, 10**9)
            await storm.fill()

            async def pause() -> None:
                for seconds in (0.05, 0.8) * (10 if SOAK else 1):
                    await asyncio.sleep(0.1)
                    with paused(server):
                        await asyncio.sleep(seconds)
                storm.left = 0

            await asyncio.gather(storm.rage(), pause())
            assert storm.failed > 0
            await storm.is_over()

    leaves_nothing_open(run, main)


@pytest.mark.slow
def test_a_large_reply_among_cancelled_ones(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.Client(server.url) as client:
            await client.execute("SET", "large", b"x" * (16 << 20))
            for _ in range(50):
                large = asyncio.ensure_future(client.execute("GET", "large"))
                small = [asyncio.ensure_future(client.execute("ECHO", str(n))) for n in range(50)]
                await asyncio.sleep(random.random() / 50)
                large.cancel()
                assert await asyncio.gather(*small) == [b"%d" % n for n in range(50)]

    run(main())
