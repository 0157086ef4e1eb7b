"""Silently dropped connections: neither a reply nor EOF arrives.

At most one call is slow, and none fails if the server is up.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

import tokenstore
from conftest import Setup
from operations import A
from silence import *  # noqa: F403
from silence import IDLE, POOLED, SILENCE, TIMEOUT, times
from timing import ends_within

ROOT = Path(__file__).resolve().parents[2]
LATE = 0.4  # less than another silence


def pooled(client: tokenstore.Client, count: int = POOLED) -> None:
    """Opens `count` idle connections."""
    threads = [
        threading.Thread(
            target=client.execute, args=("BLPOP", f"none {i}", 0.2), kwargs={"timeout": 20}
        )
        for i in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_is_slow(took: list[float], limit: float = SILENCE) -> None:
    slow = [t for t in took if t > LATE]
    assert len(slow) <= 1, took
    assert took[0] < limit + LATE, took


def calls(store: tokenstore.RedisTokens) -> dict[str, Callable[[], object]]:
    token = store.create(**A, owner="o", data={"n": 1})

    def get() -> None:
        assert store.get(**A, token=token.token).data["n"]

    return {
        "get": get,
        "list": lambda: store.list(**A, owner="o"),
        "create": lambda: store.create(**A, owner="o"),
        "refresh": lambda: store.refresh(**A, token=token.token, duration=100),
        "update": lambda: store.update(**A, token=token.token, data={"n": 2}),
        "delete": lambda: store.delete(**A, token="none"),
        "execute": lambda: store.client.execute("INCR", "n"),
    }


def test_one_call_is_slow_and_none_fails(setup: Setup) -> None:
    """For each operation, with a separate pool."""
    with ExitStack() as stack:
        begun = []
        for name in ("get", "list", "create", "refresh", "update", "delete", "execute"):
            client = stack.enter_context(setup.client(timeout=TIMEOUT))
            call = calls(tokenstore.RedisTokens(client))[name]
            call()  # its script is loaded
            pooled(client)
            begun.append((name, call))
        time.sleep(IDLE)
        setup.server.freeze()
        for name, call in begun:
            took = times(2 * POOLED, call)
            one_is_slow(took)
            assert took[0] >= SILENCE - 0.02, name
        assert client.execute("GETDEL", "n") == b"%d" % (2 * POOLED + 1)


def test_a_change_right_after_another_call_is_in_doubt_once(setup: Setup) -> None:
    """It did not send PING first; then all connections that were idle as long are dropped."""
    with setup.client(timeout=0.5) as client:
        client.execute("DEL", "n")
        pooled(client)
        setup.server.freeze()
        with pytest.raises(tokenstore.OutcomeUnknownError, match="no reply was received"):
            client.execute("INCR", "n")
        took = times(POOLED, lambda: client.execute("INCR", "n"))
        assert max(took) < LATE, took
        assert client.execute("GETDEL", "n") == b"%d" % POOLED


def test_many_threads(setup: Setup) -> None:
    """Each call on an unresponsive connection is slow, once."""
    with setup.client(timeout=TIMEOUT) as client:
        get = calls(tokenstore.RedisTokens(client))["get"]
        pooled(client)
        setup.server.freeze()
        took: list[list[float]] = []
        threads = [
            threading.Thread(target=lambda: took.append(times(20, get))) for _ in range(POOLED)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(took) == POOLED
        for each in took:
            one_is_slow(each)


def test_younger_connections_stay(setup: Setup) -> None:
    with setup.client(timeout=TIMEOUT) as client:
        get = calls(tokenstore.RedisTokens(client))["get"]
        setup.server.freeze()
        accepted = setup.server.accepted
        thread = threading.Thread(target=get)  # on the unresponsive one
        thread.start()
        time.sleep(SILENCE / 2)
        get()  # on a second one
        thread.join()  # on a third one, at last
        assert setup.server.accepted == accepted + 2
        times(5, get)
        assert setup.server.accepted == accepted + 2


def test_a_server_that_is_gone_keeps_the_deadline(setup: Setup) -> None:
    """New connections are silent too."""
    with ExitStack() as stack:
        one, two, three = (stack.enter_context(setup.tokens(timeout=0.4)) for _ in range(3))
        token = "none"
        kinds = (tokenstore.TimeoutError, tokenstore.OutcomeUnknownError)

        def fails(call: Callable[[], object]) -> None:
            with pytest.raises(kinds):
                call()

        for store in (one, two, three):
            store.client.execute("PING", timeout=20)
        time.sleep(IDLE)
        setup.server.arm_accept(*[lambda s: setup.server.over.wait(0.5)] * 27)
        setup.server.freeze()
        for call in (
            lambda: one.get(**A, token=token),
            lambda: two.create(**A, owner="o"),
            lambda: three.delete(**A, token=token),
        ):
            ends_within(0.4 + LATE, lambda call=call: fails(call))
        setup.server.arm_accept()


def test_plain_lua_too(setup: Setup, tmp_path: Path) -> None:
    lua = shutil.which("lua5.4")
    if lua is None:
        pytest.skip("no Lua 5.4 here")
    ca = f', ca = "{setup.options["ca"]}"' if setup.tls else ""
    program = f"""
package.path = "{ROOT}/bindings/lua/?.lua;{ROOT}/bindings/lua/?/init.lua"
package.cpath = "{os.environ.get("TOKENSTORE_BUILD", ROOT / "build")}/lua/5.4/?.so"
local tokenstore = require "tokenstore"
local client = tokenstore.Client {{ redis = "{setup.server.url}", timeout = {TIMEOUT}{ca} }}
local tokens = tokenstore.RedisTokens {{ redis = client }}
local token = assert(tokens:create {{ app = "a", type = "t", owner = "o" }}).token
print "ready"
io.stdout:flush()
io.read()
for _ = 1, 5 do assert(tokens:get {{ app = "a", type = "t", token = token }}) end
assert(client:execute("PING") == "PONG")
print "done"
"""
    with subprocess.Popen(
        [lua, "-e", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        setup.server.freeze()
        began = time.monotonic()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        assert SILENCE - 0.02 <= time.monotonic() - began < SILENCE + 2 * LATE


def test_keepalive(setup: Setup) -> None:
    def sockets() -> set[int]:
        fds = (int(fd) for fd in os.listdir("/proc/self/fd"))
        return {fd for fd in fds if _is_socket(fd)}

    with setup.client() as client:
        before = sockets()
        client.execute("PING")
        found = []
        for fd in sockets() - before:
            with socket.socket(fileno=os.dup(fd)) as s:
                if s.getpeername()[1:2] == (setup.server.port,):
                    found.append(
                        [
                            s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                            s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                            s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                            s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                            s.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                        ]
                    )
        assert found == [[1, 30, 10, 3, 60000]]


def _is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
