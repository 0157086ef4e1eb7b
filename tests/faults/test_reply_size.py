"""Replies larger than max_reply_size: an immediate error for that call only."""

from __future__ import annotations

import threading
import time

import pytest

import fault_server as faults
import tokenstore
from conftest import Setup
from operations import A

LIMIT = 1 << 20
BEYOND = rf"the reply is larger than max_reply_size \({LIMIT} bytes\): request less at a time"


def make_sessions(direct: tokenstore.RedisTokens, owner: str, count: int = 40) -> list[str]:
    data = {"filler": "x" * 60_000}
    return [t.token for t in direct.create_many([dict(A, owner=owner, data=data)] * count)]


def connections(direct: tokenstore.RedisTokens) -> int:
    info = direct.client.execute("INFO", "stats").decode()
    return int(info.split("total_connections_received:")[1].split()[0])


def test_a_listing(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    """One attempt, on a connection that stays usable; the message contains advice."""
    make_sessions(direct, "many")
    with setup.client(max_reply_size=LIMIT, timeout=20) as client:
        store = tokenstore.RedisTokens(client)
        store.create(**A, owner="few")
        before, began = connections(direct), time.monotonic()
        for _ in range(3):
            with pytest.raises(tokenstore.LimitError, match=BEYOND):
                store.list(**A, owner="many")
            assert len(store.list(**A, owner="few")) == 1
        assert time.monotonic() - began < 10
        assert connections(direct) == before


def test_many_at_once(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    """Concurrent calls, on the same connection or another, get their replies."""
    make_sessions(direct, "many")
    token = direct.create(**A, owner="other", data={"n": 1}).token
    outcomes: list[object] = []
    with setup.client(max_reply_size=LIMIT, timeout=30, pool_size=4) as client:
        store = tokenstore.RedisTokens(client)

        def large() -> None:
            for _ in range(5):
                with pytest.raises(tokenstore.LimitError):
                    store.list(**A, owner="many")

        def small() -> None:
            try:
                for _ in range(100):
                    found = store.get(**A, token=token)
                    assert found is not None
                    assert found.data == {"n": 1}
                outcomes.append(None)
            except BaseException as error:
                outcomes.append(error)

        threads = [threading.Thread(target=work) for work in (large, small, small, small)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == [None] * 3


def test_get_many(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    """The limit applies to each reply of a batch: their sum may be larger."""
    tokens = make_sessions(direct, "many")
    with setup.client(max_reply_size=LIMIT, timeout=20) as client:
        found = tokenstore.RedisTokens(client).get_many(**A, tokens=tokens)
        assert all(token is not None for token in found)
    with setup.client(max_reply_size=50_000, timeout=20) as client:
        with pytest.raises(tokenstore.LimitError, match="50000 bytes"):
            tokenstore.RedisTokens(client).get_many(**A, tokens=tokens)
        assert client.execute("PING") == "PONG"


def test_a_change_says_that_it_was_made(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    token = direct.create(**A, owner="bob", data={"filler": "x" * 60_000}).token
    with setup.client(max_reply_size=50_000, timeout=20) as client:
        store = tokenstore.RedisTokens(client)
        with pytest.raises(tokenstore.LimitError, match="the command was executed"):
            store.update(**A, token=token, data={"role": "admin"})
        assert store.delete(**A, token=token) is True


def test_raw_commands(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    """In a pipeline it takes the place of its reply, like an error of the server."""
    direct.client.execute("SET", "large", b"x" * (LIMIT + 1))
    direct.client.execute("SET", "small", b"x" * (LIMIT - 100))
    with setup.client(max_reply_size=LIMIT, timeout=20) as client:
        with pytest.raises(tokenstore.LimitError, match=BEYOND):
            client.execute("GET", "large")
        assert len(client.execute("GET", "small")) == LIMIT - 100
        commands = [("ECHO", "a"), ("GET", "large"), ("NONSENSE",), ("GET", "large"), ("ECHO", "b")]
        got = client.pipeline(commands, raise_errors=False)
        kinds = [type(one) for one in got]
        assert kinds == [bytes, tokenstore.LimitError, tokenstore.ServerError, tokenstore.LimitError, bytes]
        with pytest.raises(tokenstore.LimitError):
            client.pipeline(commands)
        deep = "return " + "{" * 40 + "1" + "}" * 40
        assert client.pipeline([("ECHO", "c")]) == [b"c"]
        with pytest.raises(tokenstore.LimitError, match="nested deeper than"):
            client.execute("EVAL", deep, "0")
        assert client.execute("ECHO", "d") == b"d"


@pytest.mark.parametrize(
    ("head", "text"),
    [(b"$1000000000000\r\n", b"x" * 4096), (b"*1000000000000\r\n", b":1\r\n" * 1000), (b"+", b"x" * 4096)],
    ids=["string", "array", "status"],
)
def test_without_an_end(setup: Setup, direct: tokenstore.RedisTokens, head: bytes, text: bytes) -> None:
    """The deadline ends it; the next call works."""
    token = direct.create(**A, owner="bob").token
    with setup.client(max_reply_size=100_000, timeout=0.5) as client:
        store = tokenstore.RedisTokens(client)
        assert store.get(**A, token=token) is not None
        setup.server.arm(faults.endless(head, text, 0.0001))
        began = time.monotonic()
        with pytest.raises((tokenstore.LimitError, tokenstore.TimeoutError)):
            store.get(**A, token=token)
        assert time.monotonic() - began < 2
        assert client.execute("PING", timeout=5) == "PONG"


def test_the_deadline_passes_in_its_midst(setup: Setup, direct: tokenstore.RedisTokens) -> None:
    """By then it is known that the reply is too large, and that the command was executed."""
    token = direct.create(**A, owner="bob").token
    endless = faults.endless(b"$1000000000000\r\n", b"x" * 4096, 0.001)
    with setup.client(max_reply_size=100_000, timeout=0.5) as client:
        store = tokenstore.RedisTokens(client)
        assert client.execute("PING", timeout=5) == "PONG"
        setup.server.arm(endless)
        with pytest.raises(tokenstore.LimitError, match="100000 bytes"):
            store.get(**A, token=token)
        assert client.execute("PING", timeout=5) == "PONG"
        setup.server.arm(endless)
        with pytest.raises(tokenstore.LimitError, match="the command was executed"):
            store.update(**A, token=token, data={"n": 1})
        assert client.execute("PING", timeout=5) == "PONG"
