"""Redis is down: the log lines, how often, and how soon it is used again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import tokenstore
from nginx_server import Nginx, running
from servers import Server
from servers import running as running_redis

HTTP = """
  init_by_lua_block {{
    sessions = assert(require("tokenstore").Sessions("{url}", {{ timeout = 2 }}))
    guard = require "tokenstore.guard"
  }}
"""

SERVER = """
  lua_socket_log_errors {log_errors};
  location = /session {{
    content_by_lua_block {{ ngx.print(guard.session({{ store = sessions, app = "web" }}).owner_id) }}
  }}
"""


@contextmanager
def guarded(url: str, log_errors: str = "off") -> Iterator[Nginx]:
    explained = ("tokenstore.guard: ", r"connect\(\) (to \S+ )?failed")
    server = SERVER.format(log_errors=log_errors)
    with running(server, http=HTTP.format(url=url), explained=explained) as nginx:
        yield nginx


def ask(nginx: Nginx, token: str) -> int:
    return nginx.get("/session", {"Authorization": f"Bearer {token}"}).status


@pytest.fixture(params=["unix", "tcp"])
def redis(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running_redis(transport=request.param) as server:
        yield server


@pytest.mark.parametrize("log_errors", ["off", "on"])
def test_one_line_of_each_and_found_at_once(redis: Server, log_errors: str) -> None:
    with guarded(redis.url, log_errors) as nginx:
        with tokenstore.Sessions(redis.url) as sessions:
            token = sessions.create("web", "bob")
        assert ask(nginx, token) == 200
        redis.kill()  # a unix socket's file still exists
        assert [ask(nginx, token) for _ in range(6)] == [503] * 6
        if redis.socket_path is not None:
            redis.socket_path.unlink()
            assert [ask(nginx, token) for _ in range(6)] == [503] * 6
        ours, theirs = nginx.lines("tokenstore.guard: "), nginx.lines(r"connect\(\)")
        assert len(ours) == 1
        assert len(theirs) <= 1
        redis.start()
        with tokenstore.Sessions(redis.url) as sessions:
            token = sessions.create("web", "bob")
        assert ask(nginx, token) == 200


def test_a_socket_that_is_missing_from_the_start() -> None:
    with guarded("unix:///no/such.sock") as nginx:
        for _ in range(6):
            answer = nginx.get("/session", {"Authorization": "Bearer x"})
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["cache-control"] == "no-store"
        assert len(nginx.lines("tokenstore.guard: ")) == 1
        assert len(nginx.lines(r"connect\(\)")) == 1
        [line] = nginx.lines("tokenstore.guard: ")
        assert "/no/such.sock: cannot connect: no such file or directory" in line


def test_a_socket_whose_queue_is_full(tmp_path: Path) -> None:
    """A server that stands still: the kernel refuses there and then, too."""
    path = str(tmp_path / "redis.sock")
    with closing(socket.socket(socket.AF_UNIX)) as server, closing(socket.socket(socket.AF_UNIX)) as first:
        server.bind(path)
        server.listen(0)
        first.connect(path)
        with guarded(f"unix://{path}") as nginx:
            assert [ask(nginx, "x") for _ in range(6)] == [503] * 6
            assert len(nginx.lines("tokenstore.guard: ")) == 1
            assert len(nginx.lines(r"connect\(\)")) == 1


def test_looking_leaves_nothing_open(redis: Server) -> None:
    with guarded(redis.url) as nginx:
        redis.kill()
        [worker] = nginx.workers()
        assert ask(nginx, "x") == 503
        before = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        for _ in range(8):
            assert ask(nginx, "x") == 503
        # nginx may have one more request connection open than at the first check.
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) <= before + 2


@pytest.mark.parametrize("url", ["redis://[::1]:{port}", "redis://127.0.0.1:{port}"])
def test_a_port_that_is_taken_but_not_listened_on(url: str) -> None:
    family = socket.AF_INET6 if "[" in url else socket.AF_INET
    with closing(socket.socket(family)) as taken:
        taken.bind(("::1" if "[" in url else "127.0.0.1", 0))
        with guarded(url.format(port=taken.getsockname()[1]), "on") as nginx:
            assert [ask(nginx, "x") for _ in range(6)] == [503] * 6
            assert len(nginx.lines(r"connect\(\)")) == 1
