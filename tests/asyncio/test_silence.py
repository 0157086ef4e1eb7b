"""Silently dropped connections, and connections that are too old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import tokenstore
from conftest import Run, one_loop, pool_of
from fault_server import FaultServer
from servers import Server, paused
from tokenstore import asyncio as aio

A = {"app": "a", "type": "t"}
TIMEOUT = 2.0
SILENCE = TIMEOUT / 4
LATE = 0.4  # of a busy machine; less than another silence would take
IDLE = 1.05  # seconds of idling after which a change sends PING first


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultServer]:
    with FaultServer(str(server.socket_path)) as made:
        yield made


async def took(coroutine: Coroutine[Any, Any, Any]) -> tuple[float, Any]:
    began = time.monotonic()
    outcome = (await asyncio.gather(coroutine, return_exceptions=True))[0]
    return time.monotonic() - began, outcome


def test_one_call_is_slow(proxy: FaultServer, run: Run) -> None:
    """An idempotent operation moves to a new connection after a quarter of its timeout."""

    async def main() -> None:
        async with aio.RedisTokens(proxy.url, timeout=TIMEOUT) as tokens:
            token = (await tokens.create(**A, owner="o")).token
            proxy.freeze()
            before = proxy.accepted
            calls = [took(tokens.get(**A, token=token)) for _ in range(20)]
            for seconds, found in await asyncio.gather(*calls):
                assert SILENCE - 0.02 <= seconds < SILENCE + LATE
                assert found.token == token
            seconds, found = await took(tokens.get(**A, token=token))
            assert seconds < LATE
            assert found.token == token
            assert proxy.accepted == before + 1

    run(main())


@one_loop
def test_a_change_asks_first(proxy: FaultServer, server: Server, run: Run) -> None:
    """Callers that come meanwhile wait for the same reply. Each change is made once."""

    async def main() -> None:
        async with aio.Client(proxy.url, timeout=TIMEOUT) as client:
            await client.execute("PING")
            await asyncio.sleep(IDLE)
            before = proxy.accepted
            assert await client.execute("INCR", "n") == 1  # the connection is alive
            assert proxy.accepted == before
            await asyncio.sleep(IDLE)
            proxy.freeze()
            calls = [took(client.execute("INCR", "n")) for _ in range(20)]
            outcomes = await asyncio.gather(*calls)
            assert sorted(value for _, value in outcomes) == list(range(2, 22))
            assert max(seconds for seconds, _ in outcomes) < SILENCE + LATE
            assert proxy.accepted == before + 1
            seconds, value = await took(client.execute("INCR", "n"))
            assert (seconds < LATE, value) == (True, 22)

    run(main())


@one_loop
def test_reads_do_not_wait_for_changes(proxy: FaultServer, run: Run) -> None:
    """A change without a PING has an unknown outcome at its deadline; concurrent reads succeed."""

    async def main() -> None:
        async with aio.RedisTokens(proxy.url, timeout=TIMEOUT) as tokens:
            token = (await tokens.create(**A, owner="o")).token
            proxy.freeze()
            change = took(tokens.client.execute("INCR", "n"))
            reads = [took(tokens.get(**A, token=token)) for _ in range(5)]
            (late, doubt), *found = await asyncio.gather(change, *reads)
            assert isinstance(doubt, tokenstore.OutcomeUnknownError)
            assert TIMEOUT - 0.02 <= late < TIMEOUT + LATE
            for seconds, value in found:
                assert seconds < SILENCE + LATE
                assert value.token == token

    run(main())


@one_loop
def test_late_answers_are_nobodys(server: Server, run: Run) -> None:
    """The server was slow, not dead: it also replies on the old connection."""

    async def main() -> None:
        async with aio.RedisTokens(server.url, timeout=4) as tokens:
            made = await tokens.create_many([{**A, "owner": f"o{n}"} for n in range(20)])
            echo = asyncio.ensure_future(tokens.client.execute("ECHO", "mine"))
            assert await echo == b"mine"
            with paused(server):
                echo = asyncio.ensure_future(tokens.client.execute("ECHO", "mine"))
                calls = [asyncio.ensure_future(tokens.get(**A, token=t.token)) for t in made]
                await asyncio.sleep(4 / 4 + 0.3)
                assert len(pool_of(tokens.client)._links[-1]._retired) == 1
            assert await echo == b"mine"
            assert [t.owner for t in await asyncio.gather(*calls)] == [t.owner for t in made]
            assert await tokens.client.execute("ECHO", "next") == b"next"

    run(main())


def test_others_that_idled_as_long(proxy: FaultServer, run: Run) -> None:
    async def main() -> None:
        async with aio.RedisTokens(proxy.url, timeout=TIMEOUT, connections=4) as tokens:
            token = (await tokens.create(**A, owner="o")).token
            while len(pool_of(tokens.client)._links[-1]._open) < 4:
                await tokens.get(**A, token=token)
                await asyncio.sleep(0.01)
            await asyncio.gather(*[tokens.get(**A, token=token) for _ in range(20)])
            proxy.freeze()
            slow = 0
            for _ in range(10):
                seconds, found = await took(tokens.get(**A, token=token))
                slow += seconds >= SILENCE - 0.02
                assert found.token == token
            assert slow == 1

    run(main())


@one_loop
def test_age(server: Server, run: Run) -> None:
    """A connection is replaced by one that is already open: no call waits or fails."""

    async def main() -> None:
        options: dict[str, Any] = {"max_connection_age": 1, "client_name": "me"}
        async with aio.Client(server.url, **options) as client:
            ids: list[int] = []
            until = time.monotonic() + 2.6
            while time.monotonic() < until:
                ids += await asyncio.gather(*[client.execute("CLIENT", "ID") for _ in range(5)])
                await asyncio.sleep(0.001)
            assert 3 <= len(set(ids)) <= 4
            assert server("CLIENT", "LIST").count(b"name=me ") == 1

    run(main())


@one_loop
def test_age_without_a_server(server: Server, proxy: FaultServer, run: Run) -> None:
    """Without a new connection, the old one stays in use."""

    async def main() -> None:
        async with aio.Client(proxy.url, client_name="me", max_connection_age=1) as client:
            first = await client.execute("CLIENT", "ID")
            await asyncio.sleep(1.01)
            proxy.arm_accept(*[lambda sock: sock.close()] * 99)
            for _ in range(20):
                assert await client.execute("CLIENT", "ID") == first
                await asyncio.sleep(0.01)

    run(main())
