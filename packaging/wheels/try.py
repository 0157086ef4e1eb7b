"""Tries an installed wheel: run by try-debian and try-image, with nothing else installed.

usage: python try.py bare | server | cas
  bare    without a server: what needs none, and that messages say what is missing
  server  with redis-server on PATH: the README's example
  cas     as root, with openssl: TLS, with the CAs found where Debian has them, and where Fedora has them
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

HERE = Path(__file__).resolve().parent


def loaded() -> list[str]:
    """The shared objects of this process that came with the wheel."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sorted({Path(line.split()[-1]).name for line in lines if "tokenstore" in line and ".so" in line})


def try_bare() -> None:
    before = time.process_time()
    import tokenstore

    milliseconds = (time.process_time() - before) * 1000
    print(f"Python {sys.version.split()[0]}, {' '.join(filter(None, platform.libc_ver()))}: "
          f"tokenstore {tokenstore.__version__}, import {milliseconds:.0f} ms of CPU, {', '.join(loaded())}")
    assert not any(name.startswith("_oauth") for name in loaded())

    key = tokenstore.jwt.Key.from_secret(32 * "x")
    token = tokenstore.jwt.encode({"sub": "bob"}, key, "HS256")
    assert tokenstore.jwt.decode(token, key, ["HS256"])["sub"] == "bob"

    with tokenstore.Spike("https://127.0.0.1:1", "id", "secret", retry={"retries": 0}) as spike:
        assert any(name.startswith("_oauth") for name in loaded())
        expect(tokenstore.SpikeError, "127.0.0.1", spike.get_token, "https://api.example")
    expect(tokenstore.ConnectionError, "127.0.0.1", tokenstore.Client("rediss://127.0.0.1:1").ping)
    if not (shutil.which("redis-server") or shutil.which("valkey-server")):
        expect(tokenstore.ConfigurationError, "apt install redis-server", tokenstore.Client, "embedded:")


def expect(kind, text, function, *args) -> None:
    try:
        function(*args)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"{function} raised nothing")


def try_server() -> None:
    block = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.M | re.S)[0]
    with redirect_stdout(StringIO()) as printed:  # here, not in a Python of its own, which qemu would not run
        exec(block, {})
    assert printed.getvalue() == "bob {'role': 'admin'}\n", printed.getvalue()
    print("the README's example prints what it says")


@contextmanager
def tls_server(directory: Path):
    """A Redis with a certificate of a new CA: (its port, the CA)."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "cert.pem")  # fmt: skip
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--tls-port", str(port), "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem",
         "--tls-auth-clients", "no", "--save", ""],
        cwd=directory, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port, directory / "ca.pem"
    finally:
        server.kill()
        server.wait()


def try_cas() -> None:
    import tokenstore

    def ping(port: int) -> str:
        for _ in range(100):
            try:
                tokenstore.Client(f"rediss://127.0.0.1:{port}").ping()
                return "ok"
            except tokenstore.ConnectionError as error:
                if "refused" not in str(error):
                    return str(error)
            time.sleep(0.1)
        return "the server does not start"

    with tempfile.TemporaryDirectory() as name, tls_server(Path(name)) as (port, ca):
        said = ping(port)
        assert "certificate" in said, said
        local = Path("/usr/local/share/ca-certificates/try.crt")
        shutil.copy(ca, local)
        subprocess.run(["update-ca-certificates"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert ping(port) == "ok", ping(port)
        # Fedora: a bundle elsewhere, and a directory that OpenSSL cannot search.
        elsewhere = Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
        elsewhere.parent.mkdir(parents=True)
        shutil.move("/etc/ssl/certs/ca-certificates.crt", elsewhere)
        shutil.rmtree("/etc/ssl/certs")
        assert ping(port) == "ok", ping(port)
        elsewhere.unlink()
        assert "certificate" in ping(port), ping(port)
    print("TLS: the system's CAs are found, and Fedora's")


{"bare": try_bare, "server": try_server, "cas": try_cas}[sys.argv[1]]()
