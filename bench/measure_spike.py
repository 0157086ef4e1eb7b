"""Spike: the cost of a token in memory, and contention among many threads."""

import json
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness import ROOT, Worker, stop_all, turns

BENCH = Path(__file__).parent
THREADS = 16


class TokenEndpoint(BaseHTTPRequestHandler):
    """Issues the same token to all, as long as a JWT of a real server, for ten hours."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(
            {"access_token": "t" * 700, "token_type": "Bearer", "expires_in": 36_000}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


def measure(table, rounds, count):
    server = ThreadingHTTPServer(("127.0.0.1", 0), TokenEndpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        from_memory(table, url, rounds, count)
        by_threads(table, url, rounds, count)
    finally:
        stop_all()
        server.shutdown()
        server.server_close()


def from_memory(table, url, rounds, count):
    contenders = [("Python", (sys.executable, BENCH / "worker_spike.py"), 1.0)]
    for lua, limit in (("luajit", 0.5), ("lua5.4", None)):
        if shutil.which(lua):
            contenders.append((lua, (lua, BENCH / "worker_spike.lua"), limit))
        else:
            print(f"SKIP {lua}: not on this machine")
    for name, command, limit in contenders:
        worker = Worker(name, *map(str, command), url)
        worker.ask("get", 1)
        a, _, _ = turns(
            rounds, lambda w=worker: w.do("get", count), lambda w=worker: w.do("get", 1)
        )
        each = a / count * 1e6
        row = f"Spike.get_token from memory, {name}"
        table.add(row, each, limit, each / (limit or 1), ("<=", 1.0) if limit else None)


def by_threads(table, url, rounds, count):
    program = Worker("spike_threads", str(ROOT / "build/bench/spike_threads"), url)

    def read(threads):
        return float(program.ask("read", threads, 10 * count)[0])

    a, b, ratio = turns(rounds, lambda: read(THREADS), lambda: read(1))
    table.add(
        f"the same in C, reads/s, {THREADS} threads against 1",
        10 * count / a,
        10 * count / b,
        1 / ratio,
        (">=", 1.0),
        unit="/s",
    )
