"""Pieces of HTML. Whatever comes from outside passes through :func:`text`, and then can make no element."""

from __future__ import annotations

import html
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from tokenstore.console._messages import query_of

__all__ = ["ago", "attribute_url", "counted", "moment", "name", "table", "text"]

_HIDDEN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")
"""Categories of characters that cannot be seen, or that move others about."""


def text(value: object) -> str:
    """Escaped for content and for quoted attributes; what cannot be seen is written out: ⟨U+202E⟩, or ⟨FF⟩ for a byte
    that is not UTF-8."""
    whole = str(value)
    if not whole.isprintable():
        whole = "".join(map(_visible, whole))
    return html.escape(whole)


def _visible(character: str) -> str:
    if character == " " or unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    return f"⟨{number - 0xDC00:02X}⟩" if 0xDC80 <= number <= 0xDCFF else f"⟨U+{number:04X}⟩"


def name(value: object) -> str:
    """A name as such: its direction does not reach what stands around it, and its blanks are kept."""
    return f'<bdi class="name">{text(value)}</bdi>'


def attribute_url(base: str, path: str, query: Mapping[str, str | None] | None = None) -> str:
    """For an attribute: all but letters, digits and ``-._~`` is percent-encoded in the query."""
    return text(base + path + ("?" + query_of(query) if query else ""))


def counted(count: int, noun: str | None = None) -> str:
    """``10 000``, ``1 session``, ``2 sessions``."""
    number = f"{count:,}".replace(",", "\u202f")
    if noun is None:
        return number
    return f"{number} {noun}{'' if count == 1 else 's'}"


_UNITS = (("year", 31_536_000), ("day", 86_400), ("hour", 3600), ("minute", 60))


def ago(seconds: float) -> str:
    """How long ago, or from now on if negative, in the largest unit."""
    size = abs(seconds)
    unit, length = next(((unit, length) for unit, length in _UNITS if size >= length), ("", 1))
    if not unit:
        return "just now" if seconds >= 0 else "in seconds"
    amount = counted(int(size // length), unit)
    return f"{amount} ago" if seconds >= 0 else f"in {amount}"


def moment(at: float | None, none: str = "–") -> str:
    """A time in UTC, and how long ago that is."""
    if at is None:
        return f'<span class="none">{text(none)}</span>'
    when = datetime.fromtimestamp(at, timezone.utc)
    return (
        f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}"><span class="ago">{ago(time.time() - at)}</span> '
        f'<span class="exact">{when:%Y-%m-%d %H:%M}</span></time>'
    )


def table(kind: str, labels: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Each row begins with its heading. On narrow screens a row is a card, and each cell has its label; so the roles, which
    such a layout would take away, are written out."""
    heads = "".join(f'<th scope="col" role="columnheader">{label}</th>' for label in labels)
    body = "".join(_row(labels, cells) for cells in rows)
    return (
        f'<table class="{kind}" role="table"><thead role="rowgroup"><tr role="row">{heads}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}</tbody></table>\n'
    )


def _row(labels: Sequence[str], cells: Sequence[str]) -> str:
    head, *others = cells
    shown = "".join(
        f'<td role="cell" data-label="{label}">{cell}</td>' for label, cell in zip(labels[1:], others)
    )
    return f'<tr role="row"><th scope="row" role="rowheader" data-label="{labels[0]}">{head}</th>{shown}</tr>\n'
