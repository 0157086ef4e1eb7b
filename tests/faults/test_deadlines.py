"""Servers that do not answer, do not read, do not finish: every operation keeps its deadline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fault_server as faults
import node_operations  # noqa: F401  (adds to OPERATIONS)
import tokenstore
from conftest import Setup
from operations import OPERATIONS, A, Operation
from servers import Server, free_port, paused
from timing import connect, ends_within, has_time_enough, late_by

TIMEOUT = 0.1
EXPIRED = (tokenstore.TimeoutError, tokenstore.OutcomeUnknownError)


@pytest.fixture
def store(setup: Setup) -> Iterator[tokenstore.RedisTokens]:
    with setup.client(timeout=TIMEOUT) as client:
        yield tokenstore.RedisTokens(client)


def expires(setup: Setup, *armed: faults.Fault, call: Callable[[], object]) -> None:
    """`call` fails at its deadline, not later."""

    def attempt() -> None:
        setup.server.arm(*armed)
        with pytest.raises(EXPIRED):
            call()

    ends_within(TIMEOUT + setup.slack, attempt)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.name)
@pytest.mark.parametrize("fault", [faults.hang, faults.hang_reply(3)], ids=["at once", "midway"])
def test_hang(
    setup: Setup,
    store: tokenstore.RedisTokens,
    direct: tokenstore.RedisTokens,
    operation: Operation,
    fault: faults.Fault,
) -> None:
    operation.call(direct, operation.begin(direct))  # scripts are loaded
    kind = tokenstore.TimeoutError if operation.reads else tokenstore.OutcomeUnknownError
    cases = []  # one for each attempt

    def attempt() -> None:
        case = cases[-1]
        setup.server.arm(*[fault] * 9)  # also on the connection tried after an unresponsive one
        with pytest.raises(kind) as caught:
            operation.call(store, case)
        setup.server.arm()
        # On a busy machine the connection may be found silent just before the deadline.
        assert "timeout" in str(caught.value) or "unresponsive" in str(caught.value)

    def before() -> None:
        cases.append(operation.begin(direct))
        connect(store.client)

    ends_within(TIMEOUT + setup.slack, attempt, before)
    for case in cases:
        operation.either(case)

    def again() -> None:
        case = operation.begin(direct)
        connect(store.client)
        operation.done(case, operation.call(store, case))

    has_time_enough(again, *EXPIRED)


@pytest.mark.parametrize(
    ("head", "text", "pause"),
    [
        (b"*1000000\r\n", b":1\r\n", 0.01),
        (b"*2000000\r\n", b":1\r\n" * 1000, 0.001),
        (b"+", b"x", 0.01),
        (b"$60000000\r\n", b"x" * 65536, 0.005),
    ],
    ids=["items", "many items", "line", "string"],
)
def test_endless_answer(
    setup: Setup, store: tokenstore.RedisTokens, head: bytes, text: bytes, pause: float
) -> None:
    expires(
        setup,
        faults.endless(head, text, pause),
        call=lambda: store.client.execute("PING"),
    )
    connect(store.client)


def test_deaf_server(setup: Setup, store: tokenstore.RedisTokens) -> None:
    connect(store.client)
    large = b"x" * (24 << 20)  # more than all buffers

    def attempt() -> None:
        setup.server.arm(faults.deaf(1))
        with pytest.raises(EXPIRED):
            store.client.execute("SET", "large", large)

    began = time.monotonic()
    store.client.execute("SET", "large", large, timeout=20)
    copying = time.monotonic() - began
    ends_within(TIMEOUT + setup.slack + copying, attempt)
    connect(store.client)
    store.client.execute("DEL", "large", timeout=20)


def test_hang_in_greeting(setup: Setup) -> None:
    with setup.client(timeout=TIMEOUT, client_name="x") as client:
        expires(setup, faults.hang, call=lambda: client.execute("PING"))
        setup.server.arm()  # on a busy machine the connection may have been too late
        connect(client)


def test_hang_before_tls(setup: Setup) -> None:
    if not setup.tls:
        return
    with setup.client(timeout=TIMEOUT) as client:

        def attempt() -> None:
            setup.server.arm_accept(lambda s: time.sleep(1))
            with pytest.raises(tokenstore.TimeoutError):
                client.execute("PING")

        ends_within(TIMEOUT + setup.slack, attempt)
        connect(client)


def test_connect_timeout_bounds_one_attempt(setup: Setup) -> None:
    """A first attempt that hangs does not use up the operation's timeout."""
    with setup.client(timeout=5, connect_timeout=0.2, client_name="x") as client:

        def attempt() -> None:
            setup.server.drop()
            setup.server.arm(faults.hang)
            assert client.execute("PING") == "PONG"

        ends_within(0.2 + 0.1 + setup.slack, attempt)


