"""The pool: never more connections than configured, none used by two threads, fair order."""

from __future__ import annotations

import re
import threading
import time

import pytest

import fault_server as faults
import tokenstore
from conftest import Setup
from fault_server import FaultServer
from servers import Server, running
from timing import ends_within

THREADS = 24


def named(server: Server, name: str) -> int:
    return sum(f" name={name} ".encode() in line for line in clients(server))


def clients(server: Server) -> list[bytes]:
    return server("CLIENT", "LIST").splitlines()


def test_size_holds(redis: Server) -> None:
    with tokenstore.Client(redis.url, pool_size=3, client_name="three") as client:
        most, failures = [0], []
        served = [0] * THREADS
        began = threading.Barrier(THREADS)

        def work(number: int) -> None:
            try:
                began.wait(60)
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    text = f"{number}-{served[number]}"
                    assert client.execute("ECHO", text) == text.encode()
                    served[number] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most[0] = max(most[0], named(redis, "three"))
            time.sleep(0.01)
        assert not failures, failures[0]
        assert most[0] == 3
        # Callers queue: none starves.
        assert min(served) > max(served) / 4 > 0, served


def test_a_connection_ends_with_its_age(redis: Server) -> None:
    with tokenstore.Client(redis.url, max_connection_age=0.4, client_name="aged") as client:
        first = client.execute("CLIENT", "ID")
        assert client.execute("CLIENT", "ID") == first
        time.sleep(0.41)
        second = client.execute("CLIENT", "ID")
        assert second != first
        assert client.execute("CLIENT", "ID") == second
        assert named(redis, "aged") == 1  # the old one was closed
    with tokenstore.Client(redis.url, max_connection_age=0) as client:
        first = client.execute("CLIENT", "ID")
        time.sleep(0.41)
        assert client.execute("CLIENT", "ID") == first


def test_one_connection_serves_one_thread(redis: Server) -> None:
    """Sequential calls need one connection, whatever the pool size."""
    with tokenstore.Client(redis.url, pool_size=16, client_name="lifo") as client:
        for _ in range(50):
            client.execute("PING")
        assert named(redis, "lifo") == 1


def test_exhausted(setup: Setup) -> None:
    with setup.client(pool_size=1) as client:
        client.execute("PING")
        setup.server.arm(faults.hang)

        def hold() -> None:
            with pytest.raises(tokenstore.OutcomeUnknownError):
                client.execute("PING", timeout=20)

        holder = threading.Thread(target=hold)
        holder.start()
        while setup.server.pending:
            time.sleep(0.001)

        def attempt() -> None:
            with pytest.raises(tokenstore.TimeoutError) as caught:
                client.execute("PING", timeout=0.1)
            assert "pool_size" in str(caught.value)
            assert "1 connections" in str(caught.value)

        ends_within(0.15, attempt)
        # A waiting caller gets the slot of a failed one.
        failing = threading.Timer(0.1, setup.server.drop)
        failing.start()
        assert client.execute("PING", timeout=20) == "PONG"
        failing.join()
        holder.join()


def test_close_wakes_those_who_wait(setup: Setup) -> None:
    client = setup.client(pool_size=1, timeout=60)
    client.execute("PING")
    setup.server.arm(faults.hang)
    outcomes: list[BaseException] = []

    def work() -> None:
        try:
            client.execute("PING")
        except tokenstore.Error as error:
            outcomes.append(error)

    holder = threading.Thread(target=work)
    holder.start()
    while setup.server.pending:
        time.sleep(0.001)
    waiting = [threading.Thread(target=work) for _ in range(4)]
    for thread in waiting:
        thread.start()
    time.sleep(0.1)
    client.close()
    for thread in waiting:
        thread.join(10)
    assert not any(thread.is_alive() for thread in waiting)
    assert len(outcomes) == 4
    assert all("closed" in str(o) for o in outcomes)
    setup.server.drop()
    holder.join()


def test_server_that_ends_idle_connections() -> None:
    """Redis' own `timeout`: an operation finds its connection closed and silently uses another."""
    with running("--timeout", "1", "--hz", "100") as server:
        with tokenstore.Client(server.url, client_name="idle") as client:
            client.execute("SET", "n", 0)
            while named(server, "idle"):
                time.sleep(0.05)
            assert client.execute("INCR", "n") == 1


def test_read_only_server_is_left(redis: Server) -> None:
    """READONLY: the address now leads to the new primary, but older connections, in use or idle, do not."""
    with running("--replicaof", "127.0.0.1", "1") as replica:
        assert replica.socket_path is not None
        with FaultServer(replica.socket_path) as server:
            with tokenstore.Client(server.url, timeout=3, pool_size=4) as client:
                store = tokenstore.RedisTokens(client)
                use_all(client, 4, replica)
                assert server.connections == 4
                server.upstream = str(redis.socket_path)
                token = store.create(app="a", type="t", owner="o").token
                use_all(client, 4, redis)
                assert server.connections == 8  # the idle ones were dropped too
                assert store.get(app="a", type="t", token=token) is not None


def use_all(client: tokenstore.Client, count: int, server: Server) -> None:
    """Uses `count` connections at the same time, all waiting at the server."""
    wait = ("XREAD", "BLOCK", "20000", "STREAMS", "none", "$")
    threads = [
        threading.Thread(target=client.execute, args=wait, kwargs={"timeout": 30})
        for _ in range(count)
    ]
    for thread in threads:
        thread.start()
    while len(waiting := re.findall(rb"(?m)^id=(\d+) .* flags=\w*b", server("CLIENT", "LIST"))) < count:
        time.sleep(0.001)
    for id in waiting:
        server("CLIENT", "UNBLOCK", id)
    for thread in threads:
        thread.join()


def test_clients_share_nothing(redis: Server) -> None:
    with tokenstore.Client(redis.url, db=1) as one, tokenstore.Client(redis.url, db=2) as two:
        one.execute("SET", "x", "one")
        two.execute("SET", "x", "two")
        assert (one.execute("GET", "x"), two.execute("GET", "x")) == (b"one", b"two")
