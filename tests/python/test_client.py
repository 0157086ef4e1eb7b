"""Client: execute and pipeline, every kind of reply, any bytes; closing and sharing."""

from __future__ import annotations

import array
import enum
import gc
import logging
import os
import re
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import tokenstore
from servers import Server, free_port, paused, running
from tokenstore import Client

ALL_BYTES = bytes(range(256))


# ---- replies -------------------------------------------------------------------------------------


def test_kinds_of_replies(client: Client) -> None:
    assert client.execute("PING") == "PONG"
    assert client.execute("SET", "k", "v") == "OK"
    assert client.execute("GET", "k") == b"v"
    assert client.execute("GET", "none") is None
    assert client.execute("INCR", "n") == 1
    assert client.execute("DECRBY", "n", 2**62) == 1 - 2**62
    assert client.execute("MGET", "k", "none", "n") == [b"v", None, str(1 - 2**62).encode()]
    assert client.execute("LRANGE", "none", 0, -1) == []
    assert client.execute("BLPOP", "none", "0.01") is None
    assert client.execute("SET", "empty", "") == "OK"
    assert client.execute("GET", "empty") == b""
    nested = client.execute("EVAL", "return {1, {'a', {}, {2, false}}, redis.status_reply('S')}", 0)
    assert nested == [1, [b"a", [], [2, None]], "S"]


def test_errors(client: Client) -> None:
    client.execute("SET", "k", "v")
    with pytest.raises(tokenstore.ServerError, match="^WRONGTYPE ") as caught:
        client.execute("LPUSH", "k", "x")
    assert caught.value.code == "WRONGTYPE"
    assert isinstance(caught.value, tokenstore.Error)
    reply = client.execute("EVAL", "return {1, redis.error_reply('MINE no'), 2}", 0)
    assert reply[0::2] == [1, 2]
    assert isinstance(reply[1], tokenstore.ServerError)
    assert str(reply[1]) == "MINE no"
    assert client.execute("PING") == "PONG"


def test_an_unknown_command_does_not_quote_its_arguments(client: Client) -> None:
    with pytest.raises(tokenstore.ServerError, match="unknown command") as caught:
        client.execute("AUHT", "bob", "CANARY")
    assert "CANARY" not in str(caught.value)


# ---- arguments -----------------------------------------------------------------------------------


class Number(enum.IntEnum):
    SEVEN = 7


@pytest.mark.parametrize(
    ("argument", "sent"),
    [
        (ALL_BYTES, ALL_BYTES),
        (b"", b""),
        (b"\r\n$3\r\n", b"\r\n$3\r\n"),
        (bytearray(ALL_BYTES), ALL_BYTES),
        (memoryview(ALL_BYTES), ALL_BYTES),
        (memoryview(ALL_BYTES)[::2], ALL_BYTES[::2]),
        ("", b""),
        ("ünï\0", "ünï\0".encode()),
        ("\udcff\udc80", b"\xff\x80"),
        (0, b"0"),
        (-(2**200), str(-(2**200)).encode()),
        (Number.SEVEN, b"7"),
        (0.1, b"0.1"),
        (1e300, b"1e+300"),
        (1.0, b"1"),
        (float("inf"), b"inf"),
        (b"x" * 10_000_000, b"x" * 10_000_000),
    ],
)
def test_arguments(client: Client, argument: Any, sent: bytes) -> None:
    assert client.execute("ECHO", argument) == sent


@pytest.mark.parametrize(
    "wrong", [None, True, False, ["x"], {"a": 1}, object(), 1j, array.array("b", [1])]
)
def test_wrong_arguments(client: Client, wrong: Any) -> None:
    with pytest.raises(TypeError, match="argument"):
        client.execute("ECHO", wrong)
    with pytest.raises(TypeError, match="argument"):
        client.pipeline([["PING"], ["ECHO", wrong]])


def test_a_surrogate_that_is_no_byte(client: Client) -> None:
    with pytest.raises(tokenstore.DataError):
        client.execute("ECHO", "\ud800")


def test_no_command(client: Client) -> None:
    with pytest.raises(tokenstore.DataError):
        client.execute()
    with pytest.raises(tokenstore.DataError):
        client.pipeline([["PING"], []])
    with pytest.raises(TypeError):
        client.pipeline(["PING"])
    with pytest.raises(TypeError):
        client.pipeline([b"PING"])
    with pytest.raises(TypeError):
        client.pipeline([5])


# ---- pipeline ------------------------------------------------------------------------------------


