"""Signals: the host's handlers run within 100 ms wherever a call waits, and may end it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import fault_server as faults
import tokenstore
from conftest import Setup
from operations import A
from timing import ends_within, late_by

DELAY = 0.17  # not a multiple of the slice
SOON = DELAY + 0.1


class Interrupted(Exception):
    pass


def interrupt(number: int, frame: object) -> None:
    raise Interrupted


@contextmanager
def alarm(handler: Callable[[int, object], None] = interrupt) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, DELAY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupted(call: Callable[[], object], copying: float = 0) -> None:
    def attempt() -> None:
        with alarm(), pytest.raises(Interrupted):
            call()

    ends_within(SOON + copying, attempt)


def test_while_waiting_for_an_answer(setup: Setup) -> None:
    with setup.client(timeout=10) as client:
        store = tokenstore.RedisTokens(client)
        token = store.create(**A, owner="signal", data={"s": 1}).token

        def call() -> None:
            setup.server.arm(faults.hang)
            store.get(**A, token=token)

        interrupted(call)
        assert store.get(**A, token=token).data == {"s": 1}


def test_while_an_answer_drips(setup: Setup) -> None:
    """poll() hardly ever blocks here."""
    with setup.client(timeout=10) as client:

        def call() -> None:
            setup.server.arm(faults.endless(b"$60000000\r\n", b"x" * 1000, 0.0001))
            client.execute("PING")

        interrupted(call)
        assert client.execute("PING") == "PONG"


def test_while_writing(setup: Setup) -> None:
    with setup.client(timeout=10) as client:
        large = b"x" * (24 << 20)

        def call() -> None:
            setup.server.arm(faults.deaf(1))
            client.execute("SET", "large", large)

        began = time.monotonic()
        client.execute("SET", "large", large)
        interrupted(call, time.monotonic() - began)  # the request is copied without a wait
        setup.server.arm()  # the signal may have arrived before the first byte was sent
        assert client.execute("PING") == "PONG"


def test_in_the_greeting(setup: Setup) -> None:
    with setup.client(timeout=10, connect_timeout=9, client_name="x") as client:

        def call() -> None:
            setup.server.drop()
            setup.server.arm(faults.hang)
            client.execute("PING")

        interrupted(call)
        assert client.execute("PING") == "PONG"


def test_while_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        crowd = [socket.socket() for _ in range(8)]
        for s in crowd:
            s.setblocking(False)
            s.connect_ex(listener.getsockname())
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        with tokenstore.Client(url, timeout=10, connect_timeout=9) as client:
            interrupted(lambda: client.execute("PING"))
        for s in crowd:
            s.close()


def test_while_waiting_for_a_connection(setup: Setup) -> None:
    with setup.client(timeout=10, pool_size=1) as client:
        client.execute("PING")
        setup.server.arm(faults.hang)
        holder = threading.Thread(target=hold, args=(client,))
        holder.start()
        while setup.server.pending:
            time.sleep(0.001)
        interrupted(lambda: client.execute("PING"))
        setup.server.drop()
        holder.join()
        assert client.execute("PING") == "PONG"


def hold(client: tokenstore.Client) -> None:
    with pytest.raises(tokenstore.OutcomeUnknownError):
        client.execute("PING", timeout=20)


def test_while_trying_again(setup: Setup) -> None:
    """LOADING is retried after short sleeps until the deadline."""
    with setup.client(timeout=10) as client:
        store = tokenstore.RedisTokens(client)

        def call() -> None:
            setup.server.arm(*[faults.instead(b"-LOADING x\r\n")] * 1000)
            store.get(**A, token="x")

        interrupted(call)
        setup.server.arm()
        assert client.execute("PING") == "PONG"


def test_a_handler_that_returns(setup: Setup) -> None:
    """The call continues; nothing is sent twice."""
    with setup.client(timeout=10) as client:
        rang = threading.Event()
        in_time = []

        def slow(x: faults.Exchange) -> None:
            reply = x.ask()
            in_time.append(rang.wait(5))
            x.send(reply)

        client.execute("DEL", "signals")
        setup.server.arm(slow)
        with alarm(lambda number, frame: rang.set()):
            assert client.execute("INCR", "signals") == 1
        assert in_time == [True]
        assert client.execute("GET", "signals") == b"1"


def test_handlers_run_at_once(setup: Setup) -> None:
    """A signal interrupts the current wait at once."""
    with setup.client(timeout=10) as client:
        rung = 0.0

        def handler(number: int, frame: object) -> None:
            nonlocal rung
            rung = time.monotonic()

        def slow(x: faults.Exchange) -> None:
            reply = x.ask()
            time.sleep(DELAY + 0.1)
            x.send(reply)

        def late() -> float:
            setup.server.arm(slow)
            began = time.monotonic()
            with alarm(handler):
                client.execute("PING")
            return rung - began - DELAY

        late_by(0.01, lambda: [late() for _ in range(5)])


def test_a_handler_that_uses_the_client(setup: Setup) -> None:
    with setup.client(timeout=10, pool_size=2) as client:
        answers = []
        rang = threading.Event()

        def handler(number: int, frame: object) -> None:
            answers.append(client.execute("ECHO", "handler"))
            rang.set()

        def slow(x: faults.Exchange) -> None:
            reply = x.ask()
            rang.wait(5)
            x.send(reply)

        setup.server.arm(slow)
        with alarm(handler):
            assert client.execute("ECHO", "call") == b"call"
        assert answers == [b"handler"]


def test_signals_all_the_time(setup: Setup) -> None:
    """A profiler's timer interrupts every system call, without effect."""
    with setup.client(timeout=10) as client:
        ticks = []
        before = signal.signal(signal.SIGALRM, lambda n, f: ticks.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        try:
            for i in range(1500):
                if i % 100 == 0:
                    setup.server.drop()
                    with suppress(tokenstore.OutcomeUnknownError):  # possible on a busy machine
                        client.execute("PING")
                assert client.execute("ECHO", str(i)) == str(i).encode()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert len(ticks) > 50


def test_ctrl_c(setup: Setup) -> None:
    """A real SIGINT in a real script."""
    program = """
import sys, time, tokenstore
client = tokenstore.Client(sys.argv[1], timeout=20, client_name="x", **eval(sys.argv[2]))
print("ready", flush=True)
try:
    client.execute("PING")
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
"""
    directory = str(Path(tokenstore.__file__).parent.parent)

    def late() -> float:
        setup.server.arm(faults.hang)
        with subprocess.Popen(
            [sys.executable, "-c", program, setup.server.url, repr(setup.options)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": directory},
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            while setup.server.pending:
                time.sleep(0.001)
            time.sleep(0.05)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            word, at = process.stdout.readline().split()
            assert process.wait() == 0
        assert word == "interrupted"
        return float(at) - sent

    late_by(0.1 + 0.05, lambda: [late()])  # both sides of the pipe are busy with Python too
