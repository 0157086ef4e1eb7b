"""Reads the notation of tests/vectors (README.md there)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenstore

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def to_bytes(what: Any) -> bytes:
    """Bytes from one of the four notations."""
    if isinstance(what, str):
        return what.encode()
    ((kind, value),) = what.items()
    if kind == "hex":
        return bytes.fromhex(value)
    if kind == "repeat":
        return to_bytes(value[0]) * value[1]
    if kind == "join":
        return b"".join(to_bytes(part) for part in value)
    raise ValueError(f"unknown notation {kind!r}")


def to_value(what: Any) -> Any:
    """Data, with the $ notations for values that JSON cannot represent."""
    if isinstance(what, list):
        return [to_value(item) for item in what]
    if not isinstance(what, dict):
        return what
    if len(what) == 1:
        ((kind, value),) = what.items()
        if kind == "$double":
            return float(value)
        if kind == "$integer":
            return int(value)
        if kind == "$bytes":
            return to_bytes(value).decode("utf-8", "surrogateescape")
        if kind == "$members":
            return {
                to_bytes(name).decode("utf-8", "surrogateescape"): to_value(member)
                for name, member in value
            }
        if kind == "$unset":
            return tokenstore.UNSET
        if kind == "$nested":
            nested: list[Any] = []
            for _ in range(value - 1):
                nested = [nested]
            return nested
        if kind.startswith("$"):
            raise ValueError(f"unknown notation {kind!r}")
    return {name: to_value(member) for name, member in what.items()}
