"""What operations have to say to an operator, on the logger ``tokenstore``: why they tried again, what was left.

INFO: tried again. WARNING: the connections to a server were given up.
"""

from __future__ import annotations

import logging

__all__ = ["notes"]

_log = logging.getLogger("tokenstore")


def notes(url: str, lines: list[tuple[str, str]]) -> None:
    """Called by the extension when there are any; the core wrote the words, none of which is secret."""
    for level, text in lines:
        number = logging.WARNING if level == "w" else logging.INFO
        if _log.isEnabledFor(number):
            _log.log(number, "%s", text if url in text else f"{url}: {text}")
