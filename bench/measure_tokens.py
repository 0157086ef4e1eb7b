"""RedisTokens: each operation against the one command that comes nearest to it, and how long others wait for a delete_all."""

import statistics
import sys
import time
from functools import partial
from pathlib import Path

from harness import ROOT, Server, Worker, stop_all, turns

BENCH = Path(__file__).parent
WATCHED_MS = 1200


def open_worker(server):
    return Worker("tokenstore", sys.executable, str(BENCH / "worker.py"), "tokenstore", server.socket)


def open_raw(server):
    return Worker("raw", str(ROOT / "build/bench/raw_hiredis"), server.socket)


def measure(table, directory, rounds, count, crowd):
    operations(table, directory, rounds, count)
    pauses(table, directory, max(5, rounds // 6), crowd)


def operations(table, directory, rounds, count):
    server = Server(directory, "tokens.sock")
    ours, raw = open_worker(server), open_raw(server)
    ours.ask("fill", 1)
    ours.ask("make_idle", 1)
    value = "x" * 60  # as long as a record
    raw.ask("run", 1, "HSET", "raw", "field", value)

    def run(*words):
        return partial(raw.do, "run", count, *words)

    def spare(job):
        ours.ask("make_spare", count)
        return ours.do(job, count)

    def delete():
        raw.ask("run", count, "HSET", "raw", "#", value)
        return raw.do("run", count, "HDEL", "raw", "#")

    made = [0]

    def create():
        made[0] += 1
        return raw.do("setex", f"raw:{made[0]}:", len(value), count)

    get = partial(ours.do, "get", count)
    for what, job, against, other in (
        ("get", get, "HGET", run("HGET", "raw", "field")),
        ("create", partial(ours.do, "create", count), "SET … EX", create),
        ("refresh", partial(ours.do, "refresh", count), "EXPIRE", run("EXPIRE", "raw", 3600)),
        ("update", partial(ours.do, "update", count), "HSET", run("HSET", "raw", "field", value)),
        ("delete", partial(spare, "delete_spare"), "HDEL", delete),
        ("take", partial(spare, "take_spare"), "HDEL", delete),
        ("rotate", partial(spare, "rotate"), "HSET", run("HSET", "raw", "field", value)),
    ):
        a, b, ratio = turns(rounds, job, other)
        row = f"{what}, Python, against hiredis in C: {against}"
        table.add(row, a / count * 1e6, b / count * 1e6, ratio, None)
    for row, job, other, limit in (
        ("get(refresh=True), unwritten, against get", partial(ours.do, "get_idle", count), get, None),
        (
            "rotate with a grace, against rotate without",
            partial(spare, "rotate_with_grace"),
            partial(spare, "rotate"),
            ("<=", 1.15),
        ),
    ):
        a, b, ratio = turns(rounds, job, other)
        table.add(row, a / count * 1e6, b / count * 1e6, ratio, limit)
    stop_all()


def pauses(table, directory, rounds, crowd):
    """How long another client waits at most for its PING while an owner's tokens are deleted; and without that."""
    server = Server(directory, "pauses.sock")
    ours, raw, other = open_worker(server), open_raw(server), open_raw(server)
    ours.ask("make_crowd", crowd)
    key = next(key for key in server.ask("--scan").split() if not key.endswith(":kinds"))
    raw.ask("run", 1, "COPY", key, "kept")
    kinds = {
        "delete_all": partial(ours.ask, "delete_crowd", crowd),
        "UNLINK": partial(raw.ask, "run", 1, "UNLINK", key),
        "DEL": partial(raw.ask, "run", 1, "DEL", key),
        "nothing": lambda: None,
    }
    longest = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, end in kinds.items():
            raw.ask("run", 1, "COPY", "kept", key, "REPLACE")
            other.start("wait", WATCHED_MS)
            time.sleep(WATCHED_MS / 4000)
            end()
            longest[kind].append(float(other.finish()[0]) / 1000)
    medians = {kind: statistics.median(all_of_it) for kind, all_of_it in longest.items()}
    pause = medians["delete_all"]
    for kind in ("UNLINK", "DEL", "nothing"):
        row = f"longest PING of another client during a delete_all of {crowd:,} tokens, against {kind}"
        table.add(row, pause, medians[kind], pause / medians[kind], None, unit="ms")
    stop_all()
