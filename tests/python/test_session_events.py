"""Session events: each reported once, to all listeners; and lost connections."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

import tokenstore
from ends import SOON, end, rjwt
from servers import Server, running
from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap
from topologies import RIGHTS, tagged

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"


@pytest.fixture
def listened(server: Server) -> Server:
    """Notifications are not enabled."""
    server("CONFIG", "SET", "notify-keyspace-events", "")
    return server


@pytest.fixture
def events(listened: Server, client: tokenstore.Client) -> Iterator[SessionEvents]:
    with SessionEvents(client, kea=True) as events:
        yield events


# ---- events --------------------------------------------------------------------------------------


def test_expiry_and_deletion_are_told(listened: Server, events: SessionEvents) -> None:
    listened("SET", rjwt("bob"), "{}", "PX", 1)
    assert events.next(SOON) == SessionEnd("expired", "bob", rjwt("bob"))
    assert end(listened, "bob@x.org") == events.next(SOON)


@pytest.mark.parametrize("command", ["DEL", "UNLINK", "GETDEL"])
def test_however_it_is_deleted(listened: Server, events: SessionEvents, command: str) -> None:
    listened("SET", rjwt("bob"), "{}")
    listened(command, rjwt("bob"))
    assert events.next(SOON) == SessionEnd("del", "bob", rjwt("bob"))


def test_an_end_in_the_past(listened: Server, events: SessionEvents) -> None:
    """Redis reports a deletion, Valkey from 8.1 on an expiry; either is reported once."""
    listened("SET", rjwt("bob"), "{}")
    listened("PEXPIREAT", rjwt("bob"), 1)
    told = events.next(SOON)
    assert told in [SessionEnd(kind, "bob", rjwt("bob")) for kind in ("del", "expired")]
    assert end(listened, "alice") == events.next(SOON)


def test_other_keys_are_not_told(listened: Server, events: SessionEvents) -> None:
    others = [
        "bob",
        "bob:short",
        "a:b:00000000000",
        ":00000000000",
        "bob:0000000000-",
        "ts:snZXIewXn1p6axc4pXIg",
    ]
    with listened.wire() as wire:
        for key in others:
            wire("SET", key, "x")
            wire("DEL", key)
        wire("SET", rjwt("bob"), "{}")  # written, changed, renamed: none of these ends the session
        wire("SET", rjwt("bob"), "{}")
        wire("EXPIRE", rjwt("bob"), 100)
    assert end(listened, "alice") == events.next(SOON)


def test_the_database_is_the_clients(listened: Server, client: tokenstore.Client) -> None:
    with tokenstore.Client(listened.url, db=3) as third, SessionEvents(third, kea=True) as events:
        end(listened, "bob")
        with listened.wire() as wire:
            wire("SELECT", 3)
            wire("SET", rjwt("alice"), "{}")
            wire("DEL", rjwt("alice"))
        assert events.next(SOON) == SessionEnd("del", "alice", rjwt("alice"))


def test_any_id_comes_back(listened: Server, events: SessionEvents) -> None:
    for id in ("ü €", "\x00\n", "*?[", "x" * 1000, b"\xff\xfe".decode("utf-8", "surrogateescape")):
        key = id.encode("utf-8", "surrogateescape") + b":00000000000"
        listened("SET", key, "{}")
        listened("DEL", key)
        event = events.next(SOON)
        assert isinstance(event, SessionEnd)
        assert event.id == id


def test_two_listeners_hear_the_same(listened: Server, client: tokenstore.Client) -> None:
    with SessionEvents(client, kea=True) as one, SessionEvents(client) as two:
        ends = [end(listened, tagged("bob"), n) for n in range(50)]
        assert [one.next(SOON) for _ in ends] == ends
        assert [two.next(SOON) for _ in ends] == ends


def test_values(events: SessionEvents) -> None:
    event = SessionEnd("del", "bob", "bob:00000000000")
    assert repr(event) == "SessionEnd(kind='del', id='bob')"
    assert event == SessionEnd("del", "bob", "bob:00000000000")
    assert len({event, SessionEnd("expired", "bob", "bob:00000000000")}) == 2
    with pytest.raises(AttributeError):
        event.id = "alice"  # type: ignore[misc]
    assert SessionGap(1.0, 2.0).kind == "gap"
    assert "closed" not in repr(events)
    events.close()
    assert "closed" in repr(events)


# ---- waiting -------------------------------------------------------------------------------------


def test_timeouts(listened: Server, events: SessionEvents) -> None:
    began = time.monotonic()
    assert events.next(0) is None
    assert events.next(0.05) is None
    assert events.next(timedelta(milliseconds=50)) is None
    assert 0.1 <= time.monotonic() - began < 5
    told = end(listened, "bob")
    while (event := events.next(0)) is None:
        pass
    assert event == told


def test_wrong_timeouts(events: SessionEvents) -> None:
    for wrong in (-1, float("nan"), float("inf"), timedelta(seconds=-1)):
        with pytest.raises(ValueError, match="timeout must be"):
            events.next(wrong)
    for odd in ("1", True):
        with pytest.raises(TypeError, match="timeout must be"):
            events.next(odd)  # type: ignore[arg-type]


def test_close_from_another_thread_ends_the_loop(events: SessionEvents) -> None:
    heard: list[object] = []
    reader = threading.Thread(target=lambda: heard.extend(events))
    reader.start()
    while not wait_is_under_way(events):
        time.sleep(0.001)
    events.close()
    events.close()
    reader.join(SOON)
    assert not reader.is_alive()
    assert heard == []
    with pytest.raises(tokenstore.Error, match="closed"):
        events.next()


def wait_is_under_way(events: SessionEvents) -> bool:
    try:
        events.next(0)
    except RuntimeError as error:
        assert "another thread is waiting" in str(error)
        return True
    return False


def test_the_end_of_the_client_is_theirs(listened: Server) -> None:
    client = tokenstore.Client(listened.url)
    events = SessionEvents(client, kea=True)
    threading.Timer(0.05, client.close).start()
    assert list(events) == []
    assert events.closed
    with pytest.raises(tokenstore.Error, match="the client is closed"):
        events.next(0)
    with pytest.raises(tokenstore.Error, match="the client is closed"):
        SessionEvents(client)
    events.close()


def test_a_forked_child_is_told(listened: Server, events: SessionEvents) -> None:
    child = os.fork()
    if child == 0:
        try:
            assert events.closed
            try:
                events.next(0)
            except tokenstore.Error as error:
                assert "its own" in str(error)
                events.close()
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert end(listened, "bob") == events.next(SOON)


# ---- enabling events on the server ---------------------------------------------------------------


def flags(server: Server) -> set[str]:
    return set(server("CONFIG", "GET", "notify-keyspace-events")[1].decode())


def test_kea_adds_flags_and_takes_none_away(listened: Server, client: tokenstore.Client) -> None:
    SessionEvents(client, kea=True).close()
    assert flags(listened) == set("gxE")
    listened("CONFIG", "SET", "notify-keyspace-events", "Kzl")
    SessionEvents(client, kea=True).close()
    assert flags(listened) == set("KzlgxE")
    listened("CONFIG", "SET", "notify-keyspace-events", "AKE")
    before = listened("INFO", "commandstats").count(b"config|set:calls=")
    SessionEvents(client, kea=True).close()
    assert flags(listened) == set("AKE")
    assert listened("INFO", "commandstats").count(b"config|set:calls=") == before


def test_without_kea_nothing_is_set(listened: Server, client: tokenstore.Client) -> None:
    with SessionEvents(client) as events:
        assert flags(listened) == set()
        end(listened, "bob")
        assert events.next(0.05) is None
        listened("CONFIG", "SET", "notify-keyspace-events", "gxE")
        assert end(listened, "alice") == events.next(SOON)


@pytest.fixture
def user(listened: Server) -> Iterator[Callable[[str], tokenstore.Client]]:
    made: list[tokenstore.Client] = []

    def make(rules: str) -> tokenstore.Client:
        listened(
            "ACL", "SETUSER", "limited", "reset", "resetchannels", "on", ">sesame", *rules.split()
        )
        url = listened.url.replace("://", "://limited:sesame@")
        made.append(tokenstore.Client(url))
        return made[-1]

    yield make
    for client in made:
        client.close()
    listened("ACL", "DELUSER", "limited")


def test_rights(listened: Server, user: Callable[[str], tokenstore.Client]) -> None:
    few = "-@all +subscribe +ping &__keyevent@*" + RIGHTS
    client = user(few)
    with pytest.raises(tokenstore.ServerError, match=r"\+config\|get and \+config\|set.*gxE"):
        SessionEvents(client, kea=True)
    listened("CONFIG", "SET", "notify-keyspace-events", "gxE")
    with SessionEvents(client) as events:
        assert end(listened, "bob") == events.next(SOON)
    with SessionEvents(user(few + " +config|get +config|set"), kea=True) as events:
        assert end(listened, "bob") == events.next(SOON)
    with pytest.raises(tokenstore.ServerError, match=r"\+subscribe, \+ping and the channels"):
        SessionEvents(user("-@all +subscribe resetchannels" + RIGHTS))


def test_a_user_without_ping_is_not_taken_for_dead(
    listened: Server, user: Callable[[str], tokenstore.Client]
) -> None:
    listened("CONFIG", "SET", "notify-keyspace-events", "gxE")
    with SessionEvents(user("-@all +subscribe &__keyevent@*" + RIGHTS), keepalive=1) as events:
        assert events.next(1.2) is None
        assert end(listened, "bob") == events.next(SOON)


# ---- gaps ----------------------------------------------------------------------------------------


def test_a_gap_is_told_and_what_comes_after(listened: Server, events: SessionEvents) -> None:
    assert end(listened, "bob") == events.next(SOON)
    before = time.time()
    listened("CLIENT", "KILL", "TYPE", "pubsub")
    end(listened, "missed")
    gap = events.next(SOON)
    after = time.time()
    assert isinstance(gap, SessionGap)
    assert gap.lost_at <= before
    assert gap.lost_at < gap.restored_at <= after + 0.05
    assert end(listened, "alice") == events.next(SOON)


def test_a_restarted_server_is_told_again_what_to_publish() -> None:
    with running() as server, tokenstore.Client(server.url) as client:
        with SessionEvents(client, kea=True) as events:
            server.kill()
            began = time.monotonic()
            assert events.next(0.2) is None
            assert events.next(0) is None
            assert time.monotonic() - began < 5
            server.start()
            assert isinstance(events.next(SOON), SessionGap)
            assert end(server, "bob") == events.next(SOON)
        server.kill()
        with pytest.raises(tokenstore.ConnectionError, match="cannot connect"):
            SessionEvents(client, kea=True)


class Ends:
    """Ends `count` sessions, half of them by deletion, and records the times."""

    def __init__(self, server: Server, name: str, count: int) -> None:
        self.server, self.name, self.count = server, name, count
        self.deleted: dict[str, tuple[float, float]] = {}
        self.expiring: set[str] = set()

    def run(self, stop_at: int | None = None) -> None:
        with self.server.wire() as wire:
            for n in range(self.count):
                key = rjwt(self.name, n)
                if n % 2:
                    wire("SET", key, "{}", "PX", 1 + n % 40)
                    self.expiring.add(key)
                    continue
                wire("SET", key, "{}")
                began = time.time()
                wire("DEL", key)
                self.deleted[key] = began, time.time()
                if n == stop_at:
                    self.server.kill()
                    return


def test_each_end_is_told_once_around_a_restart() -> None:
    """Sessions end while a thread reads; meanwhile the server is killed and restarted."""
    count = 10_000 if SOAK else 1000
    told: Counter[str] = Counter()
    gaps: list[SessionGap] = []
    kinds: dict[str, str] = {}

    def read() -> None:
        for event in events:
            if event.kind == "gap":
                gaps.append(event)
                restored.set()
            else:
                told[event.rjwt] += 1
                kinds[event.rjwt] = event.kind

    with running() as server, tokenstore.Client(server.url) as client:
        restored = threading.Event()
        with SessionEvents(client, kea=True) as events:
            reader = threading.Thread(target=read)
            reader.start()
            first = Ends(server, "first", count // 2)
            first.run(stop_at=count // 2 - count // 20 * 2)
            server.start()
            assert restored.wait(SOON)
            second = Ends(server, "second", count // 2)
            second.run()
            late = time.monotonic() + SOON
            while sum(n.startswith("second") for n in told) < count // 2:
                assert time.monotonic() < late
                time.sleep(0.01)
        reader.join()

    (gap,) = gaps
    assert set(told.values()) == {1}
    assert set(second.deleted) | second.expiring <= set(told)
    assert {key for key, (_, done) in first.deleted.items() if done < gap.lost_at} <= set(told)
    assert set(told) <= set(first.deleted) | first.expiring | set(second.deleted) | second.expiring
    assert min(began for began, _ in second.deleted.values()) > gap.restored_at - 0.05
    for ends in (first, second):
        assert all(kinds[key] == "del" for key in ends.deleted if key in kinds)
        assert all(kinds[key] == "expired" for key in ends.expiring if key in kinds)


# ---- for other drivers ---------------------------------------------------------------------------


def test_parts_for_drivers_in_python(client: tokenstore.Client, listened: Server) -> None:
    core = tokenstore._core  # type: ignore[attr-defined]
    assert core.session_channels(2) == ["__keyevent@2__:expired", "__keyevent@2__:del"]
    assert core.session_event(b"__keyevent@2__:del", b"a:00000000000", 2) == (
        "del",
        "a",
        "a:00000000000",
    )
    assert core.session_event(b"__keyevent@2__:del", b"a:00000000000", 1) is None
    assert client._core.run(core.session_notify()) is True
    assert client._core.run(core.session_notify()) is False
    with pytest.raises(OverflowError):
        core.session_channels(-1)
