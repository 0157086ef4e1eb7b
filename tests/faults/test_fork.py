"""fork() in the middle of load: the child uses new connections, and the parent never gets a wrong reply."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import fault_server
import tokenstore
from certs import LOCAL, SERVER, Authority
from conftest import SOAK, Setup
from operations import A
from servers import Server

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

FORKS = 200 if SOAK else 60
THREADS = 4


class Load:
    """Threads that get tokens and check their owners."""

    def __init__(self, store: tokenstore.RedisTokens) -> None:
        self.store = store
        self.stop = threading.Event()
        self.failures: list[BaseException] = []
        self.gets = 0
        made = [store.create(**A, owner=f"fork-{i}", data={"i": i}) for i in range(THREADS * 8)]
        self.tokens = [t.token for t in made]
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(THREADS)]

    def check(self, i: int) -> None:
        found = self.store.get(**A, token=self.tokens[i])
        assert found is not None
        assert (found.owner, found.data) == (f"fork-{i}", {"i": i})

    def run(self, number: int) -> None:
        i = number
        try:
            while not self.stop.is_set():
                self.check(i)
                assert self.store.client.execute("ECHO", str(i)) == str(i).encode()
                self.gets += 1
                i = (i + THREADS) % len(self.tokens)
        except BaseException as error:
            self.failures.append(error)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked child; its pid. The child exits with 0 when it went well."""
    sys.stdout.flush()
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait_for(pid: int, seconds: float = 20) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


def sockets() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found[int(name)] = target
    return found


def test_fork_under_load(redis: Server) -> None:
    with tokenstore.Client(redis.url, pool_size=THREADS) as client:
        store = tokenstore.RedisTokens(client)
        with Load(store) as load:
            for _ in range(FORKS):
                assert wait_for(in_child(lambda: child(load))) == 0
            assert load.gets > FORKS


def child(load: Load) -> None:
    # Two threads at once: only one may create the new pool.
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for i in range(4):
                load.check(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def proxy(redis: Server, *arguments: str) -> Iterator[tuple[str, tokenstore.Client]]:
    """The fault server in a separate process, without faults: its URL and its control connection. (OpenSSL
    takes process-wide locks when a thread first uses it and when it ends; in a child forked at that moment
    they stay locked. So this process must not have such threads.)"""
    program = str(Path(fault_server.__file__))
    with subprocess.Popen(
        [sys.executable, program, str(redis.socket_path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url, control = process.stdout.readline().split()
        with tokenstore.Client(control) as client:
            yield url, client
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_fork_under_load_over_tcp(redis: Server, authority: Authority, tls: bool) -> None:
    """A TLS record of the child would break the parent's session."""
    pair = authority.sign("forks", LOCAL, *SERVER)
    arguments = ("--tls", str(pair.cert), str(pair.key)) if tls else ()
    options = {"ca": str(authority.cert)} if tls else {}
    with proxy(redis, *arguments) as (url, control):
        with tokenstore.Client(url, pool_size=THREADS, timeout=20, **options) as client:
            with Load(tokenstore.RedisTokens(client)) as load:
                while load.gets < 10 * THREADS:
                    time.sleep(0.001)
                before = control.execute("COUNT")
                for _ in range(20):
                    assert wait_for(in_child(lambda: child(load))) == 0
            # Each child opened one or two; the parent kept its own, and opened those that it had not needed
            # yet.
            assert 20 <= control.execute("COUNT") - before <= 40 + THREADS


def test_child_lets_go_of_inherited_sockets(redis: Server) -> None:
    with tokenstore.Client(redis.url) as client:
        client.execute("PING")
        mine = client.execute("CLIENT", "ID")
        inherited = sockets()

        def work() -> None:
            assert client.execute("CLIENT", "ID") != mine
            now = sockets()
            gone = [fd for fd, target in inherited.items() if now.get(fd) != target]
            assert gone, (inherited, now)
            client.close()

        assert wait_for(in_child(work)) == 0
        assert client.execute("CLIENT", "ID") == mine  # the child's close did not affect the parent


def test_descriptors_that_became_something_else(redis: Server) -> None:
    """A daemon closes all descriptors and reuses their numbers: its files stay open."""
    with tokenstore.Client(redis.url) as client:
        before = sockets()
        client.execute("PING")
        fds = sorted(set(sockets()) - set(before))
        assert fds

        def work() -> None:
            for fd in fds:
                os.close(fd)
            pairs = [socket.socketpair() for _ in fds]
            for fd, (ours, _) in zip(fds, pairs):
                if ours.fileno() != fd:
                    os.dup2(ours.fileno(), fd)
            opened = [os.fstat(fd).st_ino for fd in fds]
            assert client.execute("PING") == "PONG"
            assert [os.fstat(fd).st_ino for fd in fds] == opened

        assert wait_for(in_child(work)) == 0


def test_close_and_collect_in_the_child(redis: Server) -> None:
    client = tokenstore.Client(redis.url)
    client.execute("PING")

    def close() -> None:
        client.close()
        with pytest.raises(tokenstore.Error, match="closed"):
            client.execute("PING")

    assert wait_for(in_child(close)) == 0
    assert client.execute("PING") == "PONG"

    holder = [tokenstore.Client(redis.url)]
    holder[0].execute("PING")

    def collect() -> None:
        holder.clear()
        gc.collect()

    assert wait_for(in_child(collect)) == 0
    assert holder[0].execute("PING") == "PONG"
    client.close()
    grandchild = tokenstore.Client(redis.url)
    grandchild.execute("PING")

    def fork_again() -> None:
        grandchild.execute("PING")
        assert wait_for(in_child(lambda: grandchild.execute("PING"))) == 0
        assert grandchild.execute("PING") == "PONG"

    assert wait_for(in_child(fork_again)) == 0


def test_closed_before_the_fork(redis: Server) -> None:
    client = tokenstore.Client(redis.url)
    client.execute("PING")
    client.close()

    def work() -> None:
        with pytest.raises(tokenstore.Error, match="closed"):
            client.execute("PING")

    assert wait_for(in_child(work)) == 0


def test_fork_in_a_signal_handler(setup: Setup) -> None:
    """The child is in the middle of its parent's call. It may fail, but must neither hang nor touch the
    parent's connection; the parent's call ends normally."""
    import signal

    with setup.client(timeout=5) as client:
        store = tokenstore.RedisTokens(client)
        token = store.create(**A, owner="handler", data={"h": 1}).token
        pids: list[int] = []
        in_handler_child = []

        def handler(number: int, frame: object) -> None:
            pid = os.fork()
            if pid == 0:
                in_handler_child.append(True)
            else:
                pids.append(pid)

        def slow(x: object) -> None:
            reply = x.ask()
            time.sleep(0.3)
            x.send(reply)

        before = signal.signal(signal.SIGALRM, handler)
        try:
            setup.server.arm(slow)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            found = store.get(**A, token=token)
            if in_handler_child:
                ok = found is not None and found.data == {"h": 1}
                ok = ok and store.get(**A, token=token).data == {"h": 1}
                os._exit(0 if ok else 1)
        except BaseException:
            if in_handler_child:
                traceback.print_exc()
                os._exit(2)
            raise
        finally:
            signal.signal(signal.SIGALRM, before)
        assert found.data == {"h": 1}
        assert len(pids) == 1
        assert wait_for(pids[0]) == 0
        assert store.get(**A, token=token).data == {"h": 1}
