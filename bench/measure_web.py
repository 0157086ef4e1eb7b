"""Sessions of web frameworks: requests of one page that reads its session, and of one that changes a field, ours against peers.

The same application in the same process model, called as a server would, without a network between: what is left is the
framework and its sessions."""

import sys
from functools import partial
from pathlib import Path

from harness import Server, Worker, stop_all, turns

BENCH = Path(__file__).parent

PEERS = (
    ("flask", "flask-session", "Flask-Session"),
    ("django", "django-redis", "Django's cache backend on django-redis"),
    ("starlette", "starsessions", "starsessions"),
)


def measure(table, directory, rounds, count):
    for framework, peer, name in PEERS:
        server = Server(directory, f"{peer}.sock")

        def worker(kind, framework=framework, server=server):
            started = Worker(kind, sys.executable, str(BENCH / "worker_web.py"), framework, kind, server.port)
            started.job = ("login",)
            started.finish()
            return started

        theirs, ours, near = worker(peer), worker("ours"), worker("near")
        for which, kind in (("", ours), (" with near_cache", near)):
            for page in ("read", "write"):
                a, b, ratio = turns(rounds, partial(kind.do, page, count), partial(theirs.do, page, count))
                a, b = count / a, count / b
                row = f"{framework}, a page that {page}s{which}, requests per second, against {name}"
                table.add(row, a, b, 1 / ratio, (">=", 1.0) if not which else None, unit="/s")
        stop_all()
