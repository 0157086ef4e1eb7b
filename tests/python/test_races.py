"""Invariants under races: real threads, real processes, one real server."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from typing import Any, NamedTuple

import pytest

import stored
import tokenstore
from racing import SOAK, look, race, race_barrier, rounds, watching
from servers import Server

# A process with a watching thread forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

A = {"app": "a", "type": "t"}
LONGER = 10 if SOAK else 1
SECONDS = 2 * LONGER


@pytest.fixture
def tokens(client: tokenstore.Client) -> tokenstore.RedisTokens:
    return tokenstore.RedisTokens(client, max_data_size=1 << 20)


def secret(token: tokenstore.Token | None) -> str:
    assert token is not None
    assert token.token is not None
    return token.token


# ---- one token, many writers -------------------------------------------------------------------------


def test_no_update_is_lost_and_none_moves_the_expiry(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    writers, updates = 64, 40 if LONGER == 1 else 100  # each gets back all fields
    made = tokens.create(**A, owner="o", data={"first": [1, {}]}, duration=1000)
    token = secret(made)
    expiry = stored.end_of(server, made)

    def write(client: tokenstore.Client, n: int) -> None:
        store = tokenstore.RedisTokens(client, max_data_size=1 << 20)
        for i in range(updates):
            updated = store.update(**A, token=token, data={f"{n}-{i}": i})
            assert updated is not None
            assert updated.data[f"{n}-{i}"] == i

    race(server.url, write, processes=4, threads=writers // 4)
    found = tokens.get(**A, token=token)
    assert found is not None
    wanted: dict[str, Any] = {f"{n}-{i}": i for n in range(writers) for i in range(updates)}
    assert len(wanted) == writers * updates
    assert found.data == {"first": [1, {}], **wanted}
    assert stored.end_of(server, made) == expiry
    assert look(server) == 1


def test_updates_of_one_field_come_one_after_the_other(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    """Each sees its own value in the result, and all other fields unchanged."""
    token = secret(tokens.create(**A, owner="o", data={"keep": {"a": []}, "x": 0}))

    def write(client: tokenstore.Client, n: int) -> None:
        store = tokenstore.RedisTokens(client)
        for i in range(200 * LONGER):
            value = None if i % 3 == 2 else [n, i]
            updated = store.update(**A, token=token, data={"x": value})
            assert updated is not None
            assert updated.data.get("x") == value
            assert updated.data["keep"] == {"a": []}

    race(server.url, write, processes=4, threads=4)


# ---- rotate, delete, update, refresh -----------------------------------------------------------------

DURATION, REFRESHED = 1000, 5000
ROLES = ("rotate", "rotate", "delete", "update", "refresh", "get")
KILLERS = ("rotate", "delete")


class Done(NamedTuple):
    role: str
    began: float  # CLOCK_MONOTONIC, shared by all processes
    ended: float
    held: bool  # it found the token live
    successor: str | None = None


def act(store: tokenstore.RedisTokens, role: str, token: str) -> Done:
    began = time.monotonic()
    successor = None
    if role == "rotate":
        rotated = store.rotate(**A, token=token)
        held = rotated is not None
        successor = rotated.token if rotated is not None else None
    elif role == "delete":
        held = store.delete(**A, token=token)
    elif role == "update":
        held = store.update(**A, token=token, data={"updated": True}) is not None
    elif role == "refresh":
        held = store.refresh(**A, token=token, duration=REFRESHED)
    else:
        held = store.get(**A, token=token) is not None
    return Done(role, began, time.monotonic(), held, successor)


def check_round(done: list[Done]) -> Done | None:
    """Exactly one of the ending operations succeeded, and the others are consistent with a time before or
    after it."""
    winners = [d for d in done if d.held and d.role in KILLERS]
    assert len(winners) == 1, done
    winner = winners[0]
    for other in done:
        if other is winner:
            continue
        if other.held:  # so it ran before the end
            assert other.began < winner.ended, (winner, other)
        else:
            assert other.ended > winner.began, (winner, other)
    return winner


def check_successor(
    store: tokenstore.RedisTokens, owner: str, winner: Done, done: list[Done]
) -> None:
    held = {d.role for d in done if d.held}
    listed = store.list(**A, owner=owner)
    if winner.role == "delete":
        assert listed == []
        return
    live = store.get(**A, token=winner.successor, expiry=True)
    assert live is not None
    assert [t.id for t in listed] == [live.id]
    expected: dict[str, Any] = {"n": owner}
    if "update" in held:
        expected["updated"] = True
    assert live.data == expected
    assert live.expires_at is not None
    left = live.expires_at - time.time()
    if "refresh" in held:
        assert REFRESHED - 600 < left <= REFRESHED + 1
    else:
        assert DURATION - 600 < left <= DURATION + 1


def test_one_end_and_no_return(server: Server, tokens: tokenstore.RedisTokens) -> None:
    count, batch, workers = 3_000 * LONGER, 10, len(ROLES)
    owners = [f"o{i}" for i in range(count)]
    olds: list[str] = []
    for first in range(0, count, 1000):
        made = tokens.create_many(
            {**A, "owner": owner, "data": {"n": owner}, "duration": DURATION}
            for owner in owners[first : first + 1000]
        )
        olds += map(secret, made)
    together = race_barrier(workers)

    def work(client: tokenstore.Client, n: int) -> list[Done]:
        store = tokenstore.RedisTokens(client)
        done = []
        for i, old in enumerate(olds):
            if i % batch == 0:  # to stay in step with the others
                together.wait(60)
            done.append(act(store, ROLES[(i + n) % workers], old))
        return done

    with watching(server, lambda records: None) as seen:
        results = race(server.url, work, processes=workers)
    assert len(seen) > 1
    look(server)

    outcomes: Counter[tuple[str, bool]] = Counter()
    survivors = 0
    for owner, done in zip(owners, zip(*results)):
        winner = check_round(list(done))
        assert winner is not None
        check_successor(tokens, owner, winner, list(done))
        survivors += winner.role == "rotate"
        outcomes.update((d.role, d.held) for d in done)
    assert tokens.get_many(**A, tokens=olds) == [None] * count
    assert look(server) == survivors
    # They did race: each role came before the end in some rounds, and after it in others.
    for role, held in itertools.product(set(ROLES), (True, False)):
        assert outcomes[role, held] > count // 50, outcomes

    for old in olds[:: count // 500]:  # ended tokens stay ended, whatever is tried
        assert [act(tokens, role, old).held for role in ROLES] == [False] * len(ROLES)
    assert look(server) == survivors


def test_a_chain_of_rotations_has_one_live_end(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    """The owner of the live token rotates it and publishes the new one; the losers use that."""
    first = secret(tokens.create(**A, owner="o", data={"n": 0}, duration=DURATION))
    tokens.client.execute("SET", "chain", first)

    def work(client: tokenstore.Client, n: int) -> list[str]:
        store = tokenstore.RedisTokens(client)
        made = []
        for _ in range(300 * LONGER):
            held = client.execute("GET", "chain").decode()
            rotated = store.rotate(**A, token=held)
            if rotated is not None:
                made.append(secret(rotated))
                client.execute("SET", "chain", secret(rotated))
        return made

    made = [token for tokens in race(server.url, work, processes=4, threads=2) for token in tokens]
    server("DEL", "chain")
    found = tokens.get_many(**A, tokens=[first, *made])
    assert len([t for t in found if t is not None]) == 1
    assert len(made) > 100
    assert look(server) == 1


# ---- take --------------------------------------------------------------------------------------------


def test_of_64_takers_one_gets_the_token(server: Server, tokens: tokenstore.RedisTokens) -> None:
    count, batch = rounds(200), 20
    made = [
        tokens.create(
            **A,
            owner=f"o{i % 7}",
            data={"i": i},
            duration=(None, DURATION)[i % 2],
            custom_token=f"code {i}" if i % 3 == 0 else None,
        )
        for i in range(count)
    ]
    together = race_barrier(64)

    def work(client: tokenstore.Client, n: int) -> list[int]:
        store = tokenstore.RedisTokens(client)
        mine = []
        for i, token in enumerate(made):
            if i % batch == 0:  # to stay in step with the others
                together.wait(60)
            taken = store.take(**A, token=token.token)
            if taken is not None:
                mine.append(taken.data["i"])
        return mine

    results = race(server.url, work, processes=8, threads=8)
    assert sorted(i for taken in results for i in taken) == list(range(count))
    assert sum(1 for taken in results if taken) > 1  # they did race
    assert stored.keys(server) == []


# ---- delete_all against create -----------------------------------------------------------------------


def test_delete_all_leaves_nothing_that_was_there_when_it_began(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    """Worker 0 of each process deletes, and knows the tokens created in its process."""
    processes, threads = 3, 4
    created: list[str] = []  # per process
    until = time.monotonic() + SECONDS

    def work(client: tokenstore.Client, n: int) -> tuple[list[str], int]:
        store = tokenstore.RedisTokens(client)
        mine: list[str] = []
        ended = 0
        if n % threads == 0:
            checked = 0
            while time.monotonic() < until:
                time.sleep(random.uniform(0, 0.01))
                before = created[checked:]
                ended += store.delete_all(**A, owner="o")
                for first in range(0, len(before), 500):
                    part = before[first : first + 500]
                    assert store.get_many(**A, tokens=part) == [None] * len(part)
                checked += len(before)
        else:
            while time.monotonic() < until:
                durations = (None, 1000)
                made = store.create(**A, owner="o", duration=durations[len(mine) % 2])
                mine.append(secret(made))
                created.append(mine[-1])
        return mine, ended

    results = race(server.url, work, processes=processes, threads=threads)
    made = [token for mine, _ in results for token in mine]
    ended = sum(ended for _, ended in results)
    look(server)
    left = len(tokens.list(**A, owner="o"))
    assert len(made) > 1000
    assert ended + left == len(made)  # each was counted by one delete_all, or lives
    assert look(server) == left
    assert tokens.delete_all(**A, owner="o") == left
    assert stored.keys(server) == []


# ---- max_per_owner -----------------------------------------------------------------------------------


def test_the_cap_holds_under_concurrent_creates(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    cap, creators, each = 5, 32, 40 * LONGER

    def work(client: tokenstore.Client, n: int) -> list[tuple[float, str]]:
        store = tokenstore.RedisTokens(client, max_per_owner=cap)
        durations = (None, 60, 1000)
        made = [store.create(**A, owner="o", duration=durations[i % 3]) for i in range(each)]
        return [(t.created_at, secret(t)) for t in made]

    def check(records: int) -> None:
        assert records <= cap

    with watching(server, check) as seen:
        results = race(server.url, work, processes=4, threads=creators // 4)
    assert cap in seen
    made = sorted(pair for part in results for pair in part)
    assert len(made) == creators * each
    found = tokens.get_many(**A, tokens=[token for _, token in made])
    live = [token for (_, token), t in zip(made, found) if t is not None]
    assert live == [token for _, token in made[-cap:]]  # the newest
    assert look(server) == cap


@pytest.mark.parametrize("when_full", ["refuse", "idle"])
def test_33_creates_never_leave_more_than_32(
    server: Server, tokens: tokenstore.RedisTokens, when_full: str
) -> None:
    count, cap = rounds(50), 32
    barrier = race_barrier(33)

    def work(client: tokenstore.Client, n: int) -> int:
        store = tokenstore.RedisTokens(client, max_per_owner=cap, when_full=when_full)  # type: ignore[arg-type]
        made = 0
        for i in range(count):
            barrier.wait(60)
            try:
                store.create(**A, owner=f"o{i}", duration=(None, DURATION)[n % 2])
                made += 1
            except tokenstore.LimitError:
                pass
        return made

    made = sum(race(server.url, work, processes=3, threads=11))
    assert made == (32 if when_full == "refuse" else 33) * count
    assert [tokens.count(**A, owner=f"o{i}") for i in range(count)] == [cap] * count
    assert look(server) == cap * count


def test_delete_all_but_one_keeps_that_one_alone(server: Server, tokens: tokenstore.RedisTokens) -> None:
    """Meanwhile it is updated, and others come. No update is lost, the end stays."""
    made = tokens.create(**A, owner="o", duration=DURATION)
    kept, expiry = secret(made), stored.end_of(server, made)
    until = time.monotonic() + SECONDS

    def work(client: tokenstore.Client, n: int) -> int:
        store = tokenstore.RedisTokens(client)
        done = 0
        while time.monotonic() < until:
            if n % 4 == 0:
                mine = [secret(store.create(**A, owner="o")) for _ in range(3)]
                store.delete_all(**A, owner="o", keep=kept if done % 2 else made.id)
                assert store.get_many(**A, tokens=mine) == [None] * 3
            elif n % 4 == 1:
                assert store.update(**A, token=kept, data={f"{n}-{done}": done}) is not None
            elif n % 4 == 2:
                store.create(**A, owner="o", duration=(None, 1000)[done % 2])
            else:
                assert store.get(**A, token=kept) is not None
            done += 1
        return done

    done = race(server.url, work, processes=4, threads=4)
    assert tokens.delete_all(**A, owner="o", keep=kept) >= 0
    found = tokens.get(**A, token=kept)
    assert found is not None
    assert found.data == {f"{n}-{i}": i for n in range(1, 16, 4) for i in range(done[n])}
    assert stored.end_of(server, made) == expiry
    assert look(server) == 1


# ---- neighbours --------------------------------------------------------------------------------------


def test_bob_never_touches_bobby(server: Server, tokens: tokenstore.RedisTokens) -> None:
    neighbours = ["bobby", "bo", "BOB", "bob*", "b?b", "[b]ob", "bob:", "bob ", 'bob"', 'x","bob']
    until = time.monotonic() + SECONDS

    def work(client: tokenstore.Client, n: int) -> dict[str, list[str]]:
        store = tokenstore.RedisTokens(client, max_per_owner=4 if n == 0 else None)
        made: dict[str, list[str]] = {name: [] for name in neighbours}
        while time.monotonic() < until:
            if n < 4:  # bob: all operations
                token = secret(store.create(**A, owner="bob", duration=random.choice((None, 1))))
                store.update(**A, token=token, data={"x": 1})
                store.rotate(**A, token=token)
                for listed in store.list(**A, owner="bob")[:2]:
                    for name in ("bobby", "bo"):
                        assert not store.delete_by_id(**A, owner=name, id=listed.id)
                    store.delete_by_id(**A, owner="bob", id=listed.id)
                store.delete_all(**A, owner="bob")
            else:
                name = random.choice(neighbours)
                made[name].append(secret(store.create(**A, owner=name)))
        return made

    results = race(server.url, work, processes=4, threads=2)
    tokens.delete_all(**A, owner="bob")
    total = 0
    for name in neighbours:
        mine = [token for made in results for token in made[name]]
        found = tokens.get_many(**A, tokens=mine)
        assert [t.owner for t in found if t is not None] == [name] * len(mine)
        assert len(tokens.list(**A, owner=name)) == len(mine) > 0
        total += len(mine)
    assert look(server) == total


# ---- create against delete_all against expiry --------------------------------------------------------


def test_index_and_records_fit_at_every_instant(
    server: Server, tokens: tokenstore.RedisTokens
) -> None:
    owners = ["one", "two", "three"]
    until = time.monotonic() + SECONDS + 1

    def work(client: tokenstore.Client, n: int) -> int:
        store = tokenstore.RedisTokens(client)
        rng = random.Random(n)
        held: list[str] = []
        for step in itertools.count():
            # Towards the end only tokens that expire soon, so that none need be deleted.
            left = until - time.monotonic()
            if left < 0:
                return step
            owner = rng.choice(owners)
            soon = rng.uniform(1, 1.3)
            duration = soon if left < 1 or rng.random() < 0.7 else rng.choice((None, 50))
            held.append(secret(store.create(**A, owner=owner, duration=duration)))
            token = rng.choice(held[-20:])
            chance = rng.random()
            if chance < 0.02 or (left < 1 and chance < 0.3):
                store.delete_all(**A, owner=owner)
            elif chance < 0.2:
                store.refresh(**A, token=token, duration=soon)
            elif chance < 0.3:
                store.get(**A, token=token, refresh=soon)
            elif chance < 0.4:
                rotated = store.rotate(**A, token=token, duration=rng.choice((None, soon)))
                if rotated is not None:
                    held.append(secret(rotated))
            elif chance < 0.5:
                store.update(**A, token=token, data={"step": step})
            elif chance < 0.6:
                store.delete(**A, token=token)
            elif chance < 0.61:
                store.list(**A, owner=owner)
        raise AssertionError

    with watching(server, lambda records: None) as seen:
        steps = race(server.url, work, processes=4, threads=3)
    assert sum(steps) > 1000
    assert max(seen) > 10
    # Only tokens without an expiry, or with a long one, remain; the others expire.
    for owner in owners:
        for listed in tokens.list(**A, owner=owner):
            if listed.expires_at is None or listed.expires_at > time.time() + 5:
                assert tokens.delete_by_id(**A, owner=owner, id=listed.id)
    deadline = time.monotonic() + 10
    while stored.keys(server) and time.monotonic() < deadline:
        look(server)
    assert stored.keys(server) == []
