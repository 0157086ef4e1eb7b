"""The example behind real servers with several processes: uvicorn's workers, and forked ones that share a store of before."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers import Server, free_port

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/django"
sys.path.insert(0, str(EXAMPLE))

import run as example  # noqa: E402

PREPARE = """
import django; django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
User.objects.create_superuser("bob", password={password!r})
"""

FORKED = """
import os, socket, sys
from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from tokenstore.ext.django import conf
assert conf.stores().blocking.client.ping()  # connected before the fork
class Quiet(WSGIRequestHandler):
    def log_message(self, *unused): pass
server = make_server("127.0.0.1", int(sys.argv[1]), application, handler_class=Quiet)
for _ in range(3):
    if os.fork() == 0:
        break
server.serve_forever()
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a user; to be copied."""
    file = tmp_path_factory.mktemp("example") / "db.sqlite3"
    environment = environment_of("redis+unix:///nowhere", file)
    prepare = PREPARE.format(password=example.OLD)
    subprocess.run([sys.executable, "-c", prepare], cwd=EXAMPLE, env=environment, check=True)
    return file


def environment_of(url: str, database: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings",
        "EXAMPLE_DATABASE": str(database),
        "EXAMPLE_SECRET": "x" * 50,
        "TOKENSTORE_URL": url,
    }


@contextmanager
def serving(environment: dict[str, str], port: int, *command: Any) -> Iterator[str]:
    """In a process group of its own, which ends with it."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=EXAMPLE, env=environment, start_new_session=True
    )
    try:
        address = f"http://127.0.0.1:{port}"
        browser = example.Browser(address, "probe")
        deadline = time.monotonic() + 90  # on a machine that is busy
        while True:
            try:
                browser.get("/login/")
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("kind", ["uvicorn", "forked"])
def test_the_example_in_several_processes(
    server: Server, tmp_path: Path, database: Path, kind: str
) -> None:
    environment = environment_of(server.url, Path(shutil.copy(database, tmp_path)))
    port = free_port()
    command: list[str] = ["-c", FORKED, str(port)]
    if kind == "uvicorn":
        asgi = "django.core.asgi:get_asgi_application"
        command = ["-m", "uvicorn", "--factory", asgi, "--workers", "3", "--port", str(port)]
        command += ["--log-level", "warning", "--lifespan", "off"]
    with serving(environment, port, *command) as address:
        assert example.act(address)
