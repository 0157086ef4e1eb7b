"""Host names with nginx's resolver: within the deadline, whatever resolver_timeout is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dns_server import NameServer
from nginx_server import Nginx, running
from servers import Server
from servers import running as running_redis

HTTP = """
  resolver {resolver} ipv6=off;
  resolver_timeout 1500ms;
  init_by_lua_block {{
    client = assert(require("tokenstore").Client("redis://redis.example:{port}", {{ {options} }}))
  }}
"""

SERVER = """
  location = /ping {
    content_by_lua_block {
      local clock = require("tokenstore.core").clock
      local began = clock()
      local reply, message, code = client:execute("PING")
      ngx.say(tostring(reply))
      ngx.say(clock() - began)
      ngx.say(tostring(code), " ", tostring(message))
    }
  }
  location = /plain { content_by_lua_block { ngx.print("plain") } }
"""


@contextmanager
def naming(names: NameServer, port: int, options: str) -> Iterator[Nginx]:
    http = HTTP.format(resolver=names.address, port=port, options=options)
    with names, running(SERVER, http=http) as nginx:
        yield nginx


def ping(nginx: Nginx) -> tuple[str, float, str]:
    reply, took, message = nginx.get("/ping").text.splitlines()
    return reply, float(took), message


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with running_redis(transport="tcp") as server:
        yield server


def test_a_name_is_looked_up_and_its_connection_kept(redis: Server) -> None:
    with naming(NameServer({"redis.example": ["127.0.0.1"]}), redis.port, "timeout = 2") as nginx:
        for _ in range(20):
            assert ping(nginx)[0] == "PONG"
        with redis.wire() as wire:
            count = int(wire("INFO", "stats").split(b"total_connections_received:")[1].split()[0])
        for _ in range(20):
            assert ping(nginx)[0] == "PONG"
        with redis.wire() as wire:
            now = int(wire("INFO", "stats").split(b"total_connections_received:")[1].split()[0])
        assert now - count == 1  # that of INFO itself


def test_a_name_server_that_is_silent(redis: Server) -> None:
    with naming(NameServer({}, delay=None), redis.port, "timeout = 0.6") as nginx:
        for _ in range(3):
            reply, took, message = ping(nginx)
            assert reply == "nil"
            assert 0.5 < took < 0.9
            assert message.startswith("timeout ")
            assert "does nginx's resolver answer?" in message
        waiting = [threading.Thread(target=ping, args=(nginx,)) for _ in range(50)]
        for thread in waiting:
            thread.start()
        began = time.monotonic()
        assert nginx.get("/plain").text == "plain"
        assert time.monotonic() - began < 0.4
        for thread in waiting:
            thread.join()


def test_a_name_server_that_comes_back(redis: Server) -> None:
    names = NameServer({"redis.example": ["127.0.0.1"]}, delay=None)
    with naming(names, redis.port, "timeout = 0.5") as nginx:
        assert ping(nginx)[0] == "nil"
        names.delay = 0
        deadline = time.monotonic() + 20  # nginx repeats a query after five seconds
        while ping(nginx)[0] != "PONG":
            assert time.monotonic() < deadline


def test_a_name_server_that_is_slow(redis: Server) -> None:
    names = NameServer({"redis.example": ["127.0.0.1"]}, delay=0.4)
    with naming(names, redis.port, "timeout = 3") as nginx:
        reply, took, message = ping(nginx)
        assert (reply, message) == ("PONG", "nil nil")
        assert took >= 0.4


def test_connect_timeout_is_for_the_name_too(redis: Server) -> None:
    """One attempt ends, and so do four."""
    options = "timeout = 5, connect_timeout = 0.2"
    with naming(NameServer({}, delay=None), redis.port, options) as nginx:
        reply, took, message = ping(nginx)
        assert reply == "nil"
        assert 0.8 <= took < 1.5
        assert message.startswith("connection ")
        assert "no answer within connect_timeout (this includes resolving the name" in message


def test_no_such_name(redis: Server) -> None:
    with naming(NameServer({}), redis.port, "timeout = 2") as nginx:
        reply, took, message = ping(nginx)
        assert reply == "nil"
        assert took < 1
        assert message.startswith("connection ")
        assert "redis.example could not be resolved" in message


def test_of_several_addresses_nginx_takes_any(redis: Server) -> None:
    """And another one if that refuses: a call has four attempts."""
    names = NameServer({"redis.example": ["127.0.0.1", "127.0.0.2", "127.0.0.3"]})
    with naming(names, redis.port, "timeout = 2") as nginx:
        nginx.explained.append(r"connect\(\) failed")
        assert "PONG" in [ping(nginx)[0] for _ in range(10)]
