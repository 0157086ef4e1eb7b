"""Sessions of web frameworks: requests of one page that reads its session, and of one that changes a field, ours against peers.

The same application in the same process model, called as a server would, without a network between: what is left is the
framework and its sessions."""

import statistics
import sys
import time
from pathlib import Path

from harness import Server, Worker, stop_all, turns

BENCH = Path(__file__).parent

PEERS = (
    ("flask", "flask-session", "Flask-Session"),
    ("django", "django-redis", "Django's cache backend on django-redis"),
    ("starlette", "starsessions", "starsessions"),
    ("fastapi", "fastapi-redis-sdk", "fastapi-redis-sdk"),
)


class Site:
    """A worker, and how long its slowest requests took."""

    def __init__(self, framework, kind, port):
        self.worker = Worker(kind, sys.executable, str(BENCH / "worker_web.py"), framework, kind, port)
        self.worker.job = ("login",)
        self.worker.finish()
        self.p99s = []

    def requests(self, page, count):
        """A turn: returns its seconds."""

        def run():
            began = time.perf_counter()
            (p99,) = self.worker.ask(page, count)
            self.p99s.append(float(p99))
            return time.perf_counter() - began

        self.p99s.clear()
        return run


def measure(table, directory, rounds, count):
    for framework, peer, name in PEERS:
        server = Server(directory, f"{peer}.sock")
        if peer == "fastapi-redis-sdk" and not server.ask("COMMAND", "INFO", "HEXPIRE"):
            print(f"{peer} is left out: it needs Redis 7.4; TOKENSTORE_TEST_SERVER=… for another one")
        else:
            theirs, ours, near = (Site(framework, kind, server.port) for kind in (peer, "ours", "near"))
            for which, mine in (("", ours), (" with near_cache", near)):
                for page in ("read", "write"):
                    a, b, ratio = turns(rounds, mine.requests(page, count), theirs.requests(page, count))
                    row = f"{framework}, a page that {page}s{which}, requests per second, against {name}"
                    target = (">=", 1.0) if not which else None
                    table.add(row, count / a, count / b, 1 / ratio, target, unit="/s")
                    a, b = statistics.median(mine.p99s), statistics.median(theirs.p99s)
                    table.add(f"{framework}, a page that {page}s{which}, p99", a, b, a / b, None)
        stop_all()
