"""A server that evicts takes a user's index before the sessions: with node_writers they are found all the same."""

from __future__ import annotations

import time

import tokenstore
from servers import running
from tokenstore import RedisJWT

SECRET = "a secret of thirty-two bytes, yes"
USERS = 50


def lives(sessions: RedisJWT, token: str) -> bool:
    try:
        return bool(sessions.verify(token))
    except tokenstore.InvalidTokenError:
        return False


def test_log_out_everywhere_where_keys_are_evicted() -> None:
    options = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "10")
    with running(*options) as server, RedisJWT(
        server.url, secret=SECRET, multiple=True, node_writers=True
    ) as sessions:
        tokens = {f"u{n}": sessions.sign(f"u{n}", ttl=3600) for n in range(USERS)}
        time.sleep(2)  # Redis counts idle time in seconds
        deadline = time.monotonic() + 60
        while any(server("EXISTS", f"rjwt-sessions/{id}") for id in list(tokens)[:10]):
            assert time.monotonic() < deadline
            live = [id for id, token in tokens.items() if lives(sessions, token)]
            with server.wire() as wire:
                for n in range(100):
                    wire("SET", f"other program's {time.monotonic()} {n}", "x" * 2000)
        found = sum(sessions.destroy_multiple(id) for id in live)
        assert found > 0
        assert not any(lives(sessions, token) for token in tokens.values())
