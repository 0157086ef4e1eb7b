"""Certificates and keys that change on disk while the program runs, and files that are hard to read."""

from __future__ import annotations

import logging
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import fault_server as faults
import tokenstore
from certs import CLIENT, LOCAL, SERVER, Authority, Pair
from fault_server import FaultServer
from servers import Server
from test_fork import in_child, wait_for

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TOKENSTORE_BUILD", ROOT / "build"))


@dataclass
class World:
    """Two CAs; server and client may use either."""

    server: FaultServer
    context: ssl.SSLContext
    directory: Path
    old: Authority
    new: Authority

    def __post_init__(self) -> None:
        self.ca = self.directory / "ca in use.pem"
        self.cert = self.directory / "cert in use.pem"
        self.key = self.directory / "key in use.pem"
        shutil.copy(self.old.cert, self.ca)
        self.give(self.old.sign("old me", *CLIENT))

    def give(self, pair: Pair) -> None:
        shutil.copy(pair.cert, self.cert)
        shutil.copy(pair.key, self.key)

    @contextmanager
    def client(self) -> Iterator[tokenstore.Client]:
        files = {"ca": str(self.ca), "cert": str(self.cert), "key": str(self.key)}
        with tokenstore.Client(self.server.url, **files) as client:
            assert client.execute("PING") == "PONG"
            yield client

    def serve(self, authority: Authority) -> None:
        pair = authority.sign("server", LOCAL, *SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)

    def connects(self, client: tokenstore.Client) -> str:
        """Opens a new connection; returns the client's name as the server sees it."""
        self.server.drop()
        names: list[str] = []

        def look(x: faults.Exchange) -> None:
            ((_, name),) = x.client.getpeercert()["subject"][0]
            names.append(name)
            x.send(x.ask())

        self.server.arm(look)
        assert client.execute("PING") == "PONG"
        return names[0]


@pytest.fixture
def world(redis: Server, tmp_path: Path) -> Iterator[World]:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    old, new = Authority(first, "old ca"), Authority(second, "new ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(old.cert)
    context.load_verify_locations(new.cert)
    with FaultServer(str(redis.socket_path), context) as server:
        made = World(server, context, tmp_path, old, new)
        made.serve(old)
        yield made


def test_a_renewed_certificate_of_ours(world: World) -> None:
    with world.client() as client:
        assert world.connects(client) == "old me"
        world.give(world.new.sign("new me", *CLIENT))
        assert world.connects(client) == "new me"
        assert world.connects(client) == "new me"


def test_a_file_that_is_replaced(world: World) -> None:
    """As with Kubernetes and certbot: the path leads to another file."""
    with world.client() as client:
        pair = world.new.sign("new me", *CLIENT)
        os.replace(pair.cert, world.cert)
        os.replace(pair.key, world.key)
        assert world.connects(client) == "new me"


def test_renewed_authorities(world: World) -> None:
    with world.client() as client:
        shutil.copy(world.new.cert, world.ca)
        world.serve(world.new)
        assert world.connects(client) == "old me"
        world.serve(world.old)
        world.server.drop()
        with pytest.raises(tokenstore.ConnectionError, match="certificate was rejected"):
            client.execute("PING")


def test_authorities_that_were_renewed_and_do_not_look_so(world: World) -> None:
    """The same file, size and time: after a rejection it is still reloaded, however often."""
    size = max(world.old.cert.stat().st_size, world.new.cert.stat().st_size)
    world.ca.write_bytes(world.old.cert.read_bytes().ljust(size, b"\n"))
    with world.client() as client:
        before = world.ca.stat()
        for authority in (world.new, world.old, world.new):
            with world.ca.open("r+b") as file:
                file.write(authority.cert.read_bytes().ljust(size, b"\n"))
            os.utime(world.ca, ns=(before.st_atime_ns, before.st_mtime_ns))
            world.serve(authority)
            assert world.connects(client) == "old me"


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_half_written_files(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The old ones stay in use, with a warning."""
    path: Path = getattr(world, name)
    whole = path.read_bytes()
    with world.client() as client:
        for part in (whole[: len(whole) // 2], b"", b"nonsense", None):
            caplog.clear()
            if part is None:
                path.unlink()
            else:
                path.write_bytes(part)
            with caplog.at_level(logging.WARNING, "tokenstore"):
                assert world.connects(client) == "old me"
            assert "the TLS files were not reloaded" in caplog.text
            assert f"{name}=" in caplog.text
        caplog.clear()
        path.write_bytes(whole)
        with caplog.at_level(logging.WARNING, "tokenstore"):
            assert world.connects(client) == "old me"
        assert caplog.text == ""


def test_a_certificate_before_its_key(world: World) -> None:
    with world.client() as client:
        pair = world.new.sign("new me", *CLIENT)
        shutil.copy(pair.cert, world.cert)
        assert world.connects(client) == "old me"
        shutil.copy(pair.key, world.key)
        assert world.connects(client) == "new me"


def test_a_child_that_may_not_read_the_files(world: World) -> None:
    """It uses the parent's, also after renewal."""
    with world.client() as client:
        world.give(world.new.sign("new me", *CLIENT))
        assert world.connects(client) == "new me"
        for path in (world.ca, world.cert, world.key):
            path.unlink()

        def work() -> None:
            assert client.execute("PING") == "PONG"

        assert wait_for(in_child(work)) == 0


def test_many_threads(world: World) -> None:
    """Renewed repeatedly while other threads connect."""
    pairs = [world.old.sign("old me", *CLIENT), world.new.sign("new me", *CLIENT)]
    over = threading.Event()
    failures: list[BaseException] = []

    def work(client: tokenstore.Client) -> None:
        try:
            while not over.is_set():
                assert client.execute("PING") == "PONG"
        except tokenstore.OutcomeUnknownError:
            work(client)  # its connection was dropped
        except BaseException as error:
            failures.append(error)

    with world.client() as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for n in range(30):
            world.give(pairs[n % 2])
            world.server.drop()
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_reads_that_are_interrupted(world: World, tmp_path: Path) -> None:
    """OpenSSL treats an interrupted read as the end of the file: it would load only a part of a bundle, and
    reject a server because of a missing issuer."""
    bundle = tmp_path / "bundle.pem"
    others = [Authority(tmp_path, f"other{n}").cert.read_text() for n in range(3)]
    bundle.write_text("".join(others) + world.old.cert.read_text())
    program = """
import sys, tokenstore
with tokenstore.Client(sys.argv[1], ca=sys.argv[2], cert=sys.argv[3], key=sys.argv[4]) as client:
    print(client.execute("PING"))
"""
    preload = f"{os.environ.get('LD_PRELOAD', '')}:{BUILD}/tests/faults/interrupted.so"
    done = subprocess.run(
        [sys.executable, "-c", program, world.server.url, bundle, world.cert, world.key],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "LD_PRELOAD": preload.lstrip(":"),
            "PYTHONPATH": str(Path(tokenstore.__file__).parent.parent),
        },
    )
    assert done.stdout == "PONG\n", done.stderr
