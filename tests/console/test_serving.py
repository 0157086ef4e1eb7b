"""``tokenstore console`` as a process."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from certs import LOCAL, SERVER, Authority
from served import console
from servers import Server

PASSWORD = "correct horse battery"


def answer_of(url: str, path: str, context: ssl.SSLContext | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    host = url.partition("://")[2]
    if context is None:
        connection = http.client.HTTPConnection(host, timeout=30)
    else:
        connection = http.client.HTTPSConnection(host, timeout=30, context=context)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def test_by_link(server: Server) -> None:
    with console(server.url, "--jwt", "--actor", "alice") as (process, said):
        assert said["server"] == server.url
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", said["url"])
        path = said["link"].removeprefix(said["url"])
        status, headers, _ = answer_of(said["url"], path, sec_fetch_site="none")
        assert status == 303
        cookie = headers["Set-Cookie"].partition(";")[0]
        status, _, page = answer_of(said["url"], "/", cookie=cookie)
        assert (status, "alice" in page) == (200, True)
        assert answer_of(said["url"], "/")[0] == 303
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.returncode == 130
        assert process.stderr is not None
        assert process.stderr.read() == "tokenstore: interrupted\n"  # and no line of a log with the link


def test_other_machines_reach_nothing(server: Server) -> None:
    with console(server.url) as (_, said):
        port = int(said["url"].rpartition(":")[2])
        addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
        for address in addresses - {"127.0.0.1", "127.0.1.1"}:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=5).close()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_over_tls_with_a_password(server: Server, authority: Authority, tmp_path: Path) -> None:
    pair = authority.sign("console", LOCAL, *SERVER)
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    options = ["--password-file", str(file), "--cert", str(pair.cert), "--key", str(pair.key), "--host", "0.0.0.0"]
    with console(server.url, *options) as (_, said):
        assert said["link"] is None
        url = said["url"].replace("0.0.0.0", "127.0.0.1")
        context = ssl.create_default_context(cafile=str(authority.cert))
        status, _, page = answer_of(url, "/login", context)
        assert (status, 'type="password"' in page) == (200, True)
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):  # one that says nothing keeps nobody waiting
            began = time.monotonic()
            assert answer_of(url, "/login", context)[0] == 200
            assert time.monotonic() - began < 14


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--host", "0.0.0.0"], "give --password-file"),
        (["--host", "0.0.0.0", "--password-file", "PASSWORD"], "give --cert and --key"),
        (["--password-file", "READABLE"], "chmod 600"),
        (["--password-file", "SHORT"], "needs 12 bytes"),
        (["--cert", "PASSWORD"], "give both"),
        (["--origin", "admin.example"], "must be a scheme and a host"),
    ],
)
def test_what_is_refused(server: Server, tmp_path: Path, options: list[str], reason: str) -> None:
    for name, text, mode in (("PASSWORD", PASSWORD, 0o600), ("READABLE", PASSWORD, 0o640), ("SHORT", "12345678901\n", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    done = subprocess.run(
        [sys.executable, "-m", "tokenstore", "console", server.url, *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr


def test_no_server() -> None:
    with console("redis+unix:///nowhere.sock") as (process, said):
        assert said == {}
        assert process.wait(30) == 3
