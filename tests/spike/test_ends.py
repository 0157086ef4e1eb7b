"""What ends a fetch at once: close(), aclose(), and cancellation of all callers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import tokenstore
import tokenstore.asyncio
from authorization import Answer, Asked, Endpoint, Signer, endpoint, granted, wait_until
from servers import Server

SOON = 1.0  # seconds: 50 ms, on a busy machine


@contextmanager
def hanging() -> Iterator[Endpoint]:
    with endpoint(lambda asked: Answer(delay=30)) as server:
        yield server


def options(server: Endpoint) -> dict[str, Any]:
    return {"url": server.url, "client_id": "id", "client_secret": "s", "token_format": "opaque"}


@pytest.mark.parametrize("what", ["the token", "the key"])
def test_close_ends_the_fetch_of_another_thread(what: str) -> None:
    with hanging() as server:
        jwt = {"token_format": "jwt"} if what == "the key" else {}
        s = tokenstore.Spike(**{**options(server), **jwt})
        failures: list[str] = []

        def get() -> None:
            try:
                s.initialize() if jwt else s.get_token("a")
            except tokenstore.Error as error:
                failures.append(str(error))

        threads = [threading.Thread(target=get) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(server.asked) >= 1)
        began = time.monotonic()
        s.close()
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < SOON
        assert failures == ["the client is closed"] * 4


def test_close_between_two_requests() -> None:
    """The first response arrives after the client was closed."""
    signer = Signer()
    closed = threading.Event()

    def answer(asked: Asked) -> Answer:
        closed.wait(10)
        return signer.answer(asked)

    for _ in range(5):  # close() may also be noticed before the response
        closed.clear()
        with endpoint(answer) as server, ThreadPoolExecutor(1) as pool:
            s = tokenstore.Spike(server.url, "id", "s")
            token = pool.submit(s.get_token, "a")
            wait_until(lambda asked=server.asked: len(asked) == 1)
            s.close()
            closed.set()
            with pytest.raises(tokenstore.Error, match="^the client is closed$"):
                token.result()


def test_close_ends_the_wait_for_another_process(redis: Server) -> None:
    with endpoint(lambda asked: granted()) as server:
        s = tokenstore.Spike(**options(server), redis=redis.url)
        server.answer = lambda asked: locks.extend(redis("KEYS", "*:lock:*")) or granted()
        locks: list[bytes] = []
        s.get_token("a")
        redis("FLUSHALL")
        redis("SET", locks[0], "another", "PX", "60000")
        s.close()
        s = tokenstore.Spike(**options(server), redis=redis.url)
        failures: list[str] = []

        def get() -> None:
            try:
                s.get_token("a")
            except tokenstore.Error as error:
                failures.append(str(error))

        thread = threading.Thread(target=get)
        thread.start()
        time.sleep(0.3)
        began = time.monotonic()
        s.close()
        thread.join()
        assert time.monotonic() - began < SOON
        assert failures == ["the client is closed"]


def test_aclose_ends_all_fetches() -> None:
    """More fetches than threads."""

    async def main() -> None:
        s = tokenstore.asyncio.Spike(**options(server))
        tasks = [asyncio.ensure_future(s.get_token(f"audience-{n}")) for n in range(40)]
        while len(server.asked) < 4:
            await asyncio.sleep(0.01)
        began = time.monotonic()
        await s.aclose()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert time.monotonic() - began < SOON
        assert {str(error) for error in found} == {"the client is closed"}

    with hanging() as server:
        asyncio.run(main())


def test_calls_after_aclose() -> None:
    async def main() -> None:
        s = tokenstore.asyncio.Spike(**options(server))
        await s.get_token("a")
        await s.aclose()
        await s.aclose()
        for _ in range(2):
            for call in (s.get_token("a"), s.get_token("b"), s.invalidate("a", "t"), s.initialize()):
                with pytest.raises(tokenstore.Error, match="^the client is closed$"):
                    await call
        await s.aclose()

    with endpoint(lambda asked: granted()) as server:
        asyncio.run(main())


def test_a_fetch_that_nobody_waits_for_ends() -> None:
    """Otherwise the loop's end would wait for it."""

    async def main() -> None:
        s = tokenstore.asyncio.Spike(**options(server))
        tasks = [asyncio.ensure_future(s.get_token("a")) for _ in range(2)]
        while not server.asked:
            await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.2)
        assert not tasks[1].done()  # another task still needs it
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        go_on.set()
        began = time.monotonic()
        assert await s.get_token("a") == "opaque-token"
        assert time.monotonic() - began < SOON
        await s.aclose()

    go_on = threading.Event()
    with endpoint(lambda asked: granted() if go_on.is_set() else Answer(delay=30)) as server:
        asyncio.run(main())
        assert len(server.asked) == 2


def test_a_timeout_of_asyncio_ends_the_process_at_once() -> None:
    """Nothing is closed: its threads must not keep the process alive."""
    program = """
import asyncio, sys, tokenstore.asyncio
async def main():
    s = tokenstore.asyncio.Spike(sys.argv[1], "id", "s", token_format="opaque")
    try:
        await asyncio.wait_for(s.get_token("a"), 0.3)
    except asyncio.TimeoutError:
        print("timeout")
asyncio.run(main())
"""
    with hanging() as server:
        began = time.monotonic()
        said = subprocess.run(
            [sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=60
        )
        assert said.stdout == "timeout\n", said.stderr
        assert time.monotonic() - began < 0.3 + 3 * SOON


def test_forty_audiences_at_once_need_no_forty_threads() -> None:
    """And other users of the loop's executor are not delayed."""
    most = 0

    async def main() -> None:
        nonlocal most
        async with tokenstore.asyncio.Spike(**options(server)) as s:
            tasks = [asyncio.ensure_future(s.get_token(f"audience-{n}")) for n in range(40)]
            while not all(task.done() for task in tasks):
                mine = [t for t in threading.enumerate() if "tokenstore" in t.name]
                most = max(most, len(mine))
                began = time.monotonic()
                await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0)
                assert time.monotonic() - began < SOON
                await asyncio.sleep(0.02)
            assert await asyncio.gather(*tasks) == [f"for audience-{n}" for n in range(40)]

    def answer(asked: Asked) -> Answer:
        return granted("for " + asked.form["audience"], delay=0.1)

    with endpoint(answer) as server:
        asyncio.run(main())
    assert 1 <= most <= 8


def test_a_forked_child_fetches_with_threads_of_its_own() -> None:
    program = """
import asyncio, os, sys, tokenstore.asyncio
s = tokenstore.asyncio.Spike(sys.argv[1], "id", "s", token_format="opaque")
async def get(): print(await s.get_token("a"), flush=True)
asyncio.run(get())
if os.fork() == 0:
    asyncio.run(get())
    os._exit(0)
os.wait()
"""
    with endpoint(lambda asked: granted()) as server:
        said = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert said.stdout == "opaque-token\n" * 2, said.stderr
        assert len(server.asked) == 2
