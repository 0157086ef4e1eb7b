"""Log lines of operations, on the logger ``tokenstore``.

INFO: retries. WARNING: dropped connections, skipped records.
"""

from __future__ import annotations

import logging
from typing import Protocol

__all__ = ["Logger", "logger_of", "notes", "write"]

_log = logging.getLogger("tokenstore")


def notes(url: str, lines: list[tuple[str, str]]) -> None:
    """Called by the extension if there are log lines. The core wrote the text, which contains no secret."""
    for level, text in lines:
        number = logging.WARNING if level == "w" else logging.INFO
        if _log.isEnabledFor(number):
            _log.log(number, "%s", text if url in text else f"{url}: {text}")


class Logger(Protocol):
    """The logger protocol; :class:`logging.Logger` implements it."""

    def info(self, msg: str, /) -> object: ...
    def warning(self, msg: str, /) -> object: ...


def logger_of(logger: Logger | None, name: str) -> Logger:
    """The given logger, or the standard one of that name."""
    if logger is None:
        return logging.getLogger(name)
    for method in ("info", "warning"):
        if not callable(getattr(logger, method, None)):
            raise TypeError(
                f"logger must have info and warning: {type(logger).__name__} has no {method}"
            )
    return logger


def write(logger: Logger, level: str, text: str) -> None:
    """Write one note of the core; "w" is a warning."""
    if level == "w":
        logger.warning(text)
    else:
        logger.info(text)
