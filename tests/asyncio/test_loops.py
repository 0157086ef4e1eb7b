"""Several loops, closed ones, forks; how many at a time; deadlines."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

import tokenstore
from conftest import Run, loop_of, pool_of, run_in
from servers import Server, paused
from tokenstore import asyncio as aio


def test_loops_in_threads(server: Server) -> None:
    client = aio.Client(server.url)
    outcomes: list[object] = []

    async def work() -> None:
        numbers = await asyncio.gather(*[client.execute("INCR", "n") for _ in range(500)])
        assert sorted(numbers) == sorted(set(numbers))
        barrier.wait(30)
        if threading.current_thread() is threads[0]:
            await client.aclose()
        barrier.wait(30)
        with pytest.raises(tokenstore.Error, match="closed"):
            await client.execute("PING")
        outcomes.append("well")

    barrier = threading.Barrier(4)
    threads = [
        threading.Thread(target=lambda: run_in(loop_of("asyncio"), work())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["well"] * 4
    assert server("GET", "n") == b"2000"


def child_answers(work: object) -> str:
    """What work() gives or raises in a forked child."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = str(work())  # type: ignore[operator]
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        text = file.read().decode()
    os.waitpid(pid, 0)
    return text


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_fork(server: Server, kind: str) -> None:
    """A child has a loop of its own; one that it inherited is refused, and does the parent no harm."""
    loop = loop_of(kind)
    client = aio.Client(server.url)

    def same_loop() -> object:
        return loop.run_until_complete(client.execute("ECHO", "child", timeout=5))

    def new_loop() -> object:
        return loop_of("asyncio").run_until_complete(client.execute("ECHO", "child"))

    assert loop.run_until_complete(client.execute("ECHO", "parent")) == b"parent"
    if kind == "asyncio":  # uvloop does not survive a fork itself
        assert "inherited across a fork" in child_answers(same_loop)
    assert loop.run_until_complete(client.execute("ECHO", "parent")) == b"parent"
    assert child_answers(new_loop) == "b'child'"
    assert loop.run_until_complete(client.execute("ECHO", "parent")) == b"parent"
    run_in(loop, client.aclose())


def test_too_many(server: Server, run: Run) -> None:
    async def main() -> None:
        async with aio.Client(server.url, max_in_flight=10) as client:
            outcomes = await asyncio.gather(
                *[client.execute("INCR", "n") for _ in range(30)], return_exceptions=True
            )
            refused = [o for o in outcomes if isinstance(o, tokenstore.ConnectionError)]
            assert len(refused) == 20
            assert "max_in_flight" in str(refused[0])
            assert server("GET", "n") == b"10"
            assert await client.execute("PING") == "PONG"

    run(main())


def test_waiting_for_a_turn(server: Server, run: Run) -> None:
    async def main() -> None:
        options = {"max_in_flight": 10, "when_busy": "wait", "timeout": 30}
        async with aio.Client(server.url, **options) as client:  # type: ignore[arg-type]
            most = 0

            async def one() -> None:
                nonlocal most
                await client.execute("INCR", "n")
                most = max(most, len(pool_of(client)))

            await asyncio.gather(*[one() for _ in range(1000)])
            assert most <= 10
            assert server("GET", "n") == b"1000"
            with paused(server):
                calls = [asyncio.ensure_future(client.execute("INCR", "m")) for _ in range(30)]
                late = asyncio.ensure_future(client.execute("INCR", "m", timeout=0.05))
                with pytest.raises(tokenstore.TimeoutError, match="max_in_flight"):
                    await late
                for call in calls[5:25]:  # some that are under way, some that wait
                    call.cancel()
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(d, int) for d in done) == 10
            await asyncio.gather(*[one() for _ in range(100)])

    run(main())


def test_a_deadline_ends_only_its_own_call(server: Server, run: Run) -> None:
    """The others on that connection are answered when the server goes on, the next get a new one."""

    async def main() -> None:
        async with aio.Client(server.url, client_name="me") as client:
            await client.execute("PING")
            with paused(server):
                patient = [asyncio.ensure_future(client.execute("ECHO", str(n))) for n in range(9)]
                with pytest.raises(tokenstore.OutcomeUnknownError, match="timeout"):
                    await client.execute("INCR", "n", timeout=0.05)
                read = aio.RedisTokens(client)
                later = asyncio.ensure_future(read.get("a", "t", "none"))
                await asyncio.sleep(0.02)
            assert await asyncio.gather(*patient) == [b"%d" % n for n in range(9)]
            assert await later is None
            assert (await client.execute("CLIENT", "LIST")).count(b"name=me") <= 2

    run(main())


def test_a_server_that_says_nothing_is_left(server: Server, run: Run) -> None:
    """Callers who give up before their deadline leave places behind; not for ever."""

    async def main() -> None:
        async with aio.Client(server.url, timeout=0.3, client_name="me") as client:
            await client.execute("PING")
            pool = pool_of(client)
            connection = pool._links[-1]._open[0]
            with paused(server):
                until = pool.loop.time() + 30
                while connection in pool._links[-1]._open:
                    assert pool.loop.time() < until
                    with pytest.raises(asyncio.TimeoutError):
                        await asyncio.wait_for(client.execute("PING", timeout=60), 0.05)
            assert await client.execute("PING", timeout=5) == "PONG"

    run(main())


def test_closing_lets_calls_end(server: Server, run: Run) -> None:
    async def main() -> None:
        client = aio.Client(server.url)
        await client.execute("PING")
        calls = [asyncio.ensure_future(client.execute("INCR", "n")) for _ in range(100)]
        await asyncio.sleep(0)
        await client.aclose()
        assert sorted(await asyncio.gather(*calls)) == list(range(1, 101))

    run(main())


def test_spike_leaves_the_loop_alone(run: Run) -> None:
    """Many tasks, one fetch, in a thread: the loop goes on meanwhile."""
    import socket

    async def main() -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            retry = {"retries": 0, "total": 0.5}
            async with aio.Spike(url, "id", "secret", retry=retry) as spike:
                calls = [asyncio.ensure_future(spike.get_token("x")) for _ in range(50)]
                turns = 0
                while not all(call.done() for call in calls):
                    turns += 1
                    await asyncio.sleep(0.001)
                assert turns > 50
                deaf.setblocking(False)
                asked = 0
                while True:
                    try:
                        deaf.accept()[0].close()
                        asked += 1
                    except BlockingIOError:
                        break
                assert asked <= 2  # the token, the key
                for call in calls:
                    with pytest.raises(tokenstore.SpikeError):
                        await call

    run(main())
