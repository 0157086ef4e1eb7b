"""Session events over lost connections: gaps are reported, and no event twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import fault_server as faults
import tokenstore
from conftest import Setup
from servers import Server
from test_signals import Interrupted, alarm, interrupted
from timing import ends_within
from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap

SOON = 20
PING = 1  # seconds; the minimum


@pytest.fixture(autouse=True)
def quiet(redis: Server) -> Iterator[None]:
    redis("CONFIG", "SET", "notify-keyspace-events", "gxE")
    yield
    redis("CONFIG", "SET", "notify-keyspace-events", "")


@pytest.fixture
def client(setup: Setup) -> Iterator[tokenstore.Client]:
    with setup.client(timeout=0.5) as client:
        yield client
    setup.server.arm()


@pytest.fixture
def events(client: tokenstore.Client) -> Iterator[SessionEvents]:
    with SessionEvents(client, keepalive=PING) as events:
        yield events


def end(redis: Server, id: str) -> SessionEnd:
    key = f"{id}:00000000000"
    redis("SET", key, "{}")
    redis("DEL", key)
    return SessionEnd("del", id, key)


def pushed(id: str) -> bytes:
    channel, key = b"__keyevent@0__:del", f"{id}:00000000000".encode()
    return b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (
        len(channel),
        channel,
        len(key),
        key,
    )


def comes_back(redis: Server, events: SessionEvents) -> None:
    gap = events.next(SOON)
    assert isinstance(gap, SessionGap)
    assert end(redis, "alice") == events.next(SOON)


def test_a_lost_connection(setup: Setup, redis: Server, events: SessionEvents) -> None:
    assert end(redis, "bob") == events.next(SOON)
    setup.server.drop()
    comes_back(redis, events)


def test_what_came_before_the_end_is_told_before_the_gap(
    setup: Setup, redis: Server, events: SessionEvents
) -> None:
    setup.server.inject(b"".join(pushed(f"n{n}") for n in range(300)) + pushed("half")[:30])
    setup.server.drop()
    for n in range(300):
        event = events.next(SOON)
        assert isinstance(event, SessionEnd)
        assert event.id == f"n{n}"
    comes_back(redis, events)


def test_a_message_in_pieces(setup: Setup, redis: Server, events: SessionEvents) -> None:
    """Byte by byte; the timeout of the reader passes in between, repeatedly."""
    for byte in pushed("bob"):
        assert events.next(0) is None
        setup.server.inject(bytes([byte]))
    assert events.next(SOON) == SessionEnd("del", "bob", "bob:00000000000")
    assert end(redis, "alice") == events.next(SOON)


@pytest.mark.parametrize(
    "odd",
    [
        b"+PONG\r\n",
        b":1\r\n",
        b"*2\r\n$4\r\npong\r\n$0\r\n\r\n",
        b"*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
        b"*3\r\n$7\r\nmessage\r\n*0\r\n$1\r\na\r\n",
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:3\r\n",
        b"-ERR odd\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$99999999999\r\n",
    ],
)
def test_what_nobody_asked_for_ends_the_connection(
    setup: Setup, redis: Server, events: SessionEvents, odd: bytes
) -> None:
    setup.server.inject(odd)
    comes_back(redis, events)


def test_a_server_that_falls_silent(setup: Setup, redis: Server, events: SessionEvents) -> None:
    """Nothing arrives any more, not even EOF: PING detects it."""
    setup.server.arm(faults.hang)
    began = time.monotonic()
    comes_back(redis, events)
    assert time.monotonic() - began < PING + 0.5 + 5


def test_who_did_not_look_for_long_has_lost_nothing(
    setup: Setup, redis: Server, events: SessionEvents
) -> None:
    """Idle time alone is not an error; and the reply to PING stays in the buffer like messages."""
    connections = setup.server.connections
    assert events.next(1.05 * PING) is None  # PING was sent and answered
    told = [end(redis, f"n{n}") for n in range(10)]
    time.sleep(1.6 * PING)
    assert [events.next(0) for _ in told] == told
    assert events.next(0) is None
    assert end(redis, "alice") == events.next(SOON)
    assert setup.server.connections == connections


def test_a_gap_begins_when_the_connection_was_lost_not_when_that_was_seen(
    setup: Setup, redis: Server, events: SessionEvents
) -> None:
    setup.server.inject(pushed("bob"))
    setup.server.drop()
    lost = time.time()
    time.sleep(0.1)
    assert events.next(SOON) == SessionEnd("del", "bob", "bob:00000000000")
    gap = events.next(SOON)
    assert isinstance(gap, SessionGap)
    assert gap.lost_at <= lost < gap.restored_at


@pytest.mark.parametrize(
    "fault",
    [
        faults.hang,
        faults.reset_reply(0),
        faults.close_reply(7),
        faults.instead(b"+OK\r\n"),
        faults.instead(b"-ERR max number of clients reached\r\n"),
    ],
    ids=["hang", "reset", "close", "odd", "full"],
)
def test_an_attempt_that_fails_is_followed_by_another(
    setup: Setup, redis: Server, fault: faults.Fault
) -> None:
    with setup.client(timeout=2, connect_timeout=0.5) as client:
        with SessionEvents(client) as events:
            setup.server.drop()
            setup.server.arm(fault)
            comes_back(redis, events)
            assert setup.server.pending == 0
        setup.server.arm(fault)
        SessionEvents(client).close()
        assert setup.server.pending == 0


def test_a_refusal_is_told_and_tried_again(
    setup: Setup, redis: Server, client: tokenstore.Client
) -> None:
    refusal = [
        faults.record,  # PING
        faults.instead(b"-NOPERM no permissions to access a channel\r\n"),
    ]
    setup.server.arm(*refusal)
    with pytest.raises(tokenstore.ServerError, match="SUBSCRIBE refused.*needs"):
        SessionEvents(client)
    with SessionEvents(client) as events:
        setup.server.drop()
        setup.server.arm(*refusal)
        with pytest.raises(tokenstore.ServerError, match="SUBSCRIBE refused"):
            events.next(SOON)
        comes_back(redis, events)


def test_deadlines(setup: Setup, redis: Server) -> None:
    """The server accepts connections but sends nothing: the timeout, or connect_timeout if longer."""
    with setup.client(timeout=2, connect_timeout=0.3) as client, SessionEvents(client) as events:
        setup.server.drop()
        setup.server.arm(*[faults.hang] * 50)
        if setup.tls:
            hold = [lambda s: time.sleep(0.6)] * 50
            setup.server.arm_accept(*hold)
        ends_within(0.3 + 0.1, lambda: events.next(0))
        ends_within(0.8 + 0.1, lambda: events.next(0.8))
        setup.server.arm()
        setup.server.arm_accept()
        comes_back(redis, events)


def test_short_calls_get_there_too(setup: Setup, redis: Server, events: SessionEvents) -> None:
    setup.server.drop()
    late = time.monotonic() + SOON
    while (gap := events.next(0)) is None:
        assert time.monotonic() < late
    assert isinstance(gap, SessionGap)
    assert end(redis, "alice") == events.next(SOON)


# ---- signals and threads ---------------------------------------------------------------------------


def test_interrupted_while_it_listens(redis: Server, events: SessionEvents) -> None:
    interrupted(events.next)
    assert end(redis, "alice") == events.next(SOON)


def test_interrupted_in_a_flood(setup: Setup, redis: Server, events: SessionEvents) -> None:
    """Many keys that are not sessions: the wait never blocks."""
    other = pushed("a:b")
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            setup.server.inject(other * 500)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        interrupted(events.next)
    finally:
        over.set()
        while flooding.is_alive():  # its output must be read
            events.next(0.01)
    assert end(redis, "alice") == events.next(SOON)


def test_interrupted_while_it_connects(setup: Setup, redis: Server) -> None:
    with setup.client(timeout=10, connect_timeout=9) as client, SessionEvents(client) as events:
        setup.server.drop()
        setup.server.arm(faults.hang)
        interrupted(events.next)
        comes_back(redis, events)
        setup.server.arm(faults.hang)
        interrupted(lambda: SessionEvents(client))


def test_a_handler_that_raises_nothing(redis: Server, events: SessionEvents) -> None:
    rang = threading.Event()
    with alarm(lambda *_: rang.set()):
        assert events.next(0.4) is None
    assert rang.is_set()
    assert end(redis, "alice") == events.next(SOON)


def test_a_handler_that_forks(redis: Server, events: SessionEvents) -> None:
    children: list[int] = []

    def fork(number: int, frame: object) -> None:
        pid = os.fork()
        if pid != 0:
            children.append(pid)

    parent = os.getpid()
    try:
        with alarm(fork):
            heard = events.next(0.4)
    except tokenstore.Error as error:
        os._exit(0 if os.getpid() != parent and "its own events" in str(error) else 1)
    finally:
        if os.getpid() != parent:
            os._exit(2)
    assert heard is None
    assert os.waitpid(children[0], 0)[1] == 0
    assert end(redis, "alice") == events.next(SOON)


def test_ctrl_c(redis: Server) -> None:
    program = (
        "import sys, tokenstore\n"
        "from tokenstore.session_events import SessionEvents\n"
        "events = SessionEvents(tokenstore.Client(sys.argv[1]))\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    for event in events: pass\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, redis.url], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=SOON)[0] == "interrupted\n"
        finally:
            child.kill()


def test_close_while_it_connects(setup: Setup) -> None:
    with setup.client(timeout=10, connect_timeout=9) as client:
        events = SessionEvents(client)
        setup.server.drop()
        setup.server.arm(faults.hang)
        threading.Timer(0.1, events.close).start()
        ends_within(0.3, lambda: list(events))
    setup.server.arm()


def test_close_amid_next(client: tokenstore.Client) -> None:
    """A caller during close gets "closed", not "another thread is waiting"."""
    for _ in range(100):
        events = SessionEvents(client)
        said: list[str] = []

        def listen(events: SessionEvents = events, said: list[str] = said) -> None:
            try:
                while True:
                    events._core.next(0)
            except tokenstore.Error as error:
                said.append(str(error))

        thread = threading.Thread(target=listen)
        thread.start()
        time.sleep(0.0005)
        events.close()
        thread.join()
        assert said == ["the events are closed"]


def test_an_exception_of_the_handler_is_the_callers(events: SessionEvents) -> None:
    with alarm(), pytest.raises(Interrupted):
        for _ in events:
            pass
    assert not events.closed
