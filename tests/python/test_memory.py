"""No leaks of Python objects or C memory, also with errors and under GC stress."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisTokens

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"

WORK = """
import gc, sys, tokenstore
client = tokenstore.Client(URL)
tokens = tokenstore.RedisTokens(client)
APP, TYPE = "".join(["a", "pp"]), "".join(["t", "ype"])
DATA = {"name": "n", "list": [1, 2.5, None, {"x": "y"}], "é": "ü"}
kept = tokens.create(APP, TYPE, "o", DATA, 600).token

def refused(call, *args, **options):
    try:
        call(*args, **options)
    except (tokenstore.Error, TypeError):
        return
    raise AssertionError("not refused")

def everything():
    token = tokens.create(APP, TYPE, "p", DATA, 60)
    tokens.get(APP, TYPE, token.token, refresh=60, expiry=True)
    tokens.get(APP, TYPE, kept)
    tokens.get(APP, TYPE, "none")
    tokens.get("a\\udcff", TYPE, "\\ud800")
    tokens.update(APP, TYPE, token.token, {"n": 1, "name": None, "z": tokenstore.UNSET})
    tokens.refresh(APP, TYPE, token.token, 60)
    new = tokens.rotate(APP, TYPE, token.token)
    tokens.get_many(APP, TYPE, [new.token, "none", "x\\udcff"])
    many = tokens.create_many([{"app": APP, "type": TYPE, "owner": "p"}] * 3)
    tokens.list(APP, TYPE, "p")
    tokens.delete_by_id(APP, TYPE, "p", many[0].id)
    tokens.delete(APP, TYPE, new.token)
    tokens.delete_all(APP, TYPE, "p")
    client.execute("ECHO", b"x" * 100)
    client.pipeline([["ECHO", 1], ["ECHO", 1.5], ["ECHO", bytearray(b"x")], ["PING"]])
    tokenstore.RedisTokens(client, pepper="0123456789abcdef", prefix=b"p\\xff")
    with tokenstore.Client(URL) as other:
        other.execute("PING")
    tokenstore.Client(URL).execute("PING")
    repr(token), hash(token), token == new

def errors():
    refused(tokens.create, "", "t", "o")
    refused(tokens.create, APP, TYPE, "o\\ud800")
    refused(tokens.create, "a\\udcff", TYPE, "o", {"x": [1, {"y": object()}]})
    refused(tokens.create, APP, TYPE, "o", {"x": "\\ud800"})
    refused(tokens.create, APP, TYPE, "o", 5)
    refused(tokens.create, APP, TYPE, "o", DATA, -1)
    refused(tokens.create, APP, TYPE, "o", DATA, 60, "")
    refused(tokens.create_many, [{"app": APP, "type": TYPE, "owner": "o"}, {"app": APP, "type": TYPE, "owner": 5.5}])
    refused(tokens.get_many, APP, TYPE, ["x\\udcff", 5])
    refused(tokens.update, APP, TYPE, kept, {"x": {1: 2}})
    refused(client.execute, "NONSENSE", "x")
    refused(client.execute, "ECHO", None)
    refused(client.execute)
    refused(client.pipeline, [["PING"], ["NONSENSE"]])
    refused(tokenstore.RedisTokens, client, token_size=0)
    refused(tokenstore.RedisTokens, client, pepper="short")
    refused(tokenstore.Client, "redis://localhost?colour=red")
    refused(tokenstore.Token, 1, 2)
