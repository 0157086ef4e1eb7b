"""Kinds of tokens, an app and a type each, as keys name them: docs/explanation/stored-format.md."""

from __future__ import annotations

import json
import re

__all__ = ["KIND", "ROUND", "hashes_of", "names_of_kind"]

ROUND = 1000  # keys that a SCAN looks at, about
KIND = 4  # characters of a key that say which app and type it is of
_LOCATOR = 16


def hashes_of(prefix: str, kind: bytes | None = None) -> str:
    """The owners' hashes, of one kind or of all, for MATCH."""
    of_kind = "?" * KIND if kind is None else _escaped(kind.decode())
    return _escaped(prefix + ":") + of_kind + "?" * _LOCATOR


def _escaped(text: str) -> str:
    """For MATCH, literally."""
    return re.sub(r"([\\*?\[\]^])", r"\\\1", text)


def names_of_kind(kind: bytes, text: bytes | None) -> tuple[str, str]:
    """One that is not registered, which an ACL may forbid, is shown as such."""
    if text is None:
        return f"(kind {kind.decode()})", "?"
    app, type = text.decode(errors="surrogateescape")[2:-2].split('","')
    return json.loads(f'"{app}"'), json.loads(f'"{type}"')
