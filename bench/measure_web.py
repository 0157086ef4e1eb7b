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
    ("Flask", "flask-session", "Flask-Session"),
    ("Django", "django-redis", "Django's cache backend on django-redis"),
    ("Starlette", "starsessions", "starsessions"),
    ("FastAPI", "fastapi-redis-sdk", "fastapi-redis-sdk"),
)


def cpu_clock_of(pid):
    """The number of a process's CPU clock, which counts threads that have ended: see clock_getcpuclockid(3)."""
    return ~pid << 3 | 2


class Site:
    """A worker, and what its turns took."""

    def __init__(self, framework, kind, server):
        self.worker = Worker(kind, sys.executable, str(BENCH / "worker_web.py"), framework, kind, server.port)
        self.worker.job = ("login",)
        self.worker.finish()
        self.pids = (self.worker.process.pid, server.process.pid)
        self.p99s, self.cpus = [], []

    def cpu(self):
        """ns of the application and of the server."""
        return sum(time.clock_gettime_ns(cpu_clock_of(pid)) for pid in self.pids)

    def requests(self, page, count):
        """A turn: returns its seconds."""

        def run():
            before, began = self.cpu(), time.perf_counter()
            (p99,) = self.worker.ask(page, count)
            seconds = time.perf_counter() - began
            self.p99s.append(float(p99))
            self.cpus.append((self.cpu() - before) / count / 1000)
            return seconds

        self.p99s.clear()
        self.cpus.clear()
        return run


def compare(table, what, name, mine, theirs, page, rounds, count, target):
    """Requests per second; the slowest; and what is the same on a machine that is busy, the least CPU."""
    a, b, ratio = turns(rounds, mine.requests(page, count), theirs.requests(page, count))
    row = f"{what}, requests per second, against {name}"
    table.add(row, count / a, count / b, 1 / ratio, target, unit="/s")
    a, b = statistics.median(mine.p99s), statistics.median(theirs.p99s)
    table.add(f"{what}, p99", a, b, a / b, None)
    a, b = min(mine.cpus), min(theirs.cpus)
    table.add(f"{what}, CPU of application and server", a, b, a / b, None)


def measure(table, directory, rounds, count):
    for framework, peer, name in PEERS:
        server = Server(directory, f"{peer}.sock")
        if peer == "fastapi-redis-sdk" and not server.ask("COMMAND", "INFO", "HEXPIRE"):
            print(f"{peer} is left out: it needs Redis 7.4 ($TOKENSTORE_TEST_SERVER)")
        else:
            theirs, ours, near = (Site(framework.lower(), kind, server) for kind in (peer, "ours", "near"))
            for page in ("read", "write"):
                what = f"{framework}, a page that {page}s"
                compare(table, what, name, ours, theirs, page, rounds, count, (">=", 1.0))
                compare(table, f"{what} with near_cache", name, near, theirs, page, rounds, count, None)
        stop_all()
