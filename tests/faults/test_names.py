"""Host names: a name server that hangs, and names with several addresses of which some drop packets.

The programs run with tests/http/names.c preloaded: "x.slow" takes five seconds, "300.late" is
127.0.0.1 after 300 ms, "127-0-0-2.127-0-0-3.list" has these addresses.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import tokenstore
from servers import Server, running

ROOT = Path(__file__).resolve().parents[2]
NAMES = Path(os.environ.get("TOKENSTORE_BUILD", ROOT / "build")) / "tests/http/names.so"
LATE = 0.15  # tolerance in seconds, for a busy machine
PATIENCE = 60

BEGINNING = """
import os, signal, sys, threading, time, tokenstore
port = {port}
began = time.monotonic()
def took():
    return time.monotonic() - began
def threads():
    return len(os.listdir("/proc/self/task"))
def fails(kind, call, says=""):
    try:
        call()
    except kind as error:
        assert says in str(error), error
    else:
        raise AssertionError("it went well")
"""


def run(program: str, port: int = 1) -> float:
    """Runs it in a separate Python; returns the duration that it prints last."""
    preload = f"{os.environ.get('LD_PRELOAD', '')}:{NAMES}".lstrip(":")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BEGINNING.format(port=port) + program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={
            **os.environ,
            "LD_PRELOAD": preload,
            "PYTHONPATH": str(Path(tokenstore.__file__).parent.parent),
        },
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def in_time(low: float, program: str, port: int = 1) -> None:
    """It takes at least `low` seconds, and not much more, in one of six attempts."""
    took = []
    for _ in range(6):
        took.append(run(program, port))
        assert took[-1] >= low
        if took[-1] < low + LATE:
            return
    raise AssertionError(f"took {took} s instead of {low} s")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("--bind", "127.0.0.1", "127.0.0.3", transport="tcp") as server:
        yield server


# ---- a name server that hangs ------------------------------------------------------------------------


def test_the_timeout_holds(server: Server) -> None:
    in_time(
        0.4,
        """
client = tokenstore.Client("redis://x.slow", timeout=0.4)
fails(tokenstore.TimeoutError, lambda: client.execute("PING"), "x.slow:6379/0: cannot connect: the host name")
print(took())
""",
    )


def test_subscriptions_keep_it_too(server: Server) -> None:
    in_time(
        0.4,
        """
from tokenstore.session_events import SessionEvents
client = tokenstore.Client("redis://x.slow", timeout=0.4)
fails(tokenstore.TimeoutError, lambda: SessionEvents(client), "the host name")
print(took())
""",
    )


def test_ctrl_c_ends_it() -> None:
    in_time(
        0.2,
        """
client = tokenstore.Client("redis://x.slow")
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
fails(KeyboardInterrupt, lambda: client.execute("PING"))
print(took())
""",
    )


def test_handlers_run_and_it_goes_on(server: Server) -> None:
    run(
        """
rung = []
signal.signal(signal.SIGALRM, lambda *_: rung.append(took()))
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
client = tokenstore.Client(f"redis://600.late:{port}")
assert client.execute("PING") == "PONG"
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(rung) > 5, rung
print(took())
""",
        server.port,
    )


def test_one_thread_for_all_who_wait() -> None:
    run(
        """
client = tokenstore.Client("redis://x.slow", timeout=0.5)
before = threads()
callers = [threading.Thread(target=fails, args=(tokenstore.TimeoutError, lambda: client.execute("PING")))
           for _ in range(10)]
for caller in callers: caller.start()
time.sleep(0.25)
assert threads() == before + 11, threads()
for caller in callers: caller.join()
fails(tokenstore.TimeoutError, lambda: client.execute("PING", timeout=0.1))
assert threads() == before + 1, threads()
print(took())
"""
    )


def test_what_comes_late_serves_the_next_call(server: Server) -> None:
    in_time(
        0.8,
        """
client = tokenstore.Client(f"redis://800.late:{port}", timeout=0.5)
before = threads()
fails(tokenstore.TimeoutError, lambda: client.execute("PING"))
assert client.execute("PING") == "PONG"
until = took()
while threads() > before: time.sleep(0.01)
print(until)
""",
        server.port,
    )


def test_a_name_that_does_not_exist() -> None:
    in_time(
        0.07,  # the pauses between four attempts
        """
client = tokenstore.Client("redis://x.none")
fails(tokenstore.ConnectionError, lambda: client.execute("PING"), "x.none:6379/0: cannot connect: the host name")
print(took())
""",
    )


def test_the_process_may_end_meanwhile() -> None:
    in_time(
        0,
        """
client = tokenstore.Client("redis://x.slow", timeout=0.1)
fails(tokenstore.TimeoutError, lambda: client.execute("PING"))
began = time.monotonic()
client.close()
del client
print(took())
""",
    )


def test_a_child_looks_up_by_itself(server: Server) -> None:
    """Forked while a lookup of the parent hangs, also by a signal handler."""
    run(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads, from Python 3.12 on
client = tokenstore.Client(f"redis://400.late:{port}", timeout=0.3)
fails(tokenstore.TimeoutError, lambda: client.execute("PING"))
if (child := os.fork()) == 0:
    fails(tokenstore.TimeoutError, lambda: client.execute("PING"))
    os._exit(0 if client.execute("PING") == "PONG" else 1)
assert os.waitpid(child, 0)[1] == 0
assert client.execute("PING", timeout=2) == "PONG"

children = []
signal.signal(signal.SIGALRM, lambda *_: children.append(os.fork()))
fresh = tokenstore.Client(f"redis://400.late:{port}")
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    answer = fresh.execute("PING")
    assert answer == "PONG"
finally:
    if children == [0]: os._exit(0 if answer == "PONG" else 1)
assert os.waitpid(children[0], 0)[1] == 0
print(took())
""",
        server.port,
    )


