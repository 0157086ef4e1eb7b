"""Other ends of a call than its reply: its awaiter is discarded, gets an exception, or stops the loop."""

from __future__ import annotations

import asyncio
import math
import sys
from typing import Any

import pytest

from conftest import Run, loop_of, pool_of, run_in
from servers import Server
from tokenstore import asyncio as aio


def test_a_coroutine_that_is_thrown_away(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.Client(server.url) as client:
            assert await client.execute("PING") == "PONG"
            pool = pool_of(client)
            closed, thrown_at = client.execute("PING"), client.execute("PING")
            closed.send(None)
            thrown_at.send(None)
            assert len(pool) == len(pool.until(math.inf)) == 2
            closed.close()
            assert len(pool) == 1
            with pytest.raises(LookupError, match="mine"):
                thrown_at.throw(LookupError("mine"))
            assert len(pool) == len(pool.until(math.inf)) == 0
            assert await client.execute("ECHO", "next") == b"next"

    run(main())


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_task_that_ends_the_loop(server: Server, kind: str) -> None:
    """What others had to say when it did is said when the loop goes on."""
    loop = loop_of(kind)
    client = aio.Client(server.url)

    async def asks_again() -> object:
        await client.execute("ECHO", "first")
        return await client.execute("ECHO", "second", timeout=20)

    async def interrupts() -> None:
        await client.execute("ECHO", "x")
        raise KeyboardInterrupt

    loop.run_until_complete(client.execute("PING"))
    asking, interrupting = loop.create_task(asks_again()), loop.create_task(interrupts())
    loop.call_later(30, loop.stop)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    assert loop.run_until_complete(asking) == b"second"
    assert isinstance(interrupting.exception(), KeyboardInterrupt)
    run_in(loop, client.aclose())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python has no eager tasks")
def test_eager_tasks(server: Server, run: Run) -> None:
    def eager(loop: asyncio.AbstractEventLoop, coroutine: Any, **how: Any) -> asyncio.Task[Any]:
        # Not asyncio.eager_task_factory: uvloop tells it more than that of Python 3.13.0 takes.
        return asyncio.Task(coroutine, loop=loop, **{**how, "eager_start": True})

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(eager)
        async with aio.Client(server.url) as client:

            async def one(n: int) -> None:
                for _ in range(10):
                    assert await client.execute("ECHO", str(n)) == b"%d" % n
                    assert await asyncio.create_task(client.execute("PING")) == "PONG"

            await asyncio.gather(*[one(n) for n in range(50)])

    run(main())
