"""What a check says."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DANGER", "NOTE", "OK", "UNKNOWN", "WARNING", "Finding", "danger", "note", "ok", "unknown", "warning"]

OK = "ok"
NOTE = "note"
"""Something is not possible that not everybody needs."""
UNKNOWN = "unknown"
"""The user may not see it."""
WARNING = "warning"
DANGER = "danger"
"""A promise of docs/explanation/guarantees.md does not hold here."""


class Finding(NamedTuple):
    """What was found, what it means for sessions, and what to do."""

    verdict: str
    found: str
    meaning: str = ""
    advice: str = ""
    check: str = ""
    """Its name; of the row in the table of checks."""


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(OK, found)


def note(found: str, meaning: str, advice: str) -> Finding:
    """Good to know."""
    return Finding(NOTE, found, meaning, advice)


def unknown(found: str, advice: str) -> Finding:
    """It could not be seen."""
    return Finding(UNKNOWN, found, "it is not known whether sessions are safe in this respect", advice)


def warning(found: str, meaning: str, advice: str) -> Finding:
    """It should be changed."""
    return Finding(WARNING, found, meaning, advice)


def danger(found: str, meaning: str, advice: str) -> Finding:
    """It must be changed."""
    return Finding(DANGER, found, meaning, advice)
