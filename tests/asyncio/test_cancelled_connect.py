"""A connection cancelled at any step of its opening leaves no socket behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import warnings
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from certs import LOCAL, SERVER, Authority
from conftest import Run, pool_of
from fault_server import FaultServer
from servers import Server, running
from test_names import swallowing
from tokenstore import _core
from tokenstore import asyncio as aio
from tokenstore.asyncio._reach import reach

STEPS = 60  # iterations of the loop; TLS and the greeting take about thirty


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    gc.collect()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in said] == []


async def cancel_all(steps: int, coroutine: Coroutine[Any, Any, Any]) -> None:
    """As asyncio.run does after its main task."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(steps):
        await asyncio.sleep(0)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, task, return_exceptions=True)


async def ping(make: Callable[[], aio.Client]) -> None:
    async with make() as client:
        await client.ping()


def test_unix(server: Server, run: Run) -> None:
    for steps in range(STEPS):
        run(cancel_all(steps, ping(lambda: aio.Client(server.url, client_name="me"))))


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_tcp_and_tls(server: Server, run: Run, tmp_path: Path, kind: str) -> None:
    authority = Authority(tmp_path)
    context = None
    if kind == "tls":
        pair = authority.sign("server", LOCAL, *SERVER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
    with FaultServer(str(server.socket_path), context) as proxy:
        options: dict[str, Any] = {"ca": authority.cert} if context else {}
        for steps in range(STEPS):
            run(cancel_all(steps, ping(lambda: aio.Client(proxy.url, **options))))


def test_the_client_is_closed_while_it_opens_another(server: Server, run: Run) -> None:
    async def open_and_close(steps: int) -> None:
        client = aio.Client(server.url, connections=2)
        await client.ping()
        await client.ping()
        for _ in range(steps):
            await asyncio.sleep(0)
        pool = pool_of(client)
        await client.aclose()
        assert pool._links[-1].all() == []

    for steps in range(STEPS):
        run(open_and_close(steps))


def test_beside_other_addresses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address has accepted while other attempts are in progress."""
    monkeypatch.setattr(_core, "STAGGER", 0.0)

    async def open_and_close(addresses: list[Any]) -> None:
        (await reach(addresses, 1)).close()

    with running("--bind", "127.0.0.1", "127.0.0.3", transport="tcp") as server:
        silent = (socket.AF_INET, ("127.0.0.2", server.port))
        good = (socket.AF_INET, ("127.0.0.3", server.port))
        with swallowing("127.0.0.2", server.port):
            for steps in range(STEPS):
                run(cancel_all(steps, open_and_close([silent, good, good, good])))
