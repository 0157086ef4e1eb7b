"""TLS: every bad certificate is rejected, at once and finally; every good one is accepted."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tokenstore
from certs import CLIENT, LOCAL, SERVER, Authority, Pair, openssl, self_signed
from conftest import Setup
from fault_server import FaultServer, close_reply
from servers import Server, free_port, running
from tls_port import ANSWERS, Answer, tls_port


@contextmanager
def serving(redis: Server, pair: Pair, client_ca: Path | None = None) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # weak certificates must be rejected by the client
    context.load_cert_chain(pair.cert, pair.key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    assert redis.socket_path is not None
    with FaultServer(redis.socket_path, context) as server:
        yield server


def refused(server: FaultServer, says: str, host: str = "127.0.0.1", **options: object) -> None:
    """At once. A certificate with an unknown issuer is checked once more with reloaded CAs; not in asyncio,
    which uses Python's ssl."""
    untrusted = ("issuer certificate", "self-signed")
    url = f"rediss://{host}:{server.port}"
    before = server.accepted
    with tokenstore.Client(url, timeout=5, **options) as client:
        with pytest.raises(tokenstore.ConnectionError) as caught:
            client.execute("PING")
    assert says in str(caught.value)
    over_asyncio = "blocking_shim" in sys.modules
    tries = 2 if not over_asyncio and any(words in str(caught.value) for words in untrusted) else 1
    assert server.accepted == before + tries


def works(url: str, **options: object) -> None:
    with tokenstore.Client(url, **options) as client:
        assert client.execute("PING") == "PONG"
        assert client.execute("PING") == "PONG"


# ---- bad ones ----------------------------------------------------------------------------------------

Maker = Callable[[Authority], Pair]


def _signed(name: str, *extensions: str, **options: object) -> Maker:
    return lambda ca: ca.sign(name, *extensions, **options)


def _unknown_authority(ca: Authority) -> Pair:
    directory = ca.directory / "unknown"
    directory.mkdir()
    return Authority(directory).sign("server", LOCAL, *SERVER)


def _missing_intermediate(ca: Authority) -> Pair:
    return Authority(ca.directory, "middle", ca).sign("below-middle", LOCAL, *SERVER)


def _signed_by_no_authority(ca: Authority) -> Pair:
    """A leaf used as a CA, against its basicConstraints."""
    leaf = Authority.__new__(Authority)
    leaf.directory, leaf.name = ca.directory, "leaf"
    leaf.pair = ca.sign("leaf", "basicConstraints=critical,CA:FALSE", LOCAL)
    pair = leaf.sign("below-leaf", LOCAL, *SERVER)
    chain(pair, leaf.cert)
    return pair


def chain(pair: Pair, *more: Path) -> None:
    pair.cert.write_text(pair.cert.read_text() + "".join(m.read_text() for m in more))


