"""All keys of a server, or of a cluster, for the commands that read them all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from tokenstore.errors import ConnectionError, OutcomeUnknownError, TimeoutError

if TYPE_CHECKING:
    from tokenstore.client import Client

__all__ = ["find_keys", "walk"]

_TRIES = 10  # looks at the topology that find that it has changed
_PAUSE = 1.0  # seconds, while slots are on their way


def find_keys(client: Client, match: str, count: int) -> Iterator[bytes]:
    """Keys by SCAN: some may be returned twice; keys that exist throughout are always returned."""
    return chain.from_iterable(keys for _, keys in walk(client, match, count) if keys)


def walk(client: Client, match: str, count: int) -> Iterator[tuple[str, list[bytes] | None]]:
    """The result of each SCAN, of about ``count`` keys, with the primary that it is from ("": the one server).

    (primary, None) says that what came of it so far does not count: its slots have changed meanwhile, and it is
    scanned again if it has any. So in the end each primary was scanned whole while its slots were the same, from
    then on until all were, and no key was left out or counted at two. Raises ConnectionError if the slots keep
    moving.
    """
    if "+cluster:" not in client.url:
        for keys in _rounds(client, match, count, None):
            yield "", keys
        return
    done: dict[str, bytes] = {}
    for _ in range(_TRIES):
        places = _places(client)
        for node in [node for node in done if places.get(node) != done[node]]:
            del done[node]
            yield node, None
        left = [node for node in places if node not in done]
        moving = any(b"[" in place for place in places.values())
        if not left and not moving:
            return
        for node in left:
            try:
                for keys in _rounds(client, match, count, node):
                    yield node, keys
                done[node] = places[node]
            except (ConnectionError, OutcomeUnknownError, TimeoutError):
                yield node, None  # it is replaced, or asking for the topology fails as well
        if moving:
            time.sleep(_PAUSE)
    raise ConnectionError(
        "slots of the cluster keep moving from node to node: run this again when that has ended"
    )


def _rounds(client: Client, match: str, count: int, node: str | None) -> Iterator[list[bytes]]:
    cursor = b"0"
    while True:
        command = ("SCAN", cursor, "MATCH", match, "COUNT", count)
        cursor, keys = client.execute(*command, node=node)
        yield keys
        if cursor == b"0":
            return


def _places(client: Client) -> dict[str, bytes]:
    """What each primary says of itself: the epoch of its slots, which changes with every change of them, and the
    slots; those on their way in brackets."""
    return {
        node: next(_place(line) for line in text.splitlines() if b"myself" in line)
        for node, text in client.for_each_primary("CLUSTER", "NODES").items()
    }


def _place(line: bytes) -> bytes:
    """Of: id, address, flags, primary, ping, pong, epoch, state, slots."""
    fields = line.split(b" ", 8)
    return b" ".join(fields[6:7] + fields[8:])
