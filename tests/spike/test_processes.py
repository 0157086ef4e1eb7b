"""Many processes that share their tokens through Redis: which one requests, which ones wait, and for how
long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from authorization import (
    CLIENT_ID,
    CLIENT_SECRET,
    Answer,
    Asked,
    Endpoint,
    Provider,
    endpoint,
    granted,
    wait_until,
)
from servers import Server, _die_with_parent, running
from tokenstore import Spike

THREADS = 64
LOCK_SECONDS = 5  # how long a lock outlives its holder, as docs/reference/spike.md says
BUSY = 4  # tolerance for a busy machine

# One process: for each input line all its threads request all audiences. Prints the set of results.
CHILD = """
import sys, threading
import tokenstore
url, redis, client_id, secret, jwks_url, audiences, threads = sys.argv[1:]
how = {"jwks_url": jwks_url} if jwks_url else {"token_format": "opaque"}
spike = tokenstore.Spike(url, client_id, secret, redis=redis, **how)
names = [f"https://api.example/{i}" for i in range(int(audiences))]
def ask(found):
    try:
        found.update([spike.get_token(name) for name in names])
    except Exception as error:
        found.add(repr(error))
print("ready", flush=True)
for line in sys.stdin:
    found = set()
    ts = [threading.Thread(target=ask, args=(found,)) for _ in range(int(threads))]
    [t.start() for t in ts]
    [t.join() for t in ts]
    print(*sorted(found), sep="\\t", flush=True)
spike.close()
"""


class Child:
    """A process with threads that request the same tokens."""

    def __init__(self, server: Provider | Endpoint, redis: Server, audiences: int) -> None:
        jwks_url = server.jwks_url if isinstance(server, Provider) else ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, server.url, redis.url, CLIENT_ID, CLIENT_SECRET, jwks_url]
            + [str(audiences), str(THREADS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,
        )
        assert self.read() == ["ready"]

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def read(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n").split("\t")

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def children(
    count: int, server: Provider | Endpoint, redis: Server, audiences: int = 1
) -> Iterator[list[Child]]:
    started: list[Child] = []
    try:
        for _ in range(count):
            started.append(Child(server, redis, audiences))
        yield started
    finally:
        for child in started:
            child.end()


def ask(processes: list[Child]) -> list[list[str]]:
    """All at once; returns their results."""
    for child in processes:
        child.go()
    return [child.read() for child in processes]


def test_ten_requests_for_ten_audiences_whoever_asks(
    authority_server: Provider, redis: Server
) -> None:
    """8 processes with 64 threads each start without tokens."""
    with children(8, authority_server, redis, audiences=10) as processes:
        found = ask(processes)
    assert len(found[0]) == 10
    assert all(got == found[0] for got in found)
    assert len(authority_server.issued) == 10
    assert len(set(authority_server.issued)) == 10


def test_ten_requests_more_when_the_tokens_expire(redis: Server) -> None:
    """The same processes again, when all tokens are within expiration_offset of their expiry."""
    done = any(ask_again_at_the_end(redis, good_for) for good_for in (2.0, 8.0, 32.0))
    assert done, "this machine is too slow for this test"


def ask_again_at_the_end(redis: Server, good_for: float) -> bool:
    """False: a token expired before all had requested it."""
    ends: list[float] = []

    def answer(asked: Asked) -> Answer:
        ends.append(time.monotonic() + good_for)
        return granted(f"token-{len(ends)}", expires_in=10 + good_for, refresh_in=3600)

    with endpoint(answer) as server, children(8, server, redis, audiences=10) as processes:
        first = ask(processes)
        if time.monotonic() > ends[0]:
            return False
        assert len(server.asked) == 10
        time.sleep(max(ends) - time.monotonic() + 0.2)
        second = ask(processes)
        assert len(server.asked) == 20
        asked = [a.form["audience"] for a in server.asked]
    assert sorted(asked[:10]) == sorted(asked[10:])
    assert len(first[0]) == len(second[0]) == 10
    assert not set(first[0]) & set(second[0])
    for found in (first, second):
        assert all(got == found[0] for got in found)
    return True


def test_the_process_that_holds_the_lock_is_killed(redis: Server) -> None:
    """Exactly one of the others takes over as soon as the lock has expired."""
    dead = threading.Event()

    def answer(asked: Asked) -> Answer:
        if len(server.asked) == 1:
            dead.wait(60)  # the holder never gets a response
        return granted(f"token-{len(server.asked)}", delay=0.3)  # time for other requests

    with endpoint(answer) as server, children(4, server, redis) as processes:
        holder, *others = processes
        began = time.monotonic()
        holder.go()
        wait_until(lambda: len(server.asked) == 1)
        for child in others:
            child.go()
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()
        found = [child.read() for child in others]
        took = time.monotonic() - began
        dead.set()
        assert len(server.asked) == 2
    assert found == [["token-2"]] * 3
    assert LOCK_SECONDS - 0.5 < took < LOCK_SECONDS + BUSY


def test_redis_is_killed_while_all_wait() -> None:
    """Without Redis there is no lock: each process sends one request, and all callers get a token."""
    goes_on = threading.Event()

    def answer(asked: Asked) -> Answer:
        number = len(server.asked)
        goes_on.wait(60)
        return granted(f"token-{number}")

    with running() as redis, endpoint(answer) as server:
        with children(8, server, redis) as processes:
            for child in processes:
                child.go()
            wait_until(lambda: len(server.asked) == 1)
            redis.kill()
            goes_on.set()
            found = [child.read() for child in processes]
            assert len(server.asked) <= 8
    for got in found:
        assert len(got) == 1
        assert got[0].startswith("token-")


def test_redis_comes_back() -> None:
    with running() as redis, endpoint(lambda asked: granted("a-token")) as server:
        with Spike(server.url, "id", "secret", redis=redis.url, token_format="opaque") as s:
            redis.kill()
            assert s.get_token("https://api.example/1") == "a-token"
            redis.start()
            assert s.get_token("https://api.example/2") == "a-token"
            (own,) = redis.keys()
            assert own.startswith(b"{spike-tokens-for-clientId-id}:own:")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_during_a_fetch_does_not_wait_for_it() -> None:
    """The fetching thread does not exist in the child."""
    goes_on = threading.Event()

    def answer(asked: Asked) -> Answer:
        number = len(server.asked)
        if number == 1:
            goes_on.wait(60)
        return granted(f"token-{number}")

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", token_format="opaque") as s:
            found: list[str] = []
            thread = threading.Thread(target=lambda: found.append(s.get_token("a")))
            thread.start()
            wait_until(lambda: len(server.asked) == 1)
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    signal.alarm(10)
                    os.write(write, s.get_token("a").encode())
                finally:
                    os._exit(0)
            os.close(write)
            with os.fdopen(read, "rb") as pipe:
                assert pipe.read() == b"token-2"
            assert os.waitpid(pid, 0)[1] == 0
            goes_on.set()
            thread.join()
            assert found == ["token-1"]
            assert s.get_token("a") == "token-1"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("waits", [True, False], ids=["waiting", "fetching"])
def test_a_child_forked_by_a_signal_handler_fetches_by_itself(waits: bool) -> None:
    """While waiting for another thread's fetch, which does not exist in the child, or during a fetch."""
    goes_on = threading.Event()
    parent = os.getpid()

    def answer(asked: Asked) -> Answer:
        number = len(server.asked)
        if number == 1:
            goes_on.wait(60)
        return granted(f"token-{number}")

    children: list[int] = []
    read, write = os.pipe()

    def fork(number: int, frame: object) -> None:
        children.append(os.fork())

    def get() -> str:
        try:
            token = s.get_token("a")
        except BaseException as error:
            token = repr(error)
        if os.getpid() != parent:
            os.write(write, token.encode())
            os._exit(0)
        return token

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", token_format="opaque") as s:
            other = threading.Thread(target=s.get_token, args=("a",))
            if waits:
                other.start()
                wait_until(lambda: len(server.asked) == 1)
            before = signal.signal(signal.SIGALRM, fork)
            signal.setitimer(signal.ITIMER_REAL, 0.3)

            def let_go() -> None:
                with os.fdopen(read, "rb") as pipe:
                    told.append(pipe.read())
                goes_on.set()

            told: list[bytes] = []
            reader = threading.Thread(target=let_go)
            began = time.monotonic()
            try:
                threading.Timer(0.6, lambda: os.close(write)).start()
                reader.start()
                assert get() == "token-1"
            finally:
                signal.signal(signal.SIGALRM, before)
            reader.join()
            assert told == [b"token-2"]
            assert time.monotonic() - began < 5
            assert os.waitpid(children[0], 0)[1] == 0
            if waits:
                other.join()


