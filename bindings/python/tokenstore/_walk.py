"""All keys of a server, or of a cluster, for the commands that read them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstore.errors import ConnectionError, OutcomeUnknownError, TimeoutError

if TYPE_CHECKING:
    from tokenstore.client import Client

__all__ = ["Found", "Steps", "find_keys", "steps", "walk"]

_TRIES = 10  # looks at the topology that find that it has changed
_PAUSE = 1.0  # seconds, while slots are on their way


class Found(NamedTuple):
    """The result of a SCAN, and the primary that it is from ("": the one server)."""

    node: str
    keys: list[bytes] | None


Steps = Generator[Any, Any, None]
"""Yields what a method of a client returned, to be sent back, by asyncio once it was awaited."""


def find_keys(client: Client, match: str, count: int) -> Iterator[bytes]:
    """Keys by SCAN: some may be returned twice; keys that exist throughout are always returned."""
    return chain.from_iterable(keys for _, keys in walk(client, match, count) if keys)


def walk(client: Client, match: str, count: int) -> Iterator[Found]:
    """What :func:`steps` finds, one after the other."""
    made = steps(client, match, count, _found, time.sleep)
    answer = None
    while True:
        try:
            each = made.send(answer)
        except StopIteration:
            return
        answer = None if isinstance(each, Found) else each
        if isinstance(each, Found):
            yield each


def _found(node: str, keys: list[bytes] | None) -> Steps:
    yield Found(node, keys)


def steps(
    client: Any,
    match: str,
    count: int,
    take: Callable[[str, list[bytes] | None], Steps],
    sleep: Callable[[float], Any],
) -> Steps:
    """Takes the result of each SCAN, of about ``count`` keys, with the primary that it is from ("": the one server).

    (primary, None) says that what came of it so far does not count: its slots have changed meanwhile, and it is
    scanned again if it has any. So in the end each primary was scanned whole while its slots were the same, from
    then on until all were, and no key was left out or counted at two. Raises ConnectionError if the slots keep
    moving.
    """
    if "+cluster:" not in client.url:
        yield from _rounds(client, match, count, None, take)
        return
    done: dict[str, bytes] = {}
    for _ in range(_TRIES):
        places = yield from _places(client)
        for node in [node for node in done if places.get(node) != done[node]]:
            del done[node]
            yield from take(node, None)
        left = [node for node in places if node not in done]
        moving = any(b"[" in place for place in places.values())
        if not left and not moving:
            return
        for node in left:
            try:
                yield from _rounds(client, match, count, node, take)
                done[node] = places[node]
            except (ConnectionError, OutcomeUnknownError, TimeoutError):
                yield from take(node, None)  # it is replaced, or asking for the topology fails as well
        if moving:
            yield sleep(_PAUSE)
    raise ConnectionError(
        "slots of the cluster keep moving from node to node: run this again when that has ended"
    )


def _rounds(client: Any, match: str, count: int, node: str | None, take: Callable[..., Steps]) -> Steps:
    cursor = b"0"
    while True:
        cursor, keys = yield client.execute("SCAN", cursor, "MATCH", match, "COUNT", count, node=node)
        yield from take(node or "", keys)
        if cursor == b"0":
            return


def _places(client: Any) -> Generator[Any, Any, dict[str, bytes]]:
    """What each primary says of itself: the epoch of its slots, which changes with every change of them, and the
    slots; those on their way in brackets."""
    texts = yield client.for_each_primary("CLUSTER", "NODES")
    return {
        node: next(_place(line) for line in text.splitlines() if b"myself" in line)
        for node, text in texts.items()
    }


def _place(line: bytes) -> bytes:
    """Of: id, address, flags, primary, ping, pong, epoch, state, slots."""
    fields = line.split(b" ", 8)
    return b" ".join(fields[6:7] + fields[8:])
