"""Importing the tokens of redis-tokens and the sessions of @spots-tech/sessions.

::

    from tokenstore import migrate

    report = migrate.redis_tokens("redis://localhost:6379")
    print(report.moved, [(odd.key, odd.reason) for odd in report.odd])

or ``python -m tokenstore migrate redis-tokens redis://localhost:6379``.

One script on the server moves each key: it creates the token and deletes the other program's key, both or
neither, keeping the data and the remaining time. So a run may be interrupted and repeated, several may run at
once, and nothing is lost or revived, whatever other programs do to the keys meanwhile. Keys that this store
cannot store are reported and left unchanged.

docs/how-to/migrating.md describes how to switch an application over.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from tokenstore import _core
from tokenstore._types import ClientOptions
from tokenstore._walk import find_keys
from tokenstore.client import Client
from tokenstore.errors import ConfigurationError, ServerError
from tokenstore.values import Token

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from tokenstore._store import Redis
    from tokenstore._types import Text

__all__ = ["FORMATS", "Odd", "Options", "Report", "redis_tokens", "run", "spots_sessions"]

# The outcome for a key, as numbered in core/include/tokenstore/move.h.
_GONE, _MOVED, _MOVED_AGAIN, _CHANGED, _TAKEN = range(5)

_PASSES_MAX = 10  # over all keys, while each pass finds more
_READS_MAX = 20  # of one key, while its value keeps changing
_ODD_MAX = 1000  # listed in a report; all are counted

Item = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bool]
"""key, value, app, type, owner, token, random: what the extension's ``move`` takes."""


@dataclass(frozen=True)
class Odd:
    """A skipped key."""

    key: str
    """Its name, with the token and everything after it replaced by ``…``."""
    reason: str


@dataclass
class Report:
    """The result of a run."""

    format: str
    dry_run: bool
    moved: int = 0
    """tokens that are in this store now; with ``dry_run`` those that would be"""
    updated: int = 0
    """late updates of the other program, imported after their tokens"""
    gone: int = 0
    """keys that ended before they were moved"""
    odd_count: int = 0
    """skipped keys"""
    odd: list[Odd] = field(default_factory=list)
    """the first thousand of them"""
    passes: int = 0
    complete: bool = False
    """the last pass over all keys found none left to move"""
    seconds: float = 0.0


@dataclass(frozen=True)
class _Format:
    name: str
    match: str  # for SCAN
    pattern: re.Pattern[bytes]
    random: re.Pattern[bytes]  # generated tokens; others are custom

    def read(self, key: bytes) -> tuple[bytes, bytes, bytes, bytes] | None:
        """app, type, owner, token; None if the name cannot be parsed, or is ambiguous."""
        found = self.pattern.fullmatch(key)
        if found is None or len(_SEPARATOR.findall(key)) != self.match.count("|"):
            return None
        names = {"type": b"session", **found.groupdict()}
        return names["app"], names["type"], names["owner"], names["token"]


_SEPARATOR = re.compile(rb"\|(?:type|owner|token|ownerId):")

FORMATS = {
    "redis-tokens": _Format(
        "redis-tokens",
        "app:*|type:*|owner:*|token:*",
        re.compile(
            rb"app:(?P<app>.*)\|type:(?P<type>.*)\|owner:(?P<owner>.*)\|token:(?P<token>.*)", re.S
        ),
        re.compile(rb"[\w-]{171}", re.A),  # 128 bytes
    ),
    "spots-sessions": _Format(
        "spots-sessions",
        "app:*|token:*|ownerId:*",
        re.compile(rb"app:(?P<app>.*)\|token:(?P<token>.*)\|ownerId:(?P<owner>.*)", re.S),
        re.compile(rb".*", re.S),
    ),
}
"""What can be migrated, by the names that the command line takes."""


class Options(ClientOptions, total=False):
    """Further arguments of :func:`run`."""

    prefix: Text
    pepper: Text | None
    max_data_size: int
    batch: int
    dry_run: bool
    progress: Callable[[Report], object] | None


def redis_tokens(redis: Redis = None, **options: Unpack[Options]) -> Report:
    """Move the tokens of redis-tokens 0.0.2; the options are those of :func:`run`."""
    return run("redis-tokens", redis, **options)


def spots_sessions(redis: Redis = None, **options: Unpack[Options]) -> Report:
    """Move the sessions of @spots-tech/sessions, so that :class:`tokenstore.Sessions` finds them; the options
    are those of :func:`run`."""
    return run("spots-sessions", redis, **options)


