"""Rotation with a grace against itself, everything that ends a token, and reuse: never two live successors."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import tokenstore
from racing import look, race, race_barrier, rounds
from servers import Server
from tokenstore import RedisTokens, Token, TokenReusedError

# A process with a watching thread forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

A = {"app": "a", "type": "t"}
WORKERS = 8
GRACE = 100  # longer than any test


@pytest.fixture
def revoking(client: tokenstore.Client) -> RedisTokens:
    return RedisTokens(client, reuse="revoke")


CALLS: list[Callable[[RedisTokens, str], Any]] = [
    lambda s, token: s.get(**A, token=token),
    lambda s, token: s.get(**A, token=token, refresh=60, expiry=True),
    lambda s, token: s.refresh(**A, token=token, duration=60),
    lambda s, token: s.update(**A, token=token, data={"a": 1}),
    lambda s, token: s.rotate(**A, token=token),
    lambda s, token: s.rotate(**A, token=token, grace=30, owner="bob"),
    lambda s, token: s.take(**A, token=token),
    lambda s, token: s.delete(**A, token=token),
]


def turn(store: RedisTokens, token: str, **more: Any) -> str:
    new = store.rotate(**A, token=token, **more)
    assert new is not None
    assert new.token is not None
    return new.token


@pytest.mark.parametrize("call", CALLS)
def test_within_its_grace_a_token_is_not_reused(
    revoking: RedisTokens, call: Callable[[RedisTokens, str], Any]
) -> None:
    """What it leads to was rotated at once, without a grace: it finds nothing, and the session lives."""
    old = str(revoking.create(**A, owner="bob", duration=1000).token)
    second = turn(revoking, old, grace=30)
    last = turn(revoking, second)
    assert not call(revoking, old)
    assert revoking.get_many(**A, tokens=[old]) == [None]
    assert revoking.get(**A, token=last) is not None
    with pytest.raises(TokenReusedError):
        call(revoking, second)
    assert revoking.get(**A, token=last) is None


# ---- rotations side by side ----------------------------------------------------------------------------


def again(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """As a client does whose answer was lost."""
    while True:
        try:
            return call(*args, **more)
        except (tokenstore.ConnectionError, tokenstore.OutcomeUnknownError):
            pass


@contextmanager
def trouble(server: Server, *command: str) -> Iterator[None]:
    """A command to the server again and again, meanwhile."""
    over = threading.Event()

    def make() -> None:
        while command and not over.wait(0.005):
            server(*command)

    thread = threading.Thread(target=make)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


TROUBLES = {"calm": (), "no script": ("SCRIPT", "FLUSH"), "lost connections": ("CLIENT", "KILL", "TYPE", "normal")}


@pytest.mark.parametrize("what", TROUBLES)
def test_rotations_within_the_grace_give_one_successor(
    server: Server, client: tokenstore.Client, what: str
) -> None:
    """Also to one whose answer was lost, and to one that wants no grace itself but comes later."""
    count = rounds(300)

    def mixed(i: int) -> bool:
        return i % 3 == 0 and what != "lost connections"

    tokens = RedisTokens(client)
    made = tokens.create_many({**A, "owner": f"o{i % 7}", "duration": 1000, "data": {"i": i}} for i in range(count))
    together = race_barrier(WORKERS)

    def work(client: tokenstore.Client, n: int) -> list[Token | None]:
        store = RedisTokens(client)
        done = []
        for i, token in enumerate(made):
            if i % 10 == 0:  # to stay in step with the others
                together.wait(60)
            grace = None if (i + n) % WORKERS == 0 and mixed(i) else GRACE
            done.append(again(store.rotate, **A, token=token.token, grace=grace))
        return done

    with trouble(server, *TROUBLES[what]):
        results = race(server.url, work, processes=4, threads=WORKERS // 4)
    alone = 0
    for i, (token, successors) in enumerate(zip(made, zip(*results))):
        secrets = {str(t.token) for t in successors if t is not None}
        assert len(secrets) == 1, (token, successors)
        if None in successors:  # the first one wanted no grace
            assert mixed(i)
            assert sum(t is not None for t in successors) == 1
            alone += 1
        (secret,) = secrets
        found = tokens.get(**A, token=secret)
        assert found is not None
        assert (found.data, found.sid, found.superseded) == ({"i": i}, token.id, False)
        before = tokens.get(**A, token=token.token)
        if None in successors:
            assert before is None
        else:
            assert before is not None
            assert (before.id, before.superseded) == (found.id, True)
    assert sum(tokens.count(**A, owner=f"o{n}") for n in range(7)) == count
    assert (0 < alone < count // 3) == mixed(0)


@pytest.mark.parametrize("what", TROUBLES)
def test_a_chain_of_rotations_loses_nobody(server: Server, client: tokenstore.Client, what: str) -> None:
    """Each rotates what it holds, and presents what it held before: all come to the one live token."""
    chains, count = max(1, rounds(200) // 100), 100  # a token is followed through 1000 rotations at most
    tokens = RedisTokens(client)
    firsts = [tokens.create(**A, owner=f"o{c}", data={"n": 0}, duration=1000) for c in range(chains)]
    together = race_barrier(WORKERS)

    def work(client: tokenstore.Client, n: int) -> list[list[str]]:
        store = RedisTokens(client)
        chains = []
        for first in firsts:
            together.wait(60)
            held = [str(first.token)]
            for i in range(count):
                assert again(store.get, **A, token=held[-1]) is not None
                held.append(again(turn, store, held[-1], grace=GRACE))
                assert again(store.get, **A, token=random.choice(held[-5:])) is not None
                if i % 10 == n:
                    assert again(store.update, **A, token=held[-1], data={f"{n}-{i}": i}) is not None
            chains.append(held)
        return chains

    with trouble(server, *TROUBLES[what]):
        results = race(server.url, work, processes=4, threads=WORKERS // 4)
    for c, first in enumerate(firsts):
        (live,) = tokens.list(**A, owner=f"o{c}")
        assert live.sid == first.id
        assert live.data == {"n": 0, **{f"{n}-{i}": i for n in range(WORKERS) for i in range(n, count, 10)}}
        assert len({secret for chains in results for secret in chains[c]}) > count  # they did race
        for held in (chains[c] for chains in results):
            found = tokens.get(**A, token=held[-1])
            assert found is not None
            assert found.id == live.id


# ---- against what ends a token -------------------------------------------------------------------------

ENDS: dict[str, Callable[[RedisTokens, Token], bool]] = {
    "delete": lambda s, t: s.delete(**A, token=t.token),
    "delete_by_id": lambda s, t: s.delete_by_id(**A, owner=str(t.owner), id=t.sid),
    "delete_all": lambda s, t: s.delete_all(**A, owner=str(t.owner)) == 1,
    "take": lambda s, t: s.take(**A, token=t.token) is not None,
}
CHANGES: list[Callable[[RedisTokens, str], Any]] = [
    lambda s, token: s.rotate(**A, token=token, grace=GRACE),
    lambda s, token: s.rotate(**A, token=token, grace=GRACE, duration=5000, data={"b": 2}),
    lambda s, token: s.rotate(**A, token=token, grace=GRACE),
    lambda s, token: s.get(**A, token=token, refresh=5000),
    lambda s, token: s.update(**A, token=token, data={"a": 1}),
    lambda s, token: s.update(**A, token=token, data={"a": 2}, refresh=5000),
]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("reuse", ["ignore", "revoke"])
def test_what_was_ended_has_no_successor(server: Server, client: tokenstore.Client, end: str, reuse: Any) -> None:
    """Of the two that end it one does, whatever was rotated meanwhile; then nothing of the family lives."""
    count, workers = rounds(200), 2 + len(CHANGES)
    tokens = RedisTokens(client, reuse=reuse)
    made = [
        tokens.create(**A, owner=f"o{i}", duration=1000, custom_token=f"custom {i}" if i % 4 == 0 else None)
        for i in range(count)
    ]
    together = race_barrier(workers)

    def work(client: tokenstore.Client, n: int) -> list[Any]:
        store = RedisTokens(client, touch_interval=0, reuse=reuse)
        done: list[Any] = []
        for i, token in enumerate(made):
            if i % 10 == 0:  # to stay in step with the others
                together.wait(60)
            role = (i + n) % workers
            if role < 2:
                done.append(ENDS[end](store, token))
                continue
            change = CHANGES[role - 2]
            result = change(store, str(token.token))
            if result is not None and i % 2 == 0:  # on with the new one
                change(store, result.token)
            done.append(result)
        return done

    results = race(server.url, work, processes=4, threads=workers // 4)
    changed = 0
    for i, (token, done) in enumerate(zip(made, zip(*results))):
        ended = [held for n, held in enumerate(done) if (i + n) % workers < 2]
        assert sorted(ended) == [False, True], (token, done)
        found = [t for n, t in enumerate(done) if (i + n) % workers >= 2 and t is not None]
        changed += len(found)
        secrets = [str(token.token), *(str(t.token) for t in found)]
        assert tokens.get_many(**A, tokens=secrets) == [None] * len(secrets)
    assert [tokens.count(**A, owner=f"o{i}") for i in range(count)] == [0] * count
    assert count // 20 < changed < count * len(CHANGES)  # they did race


def test_what_has_expired_has_no_successor(server: Server, client: tokenstore.Client) -> None:
    """Rotated at the very moment of its end, a token has one successor or none, and that does not outlive it."""
    count, step = rounds(300), 0.006
    tokens = RedisTokens(client)
    first = time.time() + 1 + count * 0.0005  # when all are made
    made = [tokens.create(**A, owner=f"o{i}", duration=max(1, first + i * step - time.time())) for i in range(count)]

    def work(client: tokenstore.Client, n: int) -> list[tuple[float, Token | None]]:
        store = RedisTokens(client)
        done: list[tuple[float, Token | None]] = []
        for i, token in enumerate(made):
            assert token.expires_at is not None
            ahead = 0.0005 * (1 + i % 6)  # how long a call takes differs from machine to machine
            time.sleep(max(0, token.expires_at - ahead - time.time()))
            is_behind = time.time() > token.expires_at + step  # or all of the following would be too late, too
            new = None if is_behind else store.rotate(**A, token=token.token, grace=GRACE)
            if new is not None:
                new = store.rotate(**A, token=new.token, grace=GRACE) or new
            done.append((time.time(), new))
        return done

    results = race(server.url, work, processes=4, threads=WORKERS // 4)
    outcomes: Counter[bool] = Counter()
    for i, token in enumerate(made):
        found = [t for _, t in (done[i] for done in results) if t is not None]
        outcomes.update(t is not None for _, t in (done[i] for done in results))
        assert {t.expires_at for t in found} <= {token.expires_at}
    assert outcomes[True] > count // 10, outcomes
    assert outcomes[False] > count // 10, outcomes
    assert look(server) == 0
    secrets = [str(t.token) for done in results for _, t in done if t is not None]
    assert tokens.get_many(**A, tokens=secrets) == [None] * len(secrets)


# ---- reuse ---------------------------------------------------------------------------------------------


def test_reuse_ends_that_family_and_tells_each(server: Server, revoking: RedisTokens) -> None:
    """Half of the workers present a token after its grace; the others go on with the session, as its holder does."""
    count = rounds(200)
    olds, lives, others = [], [], []
    for i in range(count):
        old = revoking.create(**A, owner=f"o{i}", duration=1000, custom_token=f"custom {i}" if i % 4 == 0 else None)
        second = turn(revoking, str(old.token), grace=GRACE if i % 2 else None)
        live = turn(revoking, second, grace=None if i % 2 else GRACE)
        olds.append(second if i % 2 else str(old.token))  # the one that was rotated without a grace
        lives.append(live)
        others.append(str(revoking.create(**A, owner=f"o{i}", duration=1000).token))
    together = race_barrier(WORKERS)

    def present(store: RedisTokens, number: int, token: str) -> Any:
        # take and delete remove the alias of a custom token.
        calls = CALLS[:-2] if token.startswith("custom") else CALLS
        try:
            calls[number % len(calls)](store, token)
        except TokenReusedError as error:
            return error.owner, error.sid
        return None

    def go_on(store: RedisTokens, i: int) -> Any:
        token = lives[i]
        for _ in range(3):
            try:
                new = store.rotate(**A, token=token, grace=GRACE)
            except TokenReusedError:  # the family has been ended since it was rotated
                return token
            if new is None:
                return None
            token = str(new.token)
        return token

    def work(client: tokenstore.Client, n: int) -> list[Any]:
        store = RedisTokens(client, reuse="revoke")
        done = []
        for i in range(count):
            if i % 10 == 0:  # to stay in step with the others
                together.wait(60)
            if (i + n) % 2:
                done.append(present(store, i + n, olds[i]))
            else:
                done.append(go_on(store, i))
        return done

    results = race(server.url, work, processes=4, threads=WORKERS // 4)
    for i, done in enumerate(zip(*results)):
        told = {result for n, result in enumerate(done) if (i + n) % 2}
        assert None not in told
        assert len({sid for _, sid in told}) == 1, told
        successors = [t for n, t in enumerate(done) if (i + n) % 2 == 0 and t is not None]
        dead = [lives[i], *successors]
        assert revoking.get_many(**A, tokens=dead) == [None] * len(dead)
    assert revoking.get_many(**A, tokens=others).count(None) == 0
    assert [revoking.count(**A, owner=f"o{i}") for i in range(count)] == [1] * count
    assert look(server) == count


# ---- logins --------------------------------------------------------------------------------------------


def test_one_login_binds_an_anonymous_token(server: Server, client: tokenstore.Client, revoking: RedisTokens) -> None:
    """Logins of two users, rotations within a grace, then a login, and a logout: one login or the logout comes first."""
    count = rounds(200)
    guests = [revoking.create(**A, duration=1000, data={"i": i}) for i in range(count)]
    together = race_barrier(WORKERS)

    def log_in(store: RedisTokens, guest: str | None, owner: str) -> Token | None:
        return store.rotate(**A, token=guest, owner=owner, grace=GRACE, data={"role": "x"})

    def work(client: tokenstore.Client, n: int) -> list[tuple[str, Any]]:
        store = RedisTokens(client)
        done: list[tuple[str, Any]] = []
        for i, guest in enumerate(guests):
            if i % 10 == 0:  # to stay in step with the others
                together.wait(60)
            role = (i + n) % WORKERS
            owner = f"{'xy'[role % 2]}{i}"
            if role < 3:
                done.append(("login", log_in(store, guest.token, owner)))
            elif role < 5:
                new = store.rotate(**A, token=guest.token, grace=GRACE)
                done.append(("login", new and log_in(store, new.token, owner)))
            elif role == 5:
                done.append(("logout", store.delete(**A, token=guest.token)))
            else:
                done.append(("change", store.update(**A, token=guest.token, data={"n": n}, refresh=5000)))
        return done

    results = race(server.url, work, processes=4, threads=WORKERS // 4)
    logged_in = 0
    for i, (guest, done) in enumerate(zip(guests, zip(*results))):
        logins = [t for kind, t in done if kind == "login" and t is not None]
        out = [held for kind, held in done if kind == "logout"]
        assert len(logins) + sum(out) == 1, (guest, done)
        assert revoking.get(**A, token=guest.token) is None
        assert revoking.count(**A, owner=f"x{i}") + revoking.count(**A, owner=f"y{i}") == len(logins)
        for made in logins:
            found = revoking.get(**A, token=made.token)
            assert found is not None
            assert (found.owner, found.data["i"], found.data["role"]) == (made.owner, i, "x")
        logged_in += len(logins)
    assert 0 < logged_in < count
    assert look(server) == logged_in
