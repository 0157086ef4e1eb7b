"""How soon a revocation reaches the near caches of other processes.

usage: reach.py [--rounds N] [--readers N] [--tracking broadcast|keys] [--url URL]

Readers, processes of each driver, get the same tokens all the time, each from its near cache. They are ended one by one, by a delete, a
delete_all, a rotation, or an update to other data, or end in time. The figures are the milliseconds from the moment at which the
change was acknowledged until the first read began that each process refused, and the number of tokens that were served longer than near_cache_staleness.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import CLIENT_CPUS, ROOT, Server, environment, stop_all

import tokenstore

BENCH = Path(__file__).parent
A, T = "web", "login"
TOKENS = 200
"""At a time: a reader's turn through all of them takes about a millisecond."""

LIFE = 3
"""Seconds, of those that end by themselves: all readers must have them in memory by then."""

PAUSE = 0.002
STALENESS = 2.0

ENDS = {
    "delete": lambda tokens, token: tokens.delete(A, T, token.token),
    "delete_all": lambda tokens, token: tokens.delete_all(A, T, token.owner),
    "rotate": lambda tokens, token: tokens.rotate(A, T, token.token),
    "update": lambda tokens, token: tokens.update(A, T, token.token, {"n": 2}),
    "expiry": None,
}


class Reader:
    """In a process of its own."""

    def __init__(self, driver, url):
        self.driver = driver
        lua = ["lua5.4", str(BENCH / "worker_reach.lua"), url]
        command = lua if driver == "lua5.4" else [sys.executable, str(BENCH / "worker_reach.py"), driver, url]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        os.sched_setaffinity(self.process.pid, CLIENT_CPUS)

    def begin(self, tokens):
        self.process.stdin.write(" ".join(tokens) + "\n")
        self.process.stdin.flush()

    def is_ready(self):
        return self.process.stdout.readline() == "ready\n"

    def refused(self):
        """When the first read began that it refused of each, by CLOCK_MONOTONIC."""
        return [float(at) for at in self.process.stdout.readline().split()]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


NGINX = """\
{user}load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  lua_package_path "{root}/bench/?.lua;{root}/bindings/lua/?.lua;{root}/bindings/lua/?/init.lua;;";
  lua_package_cpath "{root}/build/lua/5.1/?.so;;";
  lua_socket_buffer_size 64k;
  access_log off;
  lua_http10_buffering off;
  large_client_header_buffers 4 32k;
  init_by_lua_block {{
    tokens = assert(require("tokenstore").RedisTokens("{url}", {{ near_cache = 1000 }}))
    reach = require "worker_reach_nginx"
  }}
  server {{
    listen unix:{directory}/nginx.sock;
    location / {{ content_by_lua_block {{ reach.serve(tokens) }} }}
  }}
}}
"""


class NginxReader:
    """In a worker of nginx."""

    driver = "nginx"

    def __init__(self, directory, url):
        self.socket = os.path.join(directory, "nginx.sock")
        conf = os.path.join(directory, "nginx.conf")
        user = "user root;\n" if os.getuid() == 0 else ""
        Path(conf).write_text(NGINX.format(user=user, directory=directory, root=ROOT, url=url))
        self.process = subprocess.Popen(["nginx", "-p", directory, "-c", conf, "-e", "stderr"])
        os.sched_setaffinity(self.process.pid, CLIENT_CPUS)
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                raise SystemExit("nginx did not start")
            time.sleep(0.02)

    def begin(self, tokens):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            connection.sendall(f"GET /?{'%20'.join(tokens)} HTTP/1.0\r\n\r\n".encode())
            self.answer = connection.makefile()
        while self.answer.readline().strip():  # the head
            pass

    def is_ready(self):
        return self.answer.readline() == "ready\n"

    def refused(self):
        return [float(at) for at in self.answer.readline().split()]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def one_round(tokens, readers, times):
    made = [
        tokens.create(A, T, f"owner {i}", {"n": 1}, LIFE if i % len(ENDS) == len(ENDS) - 1 else 600)
        for i in range(TOKENS)
    ]
    began = time.monotonic()
    for reader in readers:
        reader.begin([token.token for token in made])
    for reader in readers:
        if not reader.is_ready():
            raise SystemExit(f"{reader.driver} did not read all tokens")
    kinds = [list(ENDS)[i % len(ENDS)] for i in range(TOKENS)]
    done = [0.0] * TOKENS
    order = list(range(TOKENS))
    random.shuffle(order)
    for i in order:
        if ENDS[kinds[i]] is None:
            done[i] = began + LIFE
            continue
        ENDS[kinds[i]](tokens, made[i])
        done[i] = time.monotonic()
        time.sleep(PAUSE)
    for reader in readers:
        for i, at in enumerate(reader.refused()):
            times.setdefault((reader.driver, kinds[i]), []).append(at - done[i])


def show(name, times):
    times = sorted(max(0.0, at) for at in times)
    points = [times[min(int(len(times) * part), len(times) - 1)] * 1e3 for part in (0.5, 0.99, 0.999)]
    late = sum(at > STALENESS for at in times)
    print(f"| {name} | {len(times)} | " + " | ".join(f"{p:.2f}" for p in points) + f" | {times[-1] * 1e3:.2f} | {late} |")
    return late


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=63, help=f"of {TOKENS} tokens")
    parser.add_argument("--readers", type=int, default=4, help="processes")
    parser.add_argument("--tracking", default="broadcast", help="near_cache_tracking of the readers")
    parser.add_argument("--url", help="of servers; else there is a private one")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tokenstore-reach-") as directory:
        url = a.url or f"unix://{Server(directory, 'reach.sock').socket}"
        near = f"{url}{'&' if '?' in url else '?'}near_cache_tracking={a.tracking}"
        drivers = ["blocking", "asyncio", "lua5.4", "nginx"]
        readers = []
        for i in range(a.readers):
            driver = drivers[i % len(drivers)]
            place = os.path.join(directory, f"reader-{i}")
            os.mkdir(place)
            readers.append(NginxReader(place, near) if driver == "nginx" else Reader(driver, near))
        times = {}
        try:
            with tokenstore.RedisTokens(url) as tokens:
                one_round(tokens, readers, {})  # until all have started
                for _ in range(a.rounds):
                    one_round(tokens, readers, times)
        finally:
            for reader in readers:
                reader.stop()
            stop_all()
    print("| | changes × processes | p50 ms | p99 | p99.9 | max | beyond the limit |\n|---|---|---|---|---|---|---|")
    late = 0
    for kind in ENDS:
        late += show(kind, [at for (_, k), found in times.items() if k == kind for at in found])
    for driver in drivers:
        show(driver, [at for (d, k), found in times.items() if d == driver and k != "expiry" for at in found])
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
