"""Colour, by rich where it is installed. It repeats what the text says, and never says more."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["paint"]


@cache
def _console() -> Console | None:
    """For a terminal; None if stdout is none, or rich is not installed. TERM=dumb is for rich to know."""
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, soft_wrap=True)


def paint(*parts: tuple[str, str]) -> None:
    """Print a line of texts in their styles ("": none). NO_COLOR leaves what is no colour, such as bold."""
    console = _console()
    if console is None:
        print("".join(text for text, _ in parts))
        return
    from rich.text import Text

    console.print(Text.assemble(*parts))
