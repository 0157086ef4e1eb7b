"""Ends of sessions on a cluster and with Sentinels, in each driver: told by every primary, once, while the nodes change."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Union

import pytest

import tokenstore
import tokenstore.asyncio
from clusters import Cluster, Node, running_cluster, slot_of
from lua_process import ABI, Lua, is_there
from sentinels import running_sentinels
from servers import Server
from tokenstore.session_events import SessionEnd, SessionEvents, SessionGap

SOON = 20  # seconds, for what should come at once
SECRET = "s" * 32

Heard = tuple[str, str]
"""Its kind, and whose session it was; of a gap, nobody's."""


class Blocking:
    def __init__(self, url: str) -> None:
        self.jwt = tokenstore.RedisJWT(url, secret=SECRET, kea=True)
        self.events = self.jwt.events()
        self.gaps: list[Any] = []

    def next(self, seconds: float) -> Heard | None:
        event = self.events.next(seconds)
        if event is None:
            return None
        if event.kind == "gap":
            self.gaps.append(event)
            assert event.lost_at < event.restored_at
            return "gap", ""
        return event.kind, event.id

    def close(self) -> None:
        self.events.close()
        self.jwt.close()


class Asyncio:
    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.jwt = tokenstore.asyncio.RedisJWT(url, secret=SECRET, kea=True)
        self.events = self.jwt.events()
        self.loop.run_until_complete(self.events.listen())

    def next(self, seconds: float) -> Heard | None:
        event = self.loop.run_until_complete(self.events.next(seconds))
        return None if event is None else (event.kind, getattr(event, "id", ""))

    def close(self) -> None:
        self.loop.run_until_complete(self.events.aclose())
        self.loop.run_until_complete(self.jwt.aclose())
        self.loop.close()


class InLua:
    """Without `kea`: that of the others is enough, after a failover too."""

    def __init__(self, url: str) -> None:
        self.lua = Lua(
            next(name for name in ("lua5.4", "luajit") if name in ABI and is_there(name))
        )
        self.lua(f"""
            local tokenstore = require "tokenstore"
            jwt = assert(tokenstore.RedisJWT {{ redis = "{url}", secret = "{SECRET}" }})
            events = assert(jwt:events())""")

    def next(self, seconds: float) -> Heard | None:
        event = self.lua(f"""
            local event, message = events:next({seconds})
            if message then error(message) end
            return event and event.kind .. " " .. (event.id or "")""")
        if event is None:
            return None
        kind, _, id = event.partition(" ")
        return kind, id

    def close(self) -> None:
        self.lua("events:close() jwt:close()")
        assert self.lua.end() == 0


DRIVERS = (Blocking, Asyncio, InLua)
Listener = Union[Blocking, Asyncio, InLua]


@contextmanager
def listening(url: str) -> Iterator[list[Listener]]:
    with ExitStack() as stack:
        listeners = []
        for driver in DRIVERS:
            listeners.append(driver(url))
            stack.callback(listeners[-1].close)
        yield listeners


def hear(listener: Listener, *last: str, seconds: float = SOON) -> Counter[Heard]:
    """What it hears until it has heard of the ends of all of these ("": of a gap)."""
    heard: Counter[Heard] = Counter()
    wanted = set(last)
    end = time.monotonic() + seconds
    while wanted and (left := end - time.monotonic()) > 0:
        event = listener.next(left)
        if event is not None:
            heard[event] += 1
            wanted.discard(event[1])
    assert not wanted, f"{type(listener).__name__}: {wanted} not heard, but {heard}"
    return heard


def ends_of(heard: Counter[Heard]) -> Counter[Heard]:
    return Counter({event: n for event, n in heard.items() if event[0] != "gap"})


def key_of(id: str) -> str:
    return f"{id}:00000000000"


def id_in(slots: range, name: str) -> str:
    return next(id for i in range(1 << 20) if slot_of(key_of(id := f"{name}-{i}")) in slots)


def id_at(cluster: Cluster, node: Node, name: str) -> str:
    first, last = node.own().slots[0]
    return id_in(range(first, last + 1), name)


