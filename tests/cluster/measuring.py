"""What happens to a cluster under load, measured from outside, and what is left of what was acknowledged."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Container
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from clusters import SLOTS, Cluster, slot_of
from injections import Run, tag_of
from sentinels import Sentinels
from servers import ReplyError, Server
from stores import value_in


class Probe(threading.Thread):
    """A raw client: the longest time in which no node served a slot, and in which the machine gave it no turn."""

    def __init__(self, nodes: list[Any], slot: int) -> None:
        super().__init__(daemon=True)
        self._nodes = nodes
        self._key = f"{tag_of(slot)}:probe"
        self._over = threading.Event()
        self.gap = self.stall = 0.0

    def run(self) -> None:
        node, last = self._nodes[0], time.monotonic()
        while True:
            waits = time.monotonic()
            if self._over.wait(0.005):
                return
            self.stall = max(self.stall, time.monotonic() - waits - 0.005)
            if self._served(node):
                now = time.monotonic()
                self.gap, last = max(self.gap, now - last), now
            else:
                node = random.choice(self._nodes)

    def _served(self, node: Server) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((node.host, node.port), 0.05) as s:
            s.settimeout(0.05)
            s.sendall(f"ASKING\r\nSET {self._key} 1\r\n".encode())  # on one server ASKING is an error
            answer = b""
            while answer.count(b"\n") < 2:
                answer += s.recv(4096) or b"\n\n"
            return answer.endswith(b"+OK\r\n")
        return False

    def end(self) -> None:
        self._over.set()
        self.join()


class Topology(threading.Thread):
    """Counts what the clients ask about the topology, every half second. Sentinels keep no such count."""

    def __init__(self, system: Cluster | Sentinels) -> None:
        super().__init__(daemon=True)
        self._system = system
        self._over = threading.Event()
        self._last: dict[int, int] = {}
        self.counts: list[tuple[float, int]] = []

    def run(self) -> None:
        while True:
            over = self._over.wait(0.5)
            new = 0
            for server in self._asked():
                with contextlib.suppress(OSError, EOFError, ReplyError):
                    count = self._count(server)
                    new += max(count - self._last.get(server.port, 0), 0)  # less: it was restarted
                    self._last[server.port] = count
            self.counts.append((time.time(), new))
            if over:
                return

    def _asked(self) -> list[Any]:
        return self._system.living if isinstance(self._system, Cluster) else []

    @staticmethod
    def _count(server: Server) -> int:
        """Before Redis 7.0 the counts are not kept apart, and these are 0."""
        text: bytes = server("INFO", "commandstats")
        names = ("cmdstat_cluster|slots:", "cmdstat_cluster|shards:")
        lines = [line for line in text.decode().splitlines() if line.startswith(names)]
        return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in lines)

    def end(self) -> None:
        self._over.set()
        self.join()

    def since(self, when: float) -> tuple[int, int]:
        """All, and the most within one second."""
        counts = [new for at, new in self.counts if at > when]
        return sum(counts), max((a + b for a, b in zip(counts, [*counts[1:], 0])), default=0)


def _primaries(system: Cluster | Sentinels) -> list[tuple[Server, Container[int]]]:
    if isinstance(system, Sentinels):
        return [(system.primary, range(SLOTS))]
    return [(node, set(system.slots_of(node))) for node in system.primaries]


def roles(system: Cluster | Sentinels, run: Run) -> dict[str, bool]:
    """Which nodes are primaries, but for the one concerned and its replicas."""
    if isinstance(system, Sentinels):
        return {}
    own = {node.id: node.own() for node in system.living}
    return {id: seen.primary == "-" for id, seen in own.items() if run.node.id not in (id, seen.primary)}


class Stored:
    """All keys of the primaries; each must be where its slot is."""

    def __init__(self, system: Cluster | Sentinels) -> None:
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.strings: dict[str, bytes] = {}
        self.misplaced: list[str] = []
        for node, slots in _primaries(system):
            with node.wire() as wire:
                for key in wire("KEYS", "ts:*"):
                    name = key.decode()
                    if slot_of(key) not in slots:
                        self.misplaced.append(name)
                    elif (kind := wire("TYPE", key)) == "hash":
                        pairs = wire("HGETALL", key)
                        self.hashes[name] = {f.decode(): v for f, v in zip(pairs[::2], pairs[1::2])}
                    elif kind == "string":
                        self.strings[name] = wire("GET", key)

    def value(self, key: str, field: str | None) -> str | None:
        if field is None:
            found = self.strings.get(key)
            return None if found is None else found.decode()
        record = self.hashes.get(key, {}).get(field)
        return None if record is None else value_in(record)


def check(run: Run, ledgers: list[dict[str, Any]], began: float) -> dict[str, list[str]]:
    """What is wrong, by kind. "allowed": lost as the fault's definition allows."""
    found: dict[str, list[str]] = defaultdict(list)
    stored = Stored(run.system)
    if stored.misplaced:
        found["misplaced"] += [f"{key}, slot {slot_of(key)}" for key in stored.misplaced]
    known: dict[str, set[str]] = defaultdict(set)
    unsure: dict[str, int] = defaultdict(int)
    def note(by: str, kind: str, key: str, field: str | None, acknowledged: float) -> None:
        lost = kind in ("missing", "stale", "unlisted", "revived") and slot_of(key) in run.slots
        if lost and any(first < acknowledged < last for first, last in run.allowed):
            kind = "allowed"
        when = f"acknowledged {acknowledged - began:+.3f} s"
        found[kind].append(f"by {by}: {key} {field}, slot {slot_of(key)}, {when}")

    for ledger in ledgers:
        for operation, kind, key, field_, acknowledged in ledger["wrong"]:
            note(operation, kind, key, field_, acknowledged)
        for key, field_, state, values, acknowledged in ledger["tokens"]:
            known[key].add(field_ or "")
            value = stored.value(key, field_)
            if state == "live" and value is None:
                note("the server", "missing", key, field_, acknowledged)
            elif state == "live" and value not in values:
                note("the server", "stale", key, field_, acknowledged)
            elif state == "dead" and value is not None:
                note("the server", "revived", key, field_, acknowledged)
        for key, count in ledger["unsure"].items():
            unsure[key] += count
    for key, fields in stored.hashes.items():
        if key != "ts:kinds" and len(fields.keys() - known[key]) > unsure[key]:
            found["foreign"].append(key)
    return found


def gaps(calls: list[Any], slots: set[int], since: float) -> list[float]:
    """Of each worker: its longest time without a success on these slots, while it tried, in seconds."""
    last: dict[Any, float] = {}
    longest: dict[Any, float] = defaultdict(float)
    for worker, began, took, _, slot, error in sorted(calls, key=lambda call: call[1]):
        if slot in slots and began + took / 1000 > since:
            last.setdefault(worker, began)
            if error is None:
                longest[worker] = max(longest[worker], began + took / 1000 - last[worker])
                del last[worker]  # the next one begins with the next call: not to have called is no gap
    for worker, began in last.items():
        longest[worker] = max(longest[worker], time.time() - began)  # never again
    return sorted(longest.values())


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(len(values) * part), len(values) - 1)] if values else 0
