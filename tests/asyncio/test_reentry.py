"""Replies that make the driver end calls, and their connection, while others are still to be delivered: each
is a refusal so shortly before the deadline that there is no time to retry."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from conftest import SOAK, Run, one_loop
from servers import Server, running
from tokenstore import asyncio as aio

BUSY = b"-BUSY Redis is busy running a script.\r\n"
TIMEOUT = 0.25
ROUNDS = 100 if SOAK else 6
A = {"app": "a", "type": "t"}


async def outcomes(tasks: list[asyncio.Task[Any]]) -> set[str]:
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return {type(outcome).__name__ for outcome in done}


@one_loop
@pytest.mark.parametrize("first_cancelled", [False, True])
def test_busy_at_the_deadline(run: Run, first_cancelled: bool) -> None:
    """A server that sends all replies at once, and late."""

    answering = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with suppress(ConnectionError):
            asked, began = await reader.read(65536), time.monotonic()
            await asyncio.sleep(TIMEOUT / 2)
            asked += await reader.read(65536) if asked.count(b"*2\r\n") < 2 else b""
            await asyncio.sleep(began + TIMEOUT - 0.004 - time.monotonic())
            writer.write(BUSY * asked.count(b"*2\r\n"))
            await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(ROUNDS):
            async with aio.RedisTokens(f"redis://127.0.0.1:{port}", timeout=TIMEOUT) as tokens:
                calls = [
                    asyncio.create_task(tokens.get(**A, token=f"tok{n}"))
                    for n in range(2 + first_cancelled)
                ]
                await asyncio.sleep(0.02)
                calls[-1].cancel()
                if first_cancelled:
                    calls[0].cancel()
                assert await outcomes(calls) == {"CancelledError", "TimeoutError"}
        server.close()
        await server.wait_closed()
        await asyncio.gather(*answering)  # wait_closed does not wait for them before Python 3.12

    run(main())


@pytest.fixture(scope="module")
def busy_server() -> Any:
    """Its scripts run for as long as a call may take, so other commands get BUSY."""
    with running("--lua-time-limit", str(round(TIMEOUT * 1000))) as server:
        yield server


@one_loop
def test_a_script_as_long_as_the_timeout(busy_server: Server, run: Run) -> None:
    async def main() -> None:
        seen = set()
        for n in range(ROUNDS):
            with busy_server.wire() as script:
                script.send("EVAL", "while true do end", 0)
                await asyncio.sleep(0.001 + 0.0005 * (n % 10))
                async with aio.RedisTokens(busy_server.url, timeout=TIMEOUT) as tokens:
                    calls = [
                        asyncio.create_task(tokens.get(**A, token=token)) for token in ("x", "y")
                    ]
                    await asyncio.sleep(0.02)
                    calls[1].cancel()
                    seen |= await outcomes(calls)
                assert busy_server("SCRIPT", "KILL") == "OK"
                assert isinstance(script.read(), Exception)
        assert seen == {"CancelledError", "TimeoutError"}
        async with aio.RedisTokens(busy_server.url) as tokens:
            assert await tokens.get(**A, token="x") is None

    run(main())
