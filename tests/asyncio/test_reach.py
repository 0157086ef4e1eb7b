"""Host names and addresses: a name server that hangs, names with several addresses of which some drop
packets, and socket options. The programs run as in tests/faults/test_names.py."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Run, pool_of
from servers import Server, free_port, running
from test_names import in_time, swallowing
from test_names import run as run_program
from tokenstore import _core
from tokenstore import asyncio as aio
from tokenstore.asyncio._reach import Resolver, reach

BEGINNING = """
import asyncio
from tokenstore.asyncio import Client
began = time.monotonic()
async def fails_there(client, kind, says=""):
    try:
        await client.execute("PING")
    except kind as error:
        assert says in str(error), error
    else:
        raise AssertionError("it went well")
"""


@pytest.fixture(scope="module")
def tcp_server() -> Iterator[Server]:
    with running("--bind", "127.0.0.1", "127.0.0.3", transport="tcp") as server:
        yield server


# ---- names ------------------------------------------------------------------------------------------


def test_the_timeout_holds() -> None:
    """Neither the call nor the end of asyncio.run waits for the name server."""
    in_time(
        0.4,
        BEGINNING
        + """
async def main():
    async with Client("redis://x.slow", timeout=0.4) as client:
        await fails_there(client, tokenstore.TimeoutError, "x.slow:6379/0: cannot connect: the host name")
asyncio.run(main())
print(took())
""",
    )


def test_one_thread_for_all_tries() -> None:
    run_program(
        BEGINNING
        + """
async def main():
    async with Client("redis://x.slow", timeout=0.1) as client:
        for _ in range(5):
            await asyncio.gather(*[fails_there(client, tokenstore.TimeoutError) for _ in range(5)])
            assert threads() == 2, threads()
asyncio.run(main())
print(took())
"""
    )


def test_what_comes_late_serves_the_next_call(tcp_server: Server) -> None:
    in_time(
        0.8,
        BEGINNING
        + """
async def main():
    client = Client(f"redis://800.late:{port}", timeout=0.5)
    await fails_there(client, tokenstore.TimeoutError)
    assert await client.execute("PING") == "PONG"
    print(took())
    await client.aclose()
asyncio.run(main())
print(took())
""",
        tcp_server.port,
    )


def test_a_name_that_does_not_exist() -> None:
    run_program(
        BEGINNING
        + """
async def main():
    async with Client("redis://x.none") as client:
        await fails_there(client, tokenstore.ConnectionError, "x.none:6379/0: cannot connect: the host name")
asyncio.run(main())
print(took())
"""
    )


def test_a_child_looks_up_by_itself(tcp_server: Server) -> None:
    run_program(
        BEGINNING
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12 on
client = Client(f"redis://400.late:{port}", timeout=0.1)
async def main():
    await fails_there(client, tokenstore.TimeoutError)
    pid = os.fork()
    return pid
pid = asyncio.run(main())
if pid == 0:
    async def child():  # the parent's lookup, which is under way, has no thread here
        assert await client.execute("PING", timeout=5) == "PONG"
        await client.aclose()
    asyncio.run(child())
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
print(took())
""",
        tcp_server.port,
    )


# ---- addresses --------------------------------------------------------------------------------------


def test_an_address_that_swallows_packets(tcp_server: Server) -> None:
    """The second one is tried after a quarter of a second, and comes first the next time."""
    with swallowing("127.0.0.2", tcp_server.port):
        in_time(
            0.25,
            BEGINNING
            + """
async def main():
    global began
    url = f"redis://127-0-0-2.127-0-0-3.list:{port}"
    async with Client(url) as client:
        assert await client.execute("PING") == "PONG"
        first = took()
        await client.disconnect()
        began = time.monotonic()
        assert await client.execute("PING") == "PONG"
        assert took() < 0.2, took()
        print(first)
asyncio.run(main())
""",
            tcp_server.port,
        )


def test_an_address_that_refuses(tcp_server: Server) -> None:
    """Then there is no pause."""
    in_time(
        0,
        BEGINNING
        + """
async def main():
    async with Client(f"redis://127-0-0-4.127-0-0-3.list:{port}") as client:
        assert await client.execute("PING") == "PONG"
        print(took())
asyncio.run(main())
""",
        tcp_server.port,
    )


def test_all_addresses_refuse() -> None:
    run_program(
        BEGINNING
        + """
async def main():
    async with Client(f"redis://127-0-0-4.127-0-0-3.list:{port}") as client:
        await fails_there(client, tokenstore.ConnectionError, "cannot connect: Connection refused")
asyncio.run(main())
print(took())
""",
        free_port(),
    )


def test_socket_options(tcp_server: Server, run: Run) -> None:
    """A vanished peer is detected within a minute, as by the blocking driver."""

    async def main() -> None:
        async with aio.Client(tcp_server.url) as client:
            await client.execute("PING")
            sock = pool_of(client)._links[-1]._open[0].socket
            get = sock.getsockopt
            assert get(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert get(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert get(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
            assert get(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 10
            assert get(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert get(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60000

    run(main())


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, "a"), (six, "b"), (six, "c"), (four, "d"), (four, "e"), (six, "a")]
    resolver = Resolver("name", 1)
    assert [name for _, name in resolver._sort(found)] == ["a", "d", "b", "e", "c"]
    resolver.last = (six, "b")
    assert [name for _, name in resolver._sort(found)] == ["b", "d", "a", "e", "c"]


def test_the_first_failure_is_told(run: Run) -> None:
    """It is the failure of the preferred address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    addresses = [(socket.AF_INET, address), (socket.AF_INET, ("255.255.255.255", 1))]
    with pytest.raises(ConnectionRefusedError):
        run(reach(addresses, 1))


def test_eight_attempts_at_a_time(
    tcp_server: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many addresses that all drop packets, later ones get their turn, but not all at once."""
    monkeypatch.setattr(_core, "STAGGER", 0.005)
    silent = (socket.AF_INET, ("127.0.0.2", tcp_server.port))
    good = (socket.AF_INET, ("127.0.0.3", tcp_server.port))

    def attempts() -> int:
        """Sockets that have sent a SYN."""
        to = f"0200007F:{tcp_server.port:04X} 02"
        return Path("/proc/self/net/tcp").read_text().count(f" {to}")

    async def main() -> list[int]:
        others = attempts()
        reaching = asyncio.ensure_future(reach([silent] * 12 + [good], 0.5))
        seen = []
        while not reaching.done():
            seen.append(attempts() - others)
            await asyncio.sleep(0.02)
        sock = reaching.result()
        assert sock.getpeername() == good[1]
        sock.close()
        return seen

    with swallowing("127.0.0.2", tcp_server.port):
        assert max(run(main())) == 8
