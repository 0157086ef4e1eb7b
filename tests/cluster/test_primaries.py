"""Commands for every primary, and for one node by its name; what walks through all keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import tokenstore
from clusters import Cluster, Node, running_cluster, slot_of
from sentinels import running_sentinels
from tokenstore import Client, ConfigurationError, DataError, ServerError, _walk
from tokenstore.__main__ import main


def addresses(cluster: Cluster) -> list[str]:
    return sorted(node.address for node in cluster.primaries)


def test_each_primary_answers(cluster: Cluster, client: Client) -> None:
    for i in range(100):
        client.execute("SET", f"k{i}", "v")
    sizes = client.for_each_primary("DBSIZE")
    assert sorted(sizes) == addresses(cluster)
    assert sizes == {node.address: node("DBSIZE") for node in cluster.primaries}
    assert sum(sizes.values()) == 100
    ports = client.for_each_primary("config", "get", "port")
    assert all(node.endswith(f":{port.decode()}") for node, (_, port) in ports.items())


def test_all_are_asked_at_the_same_time(cluster: Cluster, client: Client) -> None:
    client.ping()
    began = time.monotonic()
    assert set(client.for_each_primary("WAIT", 2, 400).values()) == {1}  # it has one replica
    assert time.monotonic() - began < 1.1  # one after the other: 1.2 s


def test_the_error_of_one_node_names_it(cluster: Cluster, client: Client) -> None:
    first, other, _ = cluster.primaries
    for node in (first, other):
        node("ACL", "SETUSER", "default", "-config")
    try:
        with pytest.raises(
            ServerError, match=f"({first.address}|{other.address}): the server answered: NOPERM"
        ):
            client.for_each_primary("CONFIG", "GET", "port")
    finally:
        for node in (first, other):
            node("ACL", "SETUSER", "default", "+config")
    with pytest.raises(ServerError) as caught:
        client.for_each_primary("NOPE", "a-secret")
    assert "a-secret" not in str(caught.value)
    with pytest.raises(ServerError, match="MOVED"):
        client.for_each_primary("GET", "k")
    with pytest.raises(DataError, match="not sent"):
        client.for_each_primary("SELECT", "1")
    with pytest.raises(DataError, match="empty"):
        client.for_each_primary()


def test_a_node_by_its_name(cluster: Cluster, client: Client) -> None:
    key = "k"
    owner = cluster.primary_of(key).address
    client.execute("SET", key, "v")
    for node in addresses(cluster):
        assert (
            client.execute("CONFIG", "GET", "port", node=node)[1].decode() == node.partition(":")[2]
        )
        if node == owner:
            assert client.execute("GET", key, node=node) == b"v"
            assert client.pipeline([("GET", key), ("DBSIZE",)], node=node) == [b"v", 1]
            assert client.pipeline([("MULTI",), ("INCR", "{k}n"), ("EXEC",)], node=node)[2] == [1]
            continue
        with pytest.raises(ServerError, match=f"MOVED {slot_of(key)} {owner}"):
            client.execute("GET", key, node=node)
    (first, *_) = addresses(cluster)
    replica = cluster.replicas_of(cluster.primaries[0])[0].address
    for wrong in ("127.0.0.1:1", "127.0.0.1", replica):
        with pytest.raises(ConfigurationError, match=f"node {wrong} is no primary here.*{first}"):
            client.execute("PING", node=wrong)
    with pytest.raises(DataError, match="key or node, not both"):
        client.execute("PING", key=key, node=first)
    with pytest.raises(DataError, match="node is empty"):
        client.pipeline([("PING",)], node="")


def test_one_server_is_its_only_node() -> None:
    with Client("embedded:") as client:
        ((name, pong),) = client.for_each_primary("PING").items()
        assert pong == "PONG"
        assert client.execute("PING", node=name) == "PONG"
        with pytest.raises(
            ConfigurationError, match="node a:1 is no primary here: there is embedded:"
        ):
            client.execute("PING", node="a:1")


def test_the_primary_that_sentinels_name() -> None:
    with running_sentinels() as watched, Client(watched.url, timeout=20) as client:
        name = watched.primary.address
        assert client.for_each_primary("PING") == {name: "PONG"}
        assert client.execute("PING", node=name) == "PONG"
        watched.failover()
        new = watched.primary.address
        end = time.monotonic() + 5
        while (seen := [*client.for_each_primary("ROLE")]) != [new] and time.monotonic() < end:
            time.sleep(0.1)
        assert seen == [new] != [name]
        with pytest.raises(ConfigurationError, match=new):
            client.execute("PING", node=name)


def test_it_follows_the_topology() -> None:
    """A read is repeated at the replica that takes over; a new node is asked when it has slots."""
    with (
        running_cluster(replicas=1, node_timeout=500) as cluster,
        Client(cluster.url, timeout=20) as client,
    ):
        assert sorted(client.for_each_primary("PING")) == addresses(cluster)
        dead = cluster.primaries[0]
        killer = threading.Timer(0.3, cluster.kill, [dead])
        killer.start()
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            seen = client.for_each_primary("DBSIZE")
            assert len(seen) == 3
        killer.join()
        assert sorted(seen) == addresses(cluster)
        assert dead.address not in seen
        added = cluster.add_node()
        assert added.address not in client.for_each_primary("PING")
        cluster.move_slots([slot_of("k")], cluster.primary_of("k"), added)
        client.execute("SET", "k", "v")
        assert client.for_each_primary("DBSIZE")[added.address] == 1


# ---- what walks through all keys -----------------------------------------------------------------------------------


def names(walked: Iterator[tuple[str, list[bytes] | None]]) -> list[bytes]:
    """What a walk counts in the end."""
    found: dict[str, list[bytes]] = {}
    for node, keys in walked:
        if keys is None:
            found.pop(node, None)
        else:
            found.setdefault(node, []).extend(keys)
    return sorted(key for keys in found.values() for key in set(keys))


def test_stats_are_those_of_all_primaries(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    with tokenstore.RedisTokens(cluster.url) as tokens:
        for n in range(90):
            tokens.create("web", "login", f"owner-{n % 45}", duration=100)
        tokens.create("web", "login", "owner-1")
        tokens.create("other", "login", "bob")
    assert main(["stats", cluster.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"app": "other", "type": "login", "owners": 1, "tokens": 1, "lasting": 1},
        {"app": "web", "type": "login", "owners": 45, "tokens": 91, "lasting": 1},
    ]


def test_a_walk_while_slots_move(cluster: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a node that is still to be scanned to one that was, and the other way round; there and back."""
    monkeypatch.setattr(_walk, "_PAUSE", 0.05)
    keys = [f"k{i}" for i in range(300)]
    for key in keys:
        client.execute("SET", key, "v")
    want = sorted(key.encode() for key in keys)
    assert names(_walk.walk(client, "k*", 10)) == want
    order = [*client.for_each_primary("PING")]
    first, last = (next(n for n in cluster.primaries if n.address == order[i]) for i in (0, -1))
    for source, target in ((last, first), (first, last)):
        slots = sorted({slot_of(key) for key in keys if cluster.primary_of(key) is source})[:5]

        def moved(source: Node = source, target: Node = target, slots: list[int] = slots) -> Iterator[Any]:
            nodes = []
            for node, found in _walk.walk(client, "k*", 10):
                if node not in nodes and len(nodes) == 1:
                    cluster.move_slots(slots, source, target)  # the first is scanned whole
                nodes.append(node) if node not in nodes else None
                yield node, found

        assert names(moved()) == want
    slot = slot_of(keys[0])
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)

    def stop(_: int) -> None:
        raise InterruptedError

    with suppress(InterruptedError):
        cluster.move_slots([slot], source, target, stop)  # half-way
    with pytest.raises(tokenstore.ConnectionError, match="keep moving"):
        names(_walk.walk(client, "k*", 1000))
    cluster.move_slots([slot], source, target)
    assert names(_walk.walk(client, "k*", 1000)) == want
    cluster.move_slots([slot], target, source)


