"""Migration of data of the real redis-tokens, while programs of both sides keep working."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokenstore
from lua_process import ABI, BEGIN, Lua, quote
from lua_process import is_there as lua_is_there
from node import MISSING, is_there, node
from servers import Server, Wire
from tokenstore import migrate

pytestmark = pytest.mark.skipif(not is_there("redis-tokens"), reason=MISSING)

WHERE = {"app": "web", "type": "login"}


def old_key(type: str, owner: str, token: str) -> str:
    return f"app:web|type:{type}|owner:{owner}|token:{token}"


def test_what_the_package_wrote(server: Server, client: tokenstore.Client) -> None:
    """Every method of redis-tokens, then ours on the same tokens."""
    data = {"role": "admin", "list": [], "nested": {"n": 1.5, "é": "ü\u2028"}, "none": None}
    with node("redis-tokens", server) as old:
        full = old("create", {**WHERE, "owner": "bob", "data": data, "duration": 1000})["token"]
        plain = old("create", {**WHERE, "owner": "bob"})["token"]
        fixed = old("create", {**WHERE, "owner": "ann", "customToken": "fixed"})["token"]
        gone = old("create", {**WHERE, "owner": "ann"})["token"]
        old("update", {**WHERE, "token": full, "data": {"role": "user", "none": None}})
        old("refresh", {**WHERE, "token": fixed, "duration": 500})
        old("delete", {**WHERE, "token": gone})
        report = migrate.redis_tokens(client)
        assert (report.moved, report.odd_count) == (3, 0)
        for token in (full, plain, fixed):
            assert old("get", {**WHERE, "token": token}) is None
    tokens = tokenstore.RedisTokens(client)
    found = tokens.get(**WHERE, token=full, expiry=True)
    assert found is not None
    assert found.data == {"role": "user", "list": [], "nested": data["nested"]}
    assert found.owner == "bob"
    assert found.expires_at is not None
    assert 998 <= found.expires_at - time.time() <= 1000
    found = tokens.get(**WHERE, token=plain, expiry=True)
    assert found is not None
    assert (found.data, found.expires_at) == ({}, None)
    found = tokens.get(**WHERE, token="fixed", expiry=True)
    assert found is not None
    assert found.expires_at is not None
    assert 498 <= found.expires_at - time.time() <= 500
    assert tokens.get(**WHERE, token=gone) is None
    assert len(tokens.list(**WHERE, owner="bob")) == 2


@pytest.mark.parametrize("name", [name for name in ABI if lua_is_there(name)])
def test_lua_finds_what_was_moved(server: Server, client: tokenstore.Client, name: str) -> None:
    with node("redis-tokens", server) as old:
        token = old("create", {**WHERE, "owner": "bob", "data": {"n": [1]}})["token"]
    assert migrate.redis_tokens(client).moved == 1
    lua = Lua(name)
    lua(BEGIN)
    where = quote({**WHERE, "token": token})
    opened = f"assert(tokenstore.RedisTokens({quote(server.url)}))"
    assert lua.all(f"local t = {opened}:get({where}) return t.owner, t.data.n[1]") == ["bob", 1]
    assert lua.end() == 0


# ---- under load ---------------------------------------------------------------------------------------


class Crowd:
    """Programs of both sides that work on the tokens; each in a thread that records its effects."""

    def __init__(self, server: Server, made: list[str], owners: int) -> None:
        self.server, self.made, self.owners = server, made, owners
        self.ended: set[int] = set()
        self.data: dict[int, Any] = {}  # of tokens updated by ours
        self.late: list[tuple[str, str]] = []  # tokens created meanwhile by the old program, with their owners
        self.stop = threading.Event()
        self.failures: list[BaseException] = []

    def owner(self, n: int) -> str:
        return f"owner{n % self.owners}"

    def key(self, n: int) -> str:
        return old_key("login", self.owner(n), self.made[n])

    @contextmanager
    def working(self) -> Iterator[None]:
        jobs = [self.old_deletes, self.old_creates, self.new_reads, self.new_changes, self.old_package]
        threads = [threading.Thread(target=self.guard, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        for failure in self.failures:
            raise failure

    def guard(self, job: Any) -> None:
        try:
            job()
        except BaseException as failure:
            self.failures.append(failure)
            self.stop.set()

    def some(self, share: int) -> Iterator[int]:
        """Random tokens of a job's share, each once."""
        numbers = [n for n in range(len(self.made)) if n % 8 == share]
        random.shuffle(numbers)
        for n in numbers:
            if self.stop.is_set():
                return
            yield n

    def old_deletes(self) -> None:
        """EXPIRE 0 is how redis-tokens deletes; here without its KEYS, so that the result is known."""
        with self.server.wire() as wire:
            for n in self.some(0):
                if wire("EXPIRE", self.key(n), 0) == 1:
                    self.ended.add(n)
                time.sleep(0.001)

    def old_creates(self) -> None:
        with node("redis-tokens", self.server) as old:
            number = 0
            while not self.stop.is_set():
                owner = f"late{number % 10}"
                new = {**WHERE, "owner": owner, "data": {"late": number}, "duration": 1000}
                self.late.append((old("create", new)["token"], owner))
                number += 1
                time.sleep(0.002)

    def old_package(self) -> None:
        """The package's update, refresh and delete, on tokens of a separate type."""
        with node("redis-tokens", self.server) as old:
            where = {"app": "web", "type": "noise"}
            made = old("fill", {**where, "count": 50, "owners": 5, "duration": 1000})
            while not self.stop.is_set():
                began = time.monotonic()
                token = random.choice(made)
                old("update", {**where, "token": token, "data": {"n": "updated"}})
                old("refresh", {**where, "token": token, "duration": 900})
                if random.random() < 0.1:
                    old("delete", {**where, "token": token})
                time.sleep((time.monotonic() - began) * 4)  # otherwise its KEYS would saturate the server

    def new_reads(self) -> None:
        """A token is always in one of the two places."""
        with tokenstore.RedisTokens(self.server.url) as tokens, self.server.wire() as wire:
            while not self.stop.is_set():
                n = random.randrange(len(self.made)) // 8 * 8 + 1  # never ended
                if n >= len(self.made):
                    continue
                token = tokens.get(**WHERE, token=self.made[n])
                if token is None and wire("EXISTS", self.key(n)) == 0:
                    token = tokens.get(**WHERE, token=self.made[n])
                    assert token is not None, "it is nowhere"
                assert token is None or token.data == {"n": n, "list": []}

    def new_changes(self) -> None:
        """Changes each token as soon as it has been moved."""
        with tokenstore.RedisTokens(self.server.url) as tokens:
            for n in self.some(2):
                while not self.stop.is_set() and not self.change(tokens, n):
                    time.sleep(0.001)

    def change(self, tokens: tokenstore.RedisTokens, n: int) -> bool:
        token = self.made[n]
        if n % 16 < 8:
            if tokens.delete(**WHERE, token=token):
                self.ended.add(n)
                return True
        elif tokens.update(**WHERE, token=token, data={"new": n}) is not None:
            self.data[n] = {"n": n, "list": [], "new": n}
            return True
        return False

    def wait_until_all_have_worked(self) -> None:
        end = time.monotonic() + 60
        while not (self.ended and self.data and self.late):
            assert time.monotonic() < end, "somebody does nothing"
            assert not self.stop.is_set(), self.failures
            time.sleep(0.01)


