"""What the server can do: its version, and the near cache."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from tokenstore._cli.doctor.finding import Finding, danger, note, ok, unknown, warning
from tokenstore._cli.doctor.patient import Node, Patient
from tokenstore.tokens import RedisTokens

__all__ = ["near_cache", "server"]

_OLDEST = (6, 0)
_RECENT = (7, 0)


def server(patient: Patient) -> Iterator[Finding]:
    """Name and version of each."""
    seen = set()
    for name, node in patient.each():
        if "redis_version" not in node.info:
            yield unknown("the user may not send INFO", "allow the user that doctor logs in as +info")
            return
        if _title(node) not in seen:
            seen.add(_title(node))
            yield _of_version(name, node)


def _of_version(name: str, node: Node) -> Finding:
    version = tuple(int(part) for part in node.info["redis_version"].split(".")[:2])
    found = f"{name} is {_title(node)}"
    if version < _OLDEST:
        return danger(found, "scripts and commands that every store needs are missing", "upgrade to Redis 7 or Valkey 8")
    if version < _RECENT:
        return warning(
            found,
            "it is old: it cannot end single tokens by itself, has no WAITAOF for wait_fsync, and may get no more"
            " fixes of security holes",
            "upgrade to Redis 7 or later, or Valkey: sessions live on (docs/explanation/stored-format.md, Expiry)",
        )
    ends = _ends_fields(node, version)
    return ok(found + (", which ends each token by itself" if ends else "; a token's end is in its record"))


def _ends_fields(node: Node, version: tuple[int, ...]) -> bool:
    valkey = node.info.get("valkey_version")
    return int(valkey.split(".")[0]) >= 9 if valkey else version >= (7, 4)


def _title(node: Node) -> str:
    valkey = node.info.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {node.info['redis_version']}"


_PATIENCE = 3.0  # seconds
_PAUSE = 0.05


class _Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def near_cache(patient: Patient) -> Iterator[Finding]:
    """Use one, until it answers."""
    if patient.raw_url.startswith("embedded"):
        yield ok("an embedded server tells its clients of changes")
        return
    log, heard = logging.getLogger("tokenstore"), _Heard()
    log.addHandler(heard)
    try:
        with RedisTokens(patient.raw_url, prefix=patient.prefix, near_cache=16) as tokens:
            alive = _wakes(tokens)
    finally:
        log.removeHandler(heard)
    if alive:
        yield ok("the server tells its clients of changes, so near_cache= can be used")
        return
    reason = heard.texts[-1] if heard.texts else f"it did not begin within {_PATIENCE:g} s"
    yield note(
        f"a near cache is not possible here: {reason}",
        "with near_cache= each lookup asks the server all the same; nothing else changes",
        "nothing, if it is not used; else docs/explanation/near-cache.md, Rights",
    )


def _wakes(tokens: RedisTokens) -> bool:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        tokens.get("tokenstore doctor", "near", "no token")
        stats = tokens.client.near_cache_stats()
        if stats is not None and stats["alive"]:
            return True
        time.sleep(_PAUSE)
    return False
