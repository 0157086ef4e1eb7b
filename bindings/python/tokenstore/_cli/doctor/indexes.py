"""The indexes of RedisJWT and Tokenstore, which other programs may leave behind: a sample of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tokenstore._cli.doctor.finding import Finding, note, ok, warning
from tokenstore._cli.doctor.patient import Patient, ask, lacks_right
from tokenstore.client import Client
from tokenstore.errors import ServerError

__all__ = ["indexes"]

_ROUNDS = 100  # SCANs of each node
_ROUND = 1000  # keys that each looks at
_MOST = 200  # indexes, and as many sessions
_FEW = 24  # ended sessions that an index may have beside as many live ones
_RJWT = b"rjwt-sessions/"
_OWNER = b"token:tokens:"
_SESSION = re.compile(rb"[^:]+:[A-Za-z0-9]{11}")


def indexes(patient: Patient) -> Iterator[Finding]:
    """Nothing about servers without any."""
    dead = live = unlisted = looked = 0
    for node in patient.nodes:
        keys = _sample(node.client)
        if keys is None:
            yield note(
                "the user may not send SCAN, so indexes were not looked at",
                "those of RedisJWT and Tokenstore could list sessions that have ended; RedisTokens and Sessions have none",
                "run doctor as a user with +scan, if RedisJWT or Tokenstore is used",
            )
            return
        for names in _listed(node.client, keys):
            looked += 1
            there = _count(node.client, names)
            if len(names) - there > max(_FEW, there):
                dead, live = dead + len(names) - there, live + there
        unlisted += _unlisted(node.client, [key for key in keys if _SESSION.fullmatch(key)][:_MOST])
    if dead:
        yield warning(
            f"indexes leak: some list {dead} sessions or tokens that have ended, beside {live} live ones",
            "memory grows, and listing and ending all of an owner's sessions gets slower; what has ended stays ended",
            "the Node packages do not clean up: list() of each owner drops them, or reset() of Tokenstore drops all",
        )
    if unlisted:
        yield warning(
            f"{unlisted} sessions of RedisJWT in the sample are in no index",
            '"log out everywhere" does not end them: the Node package wrote them, or their index was evicted',
            "run reindex() once; node_writers=True while the Node package writes",
        )
    if looked and not dead and not unlisted:
        yield ok(f"{looked} indexes of RedisJWT and Tokenstore agree with what they list")
    elif not looked and not unlisted:
        yield ok("there are none: RedisTokens and Sessions need no index")


def _sample(client: Client) -> list[bytes] | None:
    """Some keys; None if the user may not SCAN."""
    keys: list[bytes] = []
    cursor = b"0"
    for _ in range(_ROUNDS):
        reply: Any = ask(client, "SCAN", cursor.decode(), "COUNT", str(_ROUND))
        if lacks_right(reply):
            return None
        if isinstance(reply, ServerError):
            raise reply
        cursor, found = reply
        keys += [key for key in found if key.startswith((_RJWT, _OWNER)) or _SESSION.fullmatch(key)]
        if cursor == b"0":
            break
    return keys


def _listed(client: Client, keys: list[bytes]) -> Iterator[list[bytes]]:
    """The keys that each index lists."""
    for key in [key for key in keys if key.startswith(_RJWT)][:_MOST]:
        reply = _quietly(client, "ZRANGE", key, 0, -1)
        yield [key[len(_RJWT) :] + b":" + member[16:] for member in reply]
    for key in [key for key in keys if key.startswith(_OWNER)][:_MOST]:
        yield [b"token:id:" + member for member in _quietly(client, "SMEMBERS", key)]


def _count(client: Client, names: list[bytes]) -> int:
    """How many of them exist."""
    replies = client.pipeline([("EXISTS", name) for name in names], raise_errors=False)
    return sum(reply == 1 for reply in replies)


def _unlisted(client: Client, sessions: list[bytes]) -> int:
    """How many are sessions by their content, and in no index."""
    values = client.pipeline([("GET", key) for key in sessions], raise_errors=False)
    count = 0
    for key, value in zip(sessions, values):
        if isinstance(value, bytes) and b'"rjwt":"%s"' % key in value.replace(b": ", b":"):
            id, _, suffix = key.partition(b":")
            members = _quietly(client, "ZRANGE", _RJWT + id, 0, -1)
            count += all(member[16:] != suffix for member in members)
    return count


def _quietly(client: Client, *command: Any) -> list[bytes]:
    """[] where it is another program's."""
    try:
        reply: list[bytes] = client.execute(*command)
        return reply
    except ServerError:
        return []
