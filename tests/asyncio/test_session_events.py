"""The ends of sessions on an event loop: waiting, cancelling, callbacks, closing."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

import tokenstore
from conftest import Run
from ends import SOON, end, rjwt
from servers import Server
from tokenstore import asyncio as aio
from tokenstore.session_events import SessionEnd, SessionGap

SECRET = "a secret of thirty-two bytes, yes"


@pytest.fixture(autouse=True)
def unset(server: Server) -> None:
    server("CONFIG", "SET", "notify-keyspace-events", "")


def store(server: Server, **options: Any) -> aio.RedisJWT:
    return aio.RedisJWT(server.url, secret=SECRET, kea=True, **options)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def nothing_is_left() -> None:
    late = time.monotonic() + SOON
    while "tokenstore-events" in threads():
        assert time.monotonic() < late
        await asyncio.sleep(0.01)


def test_ends_and_gaps_are_told(run: Run, server: Server) -> None:
    async def main() -> None:
        async with store(server) as jwt, await jwt.events() as events:
            token = await jwt.sign("bob", ttl=100)
            key = (await jwt.verify(token))["rjwt"]
            await jwt.destroy_multiple("bob")
            assert await events.next(SOON) == SessionEnd("del", "bob", key)
            server("CLIENT", "KILL", "TYPE", "pubsub")
            assert isinstance(await events.next(SOON), SessionGap)
            server("SET", rjwt("alice"), "{}", "PX", 1)
            assert await events.next(SOON) == SessionEnd("expired", "alice", rjwt("alice"))
            assert await events.next(0) is None
            assert await events.next(0.02) is None
        assert events.closed
        with pytest.raises(tokenstore.Error, match="closed"):
            await events.next()
        await nothing_is_left()

    run(main())


def test_a_loop_ends_with_aclose(run: Run, server: Server) -> None:
    async def main() -> None:
        async with store(server) as jwt:
            events = await jwt.events()
            told = end(server, "bob")
            heard = []
            async for event in events:
                heard.append(event)
                asyncio.get_running_loop().create_task(events.aclose())
            assert heard == [told]
            await events.aclose()

    run(main())


def test_the_end_of_the_client_ends_the_loop(run: Run, server: Server) -> None:
    async def main() -> None:
        jwt = store(server)
        events = await jwt.events()
        closing = asyncio.create_task(jwt.aclose())
        assert [event async for event in events] == []
        await closing
        await events.aclose()
        with pytest.raises(tokenstore.Error, match="the client is closed"):
            await jwt.events()

    run(main())


def test_cancelling_loses_nothing(run: Run, server: Server) -> None:
    async def main() -> None:
        async with store(server) as jwt, await jwt.events() as events:
            told = []
            for n in range(30):
                waiting = asyncio.create_task(events.next())
                told.append(await asyncio.to_thread(end, server, "bob", n))
                waiting.cancel()
                (result,) = await asyncio.gather(waiting, return_exceptions=True)
                if not isinstance(result, asyncio.CancelledError):
                    assert result == told.pop(0)
            assert [await events.next(SOON) for _ in told] == told
            waiting = asyncio.create_task(events.next())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="another task is waiting"):
                await events.next(0)
            waiting.cancel()

    run(main())


def test_who_reads_slowly_is_waited_for(run: Run, server: Server) -> None:
    """More events than the thread may be ahead."""

    async def main() -> None:
        async with store(server) as jwt, await jwt.events() as events:
            for n in range(2500):
                server_wire("SET", rjwt("bob", n), "{}")
                server_wire("DEL", rjwt("bob", n))
            await asyncio.sleep(0.05)
            assert len(events._inbox.told) <= 1000
            for n in range(2500):
                event = await events.next(SOON)
                assert isinstance(event, SessionEnd)
                assert event.rjwt == rjwt("bob", n)

    with server.wire() as server_wire:
        run(main())


def test_callbacks(run: Run, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with store(server) as jwt:
            heard: asyncio.Queue[object] = asyncio.Queue()

            def fail(event: object) -> None:
                raise ValueError("odd")

            async def slow(event: object) -> None:
                await asyncio.sleep(0)
                await heard.put(event)

            await asyncio.gather(jwt.on("del", fail), jwt.on("del", slow))
            await jwt.on("expired", heard.put_nowait)
            assert threads().count("tokenstore-events") == 1
            told = end(server, "bob")
            assert await asyncio.wait_for(heard.get(), SOON) == told
            server("SET", rjwt("alice"), "{}", "PX", 1)
            assert await asyncio.wait_for(heard.get(), SOON) == SessionEnd(
                "expired", "alice", rjwt("alice")
            )
            await jwt.off("del", slow)
            end(server, "bob")
            server("SET", rjwt("carol"), "{}", "PX", 1)
            event: Any = await asyncio.wait_for(heard.get(), SOON)
            assert event.id == "carol"
            with pytest.raises(ValueError, match="no event"):
                await jwt.on("evicted", fail)
        await nothing_is_left()

    run(main())
    assert "ValueError: odd" in caplog.text


def test_what_nobody_holds_ends(run: Run, server: Server) -> None:
    async def main() -> None:
        async with store(server) as jwt:
            events = await jwt.events()
            assert "tokenstore-events" in threads()
            del events
            gc.collect()
            await nothing_is_left()

    run(main())


def test_a_refusal(run: Run, server: Server) -> None:
    async def main() -> None:
        server("ACL", "SETUSER", "few", "reset", "on", ">sesame", "-@all", "+subscribe", "&*")
        url = server.url.replace("redis+unix://", "redis+unix://few:sesame@")
        async with aio.RedisJWT(url, secret=SECRET, kea=True) as jwt:
            with pytest.raises(tokenstore.ServerError, match=r"\+config\|get"):
                await jwt.events()
        server("ACL", "DELUSER", "few")

    run(main())
