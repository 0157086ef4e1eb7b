"""Certificates that change on disk are reloaded for the next connection."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from certs import CLIENT, LOCAL, SERVER, Authority, Pair
from conftest import Run
from fault_server import FaultServer
from servers import Server
from tokenstore import asyncio as aio


class Renewed:
    """A TLS server and a client's files; each generation has another CA."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca, self.cert, self.key = (directory / name for name in ("ca.pem", "me.pem", "me.key"))
        self.generation = 0

    def authority(self) -> Authority:
        self.generation += 1
        directory = self.directory / str(self.generation)
        directory.mkdir()
        return Authority(directory)

    def write(self, authority: Authority, client: Pair) -> None:
        self.ca.write_bytes(authority.cert.read_bytes())
        self.cert.write_bytes(client.cert.read_bytes())
        self.key.write_bytes(client.key.read_bytes())

    def renew(self) -> ssl.SSLContext:
        """Renews the server's certificate; the client's files are not written yet."""
        self.signs = self.authority()
        pair = self.signs.sign("server", LOCAL, *SERVER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        context.load_verify_locations(self.signs.cert)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


@pytest.fixture
def files(tmp_path: Path) -> Renewed:
    return Renewed(tmp_path)


@pytest.fixture
def tls_server(server: Server, files: Renewed) -> Iterator[FaultServer]:
    with FaultServer(str(server.socket_path), files.renew()) as made:
        files.write(files.signs, files.signs.sign("client", *CLIENT))
        yield made


def test_renewed(
    tls_server: FaultServer, files: Renewed, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        options = {"ca": files.ca, "cert": files.cert, "key": files.key}
        async with aio.Client(tls_server.url, **options) as client:  # type: ignore[arg-type]
            assert await client.execute("PING") == "PONG"
            tls_server.tls = files.renew()
            await client.disconnect()
            with pytest.raises(tokenstore.ConnectionError):  # not written yet
                await client.execute("PING")
            files.write(files.signs, files.signs.sign("client", *CLIENT))
            assert await client.execute("PING") == "PONG"

            files.cert.write_bytes(b"half written")
            await client.disconnect()
            with caplog.at_level(logging.WARNING, "tokenstore"):
                assert await client.execute("PING") == "PONG"  # with the files read before
            assert "were not reloaded" in caplog.text

    run(main())
