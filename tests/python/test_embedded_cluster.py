"""embedded:cluster: three private servers that make up a cluster, and live as long as the process that owns them."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tokenstore
from tokenstore import asyncio as aio

LATE = 20.0


def ports_of(url: str) -> list[int]:
    return [int(port) for port in re.findall(r":(\d+)", url)]


def ask(port: int, command: str) -> str:
    """One inline command, without the package."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(command.encode() + b"\r\n")
        return s.recv(65536).decode()


def servers_of(client: tokenstore.Client) -> list[int]:
    """Their processes."""
    found = []
    for key in ("a", "b", "c", "d", "e", "f"):
        info: bytes = client.execute("EVAL", "return redis.call('INFO', 'server')", 1, key)
        found.append(int(info.partition(b"process_id:")[2].split()[0]))
    return sorted(set(found))


def check_gone(pids: list[int]) -> None:
    end = time.monotonic() + LATE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_stores_work_on_it() -> None:
    before = time.monotonic()
    with tokenstore.Client("embedded:cluster") as client:
        assert time.monotonic() - before < LATE
        assert client.url.startswith("redis+cluster://127.0.0.1:")
        ports = ports_of(client.url)
        assert len(set(ports)) == 3
        assert max(ports) + 10000 < 32768  # where clients get their ports
        tokens = tokenstore.RedisTokens(client)
        made = [tokens.create("app", "web", f"owner-{i}", {"n": i}) for i in range(100)]
        found = tokens.get_many("app", "web", [token.token for token in made])
        assert [token.data["n"] for token in found if token is not None] == [*range(100)]
        servers = servers_of(client)
        assert len(servers) == 3
        for port in ports:
            assert ask(port, "PING").startswith("-NOAUTH")
        assert "password" not in repr(client)
    check_gone(servers)


def test_they_end_with_their_owner() -> None:
    program = """
import sys, tokenstore
client = tokenstore.Client("embedded:cluster")
print(client.url, flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as owner:
        assert owner.stdout is not None
        ports = ports_of(owner.stdout.readline())
        assert len(ports) == 3
        owner.kill()
    end = time.monotonic() + LATE
    for port in ports:
        while True:
            try:
                ask(port, "PING")
            except ConnectionError:
                break
            assert time.monotonic() < end
            time.sleep(0.01)


def test_asyncio() -> None:
    async def main() -> None:
        async with aio.RedisTokens("embedded:cluster") as tokens:
            made = await asyncio.gather(
                *[tokens.create("app", "web", f"owner-{i}") for i in range(50)]
            )
            found = await tokens.get_many("app", "web", [token.token for token in made])
            assert all(found)

    asyncio.run(main())


def test_a_server_that_cannot() -> None:
    with pytest.raises(tokenstore.ConnectionError, match="exited while starting"):
        tokenstore.Client("embedded:cluster", server="/bin/false")
    with pytest.raises(tokenstore.ConfigurationError, match="absolute path"):
        tokenstore.Client("embedded:clusters")