def test_short_timeouts(setup: Setup) -> None:
    """Timeouts shorter than a wait's slice are not extended by it."""
    with setup.client() as client:

        def late() -> float:
            assert client.execute("PING") == "PONG"
            setup.server.arm(faults.hang)
            began = time.monotonic()
            with pytest.raises(EXPIRED):
                client.execute("PING", timeout=0.01)
            return time.monotonic() - began - 0.01

        late_by(0.02, lambda: [late() for _ in range(10)])


def test_deadline_of_a_pause(setup: Setup) -> None:
    """Retries of a server that is not ready: no pause beyond the deadline. (The pauses grow; with this
    timeout the last one would be late by a tenth of a second or two.)"""
    with setup.client(timeout=0.4) as client:
        store = tokenstore.RedisTokens(client)

        def late() -> float:
            connect(client)
            setup.server.arm(*[faults.instead(b"-LOADING x\r\n")] * 100)
            began = time.monotonic()
            with pytest.raises(tokenstore.TimeoutError, match="LOADING"):
                store.count(**A, owner="pause")  # one command
            took = time.monotonic() - began
            setup.server.arm()
            return took - 0.4

        late_by(setup.slack, lambda: [late() for _ in range(3)])


def test_timeout_of_a_call(setup: Setup) -> None:
    with setup.client(timeout=30) as client:
        expires(setup, faults.hang, call=lambda: client.execute("GET", "x", timeout=TIMEOUT))


@contextmanager
def full(listener: socket.socket) -> Iterator[None]:
    """A listening socket with a full backlog."""
    crowd = []
    for _ in range(8):
        s = socket.socket(listener.family)
        s.setblocking(False)
        s.connect_ex(listener.getsockname())
        crowd.append(s)
    try:
        yield
    finally:
        for s in crowd:
            s.close()
        listener.close()


def test_nobody_accepts(tmp_path: Path) -> None:
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    tcp.listen(0)
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "s"))
    unix.listen(0)
    with full(tcp), full(unix):
        for url in (f"redis://127.0.0.1:{tcp.getsockname()[1]}", f"unix://{tmp_path}/s"):
            with tokenstore.Client(url, timeout=TIMEOUT) as client:

                def attempt(client: tokenstore.Client = client) -> None:
                    with pytest.raises(tokenstore.TimeoutError):
                        client.execute("PING")

                ends_within(TIMEOUT + 0.05, attempt)
            with tokenstore.Client(url, timeout=5, connect_timeout=0.1) as client:

                def attempt(client: tokenstore.Client = client) -> None:
                    with pytest.raises(tokenstore.ConnectionError):
                        client.execute("PING")

                ends_within(1, attempt)


def test_nobody_there(tmp_path: Path) -> None:
    port = free_port()
    urls = (f"redis://127.0.0.1:{port}", f"redis://localhost:{port}", f"unix://{tmp_path}/none")
    for url in urls:
        with tokenstore.Client(url) as client:

            def attempt(client: tokenstore.Client = client, url: str = url) -> None:
                with pytest.raises(tokenstore.ConnectionError) as caught:
                    client.execute("PING")
                assert client.url in str(caught.value)

            ends_within(1, attempt)


def test_host_name_unknown() -> None:
    with tokenstore.Client("redis://no-such-host.invalid", timeout=5) as client:
        with pytest.raises(tokenstore.Error) as caught:
            client.execute("PING")
        assert "resolved" in str(caught.value)


def test_server_stands_still(redis: Server, direct: tokenstore.RedisTokens) -> None:
    token = direct.create(**A, owner="paused").token
    with tokenstore.Client(redis.url, timeout=TIMEOUT) as client:
        store = tokenstore.RedisTokens(client)
        connect(client)

        def attempt() -> None:
            with pytest.raises(tokenstore.TimeoutError):
                store.get(**A, token=token)

        with paused(redis):
            ends_within(TIMEOUT + 0.05, attempt)
        assert has_time_enough(lambda: store.get(**A, token=token), *EXPIRED) is not None


def test_large_batches_do_not_lock_up(setup: Setup) -> None:
    """More than all buffers, in both directions at once, and a server that writes before it continues
    reading."""
    value = b"v" * 100_000
    answer = b"$%d\r\n%s\r\n" % (len(value), value)
    with setup.client(timeout=20) as client:
        setup.server.arm(faults.in_step(answer))
        assert client.pipeline([("ECHO", value)] * 200) == [value] * 200


def test_interrupted_by_close(setup: Setup) -> None:
    """close() during calls of other threads: they end normally or with Error, and none hangs."""
    client = setup.client(timeout=5)
    outcomes: list[BaseException | None] = []

    def work() -> None:
        try:
            while True:
                assert client.execute("PING") == "PONG"
        except tokenstore.Error as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    client.close()
    client.close()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    assert len(outcomes) == 8
    assert all("closed" in str(o) for o in outcomes)