def test_pipeline(client: Client) -> None:
    assert client.pipeline([]) == []
    assert client.pipeline([["SET", "k", ALL_BYTES], ("GET", "k"), ["PING"]]) == [
        "OK",
        ALL_BYTES,
        "PONG",
    ]
    many = client.pipeline(["ECHO", n] for n in range(10_000))
    assert many == [str(n).encode() for n in range(10_000)]
    big = b"x" * 1_000_000
    assert client.pipeline([["ECHO", big]] * 20) == [big] * 20


def test_pipeline_with_errors(client: Client) -> None:
    commands = [["SET", "k", "v"], ["LPUSH", "k", "x"], ["NONSENSE"], ["SET", "k", "last"]]
    with pytest.raises(tokenstore.ServerError, match="WRONGTYPE"):
        client.pipeline(commands)
    assert client.execute("GET", "k") == b"last"
    replies = client.pipeline(commands, raise_errors=False)
    assert replies[0] == replies[3] == "OK"
    assert [type(r) for r in replies[1:3]] == [tokenstore.ServerError] * 2
    assert replies[1].code == "WRONGTYPE"
    assert replies[2].code == "ERR"


def test_ping(client: Client) -> None:
    assert client.ping() is True
    assert client.ping(timeout=1) is True
    with pytest.raises(tokenstore.DataError, match="timeout"):
        client.ping(timeout=0)
    with Client("redis://127.0.0.1:1") as nobody, pytest.raises(tokenstore.ConnectionError, match="refused"):
        nobody.ping()


def test_ping_over_a_lost_connection(server: Server) -> None:
    """It is retried, unlike execute("PING"), which is not known to be idempotent."""
    with Client(server.url, pool_size=1) as client, Client(server.url) as other:
        mine = client.execute("CLIENT", "ID")
        other.execute("CLIENT", "KILL", "ID", mine)
        assert client.ping() is True


def test_a_transaction_in_a_pipeline(client: Client) -> None:
    replies = client.pipeline([["MULTI"], ["INCR", "n"], ["INCR", "n"], ["EXEC"]])
    assert replies == ["OK", "QUEUED", "QUEUED", [1, 2]]


# ---- time ----------------------------------------------------------------------------------------


def test_timeout_of_one_call(client: Client) -> None:
    assert client.execute("PING", timeout=1.5) == "PONG"
    for wrong in (0, -1, float("nan"), float("inf"), 1e12):
        with pytest.raises(tokenstore.DataError, match="timeout"):
            client.execute("PING", timeout=wrong)
    with pytest.raises(TypeError, match="timeout"):
        client.execute("PING", timeout="1")
    with pytest.raises(tokenstore.OutcomeUnknownError):
        client.execute("BLPOP", "none", 0, timeout=0.05)
    assert client.execute("PING") == "PONG"


def test_timeout_of_the_client(server: Server) -> None:
    with Client(server.url, timeout=0.1) as client:
        assert client.execute("PING", timeout=20) == "PONG"
        with paused(server), pytest.raises(tokenstore.OutcomeUnknownError):
            client.execute("PING")
        tokens = tokenstore.RedisTokens(client)
        with paused(server), pytest.raises(tokenstore.TimeoutError) as caught:
            tokens.get("a", "t", "x")
        assert isinstance(caught.value, TimeoutError)
        assert client.execute("PING", timeout=20) == "PONG"


def test_max_reply_size(server: Server) -> None:
    with Client(server.url, max_reply_size=100_000) as client:
        assert len(client.execute("ECHO", "x" * 90_000)) == 90_000
        with pytest.raises(tokenstore.LimitError, match="max_reply_size"):
            client.execute("ECHO", "x" * 1_000_000)
        assert client.execute("PING") == "PONG"


def test_pool_size(server: Server) -> None:
    with Client(server.url, pool_size=2, client_name="two") as client:

        def blocked() -> None:
            for _ in range(20):
                client.execute("BLPOP", "none", "0.01")

        threads = [threading.Thread(target=blocked) for _ in range(6)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, server("CLIENT", "LIST").count(b"name=two"))
        assert most == 2


# ---- closing -------------------------------------------------------------------------------------


def test_close(server: Server) -> None:
    client = Client(server.url)
    assert client.execute("PING") == "PONG"
    assert not client.closed
    client.close()
    client.close()
    assert client.closed
    assert "closed" in repr(client)
    with pytest.raises(tokenstore.Error) as caught:
        client.execute("PING")
    assert type(caught.value) is tokenstore.Error
    assert "closed" in str(caught.value)
    with pytest.raises(tokenstore.Error):
        tokenstore.RedisTokens(client).get("a", "t", "x")


