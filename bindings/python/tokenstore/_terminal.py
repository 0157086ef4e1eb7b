"""Terminal output of the command line: tables that fit, and progress."""

from __future__ import annotations

import math
import shutil
import sys
import time
import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import Any

__all__ = ["Counter", "moment", "plain", "print_table"]


def moment(seconds: float | None) -> str:
    """A time as UTC; None is never."""
    if seconds is None:
        return "never"
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def plain(text: str) -> str:
    """Text that is safe on a terminal: unprintable characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def width(text: str) -> int:
    """Its width in terminal columns: an East Asian wide character has two, a combining one none."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, most: int) -> str:
    """The text, or its beginning and "...", in `most` columns."""
    if width(text) <= most:
        return text
    kept, left = [], most - 3
    for character in text:
        left -= _width(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + "..."


def _columns() -> int | None:
    """The width of the terminal at stdout; None if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


_GAP = "  "
_LEAST = 8


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]], names: Collection[int] = ()) -> None:
    """Columns as wide as their contents; numbers are right-aligned.

    On a terminal that is too narrow the columns `names` are truncated; in a file or a pipe nothing is.
    """
    texts = [[plain(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(map(width, column)) for column in zip(*texts)]
    right = [bool(rows) and isinstance(cell, int) for cell in (rows[0] if rows else head)]
    _fit(widths, names, _columns())
    for row in texts:
        cells = (
            _padded(cut(cell, wide), wide, to_the_right)
            for cell, wide, to_the_right in zip(row, widths, right)
        )
        print(_GAP.join(cells).rstrip())


def _fit(widths: list[int], names: Collection[int], most: int | None) -> None:
    """Shrinks the widest of `names` until all columns fit, or none has more than a few characters."""
    while most is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > most:
        long = [(widths[i], i) for i in names if widths[i] > _LEAST]
        if not long:
            return
        widths[max(long)[1]] -= 1


def _padded(text: str, wide: int, to_the_right: bool) -> str:
    blanks = " " * (wide - width(text))
    return blanks + text if to_the_right else text + blanks


class Counter:
    """A progress count, on stderr if it is a terminal; the line is erased at the end."""

    _INTERVAL = 0.2  # seconds

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._last = -math.inf
        self._shown = False

    def add(self, count: int) -> None:
        """Add to the count, and show it if due."""
        self._count += count
        if sys.stderr.isatty() and time.monotonic() - self._last >= self._INTERVAL:
            self._last = time.monotonic()
            self._shown = True
            print(f"\r{self._count} {self._what} ...", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Erase the line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False
