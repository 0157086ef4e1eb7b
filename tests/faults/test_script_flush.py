"""SCRIPT FLUSH a hundred times a second under load: no call fails, and nothing happens twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import tokenstore
from conftest import SOAK
from operations import A
from servers import Server

SECONDS = 20 if SOAK else 2
THREADS = 6


def under_load(
    work: Callable[[int], None], flush: Callable[[], None], pause: float, enough: Callable[[], bool]
) -> None:
    """Runs `work` in threads while `flush` is called, every `pause` seconds as long as the machine keeps
    up, and until it was `enough`."""
    failures: list[BaseException] = []
    stop = threading.Event()

    def loop(number: int) -> None:
        try:
            while not stop.is_set():
                work(number)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=loop, args=(i,)) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    flushes = 0
    began = time.monotonic()
    try:
        while (flushes * pause < SECONDS or not enough()) and not stop.is_set():
            assert time.monotonic() < began + SECONDS + 60, "they get nowhere"
            flush()
            flushes += 1
            time.sleep(max(0.0, began + flushes * pause - time.monotonic()))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def test_script_flush(redis: Server) -> None:
    cycles = [0] * THREADS
    with tokenstore.Client(redis.url) as client, redis.wire() as wire:
        store = tokenstore.RedisTokens(client)

        def cycle(number: int) -> None:
            """Every operation with a script, and a check of its effects."""
            owner = f"flush-{number}-{cycles[number]}"
            made = store.create(**A, owner=owner, data={"n": 0}, duration=1000)
            assert store.update(**A, token=made.token, data={"u": 1}).data == {"n": 0, "u": 1}
            assert store.refresh(**A, token=made.token, duration=2000) is True
            new = store.rotate(**A, token=made.token)
            assert store.get(**A, token=made.token) is None
            assert store.get(**A, token=new.token, refresh=3000).data == {"n": 0, "u": 1}
            more = store.create_many([{**A, "owner": owner} for _ in range(3)])
            assert len(store.list(**A, owner=owner)) == 4
            assert store.delete(**A, token=more[0].token) is True
            assert store.delete(**A, token=more[0].token) is False
            assert store.delete_by_id(**A, owner=owner, id=more[1].id) is True
            assert store.delete_all(**A, owner=owner) == 2
            assert store.list(**A, owner=owner) == []
            cycles[number] += 1

        under_load(cycle, lambda: wire("SCRIPT", "FLUSH"), 0.01, lambda: min(cycles) > 10)


def test_each_deletion_counts_once(redis: Server) -> None:
    """Of concurrent deletions of one token, exactly one returns True."""
    with tokenstore.Client(redis.url) as client, redis.wire() as wire:
        store = tokenstore.RedisTokens(client)
        barrier = threading.Barrier(THREADS)
        token = [store.create(**A, owner="once").token]
        deleted = [0] * THREADS

        def race(number: int) -> None:
            barrier.wait(10)
            deleted[number] = store.delete(**A, token=token[0])

        for round_ in range(100):
            threads = [threading.Thread(target=race, args=(i,)) for i in range(THREADS)]
            for thread in threads:
                thread.start()
            wire("SCRIPT", "FLUSH")
            for thread in threads:
                thread.join()
            assert sum(deleted) == 1, round_
            token[0] = store.create(**A, owner="once").token


def test_connections_killed(redis: Server) -> None:
    """CLIENT KILL under load: reads never fail; non-idempotent operations never happen twice.

Between two kills every thread completes a round, so that none is hit in all its attempts."""
    with tokenstore.Client(redis.url) as client, redis.wire() as wire:
        store = tokenstore.RedisTokens(client)
        token = store.create(**A, owner="killed", data={"k": 1}).token
        counts = [0] * THREADS
        doubts = [0] * THREADS
        ended: list[set[int]] = [set()]

        def work(number: int) -> None:
            assert store.get(**A, token=token).data == {"k": 1}
            try:
                client.execute("INCR", f"killed:{number}")
                counts[number] += 1
            except tokenstore.OutcomeUnknownError:
                doubts[number] += 1
            ended[0].add(number)

        kills = 0

        def kill() -> None:
            nonlocal kills
            if len(ended[0]) == THREADS:
                wire("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                kills += 1
                ended[0] = set()

        wire("DEL", *[f"killed:{i}" for i in range(THREADS)])
        under_load(work, kill, 0.02, lambda: kills > 20)
        for number in range(THREADS):
            stored = int(wire("GET", f"killed:{number}"))
            assert counts[number] <= stored <= counts[number] + doubts[number]