def test_lua_may_unload_the_module_meanwhile() -> None:
    """A host closes its Lua state while the thread runs, and lives longer than the thread."""
    library = "liblua5.4.so.0"
    if shutil.which("lua5.4") is None:
        pytest.skip("no Lua 5.4 here")
    with suppress(OSError):
        import ctypes

        ctypes.CDLL(library)
        build = os.environ.get("TOKENSTORE_BUILD", ROOT / "build")
        run(
            f"""
import ctypes
lua = ctypes.CDLL({library!r}, ctypes.RTLD_GLOBAL)
lua.luaL_newstate.restype = ctypes.c_void_p
state = ctypes.c_void_p(lua.luaL_newstate())
lua.luaL_openlibs(state)
code = b'''
package.path = "{ROOT}/bindings/lua/?.lua;{ROOT}/bindings/lua/?/init.lua"
package.cpath = "{build}/lua/5.4/?.so"
local client = require("tokenstore").Client {{ redis = "redis://1000.late", timeout = 0.3 }}
local answer, message, code = client:execute "PING"
assert(answer == nil and code == "timeout" and message:find "host name", message)
'''
lua.lua_tolstring.restype = ctypes.c_char_p
failed = lua.luaL_loadstring(state, code) or lua.lua_pcallk(state, 0, 0, 0, None, None)
assert not failed, lua.lua_tolstring(state, -1, None)
assert took() < 1, took()
lua.lua_close(state)
time.sleep(1.2)
print(took())
"""
        )


# ---- several addresses -------------------------------------------------------------------------------


@contextmanager
def swallowing(address: str, port: int) -> Iterator[None]:
    """SYNs to it are dropped: a listener with a full backlog."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(8)]
        for s in crowd:
            s.setblocking(False)
            s.connect_ex((address, port))
        try:
            yield
        finally:
            for s in crowd:
                s.close()


def test_an_address_that_swallows_packets_costs_a_quarter_second_once(server: Server) -> None:
    with swallowing("127.0.0.2", server.port):
        in_time(
            0.25,
            """
client = tokenstore.Client(f"redis://127-0-0-2.127-0-0-3.list:{port}", pool_size=2)
assert client.execute("PING") == "PONG"
first = took()
for _ in range(5):  # the address that worked last goes first
    other = tokenstore.Client(f"redis://127.0.0.1:{port}")
    other.execute("CLIENT", "KILL", "TYPE", "normal")
    other.close()
    assert client.execute("PING") == "PONG"
assert took() - first < 1, (first, took())  # else each costs a quarter second
print(first)
""",
            server.port,
        )


def test_an_address_that_refuses_costs_nothing(server: Server) -> None:
    in_time(
        0,
        """
began = time.monotonic()
client = tokenstore.Client(f"redis://127-0-0-4.127-0-0-5.127-0-0-3.list:{port}")
assert client.execute("PING") == "PONG"
print(took())
""",
        server.port,
    )


def test_all_swallow(server: Server) -> None:
    """Each attempt has connect_timeout; there is one round, and no socket is left open."""
    with swallowing("127.0.0.2", server.port), swallowing("127.0.0.4", server.port):
        in_time(
            0.6,
            """
def sockets():
    return sum(os.readlink(f"/proc/self/fd/{fd}").startswith("socket")
               for fd in os.listdir("/proc/self/fd") if os.path.islink(f"/proc/self/fd/{fd}"))
url = f"redis://127-0-0-2.127-0-0-4.127-0-0-2.127-0-0-4.list:{port}"
client = tokenstore.Client(url, timeout=0.6, connect_timeout=5)
threading.Timer(0.4, lambda: open_then.append(sockets())).start()
open_then = []
fails(tokenstore.TimeoutError, lambda: client.execute("PING"))
assert open_then == [2], open_then
assert sockets() == 0
print(took())
""",
            server.port,
        )
        in_time(
            4 * 2 * 0.15 + 0.07,  # with the pauses between four attempts
            """
client = tokenstore.Client(f"redis://127-0-0-2.127-0-0-4.list:{port}", timeout=9, connect_timeout=0.15)
fails(tokenstore.ConnectionError, lambda: client.execute("PING"), "connect_timeout")
print(took())
""",
            server.port,
        )


def test_families_take_turns(server: Server) -> None:
    """Completely broken IPv6 costs a quarter second, not one for each address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", server.port))
        listener.listen(0)
        crowd = [socket.socket(socket.AF_INET6) for _ in range(8)]
        for s in crowd:
            s.setblocking(False)
            s.connect_ex(("::1", server.port))
        in_time(
            0.25,
            """
client = tokenstore.Client(f"redis://0--1.0--1.0--1.127-0-0-3.list:{port}")
assert client.execute("PING") == "PONG"
print(took())
""",
            server.port,
        )
        for s in crowd:
            s.close()