def test_a_walk_while_a_replica_takes_over() -> None:
    with running_cluster(replicas=1, node_timeout=500) as cluster, Client(cluster.url, timeout=20) as client:
        keys = [f"k{i}" for i in range(300)]
        for key in keys:
            client.execute("SET", key, "v")
        cluster.wait_agreed()
        time.sleep(0.3)  # the replicas have all

        def killed() -> Iterator[Any]:
            dead = None
            for i, (node, found) in enumerate(_walk.walk(client, "k*", 10)):
                if i == 2:
                    dead = next(n for n in cluster.primaries if n.address == node)
                    cluster.kill(dead)
                yield node, found

        assert names(killed()) == sorted(key.encode() for key in keys)


def test_migrate_says_that_it_works_on_one_server(cluster: Cluster) -> None:
    with pytest.raises(ConfigurationError, match="not yet on a cluster"):
        tokenstore.migrate.redis_tokens(cluster.url)


# ---- what finds the keys of one slot while it moves ------------------------------------------------------------------


def while_moving(cluster: Cluster, key: str, job: Callable[[], Any]) -> Any:
    """What `job` gives, begun with half of the slot's keys moved."""
    slot, results = slot_of(key), list[Any]()
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)
    thread = threading.Thread(target=lambda: results.append(job()))

    def half_way(_: int) -> None:
        assert target("CLUSTER", "COUNTKEYSINSLOT", slot) > 0
        thread.start()
        time.sleep(0.3)

    cluster.move_slots([slot], source, target, half_way)
    thread.join()
    return results[0]


