"""Terminal output of the command line: tables that fit, and a count of progress."""

from __future__ import annotations

import math
import shutil
import sys
import time
import unicodedata
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import Any

from tokenstore._cli.paint import paint

__all__ = ["Counter", "columns", "cut", "moment", "plain", "print_table", "width"]


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


def columns() -> int | None:
    """The width of the terminal at stdout; None if it is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


_GAP = "  "
_LEAST = 8


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]], names: Collection[int] = ()) -> None:
    """Columns as wide as their contents; numbers are right-aligned.

    On a terminal that is too narrow the columns `names` are truncated; where that does not suffice, each row is a
    block of lines. In a file or a pipe nothing of this is done.
    """
    titles, *texts = ([plain(str(cell)) for cell in row] for row in (head, *rows))
    widths = [max(map(width, column)) for column in zip(titles, *texts)]
    most = columns()
    if not _fit(widths, names, most):
        assert most is not None
        _print_blocks(titles, texts, names, most)
        return
    right = [bool(rows) and isinstance(cell, int) for cell in (rows[0] if rows else head)]
    for number, row in enumerate((titles, *texts)):
        cells = (
            _padded(cut(cell, wide), wide, to_the_right)
            for cell, wide, to_the_right in zip(row, widths, right)
        )
        paint((_GAP.join(cells).rstrip(), "" if number else "bold"))


def _fit(widths: list[int], names: Collection[int], most: int | None) -> bool:
    """Shrinks the widest of `names` until all columns fit, or none has more than a few characters. Do they fit?"""
    while most is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > most:
        long = [(widths[i], i) for i in names if widths[i] > _LEAST]
        if not long:
            return False
        widths[max(long)[1]] -= 1
    return True


def _print_blocks(
    head: Sequence[str], rows: Sequence[Sequence[str]], names: Collection[int], most: int
) -> None:
    """Each row as lines of a title and a value."""
    wide = max(map(width, head))
    left = max(_LEAST, most - wide - len(_GAP))
    for number, row in enumerate(rows):
        if number:
            print()
        for i, (title, cell) in enumerate(zip(head, row)):
            paint((_padded(title, wide, False) + _GAP, "bold"), (cut(cell, left) if i in names else cell, ""))


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