def connections(server: Server, name: str) -> int:
    return int(server("CLIENT", "LIST").count(b"name=" + name.encode()))


def wait_for_connections(server: Server, name: str, count: int) -> None:
    with server.wire() as wire:
        for _ in range(100_000):
            if wire("CLIENT", "LIST").count(b"name=" + name.encode()) == count:
                return
    raise AssertionError(f"{connections(server, name)} connections, not {count}")


def test_close_ends_the_connections(server: Server) -> None:
    with Client(server.url, client_name="mine") as client:
        client.execute("PING")
        wait_for_connections(server, "mine", 1)
    wait_for_connections(server, "mine", 0)


def test_a_forgotten_client_ends_its_connections(server: Server) -> None:
    client = Client(server.url, client_name="forgotten")
    client.execute("PING")
    wait_for_connections(server, "forgotten", 1)
    del client
    gc.collect()
    wait_for_connections(server, "forgotten", 0)


def test_a_store_closes_its_own_client_only(server: Server) -> None:
    with tokenstore.RedisTokens(server.url) as tokens:
        own = tokens.client
    assert own.closed
    with Client(server.url) as client:
        with tokenstore.RedisTokens(client) as tokens:
            assert tokens.client is client
        with tokenstore.Sessions(client):
            pass
        tokens.close()
        assert not client.closed
        assert tokens.get("a", "t", "x") is None


def test_close_while_others_wait(server: Server) -> None:
    client = Client(server.url, timeout=10)
    client.execute("PING")
    outcomes: list[object] = []
    started = threading.Barrier(5)

    def wait() -> None:
        started.wait()
        try:
            outcomes.append(client.execute("BLPOP", "none", 1))
        except tokenstore.Error as error:
            outcomes.append(error)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    while server("INFO", "clients").count(b"blocked_clients:4") == 0:
        pass
    client.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(outcomes) == 4
    assert all(o is None or isinstance(o, tokenstore.Error) for o in outcomes)


def test_weak_references(client: Client, tokens: tokenstore.RedisTokens) -> None:
    assert weakref.ref(client)() is client
    assert weakref.ref(tokens)() is tokens


# ---- reconnecting, forking -----------------------------------------------------------------------


def test_the_server_restarts() -> None:
    with running() as server, Client(server.url) as client:
        tokens = tokenstore.RedisTokens(client)
        token = tokens.create("a", "t", "o")
        server.kill()
        with pytest.raises(tokenstore.ConnectionError) as caught:
            tokens.get("a", "t", token.token)
        assert isinstance(caught.value, ConnectionError)
        server.start()
        assert tokens.get("a", "t", token.token) is None
        assert tokens.create("a", "t", "o").owner == "o"


def test_nobody_listens() -> None:
    with Client(f"redis://127.0.0.1:{free_port()}") as client:
        with pytest.raises(tokenstore.ConnectionError):
            client.execute("PING")
    with Client("unix:///nonexistent/redis.sock") as client:
        with pytest.raises(tokenstore.ConnectionError):
            client.execute("PING")


def test_fork(client: Client) -> None:
    tokens = tokenstore.RedisTokens(client)
    token = tokens.create("a", "t", "o", {"n": 1})
    for _ in range(10):
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                found = tokens.get("a", "t", token.token)
                echoed = [client.execute("ECHO", n) for n in range(50)]
                good = found == tokens.get("a", "t", token.token) and echoed == [
                    str(n).encode() for n in range(50)
                ]
                os.write(write_end, b"1" if good else b"0")
            finally:
                os._exit(0)
        assert [client.execute("ECHO", -n) for n in range(50)] == [
            str(-n).encode() for n in range(50)
        ]
        os.waitpid(pid, 0)
        assert os.read(read_end, 1) == b"1"
        os.close(read_end)
        os.close(write_end)


# ---- repr and attributes -------------------------------------------------------------------------


def test_repr_and_url(server: Server) -> None:
    url = f"redis://CANARYUSER:CANARYPASS@127.0.0.1:{free_port()}/3?client_name=CANARYNAME"
    with Client(url) as client, tokenstore.RedisTokens(client) as tokens:
        for text in (repr(client), str(client), client.url, repr(tokens)):
            assert "CANARY" not in text
            assert "127.0.0.1" in text
    assert repr(Client(server.url)) == f"<tokenstore.Client {server.url}>"


