"""Real clusters for the tests: primaries and replicas on ports of 127.0.0.1, formed and changed step by step with the
servers' own commands, each server ended by its pid.

Independent of the package, as servers.py is. What the harness asks about the topology is CLUSTER NODES and INFO, so
that the counts of CLUSTER SLOTS and SHARDS are the clients' alone.
"""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

from servers import BINARY, ReplyError, Server, Tls, Wire

SLOTS = 16384

BATCH = 100
"""Keys per MIGRATE."""


def slot_of(key: str | bytes) -> int:
    """The slot of a key: CRC16 of the first non-empty {tag}, else of the whole key."""
    data = key if isinstance(key, bytes) else key.encode()
    start = data.find(b"{")
    end = data.find(b"}", start + 1)
    if start >= 0 and end > start + 1:
        data = data[start + 1 : end]
    return binascii.crc_hqx(data, 0) % SLOTS


class Seen(NamedTuple):
    """One line of CLUSTER NODES."""

    id: str
    address: str
    flags: frozenset[str]
    primary: str
    """The id of its primary; "-": none."""
    epoch: int
    slots: tuple[tuple[int, int], ...]


def _seen(line: str) -> Seen:
    id, address, flags, primary, _, _, epoch, _, *slots = line.split(" ")
    ranges = []
    for slot in slots:
        if not slot.startswith("["):  # else it is on its way
            first, _, last = slot.partition("-")
            ranges.append((int(first), int(last or first)))
    where = address.partition("@")[0]
    return Seen(id, where, frozenset(flags.split(",")), primary, int(epoch), tuple(sorted(ranges)))


class Node(Server):
    """A server of a cluster."""

    id = ""
    def view(self) -> dict[str, Seen]:
        """CLUSTER NODES, by id."""
        text: bytes = self("CLUSTER", "NODES")
        return {seen.id: seen for seen in map(_seen, text.decode().splitlines())}

    def own(self) -> Seen:
        """How it sees itself."""
        return next(seen for seen in self.view().values() if "myself" in seen.flags)


