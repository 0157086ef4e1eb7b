"""The near cache: a hit against a call that asks the server, and against redis-py's cache; and what listening costs the server
and the processes that listen."""

import shutil
import sys
from functools import partial
from pathlib import Path

from harness import Server, Worker, stop_all, turns
from measure_asyncio import on_a_loop

BENCH = Path(__file__).parent
SECONDS = 3


def measure(table, directory, rounds, count):
    hits(table, directory, rounds, count)
    stop_all()
    server_cost(table, directory)
    stop_all()
    listening_cost(table, directory)
    stop_all()


def hits(table, directory, rounds, count):
    server = Server(directory, "near.sock")

    def blocking(kind):
        return Worker(kind, sys.executable, str(BENCH / "worker.py"), kind, server.socket)

    far, near, cached = blocking("tokenstore"), blocking("near"), blocking("redis-py-cache")
    for worker in (far, near, cached):
        worker.ask("fill", 1)
    near.ask("warm", 1)
    cached.ask("get", 1)
    get = partial(near.do, "get", 10 * count)
    for row, other, times in (
        ("get of what is near, Python, against get that asks", far, 1),
        ("get of what is near, Python, against redis-py's cache: GET + json.loads", cached, 10),
    ):
        a, b, _ = turns(rounds, get, partial(other.do, "get", times * count))
        a, b = a / (10 * count), b / (times * count)
        table.add(row, a * 1e6, b * 1e6, a / b, None)
    token = near.ask("first", 1)[0]
    for lua in ("lua5.4", "luajit"):
        if shutil.which(lua):
            command = [lua, lua, str(BENCH / "worker.lua"), server.socket, token]
            asks, keeps = Worker(*command), Worker(*command, "near")
            keeps.ask("warm", 1)
            a, b, _ = turns(rounds, partial(keeps.do, "get", 10 * count), partial(asks.do, "get", count))
            a, b = a / (10 * count), b / count
            table.add(f"get of what is near, {lua}, against get that asks", a * 1e6, b * 1e6, a / b, None)
    asks, keeps = on_a_loop("tokenstore", server.socket), on_a_loop("near", server.socket)
    for tasks in (1, 200):
        a, b, _ = turns(
            rounds,
            lambda t=tasks: keeps.do("get", t, 20 * count),
            lambda t=tasks: asks.do("get", t, 2 * count),
        )
        a, b = a / (20 * count), b / (2 * count)
        row = f"awaited get of what is near, {tasks} tasks, against get that asks"
        table.add(row, a * 1e6, b * 1e6, a / b, None)


def server_cost(table, directory):
    """CPU of the server while keys are written that each one client holds and reads again: by which of CLIENT TRACKING's modes
    the clients are told."""
    for listeners in (10, 100, 1000):
        for rate in (1000, 10_000):
            used = {}
            for mode in ("off", "bcast", "default"):
                server = Server(directory, f"cost-{mode}.sock")
                worker = Worker(mode, sys.executable, str(BENCH / "worker_tracking.py"), server.socket)
                used[mode] = [float(x) for x in worker.ask(mode, listeners, rate, SECONDS)]
                stop_all()
            for mode, name in (("bcast", "broadcast"), ("default", "by keys")):
                cpu, sent = used[mode]
                row = (
                    f"server CPU, {listeners} clients, {rate:,} writes/s, {name}, against no tracking "
                    f"({sent / 1e6:.1f} MB/s out)"
                )
                table.add(row, 100 * cpu, 100 * used["off"][0], cpu / max(used["off"][0], 1e-9), None, unit="%")


def listening_cost(table, directory):
    """The same by the library itself: CPU of the server, and of all clients together, while records are written that each one client
    gets four times after each write."""
    rate = 1000
    for clients in (10, 100, 1000):
        used = {}
        for mode in ("off", "broadcast", "keys"):
            server = Server(directory, f"listen-{mode}.sock")
            worker = Worker(mode, sys.executable, str(BENCH / "worker_listeners.py"), server.socket)
            used[mode] = [float(x) for x in worker.ask(mode, clients, rate, SECONDS)]
            stop_all()
        for place, whose in ((0, "server"), (2, "clients")):
            for mode in ("broadcast", "keys"):
                mine, off = used[mode], used["off"][place]
                row = (
                    f"CPU of the {whose}, {clients} clients, {mine[4]:,.0f} writes/s, {mode}, against no near cache "
                    f"({mine[1] / 1e6:.1f} MB/s out, {mine[3]:.0%} hits)"
                )
                table.add(row, 100 * mine[place], 100 * off, mine[place] / max(off, 1e-9), None, unit="%")
