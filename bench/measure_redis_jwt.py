"""RedisJWT: verify against a bare GET, and the cost among many other sessions."""

import sys
from functools import partial
from pathlib import Path

from harness import ROOT, Server, Worker, stop_all, turns

BENCH = Path(__file__).parent


def open_worker(server):
    return Worker("RedisJWT", sys.executable, str(BENCH / "worker_redis_jwt.py"), server.port)


def measure(table, directory, rounds, count, sizes):
    against_raw(table, directory, rounds, count)
    among_many(table, directory, rounds, count // 2, sizes)


def against_raw(table, directory, rounds, count):
    server = Server(directory, "rjwt.sock")
    ours = open_worker(server)
    raw = Worker("raw", str(ROOT / "build/bench/raw_hiredis"), server.port)
    key = ours.ask("key", 1)[0]
    a, b, ratio = turns(
        rounds, partial(ours.do, "verify", count), partial(raw.do, "get", key, count)
    )
    table.add(
        "RedisJWT.verify, Python, TCP, against hiredis in C: GET",
        a / count * 1e6,
        b / count * 1e6,
        ratio,
        ("<=", 1.25),
    )
    stop_all()


def among_many(table, directory, rounds, count, sizes):
    small, large = Server(directory, "rjwt-few.sock"), Server(directory, "rjwt-many.sock")
    few, many = open_worker(small), open_worker(large)
    few.ask("fill", sizes[0])
    many.ask("fill", sizes[1])
    for job in ("sign", "verify", "list", "destroy"):
        a, b, ratio = turns(rounds, partial(many.do, job, count), partial(few.do, job, count))
        table.add(
            f"RedisJWT.{job}, {sizes[1]:,} sessions of others against {sizes[0]:,}",
            a / count * 1e6,
            b / count * 1e6,
            ratio,
            ("<=", 1.2),
        )
    stop_all()