def end(server: Server, id: str) -> Heard:
    with server.wire() as wire:
        wire("SET", key_of(id), "{}")
        wire("DEL", key_of(id))
    return "del", id


def publishes(server: Server) -> bool:
    flags = set(server("CONFIG", "GET", "notify-keyspace-events")[1].decode())
    return {"g", "x", "E"} <= flags or {"A", "E"} <= flags


def listeners_at(server: Server) -> int:
    """Connections that have subscribed."""
    lines = server("CLIENT", "LIST").decode().splitlines()
    return sum(" sub=2 " in line for line in lines)


def wait_for(condition: Any, seconds: float = SOON) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def publish_nothing(cluster: Cluster) -> None:
    for node in cluster.living:
        node("CONFIG", "SET", "notify-keyspace-events", "")


def test_ends_of_every_primary(cluster: Cluster) -> None:
    publish_nothing(cluster)
    with listening(cluster.url) as listeners:
        assert all(publishes(node) for node in cluster.primaries)
        # A new replica is not named at once.
        wait_for(lambda: listeners[0].next(0.1) is None and all(map(publishes, cluster.nodes)))
        told = Counter(
            {
                end(node, id_at(cluster, node, f"u{n}")): 1
                for n, node in enumerate(cluster.primaries)
            }
        )
        for n, node in enumerate(cluster.primaries):
            node("SET", key_of(id_at(cluster, node, f"x{n}")), "{}", "PX", 1)
            told["expired", id_at(cluster, node, f"x{n}")] += 1
        for listener in listeners:
            assert hear(listener, *(id for _, id in told)) == told
    for node in cluster.nodes:
        wait_for(lambda: listeners_at(node) == 0)  # noqa: B023


def test_a_moving_slot_ends_nothing(cluster: Cluster) -> None:
    source, target = cluster.primaries[:2]
    slot = cluster.slots_of(source)[0]
    tag = next(f"t{i}" for i in range(1 << 20) if slot_of(f"t{i}") == slot)
    ids = [f"{{{tag}}}{n}" for n in range(40)]
    for id in ids:
        source("SET", key_of(id), "{}")
    with listening(cluster.url) as listeners:

        def half_way(_: int) -> None:
            """Some are ended where they are now: at the source, or at the target."""
            for id in ids[:10]:
                with target.wire() as wire:
                    wire("ASKING")
                    if not wire("DEL", key_of(id)):
                        source("DEL", key_of(id))

        cluster.move_slots([slot], source, target, half_way)
        told = Counter({("del", id): 1 for id in ids[:10]})
        for id in ids[10:12]:
            target("DEL", key_of(id))
            told["del", id] += 1
        told[end(target, f"{{{tag}}}last")] += 1
        for listener in listeners:
            heard = hear(listener, *(id for _, id in told), "")
            assert ends_of(heard) == told
        cluster.move_slots([slot], target, source)
        told = Counter(
            [end(source, f"{{{tag}}}back"), end(target, id_at(cluster, target, "other"))]
        )
        for listener in listeners:
            assert ends_of(hear(listener, *(id for _, id in told), "")) == told


def test_a_slot_that_was_away_for_a_while(cluster: Cluster) -> None:
    """Nobody listened there, as far as is known: the client has seen it go and come back."""
    source, target = cluster.primaries[:2]
    slot = cluster.slots_of(source)[0]
    tag = next(f"t{i}" for i in range(1 << 20) if slot_of(f"t{i}") == slot)
    with tokenstore.Client(cluster.url) as client, SessionEvents(client, kea=True) as events:
        assert events.next(0.1) is None
        for here, there in ((source, target), (target, source)):
            cluster.move_slots([slot], here, there)
            client.execute("GET", f"{{{tag}}}")
        event = events.next(SOON)
        assert event is not None
        assert event.kind == "gap"


def test_an_orderly_failover(cluster: Cluster) -> None:
    with listening(cluster.url) as listeners:
        old = cluster.primaries[0]
        new = cluster.replicas_of(old)[0]
        cluster.failover(new)
        for listener in listeners:
            hear(listener, "")
        told = Counter([end(node, id_at(cluster, node, "after")) for node in cluster.primaries])
        for listener in listeners:
            assert ends_of(hear(listener, *(id for _, id in told))) == told
        wait_for(lambda: listeners_at(old) == 0)
        assert listeners_at(new) == len(listeners)
        cluster.wait_agreed()


