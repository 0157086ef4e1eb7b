"""nginx checks sessions at the edge, for an app that creates them: starts a redis-server, the app and nginx on
free ports, logs in, is accepted, logs out, is rejected, and stops them all.

usage: python examples/edge/run.py [--stay] [--app NAME]
    --stay  to try it by hand, until Ctrl-C
    --app   fastapi or flask: that example, unchanged, instead of the app beside this program
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LUA_MODULE = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


@dataclass
class App:
    """How it is started; what nginx has to know; and what to ask it."""

    command: tuple
    directory: Path = HERE
    app: str = "devices"  # of its sessions
    cookie: str = "session"
    refresh: str = "true"  # by a session's own idle
    open: str = "/|/login"  # to those who are not logged in
    guarded: tuple = ("POST", "/logout-others")
    password: str = "bob's"
    answers: tuple = (303, 303, 303)  # to a login, a guarded request, a logout


APPS = {
    "edge": App(
        ("app.py",), HERE, "edge", "sid", "3600", "/login", ("GET", "/account"), "correct horse",
        (200, 200, 200),
    ),
    "fastapi": App(("-m", "uvicorn", "app:app", "--log-level=warning", "--port"), ROOT / "examples/fastapi"),
    "flask": App(("-m", "flask", "run", "--port"), ROOT / "examples/flask"),
}  # fmt: skip


def free_port():
    """Below the system's ephemeral ports, so that it is still free a second later."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", random.randrange(20000, 30000)))
            return s.getsockname()[1]


def started(stack, name, where, *command, **options):
    """Starts a program and waits until it listens at `where`: a port, or the path of a socket."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options
    )
    stack.callback(lambda: (process.terminate(), process.wait()))
    for _ in range(3000):
        with socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX) as s:
            with contextlib.suppress(OSError):
                s.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))
                print(f"  {name:<7} {where}")
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"{name} did not start")


def start_all(stack, app):
    """Returns nginx's port."""
    directory = Path(tempfile.mkdtemp(prefix="tokenstore-edge-"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    redis, app_port, port = directory / "redis.sock", free_port(), free_port()
    template = string.Template((HERE / "nginx.conf.template").read_text())
    (directory / "nginx.conf").write_text(
        template.substitute(
            user="user root;\n" if os.getuid() == 0 else "",
            directory=directory,
            root=ROOT,
            redis=f"unix://{redis}",
            app_port=app_port,
            port=port,
            open=app.open,
            app=app.app,
            cookie=app.cookie,
            refresh=app.refresh,
        )
    )
    env = {**os.environ, "TOKENSTORE_URL": f"unix://{redis}"}
    started(
        stack, "redis", redis,
        "redis-server", "--port", "0", "--unixsocket", redis, "--save", "", "--dir", directory,
    )  # fmt: skip
    command = (sys.executable, *app.command, str(app_port))
    started(stack, "app", app_port, *command, cwd=app.directory, env=env, stderr=subprocess.DEVNULL)
    started(
        stack, "nginx", port,
        "nginx", "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr",
    )  # fmt: skip
    return port


def ask(port, method, path, body="", **headers):
    """Prints the request and the answer; returns the status and the cookie that was set."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    text = response.read().decode().partition("\n")[0]
    challenge = response.getheader("WWW-Authenticate")
    print(f"  {method:<4} {path:<14} {response.status}  {challenge or text}")
    connection.close()
    return response.status, (response.getheader("Set-Cookie") or "").split(";")[0]


def act(port, app):
    bob = urlencode({"user": "bob", "password": app.password})
    print("without a session:")
    refused = ask(port, *app.guarded)[0]
    print("logged in; with a header that claims to be somebody else:")
    entered, cookie = ask(port, "POST", "/login", bob)
    let_through = ask(port, *app.guarded, Cookie=cookie, X_Owner_Id="alice")[0]
    print("logged out; with the old cookie once more:")
    left = ask(port, "POST", "/logout", Cookie=cookie)[0]
    ended = ask(port, *app.guarded, Cookie=cookie)[0]
    return (refused, entered, let_through, left, ended) == (401, *app.answers, 401)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--app", choices=APPS, default="edge")
    options = parser.parse_args()
    app = APPS[options.app]
    if shutil.which("nginx") is None or not LUA_MODULE.is_file():
        sys.exit(
            "nginx with its Lua module is missing: apt-get install nginx libnginx-mod-http-lua"
        )
    with contextlib.ExitStack() as stack:
        port = start_all(stack, app)
        as_it_should = act(port, app)
        if options.stay:
            print(f"http://127.0.0.1:{port}{app.guarded[1]}, until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    time.sleep(60)
    sys.exit(0 if as_it_should else "that was not as it should be")


if __name__ == "__main__":
    main()
