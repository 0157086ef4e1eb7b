"""The configurations in docs/how-to/nginx.md and docs/tutorials/nginx.md, unchanged."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

import tokenstore
from nginx_server import BUILD, ROOT, Answer
from servers import Server, _die_with_parent, free_port

BLOCKS = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/how-to/nginx.md").read_text(), re.DOTALL)
TUTORIAL = (ROOT / "docs/tutorials/nginx.md").read_text()
LOAD = "".join(line + "\n" for line in BLOCKS[0].splitlines() if line.startswith("load_module"))

# Paths as after `make install-lua`.
PATHS = {
    "LUA_PATH": f"{ROOT}/bindings/lua/?.lua;{ROOT}/bindings/lua/?/init.lua;;",
    "LUA_CPATH": f"{BUILD}/lua/5.1/?.so;;",
}


def command(directory: Path, text: str, *more: str) -> list[str]:
    (directory / "nginx.conf").write_text(text)
    private = f"daemon off; pid {directory}/pid; error_log stderr;"
    if os.getuid() == 0:
        private += " user root;"
    return ["nginx", "-p", str(directory), "-c", "nginx.conf", "-e", "stderr", "-g", private, *more]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_each_is_a_configuration(block: str, tmp_path: Path) -> None:
    """The first alone; the others with the first's directives outside of http."""
    text = block if "events {}" in block else LOAD + "events {}\n" + block
    done = subprocess.run(
        command(tmp_path, text, "-t"),
        capture_output=True,
        text=True,
        env={**os.environ, **PATHS},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r"\[(error|emerg|warn)\]", done.stderr), done.stderr
    if "init_by_lua_block" in block:
        assert "lua_socket_log_errors off;" in block


@contextmanager
def running_block(text: str, directory: Path, port: int, **environment: str) -> Iterator[Callable[..., Answer]]:
    """nginx with this configuration, whose server listens on 8080; the function sends it a request."""
    assert text.count("8080") == 1
    text = text.replace("8080", str(port))
    nginx = subprocess.Popen(
        command(directory, text), env={**os.environ, **PATHS, **environment}, preexec_fn=_die_with_parent
    )

    def get(path: str, headers: dict[str, str] | None = None, form: str | None = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST" if form else "GET", path, form, headers or {})
        response = connection.getresponse()
        with closing(connection):
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, response.read().decode(), lower)

    try:
        deadline = time.monotonic() + 30
        while True:
            assert nginx.poll() is None
            assert time.monotonic() < deadline
            with suppress(ConnectionRefusedError):
                get("/none")
                break
            time.sleep(0.02)
        yield get
    finally:
        nginx.send_signal(signal.SIGQUIT)
        nginx.wait(30)


def test_the_first_runs(redis: Server, tmp_path: Path) -> None:
    text = BLOCKS[0].replace("redis://127.0.0.1:6379", redis.url)
    assert redis.url in text
    with tokenstore.Sessions(redis.url) as sessions:
        token = sessions.create("web", "bob", duration=100)
    with running_block(text, tmp_path, free_port()) as get:
        statuses = [get("/no-such-file", {"Cookie": cookie}).status for cookie in (f"sid={token}", "sid=x")]
    assert statuses == [404, 401]  # accepted; rejected


def test_the_tutorial(redis: Server, tmp_path: Path) -> None:
    """Its configuration, the requests of its curl, and its program."""
    text, program = (
        re.search(rf"```{language}\n(.*?)```", TUTORIAL, re.DOTALL)[1].replace("redis://127.0.0.1:6379", redis.url)
        for language in ("nginx", "python")
    )
    with tokenstore.Sessions(redis.url) as sessions:
        sessions.kill_all("web", "bob")  # of other tests
    with running_block(text, tmp_path, free_port()) as get:
        assert get("/members").status == 401
        assert get("/login", form="name=bob&password=wrong").status == 403
        assert get("/login", form="name=eve&password=").status == 403
        answer = get("/login", form="name=bob&password=wonderland")
        assert (answer.status, answer.text) == (200, "welcome\n")
        jar = {"Cookie": answer.headers["set-cookie"].split(";")[0]}
        assert get("/members", jar).text == "hello, bob\n"
        done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "1 sessions of bob\n"
        assert get("/members", jar).status == 401
        jar = {"Cookie": get("/login", form="name=bob&password=wonderland").headers["set-cookie"].split(";")[0]}
        assert get("/logout", jar).text == "bye\n"
        assert get("/members", jar).status == 401
