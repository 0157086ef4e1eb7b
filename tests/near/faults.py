"""What near caches serve while something breaks: a row of a table for each fault. Exit status 1 if anything was stale, or was left.

usage: faults.py [FAULT…] [--rounds N] [--staleness S] [--seed N]   the default is all of one server; all: those of several, too
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
for name in ("python", "nginx"):
    sys.path.insert(0, str(HERE.parent / name))

from proxy import Proxy
from readers import Readers
from rounds import END, Scene, Totals, nothing, one_round
from servers import running
from single import ENDING, PROXIED, SINGLE
from tokenstore import RedisTokens

STALENESS = 0.1
TIMEOUT = 0.5
"""Of a reader's call, and of a PING on its link."""


@contextmanager
def scene_of(fault: str, staleness: float, seed: int) -> Iterator[tuple[Scene, RedisTokens]]:
    options = ("--appendonly", "yes", "--appendfsync", "always") if fault == "restarted" else ()
    with running(*options) as server:
        proxy = Proxy(server) if fault in PROXIED else None
        readers = Readers(proxy.url if proxy else server.url, staleness, TIMEOUT)
        try:
            with RedisTokens(server.url, timeout=20) as tokens:
                yield Scene(server, readers, random.Random(seed), proxy, duration=ENDING.get(fault, END)), tokens
        finally:
            readers.close()
            if proxy:
                proxy.close()


def run(fault: str, rounds: int, staleness: float = STALENESS, seed: int = 0) -> Totals:
    totals = Totals(fault)
    with scene_of(fault, staleness, seed) as (scene, tokens):
        one_round(Totals("first"), nothing, scene, tokens, staleness)  # what a process makes once stays
        for _ in range(rounds):
            one_round(totals, SINGLE[fault], scene, tokens, staleness)
    return totals


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("fault", nargs="*", help=", ".join(SINGLE))
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--staleness", type=float, default=STALENESS)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    a = parser.parse_args()
    print(f"seed {a.seed}, near_cache_staleness {a.staleness} s\n\n{Totals.HEAD}", flush=True)
    bad = False
    for fault in a.fault or SINGLE:
        totals = run(fault, a.rounds, a.staleness, a.seed)
        print(totals.row(), flush=True)
        for line in (totals.stale + totals.left)[:20]:
            print(f"  {line}", file=sys.stderr)
        bad = bad or bool(totals.stale or totals.left)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
