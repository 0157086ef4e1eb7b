"""A silently dead connection gets no more calls after one of its calls timed out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import fault_server as faults
import tokenstore
from conftest import Run, one_loop
from fault_server import FaultServer
from servers import Server
from tokenstore import asyncio as aio

TIMEOUT = 0.2
PATIENCE = 20  # seconds for calls that must succeed, on a busy machine


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultServer]:
    with FaultServer(str(server.socket_path)) as made:
        yield made


async def runs_out(client: aio.Client) -> None:
    with pytest.raises(tokenstore.OutcomeUnknownError, match="timeout"):
        await client.execute("PING", timeout=TIMEOUT)


async def is_left(client: aio.Client, proxy: FaultServer) -> None:
    """The very next call has a new connection."""
    before = proxy.accepted
    assert await client.execute("PING", timeout=PATIENCE) == "PONG"
    assert proxy.accepted == before + 1


def test_dead_from_the_first_call_on(proxy: FaultServer, run: Run) -> None:
    """Only the greeting was answered."""

    async def main() -> None:
        async with aio.Client(proxy.url) as client:
            proxy.arm(faults.record, faults.hang)
            await runs_out(client)
            assert proxy.pending == 0
            await is_left(client, proxy)

    run(main())


def test_an_attempt_ends_with_the_last_caller_that_waits_for_it(
    proxy: FaultServer, run: Run
) -> None:
    """The server accepts the connection but does not answer the greeting. The next caller gets another one at
    once."""

    async def main() -> None:
        async with aio.Client(proxy.url, connect_timeout=PATIENCE) as client:
            proxy.arm(faults.hang)
            with pytest.raises(tokenstore.TimeoutError, match="no connection within"):
                await client.execute("PING", timeout=TIMEOUT)
            assert await client.execute("PING", timeout=5) == "PONG"
            assert proxy.accepted == 2

    run(main())


def test_an_attempt_goes_on_for_those_that_have_time(proxy: FaultServer, run: Run) -> None:
    def answers_late(x: faults.Exchange) -> None:
        x.server.over.wait(3 * TIMEOUT)
        x.send(x.ask())

    async def main() -> None:
        async with aio.Client(proxy.url) as client:
            proxy.arm(answers_late)
            patient = asyncio.ensure_future(client.execute("PING", timeout=PATIENCE))
            with pytest.raises(tokenstore.TimeoutError, match="no connection within"):
                await client.execute("PING", timeout=TIMEOUT)
            assert await patient == "PONG"
            assert proxy.accepted == 1

    run(main())


@one_loop
def test_dead_amid_a_burst(proxy: FaultServer, run: Run) -> None:
    """Some calls are answered early, the others never."""

    def two_answers(x: faults.Exchange) -> None:
        while x.request.count(b"PING") < 5:
            x.request += x.read_some()
        x.send(b"+PONG\r\n" * 2)
        x.hang()

    async def main() -> None:
        async with aio.Client(proxy.url) as client:
            await client.execute("PING", timeout=PATIENCE)
            proxy.arm(two_answers)
            burst = [client.execute("PING", timeout=1.5) for _ in range(5)]
            outcomes = await asyncio.gather(*burst, return_exceptions=True)
            assert outcomes[:2] == ["PONG", "PONG"]
            assert {type(o) for o in outcomes[2:]} == {tokenstore.OutcomeUnknownError}
            await is_left(client, proxy)

    run(main())


def test_dead_while_a_large_command_is_written(proxy: FaultServer, run: Run) -> None:
    """Later calls are never written; its caller has time left, the others do not."""

    async def main() -> None:
        async with aio.Client(proxy.url) as client:
            await client.execute("PING", timeout=PATIENCE)
            proxy.arm(faults.deaf(PATIENCE))
            large = asyncio.ensure_future(
                client.execute("SET", "large", b"x" * (24 << 20), timeout=3 * PATIENCE)
            )
            await asyncio.sleep(0)
            with pytest.raises(tokenstore.TimeoutError):
                await client.execute("PING", timeout=TIMEOUT)
            await is_left(client, proxy)
            large.cancel()
            with pytest.raises(asyncio.CancelledError):
                await large

    run(main())
