"""Private servers, workers that take turns, a table.

The workers are processes that wait for jobs. They take turns (A B A B …), because a machine's speed drifts; a
ratio is the median of the turns' ratios.
"""

import os
import socket
import statistics
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


# The server has its own CPU, as in production. Otherwise the scheduler decides, from run to run, whether
# client and server share one CPU (which halves a round trip) or wake each other.
_CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPUS = _CPUS[:1]
CLIENT_CPUS = _CPUS[1:] or _CPUS

SERVER = os.environ.get("TOKENSTORE_TEST_SERVER", "redis-server")

_started = []


def stop_all():
    """Ends all servers and workers in reverse order."""
    while _started:
        _started.pop().stop()


class Server:
    """A private redis-server without persistence."""

    def __init__(self, directory, name):
        self.socket = os.path.join(directory, name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])
        self.process = subprocess.Popen(
            [
                SERVER,
                "--port",
                self.port,
                "--bind",
                "127.0.0.1",
                "--unixsocket",
                self.socket,
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
                directory,
            ],
            stdout=subprocess.DEVNULL,
        )
        os.sched_setaffinity(self.process.pid, SERVER_CPUS)
        _started.append(self)
        deadline = time.monotonic() + 10
        while self.ask("PING") != "PONG":
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("redis-server did not start")
            time.sleep(0.02)

    def ask(self, *command):
        return subprocess.run(
            ["redis-cli", "-s", self.socket, *command], capture_output=True, text=True
        ).stdout.strip()

    def used_memory(self):
        """Memory in use once idle: growing hash tables are rehashed in the background."""
        last = []
        while len(last) < 4 or max(last[-4:]) - min(last[-4:]) > 20_000:
            lines = self.ask("INFO", "memory").splitlines()
            used = next(line for line in lines if line.startswith("used_memory:"))
            last.append(int(used.split(":")[1]))
            time.sleep(0.3)
        return last[-1]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Worker:
    """A worker; `do` returns the elapsed seconds."""

    def __init__(self, name, *command):
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        os.sched_setaffinity(self.process.pid, CLIENT_CPUS)
        _started.append(self)

    def ask(self, *job):
        self.start(*job)
        return self.finish()

    def start(self, *job):
        self.job = job
        self.process.stdin.write(" ".join(map(str, job)) + "\n")
        self.process.stdin.flush()

    def finish(self):
        answer = self.process.stdout.readline().split()
        if answer[:1] != ["ok"]:
            raise SystemExit(f"{self.name} failed at {self.job[0]}")
        return answer[1:]

    def do(self, *job):
        began = time.perf_counter()
        self.ask(*job)
        return time.perf_counter() - began

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


_environment = {}


def environment():
    """os.environ with the variables with which Lua finds the checkout."""
    if not _environment:
        _environment.update(os.environ)
        exports = subprocess.run(
            ["sh", "-c", 'eval "$(make -s env)"; env -0'],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for entry in exports.split("\0"):
            if entry.startswith("LUA_"):
                name, _, value = entry.partition("=")
                _environment[name] = value
    return _environment


def turns(rounds, ours, theirs):
    """Runs two functions in turn; the medians of their times and the median ratio."""
    ours(), theirs()  # warm-up
    a, b = [], []
    for number in range(rounds):
        first, second = (ours, theirs) if number % 2 else (theirs, ours)
        x, y = first(), second()
        if first is theirs:
            x, y = y, x
        a.append(x)
        b.append(y)
    ratio = statistics.median(x / y for x, y in zip(a, b))
    return statistics.median(a), statistics.median(b), ratio


class Table:
    def __init__(self):
        self.rows = []  # as they are printed
        self.measured = []

    def add(self, what, value, baseline, ratio, limit, unit="µs"):
        """`limit` is ("<=", number) or (">=", number) on the ratio, or None."""
        good = ""
        if limit:
            ok = ratio <= limit[1] if limit[0] == "<=" else ratio >= limit[1]
            good = "yes" if ok else "no"
        row = (
            what,
            f"{value:.1f} {unit}",
            f"{baseline:.1f} {unit}" if baseline is not None else "",
            f"{ratio:.2f}" if baseline is not None else "",
            f"{limit[0]} {limit[1]}" if limit else "",
            good,
        )
        self.rows.append(row)
        self.measured.append({"what": what, "ours": value, "against": baseline, "ratio": ratio, "unit": unit})
        widths = (62, 14, 14, 5, 7, 3)
        print("  ".join(f"{c:<{w}}" for c, w in zip(row, widths)).rstrip(), flush=True)

    def markdown(self):
        head = ("what", "ours", "against", "ratio", "target", "met")
        lines = ["| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *self.rows]]
        return "\n".join(lines) + "\n"
