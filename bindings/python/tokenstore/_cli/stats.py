"""Counts over all keys of a store: ``stats`` and ``owners``, by SCAN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from tokenstore import _core
from tokenstore._cli import terminal
from tokenstore._cli.common import Options, open_store
from tokenstore._cli.output import Column, print_rows
from tokenstore._kinds import KIND, ROUND, hashes_of, names_of_kind
from tokenstore._walk import walk
from tokenstore.client import Client
from tokenstore.tokens import RedisTokens

__all__ = ["kinds_of", "owners", "stats"]


def stats(options: Options) -> bool:
    """Owners and live tokens of each app and type, counted in the owners' hashes."""
    head = options.prefix + ":"
    size = len(head.encode(errors="surrogateescape"))
    counts: dict[str, dict[bytes, Any]] = {}  # by primary and kind
    with open_store(options) as store:
        for node, found in _tallied(store, hashes_of(options.prefix)):
            if found is None:
                counts.pop(node, None)
                continue
            for key, live, lasting in found:
                row = counts.setdefault(node, {}).setdefault(key[size : size + KIND], dict.fromkeys(_COUNTED, 0))
                row["owners"] += live > 0
                row["tokens"] += live
                row["lasting"] += lasting
        sums = _sums([*counts.values()])
        names = _names_of(store.client, head + "kinds", [*sums])
    print_rows(
        options,
        ("app", "type", *_COUNTED),
        [{"app": app, "type": type, **row} for (app, type), row in sorted(zip(names, sums.values()))],
        [
            Column("APP", lambda row: row["app"], shrinks=True),
            Column("TYPE", lambda row: row["type"], shrinks=True),
            Column("OWNERS", lambda row: row["owners"]),
            Column("TOKENS", lambda row: row["tokens"]),
            Column("WITHOUT EXPIRY", lambda row: row["lasting"]),
        ],
        f"there are no tokens with the prefix {options.prefix}",
    )
    return True


def owners(options: Options) -> bool:
    """The owners of one app and type, and how many live tokens each has."""
    head = options.prefix + ":"
    counts: dict[str, dict[str, Any]] = {}  # by primary and owner
    with open_store(options) as store:
        for kind in kinds_of(store.client, head + "kinds", options.app, options.type):
            match = hashes_of(options.prefix, kind)
            for node, found in _tallied(store, match):
                if found is None:
                    counts.pop(node, None)
                    continue
                live = [(key, count, lasting) for key, count, lasting in found if count]
                for name, (_, count, lasting) in zip(_owners_of(store.client, [key for key, *_ in live]), live):
                    if name is not None:
                        counts.setdefault(node, {})[name] = {"tokens": count, "lasting": lasting}
    rows = [{"owner": name, **row} for table in counts.values() for name, row in table.items()]
    print_rows(
        options,
        ("owner", "tokens", "lasting"),
        sorted(rows, key=lambda row: (-row["tokens"], row["owner"])),
        [
            Column("OWNER", lambda row: row["owner"], shrinks=True),
            Column("TOKENS", lambda row: row["tokens"]),
            Column("WITHOUT EXPIRY", lambda row: row["lasting"]),
        ],
        "this app and type have no owners with live tokens",
    )
    return True


def _tallied(
    store: RedisTokens, match: str
) -> Iterator[tuple[str, list[tuple[bytes, int, int]] | None]]:
    """Keys with how many live tokens they have, and how many of these never end; by primary, as walk() gives them."""
    with closing(terminal.Counter("keys looked at")) as counter:
        for node, found in walk(store.client, match, ROUND):
            if found is None:
                yield node, None
                continue
            counter.add(ROUND)
            keys = [*dict.fromkeys(found)]
            tallies = store._driver.run(_core.tally(store._ops.store, keys))
            yield node, [(key, live, lasting) for key, (_, live, lasting) in zip(keys, tallies)]


def _owners_of(client: Client, keys: Sequence[bytes]) -> list[str | None]:
    """The owner that the records of each key name; None if they are an anonymous token's."""
    replies = client.pipeline([("HSCAN", key, 0, "COUNT", 10) for key in keys])
    return [_owner_in(fields[1::2]) for _, fields in replies]


def _owner_in(records: Sequence[bytes]) -> str | None:
    """The first text in quotes: docs/explanation/stored-format.md, "The record"."""
    for record in records:
        head, quote, rest = record.partition(b'"')
        if quote and b"{" not in head and not rest.startswith(b'"'):
            text = rest.partition(b'"')[0].decode(errors="surrogateescape")
            owner: str = json.loads(f'"{text}"', strict=False)
            return owner
    return None


def kinds_of(client: Client, registry: str, app: str, type: str) -> list[bytes]:
    """What keys of this app and type begin with, if there ever was one."""
    texts = client.execute("HGETALL", registry)
    return [kind for kind, text in zip(texts[::2], texts[1::2]) if names_of_kind(kind, text) == (app, type)]


_COUNTED = ("owners", "tokens", "lasting")


def _sums(tables: Sequence[dict[bytes, dict[str, int]]]) -> dict[bytes, dict[str, int]]:
    """Over all primaries, by kind."""
    kinds = dict.fromkeys(kind for table in tables for kind in table)
    return {
        kind: {name: sum(table[kind][name] for table in tables if kind in table) for name in _COUNTED}
        for kind in kinds
    }


def _names_of(client: Client, registry: str, kinds: Sequence[bytes]) -> Sequence[tuple[str, str]]:
    """App and type of each kind."""
    texts = client.execute("HMGET", registry, *kinds) if kinds else []
    return [names_of_kind(kind, text) for kind, text in zip(kinds, texts)]