def test_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tokenstore")
    with Client(server.url):
        pass
    messages = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert messages == [
        ("tokenstore", "DEBUG", f"client made for {server.url}"),
        ("tokenstore", "DEBUG", f"client closed for {server.url}"),
    ]


def test_quiet_without_handlers() -> None:
    handlers = logging.getLogger("tokenstore").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


def test_every_file_has_types() -> None:
    package = Path(tokenstore.__file__).parent
    assert (package / "py.typed").exists()
    assert (package / "_core.pyi").exists()
    assert (package / "_oauth.pyi").exists()


def test_what_is_exported() -> None:
    assert sorted(tokenstore.__all__) == sorted(set(tokenstore.__all__))
    for name in tokenstore.__all__:
        assert hasattr(tokenstore, name)
    namespace: dict[str, Any] = {}
    exec("from tokenstore import *", namespace)
    assert set(tokenstore.__all__) <= set(namespace)


# ---- commands that would change a shared connection ----------------------------------------------------


@pytest.mark.parametrize(
    ("commands", "advice"),
    [
        ([["SELECT", 3]], "redis://…/3"),
        ([[b"select", b"3"]], "redis://…/3"),
        ([[bytearray(b"Auth"), "CANARY"]], "redis://user:password@host"),
        ([[memoryview(b"SUBSCRIBE"), "c"]], "a separate Redis client"),
        ([["CLIENT", b"setname", "x"]], "client_name="),
        ([["PING"], ["WATCH", "k"], ["PING"]], "EVAL"),
        ([["MULTI"], ["INCR", "n"]], "into one pipeline"),
    ],
)
def test_what_would_change_the_connection_is_not_sent(
    server: Server, commands: list[list[tokenstore.client.Argument]], advice: str
) -> None:
    with Client("redis://127.0.0.1:1", timeout=0.1) as nowhere:
        with pytest.raises(tokenstore.DataError, match=re.escape(advice)) as caught:
            nowhere.pipeline(commands)
        assert "CANARY" not in str(caught.value)
        if len(commands) == 1:
            with pytest.raises(tokenstore.DataError, match=re.escape(advice)):
                nowhere.execute(*commands[0])
    with Client(server.url) as client:
        before = client.execute("CLIENT", "INFO").split(b" resp=")[0].split(b" cmd=")[0]
        with pytest.raises(tokenstore.DataError):
            client.pipeline(commands, raise_errors=False)
        assert client.execute("SET", "k", "v") == "OK"
        assert client.pipeline([["MULTI"], ["GET", "k"], ["EXEC"]])[2] == [b"v"]
        assert before.split()[0] == client.execute("CLIENT", "INFO").split()[0]


# ---- the log -------------------------------------------------------------------------------------------


def test_what_was_tried_again_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tokenstore")
    with Client(f"redis://bob:CANARY@127.0.0.1:{free_port()}", timeout=1) as client:
        caplog.clear()
        with pytest.raises(tokenstore.ConnectionError):
            client.execute("GET", "CANARY")
        # One line per reason, whatever the number of retries.
        (record,) = caplog.records
        assert record.levelname == "INFO"
        assert record.getMessage().startswith("trying again: redis://127.0.0.1:")
        assert "refused" in record.getMessage()


def test_a_replica_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with running() as server, tokenstore.RedisTokens(server.url, timeout=0.3) as tokens:
        tokens.create("a", "t", "CANARY", {"CANARY": 1})
        caplog.clear()
        assert not caplog.records
        server("REPLICAOF", "127.0.0.1", 1)
        # Unknown if the deadline comes amid the last attempt.
        with pytest.raises((tokenstore.TimeoutError, tokenstore.OutcomeUnknownError)):
            tokens.create("a", "t", "CANARY", {"CANARY": 1})
        assert caplog.records
        for record in caplog.records:  # one, or more if the machine is slow
            assert (record.name, record.levelname) == ("tokenstore", "WARNING")
            assert record.getMessage().startswith(f"{server.url}: dropping the connections to this server: the server")
            assert "READONLY" in record.getMessage()
        assert "CANARY" not in caplog.text


def test_a_handler_that_fails_ends_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)

    def explode(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    log = logging.getLogger("tokenstore")
    log.addFilter(explode)
    try:
        with running() as server, Client(server.url) as client:
            client.execute("SET", "k", "v")
            server("REPLICAOF", "127.0.0.1", 1)
            assert client.pipeline([["SET", "k", "w"], ["GET", "k"]], raise_errors=False)[1] == b"v"
    finally:
        log.removeFilter(explode)
    assert len(seen) == 1
