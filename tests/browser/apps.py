"""The examples as their users start them, and what their pages are made of."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from servers import free_port

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass
class App:
    """An example: how it is started, in its directory, and its pages."""

    name: str
    command: tuple[str, ...]
    password: str
    login: str = "/"
    devices: str = "/"
    user_field: str = "user"
    here: str = "(this one)"
    others: str = "Log out the others"


APPS = {
    app.name: app
    for app in (
        App("fastapi", ("-m", "uvicorn", "app:app", "--log-level", "warning", "--port"), "bob's"),
        App("flask", ("-m", "flask", "run", "--port"), "bob's"),
        App(
            "django",
            ("-u", "run.py", "--stay"),
            "battery staple",
            login="/login/?next=/devices/",
            devices="/devices/",
            user_field="username",
            here="This device",
            others="Log out all other devices",
        ),
    )
}


def address_of(app: App, process: subprocess.Popen[str], port: int) -> str:
    """Waits until it answers."""
    if app.name == "django":  # it says so, after its own demonstration
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                return line.split("/ ")[0]
        raise AssertionError("the example ended")
    deadline = time.monotonic() + 90  # a busy machine
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return f"http://127.0.0.1:{port}"
        time.sleep(0.05)
    raise AssertionError("the example does not answer")


@contextmanager
def running(app: App) -> Iterator[str]:
    """Its address. It runs on `embedded:`, a private server that ends with it."""
    port = free_port()
    command = [*app.command, str(port)] if app.command[-1] == "--port" else list(app.command)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=EXAMPLES / app.name,
        env={name: value for name, value in os.environ.items() if name != "TOKENSTORE_URL"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if app.name == "flask" else None,  # its log of requests
        text=True,
    )
    try:
        yield address_of(app, process, port)
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
