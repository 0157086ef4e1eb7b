"""Tokenstore and its server: round trips, commands, clusters, races."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tokenstore
from racing import race
from servers import Server, running
from tokenstore import Tokenstore
from topologies import NODE, TOKEN, tagged

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(client: tokenstore.Client) -> Tokenstore:
    return Tokenstore(client, **NODE)


# ---- round trips -------------------------------------------------------------------------------------


def calls(server: Server) -> Counter[str]:
    stats = server("INFO", "commandstats").decode()
    made: Counter[str] = Counter()
    for name, count in re.findall(r"cmdstat_(\w+):calls=(\d+)", stats):
        made[name] += int(count)
    return made


def test_list_of_many_takes_three_round_trips(
    client: tokenstore.Client, store: Tokenstore, server: Server
) -> None:
    size = 1203
    tokens = {(t := store.add("bob", {"n": n})).id: t for n in range(size)}
    server("CONFIG", "RESETSTAT")
    with server.wire() as monitor:
        monitor.send("MONITOR")
        monitor.read()
        listed = store.list("bob")
        server("PING")
        seen = []
        while "PING" not in (line := str(monitor.read())):
            seen.append(line.split('"')[1].upper())
    # the ids; then all keys at once; then all records
    assert seen == ["ECHO", "SMEMBERS", *["ECHO", "MGET", "MGET", "MGET"] * 2]
    assert {t.id: t for t in listed} == tokens


def test_add_that_is_sent_again_adds_nothing(server: Server, store: Tokenstore) -> None:
    """As after a lost reply: the same command on a new connection."""
    with server.wire() as monitor:
        monitor.send("MONITOR")
        monitor.read()
        token = store.add("bob", {"a": 1}, duration=1000)
        line = ""
        while '"EVALSHA"' not in line:
            line = str(monitor.read())
    # Valkey 8.1 does not escape a quotation mark within a word, the others do.
    words = line[line.index('"') + 1 : -1].replace('\\"', '"').split('" "')
    before = server.keys()
    assert server(*words) == [token.id.encode(), 1]
    assert server.keys() == before
    assert store.list("bob") == [token]
    assert server(*[*words[:-2], "{}", words[-1]])[1] == 0


@pytest.mark.parametrize("prefix", ["token", "a:key", "*"])
def test_reset_of_many_goes_in_batches(
    client: tokenstore.Client, server: Server, prefix: str
) -> None:
    prefix = tagged(prefix)
    store = Tokenstore(client, prefix=prefix)
    owners = 7
    for n in range(1500):
        store.add(f"o{n % owners}", duration=[None, 1000][n % 2])
    for _ in range(200):
        store.make_hash("v")
    dead = [b"dead%d" % n for n in range(1800)]
    server("SADD", f"{prefix}:tokens:o0", *dead)
    server("MSET", *[w for n in range(2000) for w in (f"{prefix}x:id:{n}", "1")])
    server("SET", f"{prefix}:other", "1")
    server("CONFIG", "RESETSTAT")
    assert store.reset(timeout=60) == 1500
    assert server("DBSIZE") == 2001
    assert calls(server)["scan"] > 5
    assert "keys" not in calls(server)


def test_reset_leaves_what_could_be_of_another_prefix(
    client: tokenstore.Client, server: Server
) -> None:
    app = tagged("app")
    inner = [Tokenstore(client, prefix=f"{app}:{kind}") for kind in ("key", "id", "hash", "tokens:x")]
    outer = Tokenstore(client, prefix=app)
    kept = [(store, store.add("bob", {"n": 1}), store.make_hash("v")) for store in inner]
    outer.add("bob")
    outer.add("tokens:y")
    outer.make_hash("v")
    assert outer.list("x:tokens:bob") == []  # another owner's set
    assert outer.reset() == 2
    for store, token, value in kept:
        assert store.get(token.id) == token
        assert store.get_key(token.key) == token
        assert store.list("bob") == [token]
        assert store.get_hash(value) == "v"
    assert server("EXISTS", f"{app}:tokens:bob", f"{app}:tokens:tokens:y") == 0


# ---- clusters ----------------------------------------------------------------------------------------


@contextmanager
def node_of_cluster(first: int, last: int) -> Iterator[tuple[Server, int]]:
    """A server with these slots, and its port for other nodes."""
    with running("--cluster-enabled", "yes", transport="tcp") as server:
        server("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        yield server, server.port + 10_000


def test_a_cluster_is_refused_with_words_that_help() -> None:
    advice = r"use a redis\+cluster:// URL"
    with node_of_cluster(0, 8191) as (near, _), node_of_cluster(8192, 16383) as (far, bus):
        near("CLUSTER", "MEET", "127.0.0.1", far.port, bus)
        for node in (near, far):
            while b"cluster_state:ok" not in node("CLUSTER", "INFO"):
                time.sleep(0.01)
        ids = [n for n in range(99) if near("CLUSTER", "KEYSLOT", f"token:id:{n}") < 8192]
        keys = [n for n in range(99) if near("CLUSTER", "KEYSLOT", f"token:key:{n}") >= 8192]
        near("SET", f"token:id:{ids[0]}", str(keys[0]))
        with Tokenstore(near.url) as store:
            with pytest.raises(tokenstore.ServerError, match=f"CROSSSLOT.*{advice}"):
                store.add("bob")
            # An id here, whose record is at the other node.
            with pytest.raises(tokenstore.ServerError, match=f"MOVED.*{advice}"):
                store.get(str(ids[0]))
            with pytest.raises(tokenstore.ServerError, match=f"MOVED.*{advice}"):
                store.get_key(str(keys[0]))
        home = near if near("CLUSTER", "KEYSLOT", "token") < 8192 else far
        with Tokenstore(home.url, prefix="{token}") as store:
            token = store.add("bob", {"a": 1})
            assert store.get(token.id) == token
            assert store.set(token.id, {"a": 2})
            assert len(store.list("bob")) == 1
            assert store.delete_key(token.key)
            store.add("bob")
            assert store.reset() == 1


# ---- the ACL -----------------------------------------------------------------------------------------


def test_the_printed_acl_is_enough() -> None:
    page = (ROOT / "docs/reference/tokenstore.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"<!-- acl: .*?-->\s*```\s*\n(.*)\n", page)
    with running(transport="tcp") as server:
        server(*line.replace("PASSWORD", "secret").split())
        with Tokenstore(f"redis://tokens:secret@127.0.0.1:{server.port}") as store:
            for duration in (None, 60):
                token = store.add("bob", {"a": 1}, duration=duration)
                other = store.add("bob")
                assert store.get(token.id) == store.get_key(token.key) == token
                assert store.set(token.id, {"a": 2})
                server("DEL", f"token:key:{other.key}")
                server("SADD", "token:tokens:bob", "dead")
                assert len(store.list("bob")) == 1
                store.add("bob")
                assert store.delete(token.id)
                assert store.delete_key(store.list("bob")[0].key)
                value = store.make_hash("v")
                assert store.get_hash(value) == store.take_hash(value) == "v"
                assert store.del_hash(value) is False
            with pytest.raises(tokenstore.ServerError, match="NOPERM"):
                store.reset()
            server("ACL", "SETUSER", "tokens", "+scan", "+sscan")
            store.add("bob")
            assert store.reset() == 1


# ---- races -------------------------------------------------------------------------------------------


def test_a_hash_is_taken_by_exactly_one(server: Server, store: Tokenstore) -> None:
    rounds = 300
    hashes = [store.make_hash(str(n)) for n in range(rounds)]

    def take(client: tokenstore.Client, n: int) -> list[str | None]:
        mine = Tokenstore(client, **NODE)
        return [mine.take_hash(value) for value in hashes]

    taken = race(server.url, take, processes=2, threads=4)
    for n in range(rounds):
        assert sorted(t[n] or "" for t in taken) == [""] * 7 + [str(n)]


def test_a_forced_key_is_given_to_exactly_one(server: Server, store: Tokenstore) -> None:
    rounds = 100

    def add(client: tokenstore.Client, n: int) -> list[str]:
        mine = Tokenstore(client, **NODE)
        won = []
        for i in range(rounds):
            try:
                won.append(mine.add(f"o{n}", {"n": n}, key=f"{i:024}").id)
            except tokenstore.DataError:
                won.append("")
        return won

    won = race(server.url, add, processes=2, threads=4)
    for i in range(rounds):
        winners = [n for n in range(8) if won[n][i]]
        assert len(winners) == 1
        token = store.get_key(f"{i:024}")
        assert token is not None
        assert (token.id, token.owner_id) == (won[winners[0]][i], f"o{winners[0]}")
    assert server("DBSIZE") == 2 * rounds + len({n for n in range(8) if any(won[n])})


def whole(server: Server) -> tuple[int, int, int]:
    """Records, ids and members of sets, read atomically."""
    script = """
        local counts = {0, 0, 0}
        for _, name in ipairs(redis.call('KEYS', '*')) do
          if name:find(':key:') then counts[1] = counts[1] + 1 end
          if name:find(':id:') then counts[2] = counts[2] + 1 end
          if name:find(':tokens:') then counts[3] = counts[3] + redis.call('SCARD', name) end
        end
        return counts"""
    records, ids, members = server("EVAL", script, 1, TOKEN)
    return records, ids, members


@pytest.mark.parametrize("with_reset", [False, True])
def test_whatever_races_a_token_is_whole_or_gone(server: Server, with_reset: bool) -> None:
    owners = ["a", "b", "c"]

    def work(client: tokenstore.Client, n: int) -> Counter[str]:
        store = Tokenstore(client, **NODE)
        did: Counter[str] = Counter()
        if n == 7 and with_reset:
            for _ in range(100_000):  # the others may start later
                did["reset"] += store.reset()
                if did["reset"] > 0:
                    break
        for i in range(150):
            owner = owners[(n + i) % 3]
            if n == 7 and with_reset:
                did["reset"] += store.reset()
            elif n == 6:
                for token in store.list(owner):
                    assert token.owner_id == owner
            elif n % 2:
                for token in store.list(owner)[:3]:
                    did["deleted"] += (store.delete, store.delete_key)[i % 2](
                        token.id if i % 2 == 0 else token.key
                    )
                    assert store.get(token.id) is None
                    assert store.set(token.id, {"back": 1}) is False
            else:
                token = store.add(owner, {"n": n, "i": i})
                did["added"] += 1
                did["changed"] += store.set(token.id, {"i": [i]})
            if i % 10 == 0:
                records, ids, members = whole(server)
                assert records == ids == members
        return did

    total = sum(race(server.url, work, processes=2, threads=4), Counter())
    records, ids, members = whole(server)
    assert records == ids == members == total["added"] - total["deleted"] - total["reset"]
    assert total["added"] > 0
    assert with_reset or total["deleted"] > 0  # on a busy machine resets may take all
    assert total["reset"] > 0 or not with_reset
