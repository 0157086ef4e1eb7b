"""Measures, in one run and on one machine, the library's cost over the bare minimum.

usage: run.py [--quick] [--near] [--tokens] [--web] [--json FILE] [--write PAGE]
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import measure_asyncio
import measure_jwt
import measure_near
import measure_nginx
import measure_redis_jwt
import measure_spike
import measure_tokens
import measure_web
from against_node import against_node
from harness import ROOT, SERVER, Server, Table, Worker, stop_all, turns

BENCH = ROOT / "bench"
RAW = ROOT / "build/bench/raw_hiredis"
STEPS = ROOT / "build/bench/steps"
PYTHON = sys.executable


def python(kind, address):
    return Worker(kind, PYTHON, str(BENCH / "worker.py"), kind, address)


def copy_record(server):
    """A plain string with the one record on a server: its key."""
    keys = server.ask("--scan").split()
    owner = next(key for key in keys if not key.endswith(":kinds"))
    server.ask("SET", "raw-record", server.ask("HVALS", owner))
    return "raw-record"


def against_raw(table, directory, rounds, count, transport):
    """get and create, against a C loop with the same transport, value and key."""
    server = Server(directory, f"raw-{transport[:4]}.sock")
    address = server.port if transport == "TCP" else server.socket
    ours, raw = python("tokenstore", address), Worker("raw", str(RAW), address)
    ours.ask("fill", 1)
    token = ours.ask("first", 1)[0]
    key = copy_record(server)
    size = int(server.ask("STRLEN", key))
    url = f"redis://127.0.0.1:{address}" if transport == "TCP" else f"unix://{address}"
    steps = Worker("steps", str(STEPS), url)
    raw_get = partial(raw.do, "get", key, count)
    for what, job in (
        ("our driver's GET in C", partial(steps.do, "driver", key, count)),
        ("get in C", partial(steps.do, "token", token, count)),
    ):
        a, b, ratio = turns(rounds, job, raw_get)
        row = f"{what}, {transport}, against hiredis in C: GET"
        table.add(row, a / count * 1e6, b / count * 1e6, ratio, None)
    workers = [("Python", ours)]
    for lua in ("lua5.4", "luajit"):
        if shutil.which(lua):
            workers.append((lua, Worker(lua, lua, str(BENCH / "worker.lua"), address, token)))
        else:
            print(f"SKIP {lua}: not on this machine")
    for name, worker in workers:
        a, b, ratio = turns(rounds, partial(worker.do, "get", count), raw_get)
        limit = 1.20 if worker is ours else 1.15
        table.add(
            f"get, {name}, {transport}, against hiredis in C: GET",
            a / count * 1e6,
            b / count * 1e6,
            ratio,
            ("<=", limit),
        )
    made = [0]

    def setex():
        made[0] += 1
        return raw.do("setex", f"raw:{'x' * 24}:{made[0]}:", size, count)

    a, b, ratio = turns(rounds, lambda: ours.do("create", count), setex)
    table.add(
        f"create, Python, {transport}, against hiredis in C: SET … EX",
        a / count * 1e6,
        b / count * 1e6,
        ratio,
        ("<=", 1.8),
    )
    stop_all()


def against_redis_py(table, directory, rounds, count):
    """get and get_many, against redis-py with hiredis and json.loads."""
    server = Server(directory, "redispy.sock")
    ours, theirs = python("tokenstore", server.socket), python("redis-py", server.socket)
    ours.ask("fill", 1000)
    theirs.ask("fill", 1000)
    a, b, ratio = turns(rounds, lambda: ours.do("get", count), lambda: theirs.do("get", count))
    table.add(
        "get/s, Python, against redis-py: GET + json.loads",
        count / a,
        count / b,
        1 / ratio,
        (">=", 1.5),
        unit="/s",
    )
    batches = 3
    a, b, ratio = turns(
        rounds, lambda: ours.do("get_many", batches), lambda: theirs.do("get_many", batches)
    )
    table.add(
        "get_many(1000), tokens/s, against redis-py: pipeline",
        batches * 1000 / a,
        batches * 1000 / b,
        1 / ratio,
        (">=", 2.0),
        unit="/s",
    )
    stop_all()


def at_scale(table, directory, rounds, count, sizes):
    """The cost of an operation among many tokens and among few; and the memory of many."""
    small, large = Server(directory, "small.sock"), Server(directory, "large.sock")
    few, many = python("tokenstore", small.socket), python("tokenstore", large.socket)
    few.ask("fill", sizes[0])
    many.ask("make_spare", 1)  # so that scripts and buffers are not counted as tokens
    many.ask("delete_spare", 1)
    before, filled = large.used_memory(), 0
    memory = []
    for size in sizes[1:]:
        many.ask("fill", size - filled)
        filled = size
        memory.append((size, (large.used_memory() - before) / size))
    few.ask("find_keys", 1)
    many.ask("find_keys", 1)
    a, b, ratio = turns(
        rounds, lambda: many.do("plain_get_some", count), lambda: few.do("plain_get_some", count)
    )
    row = f"a plain HGET of a record, at {sizes[-1]:,} tokens against {sizes[0]:,}"
    table.add(row, a / count * 1e6, b / count * 1e6, ratio, None)
    for job in ("get", "refresh", "update"):
        some = f"{job}_some"
        a, b, ratio = turns(
            rounds, lambda j=some: many.do(j, count), lambda j=some: few.do(j, count)
        )
        table.add(
            f"{job}, at {sizes[-1]:,} tokens against {sizes[0]:,}",
            a / count * 1e6,
            b / count * 1e6,
            ratio,
            ("<=", 1.2),
        )

    def delete(worker):
        worker.ask("make_spare", count)
        return worker.do("delete_spare", count)

    a, b, ratio = turns(rounds, lambda: delete(many), lambda: delete(few))
    table.add(
        f"delete, at {sizes[-1]:,} tokens against {sizes[0]:,}",
        a / count * 1e6,
        b / count * 1e6,
        ratio,
        ("<=", 1.2),
    )
    for size, each in memory:
        # Hash tables double, so the figure varies with the number of keys.
        limit = ("<=", 1.0) if size == 100_000 else None
        row = f"server memory per token, at {size:,} (of 290 bytes)"
        table.add(row, each, 290.0, each / 290, limit, unit="bytes")
    stop_all()


def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout or done.stderr).strip().splitlines()[0]
    except (OSError, IndexError):
        return "none"


def machine():
    """What the figures depend on, one line each."""
    from importlib.metadata import version

    import hiredis
    import redis

    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    cores = output("nproc")
    system = next(
        (
            line.split("=")[1].strip('"')
            for line in Path("/etc/os-release").read_text().splitlines()
            if line.startswith("PRETTY_NAME")
        ),
        "?",
    )
    library = output("dpkg-query", "-W", "-f", "${Version}", "libhiredis-dev")
    return [
        f"{cpu}, {cores} cores, Linux {platform.release()}, {system}",
        output(SERVER, "--version"),
        f"Python {platform.python_version()}; {output('lua5.4', '-v')}; {output('luajit', '-v')}",
        f"hiredis {library}; redis-py {redis.__version__} with hiredis {hiredis.__version__}; "
        f"PyJWT {version('pyjwt')}; {output('openssl', 'version')}; {output('gcc', '--version')}",
    ]


def measure(table, directory, options):
    """All of it, or what the options name."""
    rounds, count, sizes = (61, 1000, (1_000, 100_000, 1_000_000))
    if options.quick:
        rounds, count, sizes = (15, 500, (1_000, 20_000))
    if options.near:
        return measure_near.measure(table, directory, rounds // 4, count)
    if options.web:
        return measure_web.measure(table, directory, rounds // 4, count)
    measure_tokens.measure(table, directory, rounds, count // 2, sizes[1])
    if options.tokens:
        return None
    for transport in ("TCP", "unix socket"):
        against_raw(table, directory, rounds, count, transport)
    against_redis_py(table, directory, rounds, count)
    measure_asyncio.measure(table, directory, rounds, count)
    measure_near.measure(table, directory, rounds // 4, count)
    measure_jwt.measure(table, directory, rounds, count)
    measure_redis_jwt.measure(table, directory, rounds, count, (100, sizes[1]))
    measure_spike.measure(table, rounds, 100 * count)
    measure_nginx.measure(table, directory, rounds // 8)
    measure_web.measure(table, directory, rounds // 4, count)
    at_scale(table, directory, rounds, count, sizes)
    return against_node(table, directory, rounds // 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE as well")
    parser.add_argument("--write", metavar="PAGE", help="replace the table in PAGE")
    parser.add_argument("--near", action="store_true", help="the near cache alone")
    parser.add_argument("--tokens", action="store_true", help="the operations of RedisTokens alone")
    parser.add_argument("--web", action="store_true", help="web frameworks alone")
    options = parser.parse_args()
    for line in machine():
        print(line)
    print()
    table = Table()
    with tempfile.TemporaryDirectory(prefix="tokenstore-bench-") as directory:
        try:
            measure(table, directory, options)
        finally:
            stop_all()
    facts = machine()
    if options.json:
        figures = {"machine": facts, "rows": table.measured}
        Path(options.json).write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n")
    if options.write:
        path = Path(options.write)
        head, _, _ = path.read_text().partition("<!-- measured -->")
        facts = "".join(f"- {line}\n" for line in facts)
        path.write_text(f"{head}<!-- measured -->\n\n{facts}\n{table.markdown()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
