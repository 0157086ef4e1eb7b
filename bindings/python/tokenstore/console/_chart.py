"""A small chart of the last hours: what was created upwards, what ended downwards."""

from __future__ import annotations

from collections.abc import Sequence

from tokenstore.console._markup import text

__all__ = ["chart"]

_BAR, _GAP, _HALF = 5, 2, 18  # pixels


def chart(created: Sequence[int], ended: Sequence[int]) -> str:
    """As SVG, with its sums as text for those who do not see it."""
    most = max(*created, *ended, 1)
    width = len(created) * (_BAR + _GAP) - _GAP
    said = f"{sum(created)} created and {sum(ended)} ended in the last {len(created)} hours"
    bars = [
        _bar(i, -_length(up, most), "created") + _bar(i, _length(down, most), "ended")
        for i, (up, down) in enumerate(zip(created, ended))
    ]
    return (
        f'<svg class="chart" role="img" aria-label="{text(said)}" width="{width}" height="{2 * _HALF + 1}" '
        f'viewBox="0 {-_HALF} {width} {2 * _HALF + 1}">'
        f'<path class="axis" d="M0 0.5H{width}"/>{"".join(bars)}</svg>'
    )


def _length(count: int, most: int) -> int:
    """One that is not zero can be seen."""
    return max(1, round(count * (_HALF - 1) / most)) if count else 0


def _bar(number: int, length: int, kind: str) -> str:
    if not length:
        return ""
    top = length if length < 0 else 1
    return f'<rect class="{kind}" x="{number * (_BAR + _GAP)}" y="{top}" width="{_BAR}" height="{abs(length)}" rx="1"/>'
