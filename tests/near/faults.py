"""What near caches serve while something breaks: a row of a table for each fault. Exit status 1 if anything was stale, came
back late, or was left.

usage: faults.py [FAULT…] [--rounds N] [--reads N] [--seed N]

near_cache_staleness is 0.1 s, on clusters and behind Sentinels 0.5 s.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "python"))
sys.path.insert(0, str(Path(__file__).parent.parent / "nginx"))

from clusters import running_cluster
from proxy import Proxy
from readers import Readers
from rounds import END, TOKENS, Scene, Totals, nothing, one_round
from sentinels import running_sentinels
from servers import running
from several import OF_CLUSTERS, SEVERAL
from single import ENDING, PROXIED, SINGLE
from tokenstore import RedisTokens

FAULTS = {**SINGLE, **SEVERAL}
READS = 8000
"""In a second by each reader, at most."""


def settle(scene: Scene) -> None:
    """A Sentinel would tell the old primary whom to follow after ten seconds."""
    scene.sleep(2.0)
    scene.server.settle()


@contextmanager
def scene_of(fault: str, seed: int, reads: int) -> Iterator[tuple[Scene, RedisTokens]]:
    with ExitStack() as stack:
        scene = Scene(None, None, random.Random(seed))
        timeout = 0.5  # of a reader's call, and of a PING on its link
        if fault in SEVERAL:
            kind = running_cluster if fault in OF_CLUSTERS else running_sentinels
            scene.server = stack.enter_context(kind(replicas=1))
            scene.staleness, scene.window, scene.recovers, timeout = 0.5, 1.0, 10.0, 5.0
            scene.settle = scene.server.wait_agreed if fault in OF_CLUSTERS else partial(settle, scene)
        else:
            options = ("--appendonly", "yes", "--appendfsync", "always") if fault == "restarted" else ()
            scene.server = stack.enter_context(running(*options))
            scene.duration = ENDING.get(fault, END)
        if fault in PROXIED:
            scene.proxy = Proxy(scene.server)
            stack.callback(scene.proxy.close)
        url = scene.proxy.url if scene.proxy else scene.server.url
        servers = 6 if fault in SEVERAL else 1
        scene.readers = Readers(url, scene.staleness, timeout, TOKENS / reads, servers)
        stack.callback(scene.readers.close)
        yield scene, stack.enter_context(RedisTokens(scene.server.url, timeout=20))


def run(fault: str, rounds: int, seed: int = 0, reads: int = READS) -> Totals:
    totals = Totals(fault)
    with scene_of(fault, seed, reads) as (scene, tokens):
        one_round(Totals("first"), nothing, scene, tokens)  # what a process makes once stays
        for _ in range(rounds):
            one_round(totals, FAULTS[fault], scene, tokens)
    return totals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fault", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--reads", type=int, default=READS, help=f"in a second by each reader, at most ({READS})")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    a = parser.parse_args()
    if unknown := set(a.fault) - FAULTS.keys():
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    print(f"seed {a.seed}\n\n{Totals.HEAD}", flush=True)
    bad = False
    for fault in a.fault or FAULTS:
        totals = run(fault, a.rounds, a.seed, a.reads)
        print(totals.row(), flush=True)
        for line in totals.wrong[:20]:
            print(f"  {line}", file=sys.stderr)
        bad = bad or bool(totals.wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
