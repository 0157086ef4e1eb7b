"""A server is upgraded in place while it is in use: the binary of an older one is killed, and the one of the tests goes on
with its append-only file. Nothing is lost, nothing is revived, and no call fails that did not meet the restart.

With a server that ends fields this is also the step from stamps in the records to ends of the fields."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

import stored
import tokenstore
from servers import BINARIES, BINARY, Server
from test_model import APP, Known, Model
from test_owner_hash import WRITES, ends_fields
from tokenstore import RedisTokens, Token

WORKERS = 4
OWNERS = 6  # of each worker
BEFORE = 2  # seconds under load
LIFE = 4  # seconds: tokens of so long, which are written after the upgrade
COMMON = (7, 2)  # what Redis and Valkey up to this version wrote, all later ones can read


def version(binary: str) -> tuple[int, int]:
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


@pytest.fixture
def older() -> str:
    """The latest server of this machine that is older than the one of the tests."""
    installed = [binary for binary in BINARIES if shutil.which(binary)]
    found = [binary for binary in installed if version(binary) < version(BINARY) and version(binary) <= COMMON]
    if not found:
        pytest.skip(f"no server here is older than {BINARY}")
    return max(found, key=version)


class Restart:
    """When the server was away."""

    def __init__(self) -> None:
        self.down = self.up = float("inf")
        self.over = threading.Event()

    def may_have_met(self, begin: float, end: float) -> bool:
        return end >= self.down and begin <= self.up


class Worker(Model):
    """Calls of one thread, which has owners of its own. A call that fails because of the restart may have done what it
    should or not: its owner is left out from then on."""

    def __init__(self, tokens: RedisTokens, number: int, restart: Restart) -> None:
        super().__init__(tokens, number, reuse=False)
        self.restart = restart
        self.owners = [f"{n} of worker {number}" for n in range(OWNERS)]
        self.before = 0  # calls that the old server was asked

    def owner(self) -> str:
        return self.rng.choice(self.owners)

    def call(self, function: Any, *args: Any, **more: Any) -> Any:
        self.about = args[0] if args else [more]
        self.before += self.restart.down == float("inf")
        return super().call(function, *args, **more)

    def slid(self, one: Known, token: Token, by: float | None) -> None:
        if self.restart.may_have_met(self.begin, self.end):
            self.leave_out(one)  # get does not fail where it could not slide
        else:
            super().slid(one, token, by)

    def leave_out(self, one: Known | None, owner: str | None = None) -> None:
        gone = {owner, one and one.owner} - {None}
        self.known = {key: it for key, it in self.known.items() if it is not one and it.owner not in gone}
        self.old = [old for old in self.old if old.one in self.known.values()]
        self.owners = [f"{name}'" if name in gone else name for name in self.owners]

    def run(self, over: Callable[[], bool]) -> None:
        while not over():
            try:
                super().run(over)
            except (tokenstore.ConnectionError, tokenstore.OutcomeUnknownError):
                if not self.restart.may_have_met(self.begin, self.end):
                    raise
                for row in self.about:
                    token = row.get("token")
                    was = (old.one for old in self.old if old.token == token)
                    self.leave_out(self.known.get(token) or next(was, None), row.get("owner"))
                assert self.restart.over.wait(30)

    def check_all(self) -> None:
        for one in list(self.known.values()):
            token = self.call(self.tokens.get, **APP, token=one.token, expiry=True)
            if self.was_right(one, token is not None):
                self.check(one, token, end=True)
        for secret in self.dead:
            assert self.call(self.tokens.get, **APP, token=secret) is None


@contextmanager
def working(workers: list[Worker]) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(len(workers)) as threads:
        futures = [threads.submit(worker.run, over.is_set) for worker in workers]
        try:
            yield
        finally:
            over.set()
    for future in futures:
        future.result()


def test_under_load(older: str) -> None:
    server = Server("--appendonly", "yes", "--appendfsync", "always", binary=older)
    restart = Restart()
    try:
        server.start()
        with tokenstore.Client(server.url, timeout=20) as client:
            tokens = RedisTokens(client, touch_interval=0)
            workers = [Worker(tokens, number, restart) for number in range(WORKERS)]
            with working(workers):
                time.sleep(BEFORE)
                old, beside = ({how: tokens.create(**APP, owner=how, duration=LIFE) for how in WRITES} for _ in range(2))
                unwritten = [tokens.create(**APP, owner="unwritten", duration=d) for d in (LIFE, 60)]
                restart.down = time.time()
                server.kill()
                server.binary = BINARY
                server.start()
                restart.up = time.time()
                restart.over.set()
                written = {how: write(tokens, old[how]) for how, write in WRITES.items()}
                time.sleep(LIFE + 1.1)
            assert min(worker.before for worker in workers) > 20
            assert min(worker.calls - worker.before for worker in workers) > 20
            for worker in workers:
                worker.check_all()
            for how, token in written.items():
                assert tokens.get(**APP, token=token.token) is not None, how
                assert tokens.get(**APP, token=beside[how].token) is None, how
                if ends_fields(server):
                    assert stored.record_of(server, token)[13:14] != b"e", how
                    assert server("PTTL", stored.place_of(server, token)[0]) == -1
                    assert not stored.is_stored(server, beside[how]), how
            assert [tokens.get(**APP, token=token.token) is None for token in unwritten] == [True, False]
    finally:
        server.remove()
