"""SIGKILL and restart of the server under load, appendfsync always: acknowledged changes persist, revoked
tokens stay revoked."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import tokenstore
from conftest import SOAK
from operations import A
from servers import Server, running

ROUNDS = 30 if SOAK else 4
THREADS = 6
LOAD_SECONDS = 0.6

UNSURE = (tokenstore.OutcomeUnknownError, tokenstore.ConnectionError, tokenstore.TimeoutError)


class Writer(threading.Thread):
    """Changes its tokens, and remembers the acknowledged state. A token whose last change has an unknown
    outcome is set aside."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__()
        self.client = tokenstore.Client(url, timeout=2, pool_size=2)
        self.store = tokenstore.RedisTokens(self.client)
        self.owner = f"writer-{number}"
        self.random = random.Random(number)
        self.alive: dict[str, dict[str, object]] = {}
        self.dead: list[str] = []
        self.doubtful = 0
        self.done: Counter[str] = Counter()
        self.stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    self.change()
                except UNSURE:
                    self.doubtful += 1
                    time.sleep(0.005)
        except BaseException as error:
            self.failure = error

    def change(self) -> None:
        kind = self.random.choice(["create", "create", "update", "rotate", "delete"])
        if kind == "create" or not self.alive:
            data: dict[str, object] = {"n": self.random.random()}
            token = self.store.create(**A, owner=self.owner, data=data, duration=1000).token
            assert token is not None
            self.alive[token] = data
            self.done["create"] += 1
            return
        token = self.random.choice(list(self.alive))
        data = self.alive.pop(token)  # unknown until it is acknowledged
        if kind == "update":
            patch = {f"f{self.random.randrange(4)}": self.random.random()}
            found = self.store.update(**A, token=token, data=patch)
            assert found is not None, "an acknowledged token was lost"
            assert found.data == {**data, **patch}, "an acknowledged update was lost"
            self.alive[token] = {**data, **patch}
        elif kind == "rotate":
            new = self.store.rotate(**A, token=token)
            assert new is not None, "an acknowledged token was lost"
            assert new.token is not None
            assert new.data == data
            self.alive[new.token] = data
            self.dead.append(token)
        else:
            assert self.store.delete(**A, token=token), "an acknowledged token was lost"
            self.dead.append(token)
        self.done[kind] += 1

    def check(self) -> None:
        """Every token with a known state has the acknowledged state."""
        tokens = list(self.alive)
        found = self.store.get_many(**A, tokens=tokens)
        lost = [t for t, f in zip(tokens, found) if f is None or f.data != self.alive[t]]
        assert not lost, f"{len(lost)} acknowledged changes lost"
        back = [t for t in self.store.get_many(**A, tokens=self.dead) if t is not None]
        assert not back, f"{len(back)} revoked tokens are alive"
        listed = {t.id for t in self.store.list(**A, owner=self.owner)}
        assert {f.id for f in found if f is not None} <= listed


def load(server: Server) -> list[Writer]:
    writers = [Writer(server.url, i) for i in range(THREADS)]
    for writer in writers:
        writer.start()
    return writers


def test_kill_and_restart() -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "no")
    with running(*options) as server:
        writers = load(server)
        for _ in range(ROUNDS):
            time.sleep(LOAD_SECONDS)
            server.kill()
            server.start()
        time.sleep(LOAD_SECONDS)
        for writer in writers:
            writer.stopped.set()
        for writer in writers:
            writer.join()
            assert writer.failure is None, writer.failure
        total: Counter[str] = Counter()
        for writer in writers:
            writer.check()
            total += writer.done
            writer.client.close()
        assert min(total[k] for k in ("create", "update", "rotate", "delete")) > 20, total
        assert sum(w.doubtful for w in writers) > 0, "the server was never killed under load"