"""


def run(server: Server, *parts: str) -> str:
    code = f"URL = {server.url!r}\n" + WORK + "".join(map(textwrap.dedent, parts))
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_python_blocks(server: Server) -> None:
    run(
        server,
        """
        def blocks(rounds):
            for _ in range(rounds):
                everything()
                errors()
            gc.collect()
            return sys.getallocatedblocks()
        blocks(100)
        before = blocks(100)
        after = blocks(500)
        assert after - before < 60, after - before
        """,
    )


def test_references(server: Server) -> None:
    run(
        server,
        """
        import datetime
        watched = [tokenstore.Token, tokenstore.UNSET, datetime.timedelta, tokenstore.DataError,
                   tokenstore.ServerError, DATA, DATA["list"], kept, APP, TYPE, client, client._core, tokens._ops,
                   type(tokens._ops), type(client._core)]
        def counts(rounds):
            for _ in range(rounds):
                everything()
                errors()
            gc.collect()
            return [sys.getrefcount(x) for x in watched]
        before = counts(50)
        after = counts(300)
        assert all(b - a < 10 for a, b in zip(before, after)), (before, after)
        """,
    )


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan keeps freed memory")
def test_resident_memory_reaches_a_plateau(server: Server) -> None:
    """The memory of malloc does not grow."""
    run(
        server,
        f"ROUNDS, LIMIT = {(2000, 200_000) if SOAK else (800, 400_000)}\n",  # malloc's own growth is within 230 kB
        """
        def resident(rounds):
            for _ in range(rounds):
                everything()
                errors()
            gc.collect()
            with open("/proc/self/statm") as f:
                return int(f.read().split()[1]) * 4096
        resident(ROUNDS // 4)
        before = resident(ROUNDS // 4)
        after = resident(ROUNDS)
        assert after - before < LIMIT, after - before
        """,
    )


def test_garbage_collection_at_every_step(server: Server) -> None:
    run(
        server,
        """
        gc.set_threshold(1)
        for _ in range(100):
            everything()
            errors()
        """,
    )


def test_cycles_through_a_client_are_collected(server: Server) -> None:
    class Holder:
        pass

    holder = Holder()
    holder.tokens = RedisTokens(server.url, client_name="cycle")
    holder.self = holder
    holder.tokens.client.execute("PING")
    assert b"name=cycle" in server("CLIENT", "LIST")
    del holder
    gc.collect()
    while b"name=cycle" in server("CLIENT", "LIST"):
        pass


def test_interpreter_exit_with_everything_alive(server: Server) -> None:
    out = run(
        server,
        """
        import threading
        everything()
        def waiting():
            try:
                client.execute("BLPOP", "none", 0)
            except tokenstore.Error:
                pass
        for _ in range(3):
            threading.Thread(target=waiting, daemon=True).start()
        other = tokenstore.Client(URL)
        while b"blocked_clients:3" not in other.execute("INFO", "clients"):
            pass
        print("the end")
        """,
    )
    assert out == "the end\n"


INTERPRETERS = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
config = {}
if ".abi3." in tokenstore._core.__file__:  # which cannot have a GIL of its own (setup.py)
    config = {"config": "legacy"} if sys.version_info >= (3, 13) else {"isolated": False}
code = WORK_AND_URL + "everything()\\nerrors()\\n"
for _ in range(3):
    interpreter = interpreters.create(**config)
    result = interpreters.run_string(interpreter, code)
    assert result is None, result
    interpreters.destroy(interpreter)
everything()
print("fine")
"""


def test_subinterpreters(server: Server) -> None:
    """Each has its own module and state; from 3.12 on its own GIL, if supported."""
    setting = f"URL = {server.url!r}\n" + WORK
    out = run(server, f"import sys\nWORK_AND_URL = {setting!r}\n" + INTERPRETERS)
    assert out == "fine\n"


def test_the_module_is_loaded_twice(server: Server) -> None:
    """del sys.modules and import again: new types, new exceptions, both usable."""
    out = run(
        server,
        """
        everything()
        first = tokenstore
        for name in [n for n in sys.modules if n.split(".")[0] == "tokenstore"]:
            del sys.modules[name]
        import tokenstore
        assert tokenstore is not first
        assert tokenstore.DataError is not first.DataError
        second = tokenstore.RedisTokens(URL)
        try:
            second.create("", "t", "o")
        except tokenstore.DataError:
            pass
        assert type(second.create("a", "t", "o")) is tokenstore.Token
        assert type(tokens.create("a", "t", "o")) is first.Token
        del first, second, tokens, client, kept
        gc.collect()
        print("fine")
        """,
    )
    assert out == "fine\n"


def test_slots_are_not_dicts() -> None:
    token = tokenstore.Token("a", "t", "o", {}, None, "i", 1.0, None)
    assert not hasattr(token, "__dict__")
    assert sys.getsizeof(token) <= 140
