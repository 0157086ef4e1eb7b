"""Faults of a real cluster under load: what the clients saw, and what is left of what was acknowledged.

usage: faults.py [FAULT…] [--driver D] [--processes N] [--binary SERVER] …   a row of a table for each fault; exit status
1 if anything was lost, revived, unlisted or wrong beyond what the fault's definition allows. On a busy machine servers
take each other for failed; a row is INVALID if others than the node concerned failed over

Each fault (injections.py) has a cluster of its own, three primaries with one replica each; sentinel-…: one primary with
a replica and three Sentinels. The default is all of clusters.

  errors    calls that failed. own: on the slots of the node concerned, those that may be repeated (create, get, get_many, list)
            + those that may not (update, delete); others: on all other slots
  gap       the longest time that a worker was without a successful call, on the slots of the node concerned. server's:
            the same of a raw client that tries one of these slots on every node, every 5 ms
  lost      acknowledged tokens or updates that are gone. allowed: those acknowledged by the failed node just before the
            fault, which its replica did not get (replication is asynchronous)
  topology  CLUSTER SLOTS and SHARDS from the fault on, per process, and the most within one second; Sentinels and Redis
            6.2 do not count
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))

from clusters import SLOTS, Cluster
from injections import FAULTS, OF_CLUSTERS, OF_SENTINELS, Run
from measuring import Probe, Topology, check, gaps, percentile, roles
from namespaces import PartedCluster, enter
from sentinels import Sentinels
from servers import BINARY
from stores import DRIVERS

HERE = Path(__file__).parent

ONCE = ("update", "delete")
"""The calls that may not be repeated when their outcome is unknown."""


# ---- one run -------------------------------------------------------------------------------------------

HEAD = """| fault | driver | calls | errors own / others | wrong | lost (allowed) | revived | unlisted | server's gap | gap p99 | gap max | p50 / p99 / max ms | others' p99 / max ms | topology, per s | notes |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


def prepare(fault: str, a: argparse.Namespace) -> Run:
    if fault in OF_SENTINELS:
        watched = Sentinels(down_after=a.node_timeout, binary=a.binary)
        watched.start()
        return Run(watched, watched.primary, set(range(SLOTS)))
    options = [] if a.full_coverage else ["--cluster-require-full-coverage", "no"]
    kind = PartedCluster if fault == "partition" else Cluster
    cluster = kind(*options, replicas=1, node_timeout=a.node_timeout, binary=a.binary)
    cluster.start()
    node = cluster.nodes[0]
    if fault == "remove-node":
        node = cluster.add_node()
        cluster.move_slots(range(1000), cluster.nodes[0], node)
        cluster.wait_agreed()
    return Run(cluster, node, set(cluster.slots_of(node)))


def run_one(fault: str, a: argparse.Namespace, directory: Path) -> bool:
    with contextlib.ExitStack() as stack:
        run = prepare(fault, a)
        stack.callback(run.system.remove)
        outs = [directory / f"{fault}-{a.driver}-{i}.json" for i in range(a.processes)]
        loads = []
        for i, out in enumerate(outs):
            command = [sys.executable, str(HERE / "load.py"), a.driver, run.system.url, str(out)]
            command += ["--workers", str(a.workers), "--pause", str(a.pause), "--seed", str(i), "--cancel", str(a.cancel)]
            command += ["--timeout", str(a.timeout)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.kill)
            loads.append(process)
        for process in loads:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("a load did not start")
        probe, topology = Probe(run.system.nodes, min(run.slots)), Topology(run.system)
        probe.start()
        topology.start()
        time.sleep(2)
        began = time.time()
        before = roles(run.system, run)
        probe.gap = probe.stall = 0  # of the fault alone
        FAULTS[fault](run)
        run.system.wait_agreed()
        took = time.time() - began
        time.sleep(a.after)
        for process in loads:
            process.communicate()
            if process.returncode != 0:
                raise RuntimeError(f"a load ended with {process.returncode}")
        probe.end()
        topology.end()
        after = {**before, **roles(run.system, run)}
        ledgers = [json.loads(out.read_text()) for out in outs]
        found = check(run, ledgers, began)
    run.notes.append(f"took {took:.1f} s")
    if probe.stall > 0.1:
        run.notes.append(f"the machine stood for {probe.stall:.1f} s")
    if changed := [id for id in before if before[id] != after[id]]:
        # The machine stood for longer than the timeout.
        run.notes.append(f"INVALID: {len(changed)} other nodes failed over")
    report(fault, a, run, ledgers, found, probe, topology.since(began), began)
    return bool(changed) or not any(cases for kind, cases in found.items() if kind != "allowed")