def run(
    format: str,
    redis: Redis = None,
    *,
    prefix: Text = "ts",
    pepper: Text | None = None,
    max_data_size: int = 65536,
    batch: int = 500,
    dry_run: bool = False,
    progress: Callable[[Report], object] | None = None,
    **client_options: Unpack[ClientOptions],
) -> Report:
    """Move every key of ``format``, one of :data:`FORMATS`, and report.

    ``prefix``, ``pepper`` and ``max_data_size`` are those of the target store.
    ``batch`` keys are read and moved in one round trip each. With ``dry_run`` nothing is written. ``progress``
    is called with the report so far, after each batch. Raises like any call; keys moved until then stay moved,
    and the next run continues.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"unknown format {format!r}: known are {', '.join(FORMATS)}")
    if isinstance(batch, bool) or not isinstance(batch, int):
        raise TypeError(f"batch must be int, not {batch.__class__.__name__}")
    if not 1 <= batch <= 10_000:
        raise ConfigurationError("batch must be 1 to 10000")
    store = _core.redis_tokens(Token, prefix=prefix, pepper=pepper, max_data_size=max_data_size)
    client = redis if isinstance(redis, Client) else Client(redis, **client_options)
    try:
        if "+cluster:" in client.url:
            raise ConfigurationError("this works on one server, and not yet on a cluster")
        return _Run(client, store, FORMATS[format], batch, dry_run, progress).all()
    finally:
        if client is not redis:
            client.close()


class _Run:
    def __init__(
        self,
        client: Client,
        store: _core.RedisTokens[Token],
        format: _Format,
        batch: int,
        dry_run: bool,
        progress: Callable[[Report], object] | None,
    ) -> None:
        self.client, self.store, self.format, self.batch = client, store, format, batch
        self.progress = progress
        self.report = Report(format.name, dry_run)
        self.left: set[bytes] = set()  # odd keys, each reported once

    def all(self) -> Report:
        """Scan all keys until there is nothing more to move: writers may have added some."""
        began = time.monotonic()
        report = self.report
        while not report.complete and report.passes < _PASSES_MAX:
            before = report.moved + report.updated
            for keys in chunks(find_keys(self.client, self.format.match, self.batch), self.batch):
                self.move(keys)
                report.seconds = time.monotonic() - began
                if self.progress is not None:
                    self.progress(report)
            report.passes += 1
            report.complete = report.dry_run or report.moved + report.updated == before
        report.seconds = time.monotonic() - began
        return report

    def move(self, keys: list[bytes]) -> None:
        """One batch. A key whose value changes meanwhile is read again."""
        keys = [key for key in dict.fromkeys(keys) if key not in self.left]
        for _ in range(_READS_MAX):
            keys = self.move_once(keys)
            if not keys:
                return
        for key in keys:
            self.leave(key, "its value keeps changing: run again later")

    def move_once(self, keys: list[bytes]) -> list[bytes]:
        """Read and move; returns the keys that changed in between."""
        items = self.readable(keys)
        if not items:
            return []
        op, problems = _core.move(self.store.store, items)
        good = []
        for item, problem in zip(items, problems):
            if problem is None:
                good.append(item[0])
            else:
                self.leave(item[0], problem)
        if self.report.dry_run:
            self.report.moved += len(good)
            return []
        outcomes = self.client._core.run(op) if good else []
        return [key for key, outcome in zip(good, outcomes) if self.note(key, outcome)]

    def readable(self, keys: list[bytes]) -> list[Item]:
        """The keys that have a value and an unambiguous name."""
        if not keys:
            return []
        items = []
        values = self.client.pipeline([("GET", key) for key in keys], raise_errors=False)
        for key, value in zip(keys, values):
            names = self.format.read(key)
            if value is None:
                self.report.gone += 1
            elif isinstance(value, ServerError):
                if value.code != "WRONGTYPE":
                    raise value
                self.leave(key, "not a string: it belongs to another program")
            elif names is None:
                self.leave(key, "its name is ambiguous")
            else:
                random = self.format.random.fullmatch(names[3]) is not None
                items.append((key, value, *names, random))
        return items

    def note(self, key: bytes, outcome: int) -> bool:
        """Count an outcome. True: read the key again."""
        if outcome == _MOVED:
            self.report.moved += 1
        elif outcome == _MOVED_AGAIN:
            self.report.updated += 1
        elif outcome == _GONE:
            self.report.gone += 1
        elif outcome == _TAKEN:
            self.leave(key, "this store already has a token of that name")
        return outcome == _CHANGED

    def leave(self, key: bytes, reason: str) -> None:
        self.left.add(key)
        self.report.odd_count += 1
        if len(self.report.odd) < _ODD_MAX:
            self.report.odd.append(Odd(_without_token(key), reason))


def chunks(keys: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    while chunk := list(islice(keys, size)):
        yield chunk


def _without_token(key: bytes) -> str:
    head, _, _ = key.partition(b"|token:")
    return head.decode(errors="backslashreplace") + "|token:…"