BAD: dict[str, tuple[Maker, str]] = {
    "expired": (
        _signed("old", LOCAL, *SERVER, dates=("20200101000000Z", "20200201000000Z")),
        "certificate has expired",
    ),
    "not yet valid": (
        _signed("young", LOCAL, *SERVER, dates=("20480101000000Z", "20490101000000Z")),
        "not yet valid",
    ),
    "wrong host": (
        _signed("host", "subjectAltName=DNS:other.example", *SERVER),
        "subjectAltName",
    ),
    "wrong address": (
        _signed("address", "subjectAltName=IP:127.0.0.2,DNS:127.0.0.1", *SERVER),
        "subjectAltName",
    ),
    "address in commonName only": (_signed("cn", *SERVER, subject="127.0.0.1"), "subjectAltName"),
    "unknown CA": (_unknown_authority, "certificate"),
    "self-signed": (
        lambda ca: self_signed(ca.directory, "alone", LOCAL, "extendedKeyUsage=serverAuth"),
        "self-signed",
    ),
    "for clients only": (_signed("client-only", LOCAL, *CLIENT), "purpose"),
    "missing intermediate": (_missing_intermediate, "issuer certificate"),
    "issuer is no CA": (_signed_by_no_authority, "certificate"),
    "weak key": (_signed("weak", LOCAL, *SERVER, key=("-newkey", "rsa:1024")), "weak"),
    "weak digest": (_signed("sha1", LOCAL, *SERVER, digest="-sha1"), "weak"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_certificate(redis: Server, tmp_path: Path, name: str) -> None:
    ca = Authority(tmp_path)
    maker, says = BAD[name]
    with serving(redis, maker(ca)) as server:
        refused(server, says, ca=str(ca.cert))
        assert server.connections == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_protocol(redis: Server, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    pair = ca.sign("server", LOCAL, *SERVER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.load_cert_chain(pair.cert, pair.key)
    with FaultServer(str(redis.socket_path), context) as server:
        refused(server, "TLS", ca=str(ca.cert))


def test_not_tls_at_all(redis: Server, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with FaultServer(str(redis.socket_path)) as server:
        # Redis waits for the end of what it reads as a long word.
        url = f"rediss://127.0.0.1:{server.port}?connect_timeout=0.1"
        with tokenstore.Client(url, ca=str(ca.cert)) as client:
            with pytest.raises(tokenstore.ConnectionError, match="speak TLS"):
                client.execute("PING")
        url = f"rediss://127.0.0.1:{server.port}?timeout=0.2"
        with tokenstore.Client(url, ca=str(ca.cert)) as client:
            with pytest.raises(tokenstore.TimeoutError, match="TLS handshake: .*speak TLS"):
                client.execute("PING")
    with serving(redis, ca.sign("server", LOCAL, *SERVER)) as server:
        asks_for_tls(server.port)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", r"wrong version number \(does the server speak TLS"),
        (b"-ERR unknown command\r\n", r"wrong version number \(does the server speak TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "alert protocol version$"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "alert handshake failure$"),
        (b"", r"server closed the connection \(does the server speak TLS"),
    ],
)
def test_what_answers_is_no_tls_or_refuses_ours(said: bytes, says: str) -> None:
    """A server that sends an alert speaks TLS."""

    def answer(s: socket.socket) -> None:
        s.recv(10000)
        s.sendall(said)
        s.close()

    with tls_port(answer) as port, tokenstore.Client(f"rediss://127.0.0.1:{port}", timeout=5) as client:
        with pytest.raises(tokenstore.ConnectionError, match=f"TLS handshake: .*{says}"):
            client.execute("PING")


def asks_for_tls(port: int) -> None:
    """No command with a possibly unknown outcome is sent before the server has replied."""
    for more in ({}, {"client_name": "x"}, {"db": 1}):
        with tokenstore.Client(f"redis://127.0.0.1:{port}", **more) as client:
            tokens = tokenstore.RedisTokens(client)
            for call in (
                lambda: client.execute("INCR", "n"),
                lambda: client.pipeline([("INCR", "n")] * 3),
                lambda tokens=tokens: tokens.delete(app="a", type="t", token="x"),
                lambda tokens=tokens: tokens.get(app="a", type="t", token="x"),
            ):
                with pytest.raises(tokenstore.ConnectionError, match="TLS port.*rediss://"):
                    call()


@pytest.mark.parametrize("answer", ANSWERS)
def test_redis_to_a_tls_port(answer: Answer) -> None:
    with tls_port(answer) as port:
        asks_for_tls(port)


# ---- good ones ---------------------------------------------------------------------------------------


def test_good_certificates(redis: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = Authority(tmp_path)
    with serving(redis, ca.sign("server", LOCAL, *SERVER)) as server:
        works(server.url, ca=str(ca.cert))
        works(f"rediss://localhost:{server.port}", ca=str(ca.cert))
        works(server.url, ca=str(ca.cert), server_name="localhost.")
        works(f"{server.url}?ca={ca.cert}")
        # First without, then with our CA among the system's CAs.
        refused(server, "certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.cert))
        works(server.url)
        monkeypatch.delenv("SSL_CERT_FILE")
        hashed = tmp_path / "hashed"
        hashed.mkdir()
        shutil.copy(ca.cert, hashed)
        openssl("rehash", hashed)
        works(server.url, ca=str(hashed))
        monkeypatch.setenv("SSL_CERT_DIR", str(hashed))
        works(server.url)

    middle = Authority(tmp_path, "middle", ca)
    pair = middle.sign("below", "subjectAltName=DNS:*.example.com", *SERVER)
    chain(pair, middle.cert)
    with serving(redis, pair) as server:
        works(server.url, ca=str(ca.cert), server_name="redis.example.com")
        refused(server, "subjectAltName", ca=str(ca.cert), server_name="example.com")
        refused(server, "subjectAltName", ca=str(ca.cert), server_name="a.b.example.com")
        refused(server, "subjectAltName", ca=str(ca.cert))

    alone = self_signed(tmp_path, "alone", LOCAL)
    with serving(redis, alone) as server:
        works(server.url, ca=str(alone.cert))  # trusted directly


def test_name_in_common_name_only(redis: Server, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    with serving(redis, ca.sign("server", *SERVER, subject="localhost")) as server:
        refused(server, "subjectAltName", "localhost", ca=str(ca.cert))


def test_server_name_is_sent(redis: Server, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = ca.sign("server", "subjectAltName=DNS:a.example,IP:127.0.0.1,DNS:localhost", *SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    context.sni_callback = lambda s, name, c: names.append(name)
    with FaultServer(str(redis.socket_path), context) as server:
        works(server.url, ca=str(ca.cert))
        works(f"rediss://localhost:{server.port}", ca=str(ca.cert))
        works(server.url, ca=str(ca.cert), server_name="a.example")
    assert names == [None, "localhost", "a.example"]


# ---- client certificates -----------------------------------------------------------------------------


def test_client_certificates(redis: Server, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    mine = ca.sign("me", *CLIENT)
    theirs = self_signed(tmp_path, "stranger")
    trust = {"ca": str(ca.cert)}
    with serving(redis, ca.sign("server", LOCAL, *SERVER), client_ca=ca.cert) as server:
        works(server.url, **trust, cert=str(mine.cert), key=str(mine.key))
        both = tmp_path / "both.pem"
        both.write_text(mine.cert.read_text() + mine.key.read_text())
        works(server.url, **trust, cert=str(both))
        # Rejected in the greeting, not during an operation, whose outcome would be unknown.
        # (The server's reason is lost if its RST overtakes it; the hint is ours.)
        for own in ({}, {"cert": str(theirs.cert), "key": str(theirs.key)}):
            with tokenstore.Client(server.url, **trust, **own) as client:
                with pytest.raises(tokenstore.ConnectionError, match="client certificate, cert=") as caught:
                    client.execute("PING")
            assert "Operation not permitted" not in str(caught.value)


# ---- files ---------------------------------------------------------------------------------------------


def test_files_are_read_at_once(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    mine, other = ca.sign("me", *CLIENT), ca.sign("other", *CLIENT)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    locked = tmp_path / "locked.key"
    openssl("pkey", "-in", mine.key, "-aes128", "-passout", "pass:x", "-out", locked)
    url = "rediss://localhost:1"
    missing = str(tmp_path / "missing")
    for named, options in {
        "ca=": {"ca": missing},
        " ca=": {"ca": str(nonsense)},
        "cert=": {"cert": missing},
        " cert=": {"cert": str(nonsense)},
        "cert": {"key": str(mine.key)},
        "key=": {"cert": str(mine.cert), "key": missing},
        " key=": {"cert": str(mine.cert), "key": str(nonsense)},
        "  key=": {"cert": str(mine.cert), "key": str(other.key)},
        "unencrypted": {"cert": str(mine.cert), "key": str(locked)},
    }.items():
        with pytest.raises(tokenstore.ConfigurationError) as caught:
            tokenstore.Client(url, **options)
        assert named.strip() in str(caught.value)


# ---- redis-server's own TLS --------------------------------------------------------------------------


def _has_tls() -> bool:
    done = subprocess.run(
        ["redis-server", "--tls-port", "x"], capture_output=True, text=True, check=False
    )
    return "Bad directive" not in done.stdout + done.stderr


def test_real_server(tmp_path: Path) -> None:
    if not _has_tls():
        pytest.skip("this redis-server was built without TLS")
    ca = Authority(tmp_path)
    pair = ca.sign("server", LOCAL, *SERVER)
    mine = ca.sign("me", *CLIENT)
    port = free_port()
    with running(
        *("--tls-port", str(port), "--tls-cert-file", str(pair.cert)),
        *("--tls-key-file", str(pair.key), "--tls-ca-cert-file", str(ca.cert)),
    ):
        url = f"rediss://127.0.0.1:{port}"
        options = {"ca": str(ca.cert), "cert": str(mine.cert), "key": str(mine.key)}
        with tokenstore.Client(url, **options) as client:
            value = os.urandom(1 << 20)
            client.execute("SET", "x", value)
            for _ in range(20):
                assert client.execute("GET", "x") == value
            assert client.pipeline([("ECHO", value)] * 40) == [value] * 40
        with tokenstore.Client(url, ca=str(ca.cert)) as client:
            with pytest.raises(tokenstore.ConnectionError):
                client.execute("PING")
        asks_for_tls(port)


def test_peer_that_leaves_does_not_kill(setup: Setup) -> None:
    """No SIGPIPE, even if the host has its default action, which ends the process. The server answers the
    greeting and hangs up; then two consecutive writes would raise it."""
    program = """
import signal, sys, tokenstore
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
client = tokenstore.Client(sys.argv[1], client_name="x", **eval(sys.argv[2]))
for _ in range(20):
    try:
        client.execute("SET", "x", b"x" * (8 << 20))
        print("done")
    except tokenstore.Error:
        print("lost")
"""
    setup.server.arm(*[close_reply(1 << 20)] * 20)
    done = subprocess.run(
        [sys.executable, "-c", program, setup.server.url, repr(setup.options)],
        capture_output=True,
        text=True,
        env=_environment(),
    )
    setup.server.arm()
    assert done.returncode == 0, done
    assert done.stdout.split() == ["lost"] * 20, done


def _environment() -> dict[str, str]:
    directory = str(Path(tokenstore.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": directory}


def test_ipv6(redis: Server, tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = free_port()
    with running("--bind", "::1", "127.0.0.1", "--port", str(port)):
        works(f"redis://[::1]:{port}")
