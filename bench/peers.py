"""Asks other packages for sessions and tokens in Redis, and this one, the same questions: the table of
docs/explanation/comparison.md.

Each package stands behind four pages: `/login`, `/set/FIELD`, `/logout`, and `/me`, the session as JSON. A page that sets a field
may ask another page before it ends: two requests at the same time, in a known order.

usage: peers.py [NAME …]
"""

import json
import re
import subprocess
import sys
import tempfile
from functools import partial
from urllib.parse import unquote

import peers_python
import redis
from harness import ROOT, SERVER, environment, stop_all
from harness import Server as RedisServer

INTEROP = ROOT / "tests/interop"


class Node:
    """A program of bench/peers.mjs: one line for a request, one for its answer."""

    def __init__(self, name, server):
        command = ["node", str(ROOT / "bench/peers.mjs"), name, server.port]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=INTEROP, env=environment()
        )

    def __call__(self, path, cookie=None):
        self.process.stdin.write(json.dumps({"path": path, "cookie": cookie}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["body"], answer["cookie"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)


def texts(client):
    """All names of keys, and what they hold."""
    for key in client.scan_iter():
        yield key
        kind = client.type(key)
        if kind == b"string":
            yield client.get(key)
        elif kind == b"hash":
            for field, value in client.hgetall(key).items():
                yield field + b" " + value
        elif kind in (b"set", b"zset"):
            yield from (client.smembers(key) if kind == b"set" else client.zrange(key, 0, -1))


def secret_in_redis(client, cookie):
    """Does Redis have the cookie or token, as it was given to the browser, without a signature?"""
    parts = [part.encode() for part in re.split(r"[^\w-]+", unquote(cookie)) if len(part) >= 20]
    return any(part in text for text in texts(client) for part in parts)


def commands(client, ask, cookie):
    """The commands of one look at the session, once connections are open."""
    ask("/me", cookie)
    client.config_resetstat()
    ask("/me", cookie)
    done = client.info("commandstats")
    names = {name.removeprefix("cmdstat_").upper().replace("|", " "): row["calls"] for name, row in done.items()}
    names = {n: c for n, c in names.items() if n.split()[0] not in ("CONFIG", "INFO", "PING", "CLIENT", "HELLO", "SELECT")}
    return ", ".join(f"{name}{f' × {count}' if count > 1 else ''}" for name, count in sorted(names.items()))


def measure(name, make, directory):
    """The answers of one package, in order."""
    server = RedisServer(directory, f"{name}.sock")
    client = redis.Redis(port=int(server.port))
    ask = make(server)
    try:
        _, cookie = ask("/login")
        answers = {"secret in Redis": secret_in_redis(client, cookie), "a look": commands(client, ask, cookie)}
        if ask("/set/c", cookie)[0] is not None:
            ask("/set/a?first=/set/b", cookie)
            now = ask("/me", cookie)[0]
            answers["both changes stay"] = {"a", "b", "c"} <= now.keys()
            ask("/set/d?first=/logout", cookie)
            answers["logout stays"] = "user" not in (ask("/me", cookie)[0] or {})
        return answers
    finally:
        ask.close()


def main():
    all_of_them = {
        **{name: partial(peers_python.make, name) for name in peers_python.PEERS},
        **{name: partial(Node, name) for name in ("connect-redis", "redis-tokens", "redis-jwt")},
    }
    print(subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout.strip())
    with tempfile.TemporaryDirectory(prefix="tokenstore-peers-") as directory:
        for name in sys.argv[1:] or all_of_them:
            try:
                print(f"{name}: {json.dumps(measure(name, all_of_them[name], directory), ensure_ascii=False)}", flush=True)
            finally:
                stop_all()


if __name__ == "__main__":
    main()