@pytest.mark.parametrize("status", [200, 401])
def test_a_lock_that_is_anothers_by_now_is_left_alone(redis: Server, status: int) -> None:
    """The holder was slower than its lock's lifetime: the current holder keeps it."""

    def answer(asked: Asked) -> Answer:
        (lock,) = redis("KEYS", "*:lock:*")
        assert 4000 < redis("PTTL", lock) <= 1000 * LOCK_SECONDS
        assert redis("SET", lock, "another") == "OK"
        return granted("a-token") if status == 200 else Answer(status)

    with endpoint(answer) as server:
        with Spike(server.url, "id", "secret", redis=redis.url, token_format="opaque") as s:
            try:
                s.get_token("https://api.example")
            except Exception as error:
                assert status != 200, error
    (lock,) = redis("KEYS", "*:lock:*")
    assert redis("GET", lock) == b"another"


def test_a_holder_that_is_slow_is_waited_for_no_longer_than_that(redis: Server) -> None:
    """The lock of a live process that does not finish."""
    with endpoint(lambda asked: granted("a-token")) as server:
        with Spike(server.url, "id", "secret", redis=redis.url, token_format="opaque") as s:
            locks: list[bytes] = []
            server.answer = lambda asked: (
                locks.extend(redis("KEYS", "*:lock:*")) or granted("a-token")
            )
            s.get_token("https://api.example")
        redis("FLUSHALL")
        redis("SET", locks[0], "another", "PX", "60000")
        with Spike(server.url, "id", "secret", redis=redis.url, token_format="opaque") as s:
            began = time.monotonic()
            assert s.get_token("https://api.example") == "a-token"
            assert LOCK_SECONDS < time.monotonic() - began < LOCK_SECONDS + 1 + BUSY
        assert redis("GET", locks[0]) == b"another"


def test_what_the_lock_covers(redis: Server) -> None:
    """Server, client, audience, scope, parameters: each combination has one lock, shared by all callers."""
    seen: list[bytes] = []

    def answer(asked: Asked) -> Answer:
        (lock,) = redis("KEYS", "*:lock:*")
        seen.append(lock)
        return granted("a-token")

    with endpoint(answer) as server, endpoint(answer) as other:
        for url, client, audience, more in (
            (server.url, "id", "a", {}),
            (server.url, "id", "a", {}),
            (other.url, "id", "a", {}),
            (server.url, "di", "a", {}),
            (server.url, "id", "b", {}),
            (server.url, "id", "a", {"scope": "read"}),
            (server.url, "id", "a", {"parameters": {"resource": "r"}}),
        ):
            redis("FLUSHALL")
            with Spike(url, client, "secret", redis=redis.url, token_format="opaque", **more) as s:
                s.get_token(audience)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 6
