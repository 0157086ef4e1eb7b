"""Sessions on a cluster that loses a primary under load: no request sees an error.

Starts three primaries, each with a replica, on this machine; four threads log users in, check their sessions and log them
out. Then one primary is killed. Its replica takes over within seconds; requests about its sessions wait that long, all others
go on. Needs redis-server or valkey-server on PATH. Run by `make demo`.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import tokenstore

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")
SLOTS = 16384
THREADS = 4


class Node:
    """One server of the cluster."""

    def __init__(self, directory, port):
        self.port = port
        self.log = (directory / f"{port}.log").open("w")
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0")
        self.process = subprocess.Popen(
            [BINARY, "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
            + ["--cluster-config-file", f"{port}.conf", "--dir", str(directory)],
            stdout=self.log,
            stderr=self.log,
        )

    def __call__(self, *command):
        with tokenstore.Client(f"redis://127.0.0.1:{self.port}") as client:
            return client.execute(*command)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def free_ports(count):
    """Below 22768: the nodes talk to each other on port + 10000."""
    found = []
    for port in range(17000, 22000):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("no free ports for a cluster")


def until(done, seconds=30):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise SystemExit("the cluster did not form")
        time.sleep(0.05)


def form(nodes):
    """Makes one cluster of them: the first three serve, the others follow."""
    for node in nodes:
        until(lambda node=node: answers(node))
    for i, node in enumerate(nodes[:3]):
        slots = range(i * SLOTS // 3, (i + 1) * SLOTS // 3)
        node("CLUSTER", "ADDSLOTS", *slots)
        node("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
    for node in nodes[1:]:
        nodes[0]("CLUSTER", "MEET", "127.0.0.1", node.port)
    until(lambda: all(b"cluster_known_nodes:6" in node("CLUSTER", "INFO") for node in nodes))
    for primary, replica in zip(nodes[:3], nodes[3:]):
        replica("CLUSTER", "REPLICATE", primary("CLUSTER", "MYID"))
    until(lambda: all(b"cluster_state:ok" in node("CLUSTER", "INFO") for node in nodes))
    until(lambda: all(b"master_link_status:up" in node("INFO", "replication") for node in nodes[3:]))


def answers(node):
    try:
        return node("PING")
    except tokenstore.ConnectionError:
        return False


class Load:
    """What a web application does with sessions, and how long each step took."""

    def __init__(self, url):
        self.sessions = tokenstore.Sessions(url, timeout=15)
        self.over = False
        self.times = []
        self.problems = []
        self.lost = 0  # changes that the dead primary had acknowledged, and no replica had
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(THREADS)]

    def work(self, number):
        user = 0
        while not self.over:
            user += 1
            began = time.monotonic()
            try:
                self.request(f"user-{number}-{user}")
            except Exception as error:
                self.problems.append(error)
            self.times.append((began, time.monotonic() - began))

    def request(self, user):
        cookie = self.sessions.create(app="web", owner_id=user, data={"cart": []})
        session = self.sessions.get(app="web", token=cookie)
        self.lost += session is None
        if session is not None and session.owner_id != user:
            raise AssertionError("this is another user's session")
        while True:
            try:
                self.sessions.kill(app="web", token=cookie)
                break
            except tokenstore.OutcomeUnknownError:
                pass  # sent amid the crash: it may have happened, and twice does no harm
        self.lost += self.sessions.get(app="web", token=cookie) is not None


def main():
    if BINARY is None:
        raise SystemExit("redis-server or valkey-server is not installed")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokenstore-cluster-")))
        nodes = []
        for port in free_ports(6):
            nodes.append(Node(directory, port))
            stack.callback(nodes[-1].end)
        form(nodes)
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
        print(f"  cluster    3 primaries, 3 replicas: {url}")
        load = Load(url)
        for thread in load.threads:
            thread.start()
        time.sleep(1)
        killed = time.monotonic()
        nodes[0].process.kill()
        time.sleep(5)
        load.over = True
        for thread in load.threads:
            thread.join()
        load.sessions.close()
        longest = max(took for began, took in load.times if began + took > killed)
        slow = sum(took > 0.5 for _, took in load.times)
        print(f"  killed     one primary, amid {len(load.times)} requests of {THREADS} threads")
        print(f"  waited     {slow} of them, for its replica to take over: {longest:.1f} s at most")
        print(f"  lost       {load.lost} changes that had not reached the replica")
        print(f"  errors     {len(load.problems)}")
        if load.problems:
            sys.exit(f"  {load.problems[0]!r}")


if __name__ == "__main__":
    main()
