"""Every operation of each class against the corresponding Node package: the same server, the same run, in
turns. Each side has a separate database, because the packages' KEYS scans all keys of one."""

import shutil
import sys
from functools import partial

from harness import ROOT, Server, Worker, stop_all, turns

PACKAGES = ROOT / "tests/interop/node_modules"

# The operations and the number of calls per turn.
OPERATIONS = {
    "redis-tokens": (
        ("get", 50),
        ("refresh", 50),
        ("update", 50),
        ("delete", 50),
        ("delete_all", 50),
        ("create", 200),  # last, because the tokens remain
    ),
    "tokenstore": (
        ("add", 200),
        ("get", 200),
        ("get_key", 200),
        ("set", 200),
        ("list", 100),
        ("delete", 100),
        ("delete_key", 100),
        ("make_hash", 200),
        ("get_hash", 200),
        ("del_hash", 200),
        ("reset", 200),  # of that many tokens; last, because it deletes all
    ),
    "redis-jwt": (
        ("sign", 50),
        ("sign_multiple", 200),
        ("verify", 200),
        ("verify_value", 200),
        ("exists", 200),
        ("ttl", 200),
        ("get_value_by_key", 200),
        ("get_values_by_pattern", 50),
        ("get_count_by_pattern", 50),
        ("destroy", 100),
        ("destroy_multiple", 50),
    ),
}
NAMES = {"redis-tokens": "RedisTokens", "tokenstore": "Tokenstore", "redis-jwt": "RedisJWT"}


def against_node(table, directory, rounds, keys=1000):
    if shutil.which("node") is None or not PACKAGES.is_dir():
        print("SKIP the Node packages: no Node with tests/interop's packages")
        return
    server = Server(directory, "node.sock")
    for package, operations in OPERATIONS.items():
        theirs = Worker(package, "node", str(ROOT / "bench/node.mjs"), package, server.port, "1")
        ours = Worker(
            package, sys.executable, str(ROOT / "bench/node_twin.py"), package, server.port
        )
        for worker in (theirs, ours):
            worker.ask("fill", keys)
        for operation, count in operations:
            a, b, ratio = turns(
                rounds,
                partial(take, ours, operation, count),
                partial(take, theirs, operation, count),
            )
            table.add(
                f"{NAMES[package]}.{operation}, Python, against {package} on Node",
                a / count * 1e6,
                b / count * 1e6,
                ratio,
                ("<=", 1.0),
            )
    stop_all()


# Operations that need preparation, which is not measured.
PREPARED = {
    "delete",
    "delete_all",
    "delete_key",
    "get_hash",
    "del_hash",
    "reset",
    "destroy",
    "destroy_multiple",
}


def take(worker, operation, count):
    if operation in PREPARED:
        worker.ask(f"ready_{operation}", count)
    return worker.do(operation, count)
