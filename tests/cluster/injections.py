"""The faults of faults.py: each is done to a cluster, or to a primary with Sentinels, that is under load."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from clusters import Cluster, Node, slot_of
from namespaces import PartedCluster


def tag_of(slot: int) -> str:
    return next(f"{{{i}}}" for i in range(1 << 30) if slot_of(f"{{{i}}}") == slot)


@dataclass
class Run:
    """`node` is the one concerned, `slots` are its slots at the beginning."""

    system: Any
    """The Cluster, or the Sentinels."""
    node: Any
    slots: set[int]
    allowed: list[tuple[float, float]] = field(default_factory=list)
    """What was acknowledged within one of these, on these slots, may be lost."""
    notes: list[str] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        assert isinstance(self.system, Cluster)
        return self.system

    def other(self) -> Node:
        return next(node for node in self.cluster.primaries if node is not self.node)

    def replica(self) -> Node:
        return self.cluster.replicas_of(self.cluster.primary_of(min(self.slots)))[0]

    def allow(self, before: float, after: float = 0) -> None:
        now = time.time()
        self.allowed.append((now - before, now + after))

    @contextlib.contextmanager
    def allowing(self, before: float, after: float) -> Iterator[None]:
        """Meanwhile."""
        began = time.time()
        yield
        self.allowed.append((began - before, time.time() + after))


Fault = Callable[[Run], None]


def reshard(run: Run) -> None:
    """1 500 slots there, by redis-cli, and back."""
    other = run.other()
    command = ["redis-cli", "--cluster", "reshard", run.node.address, "--cluster-yes"]
    command += ["--cluster-from", run.node.id, "--cluster-to", other.id, "--cluster-slots", "1500"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    run.cluster.wait_agreed()
    moved = sorted(run.slots & set(run.cluster.slots_of(other)))
    run.notes.append(f"{len(moved)} slots")
    run.cluster.move_slots(moved, other, run.node)


def big_slot(run: Run) -> None:
    """A slot of 40 000 keys there and back, half of it for a second on both."""
    slot = slot_of(next(key for key in run.node.keys() if key.startswith(b"ts:")))
    tag = tag_of(slot)
    with run.node.wire() as wire:
        for i in range(0, 40_000, 1000):
            for j in range(i, i + 1000):
                wire.send("SET", f"{tag}:{j}", "x" * 100)
            for _ in range(1000):
                assert wire.read() == "OK"
    other = run.other()
    run.cluster.move_slots([slot], run.node, other, lambda _: time.sleep(1))
    run.cluster.move_slots([slot], other, run.node, lambda _: time.sleep(1))


class _HalfWay(Exception):
    pass


def half_way(run: Run) -> None:
    """Five slots with keys, each left half-way; after 3 s they are finished."""
    slots = sorted({slot_of(key) for key in run.node.keys() if key.startswith(b"ts:")})[:5]
    other = run.other()

    def leave(slot: int) -> None:
        raise _HalfWay

    for slot in slots:
        with contextlib.suppress(_HalfWay):
            run.cluster.move_slots([slot], run.node, other, leave)
    time.sleep(3)
    run.cluster.move_slots(slots, run.node, other)


def kill(run: Run) -> None:
    """SIGKILL of a primary."""
    run.allow(before=0.5, after=0.1)
    run.node.kill()


def stop_cont(run: Run) -> None:
    """SIGSTOP of a primary; SIGCONT one second after its replica took over."""
    run.allow(before=0.5, after=0.1)
    run.node.stop()
    run.system.wait_agreed()
    time.sleep(1)
    run.node.cont()


def failover(run: Run) -> None:
    """Three orderly failovers: there, back, there."""
    for _ in range(3):
        run.cluster.failover(run.replica())
        run.cluster.wait_agreed()
        time.sleep(1)


def failover_force(run: Run) -> None:
    """FORCE: the primary is not asked, and serves until it hears of its successor."""
    run.allow(before=0.5, after=1)
    run.cluster.failover(run.replica(), "FORCE")


def takeover(run: Run) -> None:
    """TAKEOVER: nor are the others."""
    run.allow(before=0.5, after=1)
    run.cluster.failover(run.replica(), "TAKEOVER")


def partition(run: Run) -> None:
    """The primary and another one's replica are cut off from the other nodes, not from the clients; for two seconds after
    the take-over both sides have a map."""
    cluster = run.cluster
    assert isinstance(cluster, PartedCluster)
    minority = [run.node, cluster.replicas_of(run.other())[0]]
    with run.allowing(before=0.5, after=0.2):
        cluster.part(minority)
        while run.node.info("cluster", "cluster_state") == "ok":  # until then it takes writes, which will be lost
            time.sleep(0.01)
    first, last = run.allowed[0]
    run.notes.append(f"the minority served for {last - first - 0.7:.1f} s")
    cluster.wait_agreed()
    time.sleep(2)
    cluster.heal(minority)


def add_node(run: Run) -> None:
    """A fourth primary, which gets 1 000 slots."""
    added = run.cluster.add_node()
    run.cluster.move_slots(sorted(run.slots)[:1000], run.node, added)


def remove_node(run: Run) -> None:
    """A fourth primary's 1 000 slots go to the others; it lives on, alone, and counts who still comes."""
    run.cluster.remove_node(run.node, end=False)
    time.sleep(1)
    with run.node.wire() as wire:

        def connections() -> int:
            text: bytes = wire("INFO", "stats")
            return int(text.partition(b"total_connections_received:")[2].split(b"\r")[0])

        before = connections()
        time.sleep(4)
        run.notes.append(f"{connections() - before} dials after 1 s")
    run.node.remove()


def kill_restart(run: Run) -> None:
    """SIGKILL of a primary, which comes back, empty, when another has taken over: with Sentinels, as a primary for ten
    seconds."""
    run.allow(before=0.5, after=0.1)
    run.node.kill()
    run.system.wait_agreed()
    run.node.start()


def failovers(run: Run) -> None:
    """Five that a Sentinel orders. Until it has turned to the new primary, what the old one takes is lost."""
    for _ in range(5):
        with run.allowing(before=0.5, after=0.2):
            run.system.failover()
        run.system.wait_agreed()


def deaf(run: Run) -> None:
    """SIGSTOP of a Sentinel, for twelve seconds."""
    run.system.sentinels[0].stop()
    time.sleep(12)
    run.system.sentinels[0].cont()


def _by_name(*functions: Fault) -> dict[str, Fault]:
    return {function.__name__.replace("_", "-"): function for function in functions}


OF_CLUSTERS = _by_name(
    *(reshard, big_slot, half_way, kill, kill_restart, stop_cont, failover, failover_force, takeover),
    *(partition, add_node, remove_node),
)
OF_SENTINELS = {
    f"sentinel-{name}": fault for name, fault in _by_name(kill, stop_cont, kill_restart, failovers, deaf).items()
}
FAULTS = {**OF_CLUSTERS, **OF_SENTINELS}
