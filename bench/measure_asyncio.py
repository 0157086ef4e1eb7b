"""tokenstore.asyncio: many tasks on one connection, and the cost of one await compared with a blocking
call."""

import sys

from harness import ROOT, Server, Worker, stop_all, turns

BENCH = ROOT / "bench"


def on_a_loop(kind, address, loop="asyncio"):
    command = (sys.executable, str(BENCH / "worker_asyncio.py"), kind, address, loop)
    return Worker(f"{kind} on {loop}", *command)


def measure(table, directory, rounds, count):
    server = Server(directory, "asyncio.sock")
    try:
        for loop in ("asyncio", "uvloop"):
            many_tasks(table, server.socket, loop, rounds // 4 + 1, count)
            one_await(table, server, loop, rounds // 2 + 1, count)
    finally:
        stop_all()


def many_tasks(table, address, loop, rounds, count):
    ours = on_a_loop("tokenstore", address, loop)
    theirs = on_a_loop("redis-py", address, loop)
    bare = on_a_loop("protocol", address, loop)
    for other, name, limit in (
        (theirs, "redis-py: GET + json.loads", 6),
        (bare, "a Protocol in Python: GET + json.loads", 1),
    ):
        for tasks in (50, 200):
            a, b, ratio = turns(
                rounds,
                lambda t=tasks: ours.do("get", t, 20 * count),
                lambda o=other, t=tasks: o.do("get", t, 20 * count if o is bare else 4 * count),
            )
            a, b = 20 * count / a, (20 if other is bare else 4) * count / b
            ratio = a / b
            table.add(
                f"get/s, {tasks} tasks on {loop}, against {name}",
                a,
                b,
                ratio,
                (">=", limit),
                unit="/s",
            )


def one_await(table, server, loop, rounds, count):
    for transport, address in (("TCP", server.port), ("unix socket", server.socket)):
        ours = on_a_loop("tokenstore", address, loop)
        blocking = Worker(
            "blocking", sys.executable, str(BENCH / "worker.py"), "tokenstore", address
        )
        blocking.ask("fill", 1)
        a, b, ratio = turns(
            rounds, lambda w=ours: w.do("get", 1, count), lambda w=blocking: w.do("get", count)
        )
        table.add(
            f"get, one await on {loop}, {transport}, against the blocking one",
            a / count * 1e6,
            b / count * 1e6,
            ratio,
            ("<=", 1.6),
        )
