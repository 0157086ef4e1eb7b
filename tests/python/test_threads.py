"""One client, many threads: no mixed-up replies, and the GIL is released."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import tokenstore
from servers import Server
from tokenstore import Client, RedisTokens, Sessions


def together(count: int, work: Callable[[int], None]) -> None:
    """Runs work(0) … work(count - 1) concurrently and re-raises an exception."""
    barrier = threading.Barrier(count)

    def run(n: int) -> None:
        barrier.wait()
        work(n)

    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(run, n) for n in range(count)]:
            future.result()


@pytest.mark.parametrize("pool_size", [1, 3, 16])
def test_every_thread_gets_its_own_replies(server: Server, pool_size: int) -> None:
    with Client(server.url, pool_size=pool_size, timeout=30) as client:
        tokens, sessions = RedisTokens(client), Sessions(client, prefix="s")

        def work(n: int) -> None:
            for i in range(100):
                mark = f"{n}-{i}"
                assert client.execute("ECHO", mark) == mark.encode()
                token = tokens.create("a", "t", f"o{n}", {"mark": mark}, 60)
                assert tokens.get("a", "t", token.token).data == {"mark": mark}
                session = sessions.create("a", mark, {"mark": mark})
                assert sessions.get("a", session).owner_id == mark
                echoed = client.pipeline([["ECHO", f"{mark}-{k}"] for k in range(5)])
                assert echoed == [f"{mark}-{k}".encode() for k in range(5)]
                assert tokens.delete("a", "t", token.token) is True

        together(12, work)
        assert tokens.list("a", "t", "o1") == []


def test_the_interpreter_runs_while_a_call_waits(client: Client) -> None:
    """The GIL is released: another thread runs while this one waits for Redis."""
    turns = 0
    done = threading.Event()

    def spin() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1

    thread = threading.Thread(target=spin)
    thread.start()
    before = turns
    client.execute("BLPOP", "none", "0.2")
    assert turns > before + 1000
    done.set()
    thread.join()


def test_calls_wait_side_by_side(client: Client) -> None:
    began = time.monotonic()
    together(8, lambda n: client.execute("BLPOP", f"none{n}", "0.3"))
    assert time.monotonic() - began < 1.5


def test_updates_of_different_fields_all_hold(tokens: RedisTokens) -> None:
    token = tokens.create("a", "t", "o", {}, 60)

    def work(n: int) -> None:
        for i in range(20):
            assert tokens.update("a", "t", token.token, {f"{n}-{i}": i}) is not None

    together(8, work)
    found = tokens.get("a", "t", token.token)
    assert found is not None
    assert found.data == {f"{n}-{i}": i for n in range(8) for i in range(20)}


def test_a_value_shared_by_threads(tokens: RedisTokens) -> None:
    """Data that another thread changes meanwhile: some state of it is stored, without a crash."""
    data: dict[str, object] = {str(n): [n] for n in range(200)}
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            data[str(n % 300)] = [n]
            data.pop(str((n * 7) % 300), None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(300):
            assert tokens.create("a", "t", "o", data, 60).data is not data
    finally:
        stop.set()
        thread.join()


def test_an_operation_runs_once(client: Client, tokens: RedisTokens) -> None:
    op = tokens._ops.get("a", "t", "x", None, False, False)
    assert client._core.run(op) is None
    with pytest.raises(RuntimeError):
        client._core.run(op)
    with pytest.raises(TypeError):
        client._core.run(None)
    with pytest.raises(RuntimeError):
        client._core.run(type(op)())


def test_an_operation_outlives_its_store(client: Client, server: Server) -> None:
    tokens = RedisTokens(server.url)
    token = tokens.create("a", "t", "o", {"x": 1})
    op = tokens._ops.get("a", "t", token.token, None, False, False)
    del tokens
    found = client._core.run(op)
    assert found is not None
    assert found.data == {"x": 1}


def test_tokenstore_errors_in_threads(client: Client) -> None:
    tokens = RedisTokens(client)

    def work(n: int) -> None:
        for _ in range(200):
            with pytest.raises(tokenstore.DataError, match="data.x"):
                tokens.create("a", "t", "o", {"x": float("nan")})
            with pytest.raises(tokenstore.ServerError):
                client.execute("NONSENSE")

    together(6, work)
