"""Hostile names: no two tuples share a key, and no token gives access to another's data."""

from __future__ import annotations

import itertools
import os
import random

import pytest

import tokenstore
from servers import Server
from tokenstore import RedisTokens

ALPHABET = [
    *("*", "?", "[", "]", "\\", "^", ":", "|", "{", "}", ",", '"', "'", "\n", "\r", "\t", " "),
    *(
        "a",
        "b",
        "-",
        "_",
        "/",
        "%",
        "$",
        "\x01",
        "\x7f",
        "\udcff",
        "\udc80",
        "\u00e9",
        "\U0001f600",
    ),
]
COUNT = 100_000 if os.environ.get("TOKENSTORE_SOAK") == "1" else 10_000
BATCH = 5_000


LONG = 950  # with its prefix and suffix just below the limit of 1024


def hostile(rng: random.Random) -> str:
    if rng.random() < 0.001:
        return "".join(rng.choices(ALPHABET[:17], k=LONG))
    return "".join(rng.choices(ALPHABET, k=rng.choice([1, 1, 2, 2, 3, 4, 8])))


def tuples(seed: int) -> list[tuple[str, str, str]]:
    """Distinct (app, type, owner), many of them one text split at different positions."""
    rng = random.Random(seed)
    made: dict[tuple[str, str, str], None] = {}
    while len(made) < COUNT:
        text = hostile(rng) + rng.choice(':|{},"*') + hostile(rng) + hostile(rng)
        if len(text) > LONG * 2:
            continue
        for i, j in itertools.combinations(range(1, len(text)), 2):
            made[text[:i], text[i:j], text[j:]] = None
            if i > 6:
                break
    return list(made)[:COUNT]


def test_no_two_tuples_meet(tokens: RedisTokens, server: Server) -> None:
    """One generated token for each tuple: as many hashes as tuples."""
    seed = random.randrange(2**32)
    rows = tuples(seed)
    made = []
    for start in range(0, COUNT, BATCH):
        made += tokens.create_many(
            {"app": app, "type": type, "owner": owner, "duration": 3600}
            for app, type, owner in rows[start : start + BATCH]
        )
    assert server("DBSIZE") == COUNT + 1, f"seed {seed}"  # and the registry
    assert len({t.id for t in made}) == COUNT
    assert len({t.token for t in made}) == COUNT
    for row, token in zip(rows, made):
        assert (token.app, token.type, token.owner) == row
    rng = random.Random(seed)
    for n in rng.sample(range(COUNT - 1), COUNT // 5):
        (app, type, _), other = rows[n], made[n + 1]
        found = tokens.get(app, type, other.token)
        assert (found is not None) == ((app, type) == rows[n + 1][:2]), f"seed {seed}"
    for n in rng.sample(range(COUNT), 2_000):
        app, type, owner = rows[n]
        assert [t.id for t in tokens.list(app, type, owner)] == [made[n].id], f"seed {seed}"
    for n in rng.sample(range(COUNT), 500):
        assert tokens.delete_all(*rows[n]) == 1
    assert server("DBSIZE") == COUNT - 500 + 1


def test_no_two_custom_tokens_meet(tokens: RedisTokens, server: Server) -> None:
    """(app, type, token) from one text split at different positions."""
    seed = random.randrange(2**32)
    rows = tuples(seed)
    made = []
    for start in range(0, COUNT, BATCH):
        made += tokens.create_many(
            {"app": app, "type": type, "owner": "o", "custom_token": token, "duration": 3600}
            for app, type, token in rows[start : start + BATCH]
        )
    assert len({t.id for t in made}) == COUNT, f"seed {seed}"
    aliases = COUNT
    owners = len({(app, type) for app, type, _ in rows})
    assert server("DBSIZE") == aliases + owners + 1, f"seed {seed}"
    for n in random.Random(seed).sample(range(COUNT), 5_000):
        app, type, token = rows[n]
        found = tokens.get(app, type, token)
        assert found is not None
        assert found.id == made[n].id


@pytest.mark.parametrize(
    "pattern", ["*", "?", "b*", "[a-z]*", "bob*", "*:*", "b\\ob", "^bob", "{}"]
)
def test_no_pattern_matches(tokens: RedisTokens, pattern: str) -> None:
    bob = tokens.create("web", "login", "bob", custom_token="secret")
    assert tokens.get("web", "login", pattern) is None
    assert tokens.get(pattern, "login", "secret") is None
    assert tokens.get("web", pattern, "secret") is None
    assert tokens.list("web", "login", pattern) == []
    assert tokens.delete("web", "login", pattern) is False
    assert tokens.delete_all("web", "login", pattern) == 0
    assert tokens.delete_all(pattern, pattern, pattern) == 0
    assert tokens.delete_by_id("web", "login", "bob", pattern) is False
    assert tokens.update("web", "login", pattern, {"x": 1}) is None
    assert tokens.rotate("web", "login", pattern) is None
    assert tokens.refresh("web", "login", pattern, 60) is False
    assert [t.id for t in tokens.list("web", "login", "bob")] == [bob.id]


def test_commands_that_are_sent(tokens: RedisTokens, server: Server) -> None:
    """No command that affects more than one owner: no KEYS, SCAN, FLUSH, CONFIG."""
    with server.wire() as monitor:
        monitor("MONITOR")
        token = tokens.create("a", "t", "o", {"x": 1}, 60)
        tokens.create("a", "t", "o", custom_token="c")
        tokens.get("a", "t", token.token, refresh=600, expiry=True)
        tokens.update("a", "t", token.token, {"y": 1})
        tokens.refresh("a", "t", token.token, 60)
        tokens.rotate("a", "t", token.token)
        tokens.list("a", "t", "o")
        tokens.delete("a", "t", "c")
        tokens.delete_all("a", "t", "o")
        server("ECHO", "the end")
        sent = set()
        while "the end" not in (line := monitor.read()):
            sent.add(line.split('"')[1].upper())
    assert "GET" in sent
    assert not sent & {"KEYS", "SCAN", "SSCAN", "FLUSHALL", "FLUSHDB", "CONFIG", "SCRIPT"}


def test_ids_are_useless_as_tokens(tokens: RedisTokens) -> None:
    for custom in (None, "c"):
        token = tokens.create("a", "t", "o", custom_token=custom)
        assert tokens.get("a", "t", token.id) is None
        assert tokens.delete("a", "t", token.id) is False


def test_a_token_is_bound_to_its_app_and_type(client: tokenstore.Client) -> None:
    tokens = RedisTokens(client)
    token = tokens.create("app", "type", "owner")
    for app, type in (("ap", "ptype"), ("apptype", "owner"), ("type", "app"), ("app", "typ")):
        assert tokens.get(app, type, token.token) is None
        assert tokens.delete(app, type, token.token) is False
        assert tokens.rotate(app, type, token.token) is None
    assert tokens.get("app", "type", token.token) is not None