class Cluster:
    """`primaries` primaries, each with `replicas` replicas; `node_timeout` in ms. `options` are the servers'."""

    def __init__(
        self,
        *options: str,
        primaries: int = 3,
        replicas: int = 0,
        node_timeout: int = 1000,
        binary: str = BINARY,
        tls: Tls | None = None,
    ) -> None:
        self.binary = binary
        self.tls = tls
        self.options = [
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout)),
            *("--appendonly", "no", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"),
            *options,
        ]
        self._primaries = primaries
        self._replicas = replicas
        self.nodes: list[Node] = []
        """The primaries, then their replicas in the same order, then those added."""

    def start(self) -> None:
        """Ready after about 2 s, which a primary waits before it serves."""
        count = self._primaries
        try:
            for _ in range(count * (1 + self._replicas)):
                self._start_node()
            for i, node in enumerate(self.nodes):
                node("CLUSTER", "SET-CONFIG-EPOCH", i + 1)  # else they collide
            for i, node in enumerate(self.nodes[:count]):
                slots = range(i * SLOTS // count, (i + 1) * SLOTS // count)
                try:
                    node("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[-1])
                except ReplyError:  # before Redis 7.0
                    node("CLUSTER", "ADDSLOTS", *slots)
            for i, node in enumerate(self.nodes):
                for other in self.nodes[i + 1 :]:
                    node("CLUSTER", "MEET", other.host, other.port)
            for i, node in enumerate(self.nodes[count:]):
                self._replicate(node, self.nodes[i % count])
            self.wait_agreed()
            for node in self.nodes:
                node("CONFIG", "RESETSTAT")
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Ends all servers."""
        for node in self.nodes:
            node.remove()

    @property
    def url(self) -> str:
        scheme = "rediss+cluster" if self.tls else "redis+cluster"
        return f"{scheme}://{','.join(node.address for node in self.nodes)}"

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def raw(self, node: Node, *command: str | bytes | int) -> Any:
        return node(*command)

    # ---- topology --------------------------------------------------------------------------------------

    @property
    def living(self) -> list[Node]:
        """Those neither killed nor away."""
        return [node for node in self.nodes if node.alive]

    @property
    def primaries(self) -> list[Node]:
        """Living primaries with slots."""
        return [node for node in self.living if node.own().slots]

    def primary_of(self, slot: int | str | bytes) -> Node:
        """Of a slot, or of a key: the living node with the newest claim."""
        number = slot if isinstance(slot, int) else slot_of(slot)
        claims = []
        for node in self.living:
            own = node.own()
            if any(first <= number <= last for first, last in own.slots):
                claims.append((own.epoch, node.port, node))
        if not claims:
            raise LookupError(f"no living node serves slot {number}")
        return max(claims)[2]

    def replicas_of(self, primary: Node) -> list[Node]:
        return [node for node in self.living if node.own().primary == primary.id]

    def slots_of(self, node: Node) -> list[int]:
        return [slot for first, last in node.own().slots for slot in range(first, last + 1)]

    def wait_agreed(self, seconds: float = 30) -> None:
        """Until the living nodes serve all slots, agree on addresses, roles and slots, take the cluster's state for ok
        and no living node for failed, and the living replicas are linked."""
        end = time.monotonic() + seconds
        while problem := self._disagreement():
            if time.monotonic() > end:
                raise TimeoutError(f"after {seconds} s: {problem}")
            time.sleep(0.02)

    def _disagreement(self) -> str:
        living = {node.id for node in self.living}
        first: dict[str, Seen] = {}
        for node in self.living:
            view = node.view()
            if missing := {other.id for other in self.nodes} - view.keys():
                return f"{node.address} does not know {missing}"
            for seen in view.values():
                if "handshake" in seen.flags or (seen.flags & {"fail", "fail?"} and seen.id in living):
                    return f"{node.address} sees {seen}"
            known = {id: seen._replace(flags=frozenset(), epoch=0) for id, seen in view.items()}
            first = first or known
            if known != first:
                return f"{node.address} sees {known}, another {first}"
            if (state := node.info("cluster", "cluster_state")) != "ok":
                return f"the cluster's state is {state} at {node.address}"
            if view[node.id].primary in living and node.info("replication", "master_link_status") != "up":
                return f"the replica {node.address} is not linked"
        served = sum(b - a + 1 for id in living for a, b in first[id].slots)
        return "" if served == SLOTS else f"the living nodes serve {served} slots"

    # ---- faults ----------------------------------------------------------------------------------------

    def kill(self, node: Node) -> None:
        """SIGKILL. Its data are lost."""
        node.kill()

    def stop(self, node: Node) -> None:
        node.stop()

    def cont(self, node: Node) -> None:
        node.cont()

    def restart(self, node: Node) -> None:
        """It comes back under its id, without data: with its slots, if nobody took them over meanwhile."""
        node.kill()
        node.start()

    def failover(self, replica: Node, mode: str | None = None, seconds: float = 30) -> None:
        """Until it is the primary, and the one it replaces is none. `mode`: FORCE does without the primary, TAKEOVER without a
        vote, too. With these a primary serves until it hears of its successor; what it executes meanwhile is lost."""
        command = ["CLUSTER", "FAILOVER", *([mode] if mode else [])]
        end = time.monotonic() + seconds
        old = [node for node in self.living if node.id == replica.own().primary]
        while True:
            replica(*command)
            again = time.monotonic() + 5  # the servers give up an attempt after 5 s
            while time.monotonic() < min(again, end):
                if all((node("ROLE")[0] == b"master") == (node is replica) for node in (replica, *old)):
                    return
                time.sleep(0.01)
            if time.monotonic() > end:
                raise TimeoutError(f"{replica.address} is no primary {seconds} s after {' '.join(command)}")

    # ---- slots -----------------------------------------------------------------------------------------

    def move_slots(
        self,
        slots: Iterable[int],
        source: Node,
        target: Node,
        half_way: Callable[[int], object] | None = None,
    ) -> None:
        """Moves them one by one, with their keys. `half_way` is called with each slot while it is importing at the target and
        migrating at the source, and half its keys have moved. If it raises, the slot stays so; calling again
        finishes."""
        with ExitStack() as stack:
            wires = {node: stack.enter_context(node.wire()) for node in self.living}
            here, there = wires[source], wires[target]
            others = [
                wire
                for node, wire in wires.items()
                if node not in (source, target) and node.own().primary == "-"
            ]
            for slot in slots:
                there("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
                here("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
                if half_way is not None:
                    self._move_keys(slot, here, target, here("CLUSTER", "COUNTKEYSINSLOT", slot) // 2)
                    half_way(slot)
                self._move_keys(slot, here, target)
                # The target first: if this ends in between, nobody would serve the slot otherwise.
                there("CLUSTER", "SETSLOT", slot, "NODE", target.id)
                for wire in (here, *others):
                    with suppress(ReplyError):  # it lost its last slot and is the target's replica already
                        wire("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    @staticmethod
    def _move_keys(slot: int, source: Wire, target: Node, count: int = 1 << 62) -> None:
        """That many of the slot's keys, or all."""
        while count > 0:
            keys = source("CLUSTER", "GETKEYSINSLOT", slot, min(BATCH, count))
            if not keys:
                return
            source("MIGRATE", target.host, target.port, "", 0, 10_000, "KEYS", *keys)
            count -= len(keys)

    # ---- nodes -----------------------------------------------------------------------------------------

    def make_node(self) -> Node:
        return Node(*self.options, transport="tcp", binary=self.binary, tls=self.tls)

    def _start_node(self) -> Node:
        node = self.make_node()
        self.nodes.append(node)
        node.start()
        node.id = node("CLUSTER", "MYID").decode()
        return node

    @staticmethod
    def _replicate(node: Node, primary: Node) -> None:
        end = time.monotonic() + 10
        while True:
            try:
                node("CLUSTER", "REPLICATE", primary.id)
                return
            except ReplyError:  # it does not know the primary yet
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def add_node(self, replica_of: Node | None = None) -> Node:
        """Without slots: a primary, or a replica."""
        node = self._start_node()
        for other in self.living[:-1]:
            other("CLUSTER", "MEET", node.host, node.port)
        if replica_of is not None:
            self._replicate(node, replica_of)
        self.wait_agreed()
        return node

    def remove_node(self, node: Node, end: bool = True) -> None:
        """Moves its slots to the other primaries, makes all forget it, and ends it, or leaves it to itself."""
        others = [other for other in self.primaries if other is not node]
        slots = self.slots_of(node)
        for i, other in enumerate(others):
            part = slots[i * len(slots) // len(others) : (i + 1) * len(slots) // len(others)]
            self.move_slots(part, node, other)
        for replica in self.replicas_of(node):
            self._replicate(replica, others[0])
        self.nodes.remove(node)
        for other in self.living:
            # Its former replica forgets it only when it has turned to its new primary.
            self._forget(other, node)
        if end:
            node.remove()
        else:
            node("CLUSTER", "RESET")
        self.wait_agreed()

    @staticmethod
    def _forget(other: Node, node: Node) -> None:
        """Unless it has heard so from another one already."""
        with suppress(ReplyError):
            other("CLUSTER", "FORGET", node.id)


@contextmanager
def running_cluster(
    *options: str,
    primaries: int = 3,
    replicas: int = 0,
    node_timeout: int = 1000,
    binary: str = BINARY,
    tls: Tls | None = None,
) -> Iterator[Cluster]:
    cluster = Cluster(
        *options,
        primaries=primaries,
        replicas=replicas,
        node_timeout=node_timeout,
        binary=binary,
        tls=tls,
    )
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
