"""examples/edge/app.py, under uvicorn: log in, be known, log out, be unknown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from servers import Server, free_port

APP = Path(__file__).parent.parent.parent / "examples/edge/app.py"


def ask(port: int, method: str, path: str, body: str = "", cookie: str = "") -> tuple[int, str]:
    """The status, and the cookie that was set."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {"Cookie": cookie} if cookie else {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, (response.getheader("Set-Cookie") or "").split(";")[0]


def test_app(server: Server) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(APP), str(port)],
        env={**os.environ, "TOKENSTORE_URL": server.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                assert ask(port, "GET", "/me")[0] == 401
                break
            except ConnectionRefusedError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert ask(port, "POST", "/login", urlencode({"user": "bob", "password": "x"}))[0] == 403
        bob = urlencode({"user": "bob", "password": "correct horse"})
        status, cookie = ask(port, "POST", "/login", bob)
        assert (status, cookie[:4]) == (200, "sid=")
        assert ask(port, "GET", "/me", cookie=cookie)[0] == 200
        assert ask(port, "POST", "/logout", cookie=cookie)[0] == 200
        assert ask(port, "GET", "/me", cookie=cookie)[0] == 401
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    assert complaints == ""
