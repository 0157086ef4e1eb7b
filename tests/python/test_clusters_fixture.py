"""The tests' clusters: they form, move slots, fail over, grow and shrink, in `make soak`, on each kind of server.
(tests/cluster use them in `make test`.)"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import Cluster, running_cluster, slot_of
from servers import BINARIES, ReplyError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=BINARIES, ids=lambda path: Path(path).name)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if shutil.which(request.param) is None:
        pytest.skip(f"{Path(request.param).name} is not installed")
    with running_cluster(replicas=1, binary=request.param) as cluster:
        yield cluster


def test_it_forms(cluster: Cluster) -> None:
    slots = [sorted([s[0], s[1], s[2][:3]] for s in node("CLUSTER", "SLOTS")) for node in cluster.nodes]
    assert slots == slots[:1] * 6
    assert [s[:2] for s in slots[0]] == [[0, 5460], [5461, 10921], [10922, 16383]]
    assert all(p < 22768 for p in cluster.ports)


def test_a_slot_moves(cluster: Cluster) -> None:
    slot = slot_of("{k}")
    source = cluster.primary_of("{k}")
    target = next(node for node in cluster.primaries if node is not source)
    keys = [f"{{k}}:{i}" for i in range(250)]
    for key in keys:
        source("SET", key, key)
    seen = []

    def half_way(slot: int) -> None:
        seen.append((len(source("KEYS", "*")), len(target("KEYS", "*"))))
        with pytest.raises(ReplyError, match=f"ASK {slot} 127.0.0.1:{target.port}"):
            source("GET", "{k}:new")
        with target.wire() as wire:
            wire("ASKING")
            assert wire("SET", "{k}:new", 1) == "OK"
            wire("ASKING")
            with pytest.raises(ReplyError, match="TRYAGAIN"):
                wire("MGET", "{k}:new", "{k}:missing")

    cluster.move_slots([slot], source, target, half_way)
    cluster.wait_agreed()
    assert seen == [(125, 125)]
    assert cluster.primary_of(slot) is target
    assert len(target("KEYS", "*")) == 251
    with pytest.raises(ReplyError, match="MOVED"):
        source("GET", keys[0])


def test_failovers(cluster: Cluster) -> None:
    primary = cluster.primaries[0]
    (replica,) = cluster.replicas_of(primary)
    for mode in (None, "FORCE", "TAKEOVER"):
        cluster.failover(replica, mode)
        cluster.wait_agreed()
        assert replica in cluster.primaries
        primary, replica = replica, primary


def test_a_lost_primary(cluster: Cluster) -> None:
    primary = cluster.primaries[1]
    slot = cluster.slots_of(primary)[0]
    (replica,) = cluster.replicas_of(primary)
    cluster.kill(primary)
    cluster.wait_agreed()
    assert cluster.primary_of(slot) is replica
    cluster.restart(primary)
    cluster.wait_agreed()
    assert cluster.replicas_of(replica) == [primary]


def test_a_node_comes_and_goes(cluster: Cluster) -> None:
    before = list(cluster.nodes)
    source = cluster.primaries[0]
    added = cluster.add_node()
    cluster.move_slots(cluster.slots_of(source)[:20], source, added)
    cluster.wait_agreed()
    assert len(cluster.slots_of(added)) == 20
    cluster.remove_node(added)
    assert cluster.nodes == before
    assert len(cluster.primaries) == 3
