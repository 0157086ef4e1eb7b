"""Tries an installed wheel: run by the other files named try-*, with nothing else installed.

usage: python try.py bare | embedded | redis | cas
  bare      without a server: what needs none, and that messages say what is missing
  embedded  with redis-server on PATH: the README's example
  redis     the same with a redis-server on the loopback interface
  cas       as root, with openssl: TLS, with the CAs found where Debian has them, and where Fedora has them
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


def run_example(url: str) -> None:
    block = re.findall(r"^```python\n(.*?)^```", (HERE / "README.md").read_text(), re.M | re.S)[0]
    assert '"embedded:"' in block
    with redirect_stdout(StringIO()) as printed:
        exec(block.replace('"embedded:"', f'"{url}"'), {})
    assert printed.getvalue() == "bob {'role': 'admin'}\n", printed.getvalue()
    print(f"the README's example prints what it says, at {url.split(':')[0]}:")


def try_embedded() -> None:
    run_example("embedded:")


def try_redis() -> None:
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name), "--port") as port:
        assert (said := ping(f"redis://127.0.0.1:{port}")) == "ok", said
        run_example(f"redis://127.0.0.1:{port}")


@contextmanager
def redis_server(directory: Path, port_option: str, *options: str):
    """Its port, on the loopback interface."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", port_option, str(port), "--save", "", *options],
        cwd=directory, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield port
    finally:
        server.kill()
        server.wait()


def ping(url: str) -> str:
    """ok, or why not; once the server has started."""
    import tokenstore

    for _ in range(100):
        try:
            tokenstore.Client(url).ping()
            return "ok"
        except tokenstore.ConnectionError as error:
            if "refused" not in str(error):
                return str(error)
        time.sleep(0.1)
    return "the server does not start"


@contextmanager
def tls_server(directory: Path):
    """A Redis with a certificate of a new CA: (its URL, the CA)."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "cert.pem")  # fmt: skip
    options = ("--port", "0", "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no")
    with redis_server(directory, "--tls-port", *options) as port:
        yield f"rediss://127.0.0.1:{port}", directory / "ca.pem"


def try_cas() -> None:
    with tempfile.TemporaryDirectory() as name, tls_server(Path(name)) as (url, ca):
        said = ping(url)
        assert "certificate" in said, said
        local = Path("/usr/local/share/ca-certificates/try.crt")
        shutil.copy(ca, local)
        subprocess.run(["update-ca-certificates"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert ping(url) == "ok", ping(url)
        # Fedora: a bundle elsewhere, and a directory that OpenSSL cannot search.
        elsewhere = Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")
        elsewhere.parent.mkdir(parents=True)
        shutil.move("/etc/ssl/certs/ca-certificates.crt", elsewhere)
        shutil.rmtree("/etc/ssl/certs")
        assert ping(url) == "ok", ping(url)
        elsewhere.unlink()
        assert "certificate" in ping(url), ping(url)
    print("TLS: the system's CAs are found, and Fedora's")


{"bare": try_bare, "embedded": try_embedded, "redis": try_redis, "cas": try_cas}[sys.argv[1]]()