def test_reset_while_its_slot_moves(cluster: Cluster, client: Client) -> None:
    store = tokenstore.Tokenstore(client, prefix="{token}")
    client.execute("SET", "{token}-other", "v")
    for round in range(2):
        for i in range(200):
            store.add(f"user-{i}")
        # A script that comes upon a key that has just left ends half-way, and its count is lost.
        assert 150 <= while_moving(cluster, "{token}", store.reset) <= 200, round
        left = [key for node in cluster.primaries for key in node("KEYS", "*")]
        assert left == [b"{token}-other"]


def test_sessions_are_found_while_their_slot_moves(cluster: Cluster, client: Client) -> None:
    jwt = tokenstore.RedisJWT(client, secret="s" * 32, node_writers=True, multiple=True)
    for method in (jwt.list, jwt.destroy_multiple):
        for _ in range(40):
            jwt.sign("{bob}")
        client.execute("DEL", "rjwt-sessions/{bob}")  # as Node leaves it
        found = while_moving(cluster, "{bob}", lambda method=method: method("{bob}"))
        assert (found if isinstance(found, int) else len(found)) == 40
        if method == jwt.list:
            assert jwt.destroy_multiple("{bob}") == 40


def test_a_scan_with_an_old_map(cluster: Cluster, client: Client) -> None:
    """No answer to SCAN says that the slot has moved."""
    jwt = tokenstore.RedisJWT(client, secret="s" * 32, node_writers=True)
    slot = slot_of("{ann}")
    source = cluster.primary_of(slot)
    target = next(node for node in cluster.primaries if node is not source)
    jwt.sign("{ann}")
    client.execute("DEL", "rjwt-sessions/{ann}")
    cluster.move_slots([slot], source, target)
    assert len(jwt.list("{ann}")) == 1
    store = tokenstore.Tokenstore(client, prefix="{ann}t")
    store.add("user")
    cluster.move_slots([slot], target, source)
    assert store.reset() == 1