def expiries(wire: Wire, keys: list[str]) -> list[int]:
    for key in keys:
        wire.send("PEXPIRETIME", key)
    return [wire.read() for _ in keys]


def run_and_kill(server: Server, batch: int, moved: int) -> bool:
    """Kills a run after `moved` moves. False: it had ended before."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tokenstore", "migrate", "redis-tokens", server.url, "--json"]
        + ["--batch", str(batch)],
        stdout=subprocess.DEVNULL,
    )
    with server.wire() as wire:
        while process.poll() is None and wire("ZCARD", "ts:moved") < moved:
            pass
    process.kill()
    process.wait()
    return process.returncode != 0


def check_end(server: Server, crowd: Crowd, expected: list[int]) -> None:
    """No token lost or revived, remaining times kept to the second."""
    with tokenstore.RedisTokens(server.url) as tokens, server.wire() as wire:
        assert wire("KEYS", "app:*") == []
        found = []
        for start in range(0, len(crowd.made), 1000):
            found += tokens.get_many(**WHERE, tokens=crowd.made[start : start + 1000])
        for n, token in enumerate(found):
            if n in crowd.ended:
                assert token is None, "it was ended, and lives"
            else:
                assert token is not None, "it is lost"
                assert token.owner == crowd.owner(n)
                assert token.data == crowd.data.get(n, {"n": n, "list": []})
        late = tokens.get_many(**WHERE, tokens=[token for token, _ in crowd.late])
        assert [t and t.owner for t in late] == [owner for _, owner in crowd.late]
        # Every record is in its owner's hash, with its expiry.
        ends = {token.id: token for token in found if token is not None}
        listed = 0
        for number in range(crowd.owners):
            for entry in tokens.list(**WHERE, owner=f"owner{number}"):
                n = ends[entry.id].data["n"]
                assert entry.expires_at is not None
                assert abs(entry.expires_at - expected[n] / 1000) < 1
                listed += 1
        assert listed == len(ends) == len(crowd.made) - len(crowd.ended)
        # The package's racing updates leave no token without an expiry.
        noise = [t for n in range(5) for t in tokens.list(app="web", type="noise", owner=f"owner{n}")]
        assert len(noise) <= 50
        assert all(token.expires_at is not None for token in noise)


def migrate_among_others(server: Server, count: int, kills: int, batch: int) -> None:
    owners = max(10, count // 20)
    with node("redis-tokens", server) as old:
        made = old("fill", {**WHERE, "count": count, "owners": owners, "duration": 3000})
    crowd = Crowd(server, made, owners)
    with server.wire() as wire:
        expected = expiries(wire, [crowd.key(n) for n in range(count)])
    killed = 0
    with crowd.working():
        for moment in sorted(random.sample(range(1, count // 2), kills)):
            killed += run_and_kill(server, batch, moment)
        with tokenstore.Client(server.url) as client:
            migrate.redis_tokens(client)
        crowd.wait_until_all_have_worked()
    assert killed >= kills // 2  # on a busy machine a run may end before it is killed
    with tokenstore.Client(server.url) as client:
        report = migrate.redis_tokens(client)  # what the others wrote meanwhile
        assert (report.odd_count, report.complete) == (0, True)
    check_end(server, crowd, expected)


def test_killed_three_times_while_everybody_works(server: Server) -> None:
    migrate_among_others(server, 4000, 3, 5)


@pytest.mark.slow
def test_killed_ten_times_while_everybody_works(server: Server) -> None:
    migrate_among_others(server, 200_000, 10, 200)


def test_several_runs_at_once(server: Server) -> None:
    with node("redis-tokens", server) as old:
        made = old("fill", {**WHERE, "count": 2000, "owners": 50, "duration": 3000})
    command = [sys.executable, "-m", "tokenstore", "migrate", "redis-tokens", server.url, "--batch", "10"]
    runs = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    with tokenstore.RedisTokens(server.url) as tokens:
        assert None not in tokens.get_many(**WHERE, tokens=made)
        assert sum(len(tokens.list(**WHERE, owner=f"owner{n}")) for n in range(50)) == 2000


def test_an_update_of_the_package_in_between(server: Server, client: tokenstore.Client) -> None:
    """It has read the key but not written it when the key is moved: its write creates a key without an
    expiry. Nothing is lost, there is no second token, and nothing lives forever."""
    tokens = tokenstore.RedisTokens(client)
    with node("redis-tokens", server) as old:
        for ended in (False, True):
            new = {**WHERE, "owner": "bob", "data": {"n": 1}, "duration": 1000}
            token = old("create", new)["token"]
            assert old("updateReads", {**WHERE, "token": token, "data": {"late": True}})
            assert migrate.redis_tokens(client).moved == 1
            if ended:
                assert tokens.delete(**WHERE, token=token)
            assert old("updateWrites") == {"n": 1, "late": True}
            assert server("TTL", old_key("login", "bob", token)) == -1
            report = migrate.redis_tokens(client)
            assert (report.moved, report.updated, report.odd_count) == (0, int(not ended), 0)
            assert server("EXISTS", old_key("login", "bob", token)) == 0
            listed = tokens.list(**WHERE, owner="bob")
            assert [entry.data for entry in listed] == ([] if ended else [{"n": 1, "late": True}])
            assert all(entry.expires_at is not None for entry in listed)
            tokens.delete_all(**WHERE, owner="bob")
