"""TLS to a real redis-server with certificates made here: verified, named, mutual."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tokenstore
from near_help import A, T, wait_until
from servers import Server, free_port
from tokenstore import Client


def openssl(*args: str | Path) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_ca(directory: Path, name: str) -> tuple[Path, Path]:
    key, cert = directory / f"{name}.key", directory / f"{name}.crt"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", cert, "-days", "30", "-subj", f"/CN={name}")  # fmt: skip
    return cert, key


def make_certificate(directory: Path, name: str, ca: tuple[Path, Path], san: str) -> Path:
    key, cert = directory / f"{name}.key", directory / f"{name}.crt"
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", key, "-out", request, "-subj", f"/CN={name}")  # fmt: skip
    extensions.write_text(f"subjectAltName={san}\n")
    openssl("x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial",
            "-out", cert, "-days", "30", "-extfile", extensions)  # fmt: skip
    return cert


class Pki:
    def __init__(self, directory: Path) -> None:
        self.ca, ca_key = make_ca(directory, "ca")
        self.other_ca, other_key = make_ca(directory, "other")
        trusted = (self.ca, ca_key)
        self.server = make_certificate(directory, "server", trusted, "DNS:localhost,IP:127.0.0.1")
        self.client = make_certificate(directory, "client", trusted, "DNS:client")
        self.stranger = make_certificate(
            directory, "stranger", (self.other_ca, other_key), "DNS:client"
        )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def tls_server(pki: Pki, clients: str) -> Iterator[Server]:
    port = free_port()
    server = Server(
        *("--tls-port", str(port), "--tls-cert-file", str(pki.server)),
        *("--tls-key-file", str(pki.server.with_suffix(".key"))),
        *("--tls-ca-cert-file", str(pki.ca), "--tls-auth-clients", clients),
    )
    try:
        try:
            server.start()
        except RuntimeError as error:
            if "'tls-port" not in str(error):
                raise
            pytest.skip(f"{server.binary} was built without TLS")
        server.port = port
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def server(pki: Pki) -> Iterator[Server]:
    yield from tls_server(pki, "no")


@pytest.fixture(scope="module")
def mutual(pki: Pki) -> Iterator[Server]:
    yield from tls_server(pki, "yes")


def refused(client: Client) -> str:
    with client, pytest.raises(tokenstore.Error) as caught:
        client.execute("PING", timeout=3)
    assert not isinstance(caught.value, tokenstore.TimeoutError)
    return str(caught.value)


def test_verified(server: Server, pki: Pki) -> None:
    for host in ("localhost", "127.0.0.1"):
        url = f"rediss://{host}:{server.port}"
        with tokenstore.RedisTokens(url, ca=pki.ca) as tokens:
            token = tokens.create("a", "t", "o", {"x": "y" * 50_000})
            found = tokens.get("a", "t", token.token)
            assert found is not None
            assert found.data == token.data
        with Client(f"{url}?ca={pki.ca}") as client:
            assert client.execute("PING") == "PONG"
            assert client.url == url + "/0"


@pytest.mark.parametrize("tracking", ["broadcast", "keys"])
def test_a_near_cache(server: Server, pki: Pki, tracking: str) -> None:
    url = f"rediss://localhost:{server.port}"
    near = tokenstore.RedisTokens(url, ca=pki.ca, near_cache=500, near_cache_tracking=tracking)
    with near, tokenstore.RedisTokens(url, ca=pki.ca) as other:
        made = [near.create(A, T, f"owner {i}", {"n": 1}).token for i in range(300)]

        def hits() -> int:
            stats = near.client.near_cache_stats()
            return stats["hits"] if stats else 0

        def are_near() -> bool:
            before = hits()
            assert all(near.get_many(A, T, made))
            return hits() == before + len(made)

        wait_until(are_near)
        for token in made:
            other.update(A, T, token, {"n": 2})
        wait_until(lambda: all(t is not None and t.data["n"] == 2 for t in near.get_many(A, T, made)), 3)
        wait_until(are_near)


def test_not_in_the_systems_cas(server: Server) -> None:
    assert "certificate" in refused(Client(f"rediss://localhost:{server.port}"))


def test_another_ca(server: Server, pki: Pki) -> None:
    assert "certificate" in refused(Client(f"rediss://localhost:{server.port}", ca=pki.other_ca))


def test_server_name(server: Server, pki: Pki) -> None:
    url = f"rediss://127.0.0.1:{server.port}"
    with Client(url, ca=pki.ca, server_name="localhost") as client:
        assert client.execute("PING") == "PONG"
    refused(Client(url, ca=pki.ca, server_name="redis.example"))


def test_client_certificates(mutual: Server, pki: Pki) -> None:
    url = f"rediss://localhost:{mutual.port}"
    with Client(url, ca=pki.ca, cert=pki.client, key=pki.client.with_suffix(".key")) as client:
        assert client.execute("PING") == "PONG"
    refused(Client(url, ca=pki.ca))
    refused(Client(url, ca=pki.ca, cert=pki.stranger, key=pki.stranger.with_suffix(".key")))


def test_files_that_are_wrong(server: Server, pki: Pki, tmp_path: Path) -> None:
    url = f"rediss://localhost:{server.port}"
    junk = tmp_path / "junk.pem"
    junk.write_text("CANARY")
    for options in (
        {"ca": junk},
        {"ca": tmp_path / "none.pem"},
        {"ca": pki.ca, "cert": junk, "key": junk},
        {"ca": pki.ca, "cert": pki.client},
        {"ca": pki.ca, "cert": pki.client, "key": pki.stranger.with_suffix(".key")},
    ):
        with pytest.raises(tokenstore.ConfigurationError) as caught:
            Client(url, **options)
        assert "CANARY" not in str(caught.value)


def test_tls_to_a_plain_port_and_back(pki: Pki, server: Server) -> None:
    plain = Server(transport="tcp")
    try:
        plain.start()
        with Client(f"rediss://localhost:{plain.port}", ca=pki.ca, timeout=0.5) as client:
            with pytest.raises(tokenstore.Error):  # the server waits for the end of a line
                client.execute("PING")
    finally:
        plain.remove()
    refused(Client(f"redis://localhost:{server.port}", timeout=2))
