"""Callbacks for session events: one thread, which only close ends."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

import tokenstore
from ends import SOON, end, rjwt
from servers import Server
from tokenstore.session_events import SessionCallbacks, SessionEnd, SessionEvents, SessionGap
from topologies import tagged

BOB = tagged("bob")


@pytest.fixture
def listened(server: Server) -> Server:
    """Notifications are not enabled."""
    server("CONFIG", "SET", "notify-keyspace-events", "")
    return server


@pytest.fixture
def callbacks(listened: Server, client: tokenstore.Client) -> Iterator[SessionCallbacks]:
    callbacks = SessionCallbacks(lambda: SessionEvents(client, kea=True))
    yield callbacks
    callbacks.close()


class Heard:
    """A callback that can be waited for."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._came = threading.Semaphore(0)

    def __call__(self, event: object) -> None:
        self.events.append(event)
        self._came.release()

    def wait(self) -> None:
        assert self._came.acquire(timeout=SOON)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_callbacks_are_called_for_their_kind(listened: Server, callbacks: SessionCallbacks) -> None:
    deleted, expired, gaps = Heard(), Heard(), Heard()
    callbacks.on("del", deleted)
    callbacks.on("expired", expired)
    callbacks.on("gap", gaps)
    event = end(listened, "bob")
    listened("SET", rjwt("alice"), "{}", "PX", 1)
    deleted.wait()
    expired.wait()
    listened("CLIENT", "KILL", "TYPE", "pubsub")
    gaps.wait()
    assert deleted.events == [event]
    assert expired.events == [SessionEnd("expired", "alice", rjwt("alice"))]
    assert isinstance(gaps.events[0], SessionGap)
    assert names().count("tokenstore-events") == 1


def test_what_a_callback_raises_is_logged(
    listened: Server, callbacks: SessionCallbacks, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    problems = [ValueError("odd"), SystemExit(3)]

    def fail(event: object) -> None:
        if problems:
            raise problems.pop()

    callbacks.on("del", fail)
    callbacks.on("del", heard)
    for n in range(3):
        end(listened, "bob", n)
        heard.wait()
    assert caplog.text.count("a callback for the event 'del' failed") == 2
    assert "ValueError: odd" in caplog.text
    assert "00000000001" not in caplog.text


def test_off_undoes_on(listened: Server, callbacks: SessionCallbacks) -> None:
    first, second = Heard(), Heard()
    callbacks.on("del", first)
    callbacks.on("del", second)
    callbacks.off("del", first)
    callbacks.off("del", first)
    callbacks.off("gap", first)
    end(listened, "bob")
    second.wait()
    assert first.events == []


def test_wrong_callbacks(callbacks: SessionCallbacks) -> None:
    with pytest.raises(ValueError, match="unknown event 'evicted'"):
        callbacks.on("evicted", print)
    with pytest.raises(TypeError, match="callback must be callable"):
        callbacks.on("del", None)  # type: ignore[arg-type]
    assert "tokenstore-events" not in names()


def test_close_ends_the_thread(listened: Server, callbacks: SessionCallbacks) -> None:
    heard = Heard()
    callbacks.on("del", heard)
    callbacks.close()
    assert "tokenstore-events" not in names()
    callbacks.close()
    end(listened, "bob")
    callbacks.on("del", heard)  # it can start again
    event = end(listened, "alice")
    heard.wait()
    assert heard.events[0] == event


def test_close_out_of_a_callback(listened: Server, callbacks: SessionCallbacks) -> None:
    ended = threading.Event()

    def close(event: object) -> None:
        callbacks.close()
        ended.set()

    callbacks.on("del", close)
    end(listened, "bob")
    assert ended.wait(SOON)


def test_an_object_that_nobody_holds_ends_its_thread(
    listened: Server, client: tokenstore.Client
) -> None:
    callbacks = SessionCallbacks(lambda: SessionEvents(client, kea=True))
    callbacks.on("del", print)
    assert "tokenstore-events" in names()
    del callbacks
    gc.collect()
    late = time.monotonic() + SOON
    while "tokenstore-events" in names():
        assert time.monotonic() < late
        time.sleep(0.01)


def test_callbacks_in_a_forked_child(listened: Server, callbacks: SessionCallbacks) -> None:
    callbacks.on("gap", print)
    child = os.fork()
    if child == 0:
        try:
            heard = Heard()
            with tokenstore.Client(listened.url) as client:
                callbacks._listen = lambda: SessionEvents(client, kea=True)
                callbacks.on("del", heard)
                end(listened, "bob")
                heard.wait()
                callbacks.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_off_in_a_child_that_was_forked_during_on() -> None:
    """Another thread holds the lock then, and does not exist in the child."""
    listening, goes_on = threading.Event(), threading.Event()

    def listen() -> SessionEvents:
        listening.set()
        goes_on.wait(SOON)
        raise tokenstore.ConnectionError("not today")

    callbacks = SessionCallbacks(listen)
    thread = threading.Thread(
        target=lambda: pytest.raises(tokenstore.Error, callbacks.on, "del", print)
    )
    thread.start()
    assert listening.wait(SOON)
    child = os.fork()
    if child == 0:
        signal.alarm(SOON)
        callbacks.off("del", print)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    goes_on.set()
    thread.join()


# ---- RedisJWT --------------------------------------------------------------------------------------

SECRET = "a secret of thirty-two bytes, yes"


def test_redis_jwt_tells(listened: Server) -> None:
    heard, gone = Heard(), Heard()
    with tokenstore.RedisJWT(listened.url, secret=SECRET, kea=True) as sessions:
        sessions.on("del", heard)
        sessions.on("del", gone)
        sessions.off("del", gone)
        with sessions.events(keepalive=5) as events:
            key = sessions.verify(sessions.sign(BOB))["rjwt"]
            sessions.destroy_multiple(BOB)
            event = SessionEnd("del", BOB, key)
            assert events.next(SOON) == event
        heard.wait()
        assert (heard.events, gone.events) == ([event], [])
    assert "tokenstore-events" not in names()
    with pytest.raises(tokenstore.Error, match="the client is closed"):
        sessions.events()


def test_a_new_login_ends_the_old_session(listened: Server, client: tokenstore.Client) -> None:
    sessions = tokenstore.RedisJWT(client, secret=SECRET, kea=True)
    with sessions.events() as events:
        old = sessions.verify(sessions.sign(BOB))["rjwt"]
        sessions.sign(BOB)
        assert events.next(SOON) == SessionEnd("del", BOB, old)
        assert events.next(0.05) is None


def test_without_kea_redis_jwt_changes_no_settings(
    listened: Server, client: tokenstore.Client
) -> None:
    sessions = tokenstore.RedisJWT(client, secret=SECRET)
    sessions.events().close()
    assert listened("CONFIG", "GET", "notify-keyspace-events")[1] == b""
    sessions.close()
