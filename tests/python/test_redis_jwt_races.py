"""RedisJWT with racing logins, and with many other sessions."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

import tokenstore
from racing import race, race_barrier
from servers import Server
from tokenstore import RedisJWT
from topologies import tagged

# A process with threads forks workers; they use none of its locks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

SOAK = os.environ.get("TOKENSTORE_SOAK") == "1"
ROUNDS = 10_000 if SOAK else 400
OTHERS = 100_000 if SOAK else 5_000
SECRET = "a secret of thirty-two bytes, yes"
BOB = tagged("bob")


def is_live(sessions: RedisJWT, token: str) -> bool:
    try:
        sessions.verify(token)
    except tokenstore.InvalidTokenError:
        return False
    return True


@pytest.mark.parametrize(("processes", "threads"), [(2, 1), (1, 2), (2, 2)])
def test_of_racing_logins_exactly_one_survives(
    server: Server, processes: int, threads: int
) -> None:
    barrier = race_barrier(processes * threads)

    def log_in(client: tokenstore.Client, number: int) -> list[str]:
        sessions = RedisJWT(client, secret=SECRET)
        tokens = []
        for n in range(ROUNDS):
            barrier.wait(60)
            tokens.append(sessions.sign(tagged(f"user{n}"), ttl=3600))
        return tokens

    logins = race(server.url, log_in, processes=processes, threads=threads)
    with RedisJWT(server.url, secret=SECRET) as sessions:
        for n in range(ROUNDS):
            live = [tokens[n] for tokens in logins if is_live(sessions, tokens[n])]
            assert len(live) == 1
            assert [s["rjwt"] for s in sessions.list(tagged(f"user{n}"))] == [
                sessions.verify(live[0])["rjwt"]
            ]
    assert server("DBSIZE") == 2 * ROUNDS  # a session and an index each


def test_a_cap_holds_while_sessions_come_and_go(server: Server) -> None:
    most, rounds = 3, 200

    def work(client: tokenstore.Client, number: int) -> int:
        sessions = RedisJWT(client, secret=SECRET, max_sessions=most)
        draw = random.Random(number)
        seen = 0
        for _ in range(rounds):
            token = sessions.sign(BOB)
            seen = max(seen, len(sessions.list(BOB)))
            if draw.random() < 0.3:
                sessions.destroy(token and sessions.list(BOB)[-1]["rjwt"] if seen > 1 else "x")
        return seen

    assert max(race(server.url, work, processes=2, threads=2)) <= most


def test_all_that_was_signed_before_ends_whatever_races(server: Server) -> None:
    """Half of them log in all the time, the others end everything: sessions that a script was not told of."""

    def work(client: tokenstore.Client, number: int) -> int:
        sessions = RedisJWT(client, secret=SECRET, multiple=True)
        ended = 0
        for _ in range(150):
            token = sessions.sign(BOB, ttl=3600)
            if number % 2:
                ended += sessions.destroy_multiple(BOB)
                assert not is_live(sessions, token)
            elif is_live(sessions, token):
                assert len(sessions.list(BOB)) < 8 * 150
        return ended

    ended = sum(race(server.url, work, processes=2, threads=4))
    with RedisJWT(server.url, secret=SECRET) as sessions:
        assert ended + sessions.destroy_multiple(BOB) == 8 * 150
    assert server("DBSIZE") == 0


def test_many_logins_of_one_user_at_once_all_succeed(server: Server) -> None:
    def work(client: tokenstore.Client, number: int) -> list[str]:
        sessions = RedisJWT(client, secret=SECRET)
        return [sessions.sign(BOB) for _ in range(100)]

    tokens = [token for each in race(server.url, work, processes=2, threads=8) for token in each]
    with RedisJWT(server.url, secret=SECRET) as sessions:
        assert sum(is_live(sessions, token) for token in tokens) == 1
    assert server("DBSIZE") == 2


def test_sessions_that_node_ended_stay_fewer_than_the_living(
    client: tokenstore.Client, server: Server
) -> None:
    sessions = RedisJWT(client, secret=SECRET, multiple=True)
    for _ in range(400):
        server("DEL", sessions.verify(sessions.sign(BOB))["rjwt"])
    assert server("ZCARD", f"rjwt-sessions/{BOB}") < 25


def calls(server: Server) -> dict[str, int]:
    """The number of calls of each command, including those in scripts."""
    lines = server("INFO", "commandstats").decode().splitlines()
    found = (line.split(":", 1) for line in lines if line.startswith("cmdstat_"))
    return {name: int(rest.split("calls=")[1].split(",")[0]) for name, rest in found}


def work_of(server: Server, operation: Any) -> dict[str, int]:
    server("CONFIG", "RESETSTAT")
    operation()
    ignored = ("cmdstat_config|resetstat", "cmdstat_info", "cmdstat_ping", "cmdstat_publish")  # or a Sentinel's
    return {n: c for n, c in calls(server).items() if n not in ignored}


def test_sessions_of_others_cost_nothing(client: tokenstore.Client, server: Server) -> None:
    sessions = RedisJWT(client, secret=SECRET, multiple=True)
    single = RedisJWT(client, secret=SECRET)

    def measure() -> list[dict[str, int]]:
        token = sessions.sign(BOB)
        key = sessions.verify(token)["rjwt"]
        return [
            work_of(server, lambda: single.sign(BOB)),
            work_of(server, lambda: sessions.list(BOB)),
            work_of(server, lambda: sessions.destroy(key)),
            work_of(server, lambda: sessions.destroy_multiple(BOB)),
            work_of(server, lambda: single.verify(single.sign(BOB))),
        ]

    measure()  # the server learns the scripts
    few = measure()
    batch = [("SET", f"user{n}:ABCDEFGHIJK", "x") for n in range(OTHERS)]
    batch += [("ZADD", f"rjwt-sessions/user{n}", "inf", "x") for n in range(OTHERS)]
    for start in range(0, len(batch), 10_000):
        client.pipeline(batch[start : start + 10_000])
    assert measure() == few
    assert not any(name in ("cmdstat_keys", "cmdstat_scan") for one in few for name in one)