def test_what_three_nodes_tell_is_told_once(cluster: Cluster) -> None:
    """As of a slot that has just moved to a primary that is just being replaced."""
    nodes = cluster.primaries[:3]
    slot = cluster.slots_of(nodes[0])[0]
    id = next(f"{{t{i}}}" for i in range(1 << 20) if slot_of(f"t{i}") == slot)
    with listening(cluster.url) as listeners:
        for number, source in enumerate(nodes):
            told = [end(source, id), end(source, id_at(cluster, source, f"after-{number}"))]
            told = told[1:] if number > 0 else told
            for listener in listeners:
                assert ends_of(hear(listener, *(id for _, id in told))) == Counter(told)
            cluster.move_slots([slot], source, nodes[(number + 1) % 3])


def test_each_end_is_told_once_or_lies_in_a_gap(cluster: Cluster) -> None:
    """While slots move and a replica takes over; and sessions that live are not told of."""
    living = [f"living-{n}" for n in range(300)]
    ended: dict[str, tuple[float, float]] = {}
    stopping = threading.Event()

    def write() -> None:
        with tokenstore.Client(cluster.url, timeout=SOON) as writer:
            for id in living:
                writer.execute("SET", key_of(id), "{}")
            while not stopping.is_set():
                id = f"load-{len(ended)}"
                writer.execute("SET", key_of(id), "{}")
                began = time.time()
                writer.execute("DEL", key_of(id))
                ended[id] = began, time.time()

    with tokenstore.Client(cluster.url) as client, SessionEvents(client, kea=True) as events:
        heard: list[SessionEnd | SessionGap] = []
        reader = threading.Thread(target=lambda: heard.extend(events))
        load = threading.Thread(target=write)
        reader.start()
        load.start()
        try:
            for _ in range(2):
                source, target = cluster.primaries[:2]
                slots = cluster.slots_of(source)[:40]
                cluster.move_slots(slots, source, target)
                cluster.wait_agreed()  # a replica that has not heard of them yet would take over without them
                cluster.failover(cluster.replicas_of(target)[0])
                cluster.wait_agreed()
                cluster.move_slots(slots, cluster.primary_of(slots[0]), source)
                cluster.wait_agreed()
        finally:
            stopping.set()
            load.join()
        time.sleep(2.5)  # the last gap
        events.close()
        reader.join()
    times = Counter(event.id for event in heard if event.kind != "gap")
    gaps = [event for event in heard if isinstance(event, SessionGap)]
    missed = {id for id in ended if id not in times}
    assert len(ended) > 100
    assert set(times.values()) == {1}
    assert not set(living) & set(times)
    assert {
        id
        for id in missed
        if not any(gap.lost_at <= ended[id][1] and ended[id][0] <= gap.restored_at for gap in gaps)
    } == set()


def test_credentials_are_asked_for(cluster: Cluster) -> None:
    asked = []

    def credentials() -> tuple[str, str]:
        asked.append(1)
        return "listener", "password"

    for node in cluster.nodes:
        node("ACL", "SETUSER", "listener", "on", ">password", "~*", "&*", "+@all")
    with (
        tokenstore.Client(cluster.url, credentials=credentials) as client,
        SessionEvents(client, kea=True) as events,
    ):
        for node in cluster.primaries:
            assert end(node, id := id_at(cluster, node, "secret"))
            event = events.next(SOON)
            assert event is not None
            assert event.kind == "del"
            assert event.id == id
        assert len(asked) >= 3
        cluster.failover(cluster.replicas_of(cluster.primaries[1])[0])
        while (event := events.next(SOON)) is not None and event.kind != "gap":
            pass
        assert event is not None
        for node in cluster.primaries:
            end(node, id := id_at(cluster, node, "other"))
            while (event := events.next(SOON)) is not None and event.kind == "gap":
                pass
            assert event is not None
            assert event.id == id
    cluster.wait_agreed()


