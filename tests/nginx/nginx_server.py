"""A real nginx with its Lua module, in a temporary directory, on a private unix socket and a free port.

Its error log is read from a pipe. At the end it must contain no line that the test does not explain.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from servers import _die_with_parent, free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("TOKENSTORE_BUILD", ROOT / "build")).resolve()
MODULES = Path("/usr/lib/nginx/modules")
LUA_MODULE = MODULES / "ngx_http_lua_module.so"

MISSING = None
if shutil.which("nginx") is None or not LUA_MODULE.is_file():
    MISSING = "nginx with its Lua module is not installed"

CONFIG = """\
{user}load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
daemon off;
worker_processes {workers};
pid {directory}/nginx.pid;
error_log stderr notice;
{main}
events {{ worker_connections 4096; }}
http {{
  lua_package_path "{root}/bindings/lua/?.lua;{root}/bindings/lua/?/init.lua;{root}/tests/lua/?.lua;;";
  lua_package_cpath "{build}/lua/5.1/?.so;;";
  lua_socket_buffer_size 64k;
  lua_socket_log_errors off;
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  {http}
  server {{
    listen unix:{directory}/nginx.sock;
    listen 127.0.0.1:{port};
    {server}
  }}
}}
"""

LEVELS = re.compile(r"\[(emerg|alert|crit|error|warn)\]")


class Answer(NamedTuple):
    status: int
    text: str
    headers: dict[str, str]


class UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Nginx:
    """`main`, `http` and `server` are configuration for these contexts."""

    def __init__(
        self,
        server: str,
        http: str = "",
        main: str = "",
        workers: int = 1,
        explained: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="ts-nginx-"))
        self.socket_path = self.directory / "nginx.sock"
        self.port = free_port()
        self.explained = list(explained)
        self.log: list[str] = []
        self.env = env or {}
        self._pieces = {"server": server, "http": http, "main": main}
        self._workers = workers
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None

    def write(self, **pieces: str) -> None:
        """Writes the configuration, with some parts replaced."""
        self._pieces |= pieces
        text = CONFIG.format(
            user="user root;\n" if os.getuid() == 0 else "",
            modules=MODULES,
            workers=self._workers,
            directory=self.directory,
            root=ROOT,
            build=BUILD,
            port=self.port,
            **self._pieces,
        )
        (self.directory / "nginx.conf").write_text(text)

    def start(self) -> None:
        self.write()
        self._process = subprocess.Popen(
            ["nginx", "-p", str(self.directory), "-c", str(self.directory / "nginx.conf")]
            + ["-e", "stderr"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **self.env},
            preexec_fn=_die_with_parent,
        )
        self._reader = threading.Thread(target=self._drain, args=(self._process,), daemon=True)
        self._reader.start()
        self.await_log("start worker process \\d", self._workers)

    def _drain(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._changed:
                    self.log.append(line.rstrip())
                    self._changed.notify_all()
        with self._changed:
            self._process = None
            self._changed.notify_all()

    def lines(self, pattern: str) -> list[str]:
        with self._changed:
            return [line for line in self.log if re.search(pattern, line)]

    def await_log(self, pattern: str, count: int = 1) -> None:
        """Waits until that many lines of the log match."""

        def there() -> bool:
            found = sum(1 for line in self.log if re.search(pattern, line))
            return found >= count or self._process is None

        with self._changed:
            came = self._changed.wait_for(there, 60)
            if not came or self._process is None:
                tail = "\n".join(self.log[-20:])
                raise RuntimeError(f"nginx did not say {pattern!r}:\n{tail}")

    def workers(self) -> list[int]:
        """The pids of the latest workers."""
        started = self.lines("start worker process \\d+")[-self._workers :]
        return [int(line.rsplit(" ", 1)[1]) for line in started]

    def reload(self) -> None:
        """Starts new workers; the old ones complete their requests and exit."""
        assert self._process is not None
        before = len(self.lines("start worker process \\d"))
        self._process.send_signal(signal.SIGHUP)
        self.await_log("start worker process \\d", before + self._workers)

    def stop(self) -> None:
        """Graceful: requests in progress are completed."""
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            finally:
                self._reader.join()
        shutil.rmtree(self.directory, ignore_errors=True)

    def unexplained(self) -> list[str]:
        """Unexpected log lines of level warning or higher."""
        found = []
        for line in self.lines(LEVELS.pattern):
            if not any(re.search(pattern, line) for pattern in self.explained):
                found.append(line)
        return found

    # ---- requests ----

    def connect(self) -> UnixConnection:
        return UnixConnection(str(self.socket_path))

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            return Answer(
                response.status, text, {k.lower(): v for k, v in response.headers.items()}
            )
        finally:
            connection.close()


@contextmanager
def running(server: str, **options: Any) -> Iterator[Nginx]:
    """A running nginx; at the end its log must not contain unexplained lines."""
    nginx = Nginx(server, **options)
    try:
        nginx.start()
        yield nginx
    finally:
        with suppress(ProcessLookupError):
            nginx.stop()
    unexplained = nginx.unexplained()
    assert not unexplained, "\n".join(unexplained[:20])