def report(
    fault: str,
    a: argparse.Namespace,
    run: Run,
    ledgers: list[dict[str, Any]],
    found: dict[str, list[str]],
    probe: Probe,
    topology: tuple[int, int],
    began: float,
) -> None:
    calls = [(i, *call) for i, ledger in enumerate(ledgers) for call in ledger["calls"]]
    calls = [((i, worker), *call) for i, worker, *call in calls if call[0] + call[1] / 1000 > began]
    errors: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for _, _, _, operation, slot, error in calls:
        if error is not None and error != "cancelled":
            spread = slot < 0 or slot in run.slots
            whose = ("own once" if operation in ONCE else "own") if spread else "others"
            errors[f"{operation}: {error[:110]}"] += 1
            failed[whose] += 1
    if a.cancel:
        run.notes.append(f"{sum(call[5] == 'cancelled' for call in calls)} cancelled")
    worst = gaps(calls, run.slots, began)
    times = [call[2] for call in calls]
    others = [call[2] for call in calls if call[4] >= 0 and call[4] not in run.slots]
    wrong = sum(len(found[kind]) for kind in ("foreign", "misplaced"))
    lost = len(found["missing"]) + len(found["stale"])
    every, most = topology
    print(
        f"| {fault} | {a.driver} | {len(calls)} | {failed['own']} + {failed['own once']} / {failed['others']} | {wrong} "
        f"| {lost} ({len(found['allowed'])}) | {len(found['revived'])} | {len(found['unlisted'])} "
        f"| {probe.gap:.2f} s | {percentile(worst, 0.99):.2f} s | {max(worst, default=0):.2f} s "
        f"| {percentile(times, 0.5):.1f} / {percentile(times, 0.99):.1f} / {max(times, default=0):.0f} "
        f"| {percentile(others, 0.99):.1f} / {max(others, default=0):.0f} "
        f"| {every / a.processes:.1f}, {most / a.processes:.1f} | {'; '.join(run.notes)} |",
        flush=True,
    )
    for text, count in errors.most_common(a.details):
        print(f"    {count} × {text}")
    for kind, cases in found.items():
        for case in cases[: a.details]:
            print(f"    {kind}: {case}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("faults", nargs="*", metavar="FAULT", choices=[*FAULTS, []])
    parser.add_argument("--driver", choices=DRIVERS, default="blocking")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--workers", type=int, default=4, help="of each process")
    parser.add_argument("--pause", type=float, default=20, help="ms between a worker's rounds")
    parser.add_argument("--cancel", type=float, default=0, help="this part of the calls is cancelled (asyncio)")
    parser.add_argument("--timeout", type=float, default=5, help="seconds that a call may take (tokenstore)")
    parser.add_argument("--after", type=float, default=4, help="seconds of load after the fault")
    parser.add_argument("--binary", default=BINARY)
    parser.add_argument("--node-timeout", type=int, default=1000, help="ms; Sentinels' down-after, too")
    parser.add_argument("--full-coverage", action="store_true", help="the cluster is down while slots are unserved")
    parser.add_argument("--details", type=int, default=5, help="how many cases of each kind are printed")
    a = parser.parse_args()
    faults = a.faults or OF_CLUSTERS
    if "partition" in faults:
        enter()
    print(HEAD, flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="ts-faults-") as directory:
        for fault in faults:
            good = run_one(fault, a, Path(directory)) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