def test_nodes_come_and_go() -> None:
    with (
        running_cluster(replicas=1, node_timeout=500) as cluster,
        listening(cluster.url) as listeners,
    ):
        source = cluster.primaries[0]
        added = cluster.add_node()
        slots = cluster.slots_of(source)[:3]
        cluster.move_slots(slots, source, added)
        early = time.time()
        end(added, id_at(cluster, added, "early"))
        for listener in listeners:
            hear(listener, "")  # not of that one: nobody listened there yet
        assert listeners[0].gaps[-1].lost_at <= early  # type: ignore[union-attr]
        assert publishes(added)
        told = Counter([end(node, id_at(cluster, node, "added")) for node in (source, added)])
        for listener in listeners:
            assert ends_of(hear(listener, *(id for _, id in told))) == told
        cluster.wait_agreed()
        killed = source
        promoted = cluster.replicas_of(killed)[0]
        cluster.kill(killed)
        began = time.time()
        wait_for(lambda: promoted("ROLE")[0] == b"master" and promoted.own().slots)
        for listener in listeners:
            hear(listener, "")
        gap = listeners[0].gaps[-1]  # type: ignore[union-attr]
        assert gap.lost_at <= began <= gap.restored_at
        cluster.wait_agreed()  # not all nodes know at once, and those that do not serve nothing
        living = [promoted, added, *cluster.nodes[1:3]]
        told = Counter([end(node, id_at(cluster, node, "killed")) for node in living])
        for listener in listeners:
            assert ends_of(hear(listener, *(id for _, id in told))) == told


def follows(replica: Server, primary: Server) -> bool:
    role = replica("ROLE")
    return bool(role[0] == b"slave" and role[2] == primary.port and role[3] == b"connected")


def test_sentinels_name_another_primary() -> None:
    with running_sentinels(replicas=2) as watched, listening(watched.url) as listeners:
        assert all(map(publishes, watched.nodes))
        told = end(watched.primary, "before")
        for listener in listeners:
            assert hear(listener, "before") == Counter([told])
        killed = watched.primary
        killed.kill()
        wait_for(lambda: watched.primary is not killed)
        for listener in listeners:
            hear(listener, "")
        told = end(watched.primary, "killed")
        for listener in listeners:
            assert ends_of(hear(listener, "killed")) == Counter([told])

        old = watched.primary
        wait_for(lambda: all(follows(node, old) for node in watched.living if node is not old))
        watched.failover()
        for listener in listeners:
            hear(
                listener, "", seconds=6
            )  # the Sentinel turns the old one, and closes what is open there, after 10
        told = end(watched.primary, "after")
        for listener in listeners:
            assert ends_of(hear(listener, "after")) == Counter([told])
        wait_for(lambda: listeners_at(old) == 0, 5)


def test_a_user_without_rights(cluster: Cluster) -> None:
    for node in cluster.nodes:
        node("ACL", "SETUSER", "poor", "on", ">password", "~*", "resetchannels", "+@all")
    url = cluster.url.replace("://", "://poor:password@")
    with (
        tokenstore.Client(url) as client,
        pytest.raises(tokenstore.ServerError, match="SUBSCRIBE refused"),
    ):
        SessionEvents(client)


def test_no_node_answers() -> None:
    with tokenstore.Client("redis+cluster://127.0.0.1:1,127.0.0.1:2") as client:
        with pytest.raises(tokenstore.ConnectionError, match="refused"):
            SessionEvents(client)


def test_threads_and_forks(cluster: Cluster) -> None:
    with tokenstore.Client(cluster.url) as client, SessionEvents(client, kea=True) as events:
        child = os.fork()
        if child == 0:
            try:
                events.next(5)
            except tokenstore.Error as error:
                os._exit(0 if "the process has forked" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert events.next(0) is None
        for node in cluster.primaries:
            end(node, id := id_at(cluster, node, "forked"))
            assert events.next(SOON) == SessionEnd("del", id, key_of(id))
        heard: list[Any] = []
        reader = threading.Thread(target=lambda: heard.extend(events))
        reader.start()
        time.sleep(0.1)
        events.close()
        reader.join(5)
        assert not reader.is_alive()
        assert heard == []
