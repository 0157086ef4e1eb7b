"""One client in many loops in turn: nothing is left open, and there are no warnings."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
import traceback
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import tokenstore
from conftest import Run, loop_of, run_in
from servers import Server, running
from tokenstore import asyncio as aio
from tokenstore.asyncio._reach import reach

KINDS = ["asyncio", "uvloop"]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def no_warning() -> Iterator[None]:
    """As -W error, also for warnings where nothing can be raised."""
    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in said] == []


def connections_of(server: Server) -> int:
    return sum(b"name=me " in line for line in server("CLIENT", "LIST").splitlines())


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize("kind", KINDS)
def test_run_again_and_again(server: Server, kind: str) -> None:
    """As asyncio.run does: the connections end with the loop."""
    client = aio.Client(server.url, client_name="me")
    run_in(loop_of(kind), client.execute("PING"))
    before = descriptors()
    for n in range(20):
        assert run_in(loop_of(kind), client.execute("ECHO", str(n))) == b"%d" % n
        assert connections_of(server) == 0
    assert descriptors() == before
    run_in(loop_of(kind), client.aclose())
    with pytest.raises(tokenstore.Error, match="closed"):
        asyncio.run(client.execute("PING"))


@pytest.mark.usefixtures("no_warning")
def test_run_while_connecting(server: Server) -> None:
    """asyncio.run cancels the task that is about to open the second connection."""
    client = aio.Client(server.url, client_name="me", connections=2)
    asyncio.run(client.execute("PING"))
    before = descriptors()
    for _ in range(20):
        assert asyncio.run(client.execute("PING")) == "PONG"
    assert descriptors() == before


@pytest.mark.usefixtures("no_warning")
def test_calls_at_the_end_of_a_loop(server: Server) -> None:
    """An application's async generators end at the same time as ours, and may make calls."""
    client = aio.Client(server.url, client_name="me")
    said: list[Any] = []

    async def generate() -> Any:
        try:
            yield 1
        finally:
            await asyncio.sleep(0.01)  # our connections are closed
            said.append(await client.execute("ECHO", "last"))
            said.append(await client.execute("ECHO", "words"))

    async def main() -> None:
        generator = generate()
        kept.append(generator)
        assert await generator.__anext__() == 1
        assert await client.execute("PING") == "PONG"

    kept: list[Any] = []
    before = descriptors()
    run_in(loop_of("asyncio"), main())
    assert said == [b"last", b"words"]
    assert descriptors() == before
    assert connections_of(server) == 0


@pytest.mark.usefixtures("no_warning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("found_by", ["the next loop", "aclose", "collection"])
def test_a_loop_that_just_closes(server: Server, kind: str, found_by: str) -> None:
    """It does not close generators; its connections are closed when the loop is found dead. One call was in
    progress."""
    client: aio.Client | None = aio.Client(server.url, client_name="me")
    assert client is not None
    before = descriptors()
    loop = loop_of(kind)
    assert loop.run_until_complete(client.execute("PING")) == "PONG"

    async def begin(coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        coroutine.send(None)
        return coroutine

    coroutine = loop.run_until_complete(begin(client.execute("PING")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of uvloop, which closes transports itself
        loop.close()
    coroutine.close()
    if found_by == "the next loop":
        assert run_in(loop_of("asyncio"), client.execute("PING")) == "PONG"
    elif found_by == "aclose":
        run_in(loop_of("asyncio"), client.aclose())
    client = None
    gc.collect()
    assert descriptors() == before


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::ResourceWarning")
def test_a_loop_that_closes_amid_a_connection(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any number of its turns: no socket stays open, and nothing of ours fails as it is collected."""
    failed: list[str] = []

    def note(failure: Any) -> None:
        frames = traceback.extract_tb(failure.exc_traceback)
        if {"abort", "_give_up"} & {frame.name for frame in frames}:
            failed.append(f"{failure.exc_value!r} in {frames}")

    monkeypatch.setattr(sys, "unraisablehook", note)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)  # it tells of the tasks
    with running(transport=transport) as server:
        gc.collect()
        before = descriptors()
        for turns in range(40):
            loop = asyncio.new_event_loop()
            client = aio.Client(server.url)
            call = loop.create_task(client.execute("PING"))
            for _ in range(turns):
                loop.call_soon(loop.stop)
                loop.run_forever()
            loop.close()
            del loop, client, call
            gc.collect()
            assert descriptors() == before, turns
    assert failed == []


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loop_that_closes_amid_attempts_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is left to the garbage collector."""
    monkeypatch.setattr(sys, "unraisablehook", print)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)
    with running(transport="tcp") as server, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        for turns in range(15):
            loop = asyncio.new_event_loop()
            task = loop.create_task(reach([(socket.AF_INET, ("127.0.0.1", server.port))] * 3, 5))
            for _ in range(turns):
                loop.call_soon(loop.stop)
                loop.run_forever()
            if task.done():
                task.result().close()
            loop.close()
            del loop, task
            gc.collect()
    assert [str(one.message) for one in said] == []


@pytest.mark.usefixtures("no_warning")
def test_disconnect(server: Server, run: Run) -> None:
    """Closes this loop's connections after their calls; the client stays usable."""

    async def main() -> None:
        async with aio.Client(server.url, client_name="me") as client:
            await client.disconnect()  # none is open yet
            await client.execute("PING")
            calls = [asyncio.ensure_future(client.execute("INCR", "n")) for _ in range(100)]
            await asyncio.sleep(0)
            await client.disconnect()
            assert sorted(await asyncio.gather(*calls)) == list(range(1, 101))
            assert connections_of(server) == 0
            assert await client.execute("PING") == "PONG"
            assert connections_of(server) == 1

    run(main())


@pytest.mark.usefixtures("no_warning")
def test_disconnect_under_way(server: Server, run: Run) -> None:
    """Calls that begin meanwhile get a new connection."""

    async def main() -> None:
        async with aio.Client(server.url, client_name="me") as client:
            first = await client.execute("CLIENT", "ID")
            slow = asyncio.ensure_future(client.execute("BLPOP", "none", "0.2"))
            await asyncio.sleep(0.01)
            ending = asyncio.ensure_future(client.disconnect())
            await asyncio.sleep(0.01)
            assert await client.execute("CLIENT", "ID") != first
            assert not ending.done()
            assert await slow is None
            await ending
            assert connections_of(server) == 1

    run(main())


def test_a_task_that_stops_the_loop(server: Server, run: Run) -> None:
    """The server closes the connection while a task blocks, between a reply and the next command: this is
    detected before anything is written, so the outcome of the next command is not unknown."""

    async def main() -> None:
        async with aio.Client(server.url, client_name="me") as client:
            for answered_just_now in (True, False):
                assert await client.execute("PING") == "PONG"
                if not answered_just_now:
                    await asyncio.sleep(0.01)
                server("CLIENT", "KILL", "TYPE", "normal")
                assert await client.execute("INCR", "n") == 1 + (not answered_just_now)

    run(main())


def test_without_a_loop_of_asyncio(server: Server) -> None:
    trio = pytest.importorskip("trio")
    client = aio.Client(server.url)

    async def main() -> None:
        with pytest.raises(tokenstore.ConfigurationError, match=r"trio\.to_thread"):
            await client.execute("PING")
        with pytest.raises(tokenstore.ConfigurationError, match="asyncio"):
            await client.aclose()

    trio.run(main)
    with pytest.raises(RuntimeError, match="no running event loop"):
        client.execute("PING").send(None)
    assert run_in(loop_of("asyncio"), client.execute("PING")) == "PONG"
