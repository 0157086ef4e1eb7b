"""The disk is full while the server appends to its file, and has room again later.

Simulated by a limit on the size of the server's files (RLIMIT_FSIZE), which needs no privileges: write()
fails too, but with EFBIG.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tokenstore
import tokenstore.asyncio as aio
from operations import A
from servers import BINARY, Server, running

PATIENCE = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """SIGXFSZ is ignored, so the server survives a write beyond the limit."""
    binary = tmp_path / "server"
    binary.write_text(f'#!/bin/sh\ntrap "" XFSZ\nexec {BINARY} "$@"\n')
    binary.chmod(0o700)
    with running("--appendonly", "yes", "--appendfsync", "everysec", binary=str(binary)) as server:
        yield server


def wait_for(server: Server, status: bytes) -> None:
    until = time.monotonic() + PATIENCE
    while b"aof_last_write_status:" + status not in server("INFO", "persistence"):
        assert time.monotonic() < until
        time.sleep(0.01)


def limit_files(server: Server, size: int) -> None:
    _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, most))


def fill(server: Server) -> None:
    """No more bytes fit. The write that reaches the limit is still answered with OK."""
    limit_files(server, 1)
    server("SET", "the last", "one")
    wait_for(server, b"err")


def make_room(server: Server) -> None:
    limit_files(server, resource.RLIM_INFINITY)
    wait_for(server, b"ok")


def refuses(change: Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(
        tokenstore.ServerError, match="MISCONF Errors writing to the AOF file"
    ) as caught:
        change()
    assert caught.value.code == "MISCONF"
    assert time.monotonic() - began < 1, "tried again, though that changes nothing"


def test_a_full_disk(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Changes are rejected without effect, sessions stay valid, and the changes work when there is room."""
    with tokenstore.Client(server.url, timeout=PATIENCE) as client:
        store = tokenstore.RedisTokens(client, touch_interval=0)
        sessions = tokenstore.Sessions(client, touch_interval=0)
        node = tokenstore.Tokenstore(client)
        jwts = tokenstore.RedisJWT(client, secret="s" * 32, multiple=True)
        made = store.create(**A, owner="bob", data={"a": 1}, duration=100)
        cookie = sessions.create(app="web", owner_id="bob", duration=100)
        signed = jwts.sign("bob", ttl=100)
        added = node.add("bob")

        changes: list[Callable[[], object]] = [
            lambda: store.create(**A, owner="bob"),
            lambda: store.create_many([{**A, "owner": "bob"}] * 2),
            lambda: store.update(**A, token=made.token, data={"b": 2}),
            lambda: sessions.create(app="web", owner_id="bob"),
            lambda: node.add("bob"),
            lambda: jwts.sign("bob"),
            lambda: client.execute("SET", "a", "b"),
        ]
        fill(server)
        for change in [*changes, lambda: store.delete(**A, token=made.token)]:
            refuses(change)

        found = store.get(**A, token=made.token)
        assert found is not None
        assert found.data == {"a": 1}
        found = store.get(**A, token=made.token, refresh=1000)
        assert found is not None
        assert found.expires_at == pytest.approx(made.expires_at, abs=0.1)
        assert "MISCONF" in caplog.text
        session = sessions.get(app="web", token=cookie, refresh=1000)
        assert session is not None
        assert jwts.verify(signed)["id"] == "bob"
        assert node.get(added.id) == added
        assert [token.id for token in store.list(**A, owner="bob")] == [made.id]

        make_room(server)
        for change in changes:
            change()
        found = store.get(**A, token=made.token, refresh=1000)
        assert found is not None
        assert found.data == {"a": 1, "b": 2}
        assert found.expires_at == pytest.approx(made.expires_at + 900, abs=PATIENCE)
        assert store.count(**A, owner="bob") == 4


def test_asyncio_on_a_full_disk(server: Server) -> None:
    async def main() -> None:
        async with aio.Client(server.url, timeout=PATIENCE) as client:
            store = aio.RedisTokens(client, touch_interval=0)
            made = await store.create(**A, owner="bob", duration=100)
            fill(server)
            with pytest.raises(tokenstore.ServerError) as caught:
                await store.create(**A, owner="bob")
            assert caught.value.code == "MISCONF"
            found = await store.get(**A, token=made.token, refresh=1000)
            assert found is not None
            assert found.expires_at == pytest.approx(made.expires_at, abs=0.1)
            make_room(server)
            await store.create(**A, owner="bob")
            assert await store.count(**A, owner="bob") == 2

    asyncio.run(main())
