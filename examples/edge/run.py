"""nginx checks sessions at the edge, for an app that creates them: starts a redis-server, the app and nginx on
free ports, logs in, is accepted, logs out, is rejected, and stops them all.

usage: python examples/edge/run.py [--stay]      --stay: to try it by hand, until Ctrl-C
"""

from __future__ import annotations

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
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LUA_MODULE = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


def free_port():
    """Below the system's ephemeral ports, so that it is still free a second later."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", random.randrange(20000, 30000)))
            return s.getsockname()[1]


def started(stack, name, where, *command, env=None):
    """Starts a program and waits until it listens at `where`: a port, or the path of a socket."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env
    )
    stack.callback(lambda: (process.terminate(), process.wait()))
    for _ in range(500):
        with socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX) as s:
            with contextlib.suppress(OSError):
                s.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))
                print(f"  {name:<7} {where}")
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"{name} did not start")


def start_all(stack):
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
        )
    )
    env = {**os.environ, "TOKENSTORE_URL": f"unix://{redis}"}
    started(
        stack, "redis", redis,
        "redis-server", "--port", "0", "--unixsocket", redis, "--save", "", "--dir", directory,
    )  # fmt: skip
    started(stack, "app", app_port, sys.executable, HERE / "app.py", str(app_port), env=env)
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
    text = response.read().decode().strip()
    challenge = response.getheader("WWW-Authenticate")
    print(f"  {method:<4} {path:<9} {response.status}  {challenge or text}")
    connection.close()
    return response.status, (response.getheader("Set-Cookie") or "").split(";")[0]


def act(port):
    bob = urlencode({"user": "bob", "password": "correct horse"})
    print("without a session, then with a wrong password, then as somebody unknown without any:")
    refused = (
        ask(port, "GET", "/account")[0],
        ask(port, "POST", "/login", "user=bob&password=x")[0],
        ask(port, "POST", "/login", "user=alice")[0],
    )
    print("logged in; with a header that claims to be somebody else:")
    entered, cookie = ask(port, "POST", "/login", bob)
    let_through = ask(port, "GET", "/account", Cookie=cookie, X_Owner_Id="alice")[0]
    print("logged out; with the old cookie once more:")
    left = ask(port, "POST", "/logout", Cookie=cookie)[0]
    ended = ask(port, "GET", "/account", Cookie=cookie)[0]
    return (*refused, entered, let_through, left, ended) == (401, 403, 403, 200, 200, 200, 401)


def main():
    if shutil.which("nginx") is None or not LUA_MODULE.is_file():
        sys.exit(
            "nginx with its Lua module is missing: apt-get install nginx libnginx-mod-http-lua"
        )
    with contextlib.ExitStack() as stack:
        port = start_all(stack)
        as_it_should = act(port)
        if "--stay" in sys.argv:
            print(f"http://127.0.0.1:{port}/account, until Ctrl-C")
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    time.sleep(60)
    sys.exit(0 if as_it_should else "that was not as it should be")


if __name__ == "__main__":
    main()
